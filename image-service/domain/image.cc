#include "image-service/domain/image.h"

#include <sys/utsname.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/text/platform.h"

namespace slipway::image {
namespace {

// arm64 means v8 when nothing is said (OCI image-spec, "Platform variants").
std::string Variant(const Platform& platform) {
  if (platform.architecture == "arm64" && platform.variant.empty()) return "v8";
  if (platform.architecture == "arm" && platform.variant.empty()) return "v7";
  return platform.variant;
}

}  // namespace

bool Layer::AddRepository(const std::string& name) {
  if (name.empty() ||
      std::find(repositories.begin(), repositories.end(), name) != repositories.end()) {
    return false;
  }
  if (repositories.size() == kMaxRepositories) repositories.erase(repositories.begin());
  repositories.push_back(name);
  return true;
}

std::vector<Digest> ChainIds(const std::vector<Layer>& layers) {
  std::vector<Digest> chain;
  chain.reserve(layers.size());
  for (const Layer& layer : layers) {
    chain.push_back(chain.empty() ? layer.diff_id
                                  : Digest::OfBytes(absl::StrCat(chain.back().ToString(), " ",
                                                                 layer.diff_id.ToString())));
  }
  return chain;
}

int64_t SizeOf(const Image& image) {
  int64_t size_bytes = 0;
  for (const Layer& layer : image.layers) size_bytes += layer.content_size_bytes;
  return size_bytes;
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
  return Format({platform.os, platform.architecture, platform.variant});
}

}  // namespace slipway::image
