#ifndef SERVICES_LOG_OUTLETS_KUBERNETES_FILE_H_
#define SERVICES_LOG_OUTLETS_KUBERNETES_FILE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"
#include "services/log/ports/outlet.h"

namespace slipway::log {

// The file that a kubelet reads (Kubernetes' CRI logging): "<RFC3339Nano> stdout F text", with P
// instead of F where the line goes on. The kubelet rotates by renaming the file and asking for it
// to be opened again; that is a mark between lines, so that none is torn or lost.
class KubernetesFile : public Outlet {
 public:
  static absl::StatusOr<std::unique_ptr<KubernetesFile>> Open(const std::string& path);

  absl::Status Send(const std::vector<OutletLine>& lines) override;
  absl::Status Reopen() override;

 private:
  explicit KubernetesFile(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  UniqueFd fd_;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_OUTLETS_KUBERNETES_FILE_H_
