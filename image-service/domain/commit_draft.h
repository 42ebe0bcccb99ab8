#ifndef IMAGE_SERVICE_DOMAIN_COMMIT_DRAFT_H_
#define IMAGE_SERVICE_DOMAIN_COMMIT_DRAFT_H_

#include <string>
#include <utility>
#include <vector>

#include "image-service/domain/commit.h"
#include "image-service/domain/media_types.h"

namespace slipway::image {

// An image that is being committed, as far as it is known.
struct Committer::Draft {
  Digest parent;
  Platform platform = HostPlatform();
  std::vector<HistoryEntry> history;
  std::string manifest_type = kOciManifestType;
  std::vector<LayerLease> leases;        // bottom first
  std::vector<std::string> media_types;  // of these

  void AddLayer(LayerLease lease) {
    media_types.push_back(manifest_type == kDockerManifestType ? kDockerTarType
                                                               : lease.layer().media_type);
    leases.push_back(std::move(lease));
  }
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_COMMIT_DRAFT_H_
