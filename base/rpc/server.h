#ifndef BASE_RPC_SERVER_H_
#define BASE_RPC_SERVER_H_

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/metrics/metrics.h"
#include "base/os/unique_fd.h"
#include "base/rpc/callback_threads.h"

namespace slipway {

// A unix socket to listen on. Who may connect is who may write to the file.
struct UnixListener {
  std::string path;
  mode_t mode = 0600;
  // -1: leave as it is made.
  uid_t owner = static_cast<uid_t>(-1);
  gid_t group = static_cast<gid_t>(-1);
};

struct RpcServerOptions {
  std::vector<UnixListener> listeners;
  // Threads for blocking handlers (the sync API); handlers of the callback API use gRPC's own.
  int max_threads = 64;
  int max_message_bytes = 16 << 20;
  // Anything else a server needs (generic services).
  std::function<void(grpc::ServerBuilder&)> customize;
};

// A gRPC server with health checking, reflection, metrics and logs of calls. Register unary methods
// with the sync API, streams with the callback API (`Service::WithCallbackMethod_X<...>`).
// Thread-safe.
class RpcServer {
 public:
  // Listens and serves. `services` and `metrics` outlive the server. The error names the socket.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(
      RpcServerOptions options, const std::vector<grpc::Service*>& services, Metrics& metrics);

  ~RpcServer();

  // Serves a connected socket that came in another way. Without effect after Shutdown().
  void Adopt(UniqueFd socket) ABSL_LOCKS_EXCLUDED(mu_);

  // Refuses new calls, gives running ones `grace`, then cancels them.
  void Shutdown(absl::Duration grace) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  explicit RpcServer(std::unique_ptr<grpc::Server> server) : server_(std::move(server)) {}
  const CallbackThreads callback_threads_;
  absl::Mutex mu_;
  std::unique_ptr<grpc::Server> server_ ABSL_GUARDED_BY(mu_);  // null after Shutdown()
};

}  // namespace slipway

#endif  // BASE_RPC_SERVER_H_
