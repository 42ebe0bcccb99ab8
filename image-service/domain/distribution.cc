#include "image-service/domain/distribution.h"

#include <memory>
#include <utility>
#include <variant>

#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr int64_t kMaxConfigBytes = 8 << 20;

}  // namespace

absl::StatusOr<Distribution> InspectDistribution(Registry& registry, ImageFormat& format,
                                                 const ImageReference& reference,
                                                 const RegistryCredentials& credentials,
                                                 const Cancellation& cancel) {
  const ImageReference wanted = reference.WithDefaultTag();
  const std::shared_ptr<RegistryRepository> repository =
      registry.Open(wanted, credentials, RegistryAccess::kPull);
  ASSIGN_OR_RETURN(const FetchedManifest fetched, repository->FetchManifest(wanted, cancel));
  ASSIGN_OR_RETURN(const ManifestOrIndex parsed,
                   format.ParseManifest(fetched.body, fetched.media_type));
  Distribution found;
  found.descriptor.digest = fetched.digest;
  found.descriptor.size_bytes = static_cast<int64_t>(fetched.body.size());
  found.descriptor.media_type = fetched.media_type;
  if (const auto* index = std::get_if<std::vector<IndexEntry>>(&parsed)) {
    for (const IndexEntry& entry : *index) found.platforms.push_back(entry.platform);
    return found;
  }
  const Manifest& manifest = std::get<Manifest>(parsed);
  found.descriptor.media_type = manifest.media_type;
  ASSIGN_OR_RETURN(const std::string config,
                   repository->FetchBlob(manifest.config.digest, kMaxConfigBytes, cancel));
  ASSIGN_OR_RETURN(const ImageDescription description, format.ParseConfig(config));
  found.platforms.push_back(description.platform);
  return found;
}

}  // namespace slipway::image
