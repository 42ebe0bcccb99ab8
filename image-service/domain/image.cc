#include "image-service/domain/image.h"

#include <sys/utsname.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace slipway::image {
namespace {

// arm64 means v8 when nothing is said (OCI image-spec, "Platform variants").
std::string Variant(const Platform& platform) {
  if (platform.architecture == "arm64" && platform.variant.empty()) return "v8";
  if (platform.architecture == "arm" && platform.variant.empty()) return "v7";
  return platform.variant;
}

}  // namespace

Digest ChainId(const std::vector<Layer>& layers, size_t count) {
  Digest chain;
  for (size_t i = 0; i < count && i < layers.size(); ++i) {
    chain =
        i == 0 ? layers[0].diff_id
               : Digest::OfBytes(absl::StrCat(chain.ToString(), " ", layers[i].diff_id.ToString()));
  }
  return chain;
}

Platform HostPlatform() {
  utsname name{};
  uname(&name);
  const absl::string_view machine = name.machine;
  if (machine == "x86_64") return {"linux", "amd64", ""};
  if (machine == "aarch64") return {"linux", "arm64", "v8"};
  if (machine == "armv7l") return {"linux", "arm", "v7"};
  if (machine == "i686" || machine == "i386") return {"linux", "386", ""};
  return {"linux", std::string(machine), ""};
}

int SelectPlatform(const std::vector<IndexEntry>& entries, const Platform& wanted) {
  int found = -1;
  for (size_t i = 0; i < entries.size(); ++i) {
    const Platform& platform = entries[i].platform;
    if (platform.os != wanted.os || platform.architecture != wanted.architecture) continue;
    if (Variant(platform) == Variant(wanted)) return static_cast<int>(i);
    const bool either_is_free = platform.variant.empty() || wanted.variant.empty();
    if (either_is_free && found < 0) found = static_cast<int>(i);
  }
  return found;
}

std::string PlatformName(const Platform& platform) {
  std::string name = absl::StrCat(platform.os, "/", platform.architecture);
  if (!platform.variant.empty()) absl::StrAppend(&name, "/", platform.variant);
  return name;
}

}  // namespace slipway::image
