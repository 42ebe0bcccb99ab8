// Manifests, indexes, configurations and archive manifests from strangers: none may crash, hang
// or be read as something that cannot be written down again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "image-service/domain/media_types.h"
#include "image-service/oci/json_image_format.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size_bytes);
  slipway::image::JsonImageFormat format;
  (void)format.ParseManifest(text, "");
  (void)format.ParseManifest(text, slipway::image::kOciIndexType);
  (void)format.ParseArchive(text);
  const auto config = format.ParseConfig(text);
  if (config.ok() && !format.ParseConfig(format.WriteConfig(*config)).ok()) abort();
  return 0;
}
