#ifndef GATEWAY_BUILDKIT_SOLVES_H_
#define GATEWAY_BUILDKIT_SOLVES_H_

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "buildkit/control.pb.h"
#include "gateway/buildkit/cancel_hook.h"
#include "gateway/buildkit/signal.h"
#include "gateway/buildkit/status_queue.h"
#include "gateway/http/coroutine.h"
#include "gateway/http/io_threads.h"

namespace slipway::gateway {

// One Control.Solve, and what is called beside it by the same name. Used on its executor.
struct Solve {
  explicit Solve(const asio::any_io_executor& executor) : executor(executor), changed(executor) {}

  const asio::any_io_executor executor;
  Signal changed;         // when something of the following does
  bool begun = false;     // Control.Solve has come
  bool over = false;      // and has ended
  bool watched = false;   // somebody reads its progress
  bool building = false;  // the client's own frontend has asked for its build
  moby::buildkit::v1::SolveRequest request;
  StatusQueue progress;
  CancelHook cancel;
  // Of a client that is its own frontend.
  std::string image_id;
  std::optional<absl::Status> returned;
};
using SolvePtr = std::shared_ptr<Solve>;

// Solves by the clients' names of them. Thread-safe.
class Solves {
 public:
  // `threads` outlive it.
  explicit Solves(IoThreads& threads) : threads_(threads) {}

  // Calls of one build come in any order: the first of them makes it. ResourceExhausted.
  absl::StatusOr<SolvePtr> Get(const std::string& ref) ABSL_LOCKS_EXCLUDED(mu_);
  // When it has ended, and its status may have been read; or it never began.
  void Forget(const std::string& ref) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  static constexpr size_t kMaxSolves = 256;

  IoThreads& threads_;
  absl::Mutex mu_;
  std::map<std::string, SolvePtr> by_ref_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_SOLVES_H_
