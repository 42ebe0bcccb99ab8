#ifndef SERVICES_BUILD_CLIENTS_GIT_TRANSPORT_H_
#define SERVICES_BUILD_CLIENTS_GIT_TRANSPORT_H_

#include <git2.h>

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/build/ports/cancellation.h"

namespace slipway::build {

// What a fetch may take, and what became of it. libgit2's own transports wait for a silent server
// for ever; these do not, and end with the build.
struct GitTransfer {
  Cancellation& cancellation;
  int64_t bytes_left = 0;
  absl::Time deadline;
  absl::Duration stall_time;  // without a byte
  absl::Status status;        // of the transport, more exact than libgit2's text
};

// For git_remote_callbacks::transport, with a GitTransfer, which outlives the remote, as payload:
// http and https with libcurl (smart protocol; proxies of the environment, redirects), and git.
int NewGitTransport(git_transport** out, git_remote* owner, void* transfer);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_CLIENTS_GIT_TRANSPORT_H_
