#ifndef SERVICES_BUILD_CLIENTS_GIT_SOCKET_H_
#define SERVICES_BUILD_CLIENTS_GIT_SOCKET_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/os/unique_fd.h"
#include "services/build/clients/git_transport.h"

namespace slipway::build {

// A connection to a git daemon. Not thread-safe.
class GitSocket {
 public:
  // To the host of "git://host[:port]/path", asking for that path. `transfer` outlives it.
  static absl::StatusOr<std::unique_ptr<GitSocket>> Connect(absl::string_view url,
                                                            GitTransfer& transfer);

  // 0 at the end. DeadlineExceeded for a silent server, Cancelled when the build is.
  absl::StatusOr<size_t> Read(char* out, size_t size);
  absl::Status Write(absl::string_view bytes);

 private:
  GitSocket(UniqueFd fd, GitTransfer& transfer) : fd_(std::move(fd)), transfer_(transfer) {}
  absl::Status Wait(short events);

  const UniqueFd fd_;
  GitTransfer& transfer_;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_CLIENTS_GIT_SOCKET_H_
