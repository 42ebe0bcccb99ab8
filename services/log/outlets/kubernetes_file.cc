#include "services/log/outlets/kubernetes_file.h"

#include <fcntl.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"
#include "services/log/outlets/attributes.h"

namespace slipway::log {

absl::StatusOr<std::unique_ptr<KubernetesFile>> KubernetesFile::Open(const std::string& path) {
  std::unique_ptr<KubernetesFile> file(new KubernetesFile(path));
  RETURN_IF_ERROR(file->Reopen());
  return file;
}

absl::Status KubernetesFile::Reopen() {
  ASSIGN_OR_RETURN(fd_, OpenFile(path_, O_WRONLY | O_CREAT | O_APPEND, 0640));
  return absl::OkStatus();
}

absl::Status KubernetesFile::Send(const std::vector<OutletLine>& lines) {
  std::string bytes;
  for (const OutletLine& line : lines) {
    absl::StrAppend(&bytes, Rfc3339Nano(line.time_unix_ns, /*trim=*/false),
                    line.stream == StdStream::kStderr ? " stderr " : " stdout ",
                    line.partial ? "P " : "F ", line.text, "\n");
  }
  return WriteAll(fd_.get(), bytes, path_);
}

}  // namespace slipway::log
