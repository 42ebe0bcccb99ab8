#ifndef SERVICES_BUILD_RPC_CONTEXT_QUEUE_H_
#define SERVICES_BUILD_RPC_CONTEXT_QUEUE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/os/unique_fd.h"

namespace slipway::build {

// A context between the stream that it comes by and the build that reads it: in pieces, or as a
// file that grows. Pieces are bounded by the receiver: it asks for no more while there is no room.
// Thread-safe.
class ContextQueue {
 public:
  static constexpr size_t kRoomBytes = 4 << 20;

  // `on_room` is called, without locks held, when there is room again after Push returned false.
  explicit ContextQueue(std::function<void()> on_room) : on_room_(std::move(on_room)) {}

  // True when more may be received at once.
  bool Push(std::string bytes);
  // The context is in `file`, and so many bytes of it are there; null: the file of before. False
  // when that makes no sense, and Next says so.
  bool PushFile(std::shared_ptr<const UniqueFd> file, uint64_t written_bytes);
  void End();
  // The sender is gone, or sent what makes no sense: Next fails.
  void Abort(absl::Status reason = absl::CancelledError("the build's context broke off"));

  // The file that the context is in; null where it comes in pieces. Waits until that is known.
  std::shared_ptr<const UniqueFd> File();
  // Valid until the next call; empty at the end.
  absl::StatusOr<absl::string_view> Next();

 private:
  bool Begun() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  bool Ready() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  absl::StatusOr<absl::string_view> Read(int fd, uint64_t at);

  const std::function<void()> on_room_;
  absl::Mutex mu_;
  std::deque<std::string> pieces_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const UniqueFd> file_ ABSL_GUARDED_BY(mu_);
  uint64_t written_ ABSL_GUARDED_BY(mu_) = 0;  // to the file
  uint64_t read_ ABSL_GUARDED_BY(mu_) = 0;     // from the file
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool stalled_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status aborted_ ABSL_GUARDED_BY(mu_);
  // The reader's.
  std::string current_;
  std::unique_ptr<char[]> buffer_;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_RPC_CONTEXT_QUEUE_H_
