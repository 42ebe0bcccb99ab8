// References from strangers: none may crash, hang, or be read as something that is written
// differently.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "image-service/domain/image_reference.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  using slipway::image::ImageReference;
  const absl::string_view text(reinterpret_cast<const char*>(data), size_bytes);
  const auto reference = ImageReference::Parse(text);
  if (!reference.ok()) return 0;
  for (const std::string& written : {reference->FamiliarString(), reference->FullString()}) {
    const auto again = ImageReference::Parse(written);
    if (!again.ok() || !(*again == *reference)) abort();
  }
  const ImageReference tagged = reference->WithDefaultTag();
  const auto again = ImageReference::Parse(tagged.FamiliarString());
  if (!again.ok() || !(*again == tagged)) abort();
  return 0;
}
