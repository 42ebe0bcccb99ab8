#ifndef RUNTIME_AGENT_STREAMS_IO_LOOP_H_
#define RUNTIME_AGENT_STREAMS_IO_LOOP_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/os/unique_fd.h"

namespace slipway::agent {

// One thread on which byte streams live: what belongs to a stream is touched only here, and nothing
// that runs here may block. Post is thread-safe; the rest is for the loop's own thread.
class IoLoop {
 public:
  using Task = std::function<void()>;

  static absl::StatusOr<std::unique_ptr<IoLoop>> Start();
  // Runs what was posted before, then ends the thread.
  ~IoLoop();

  void Post(Task task);
  // Calls `ready` once when the descriptor has one of `events` (EPOLLIN, EPOLLOUT; errors and
  // hang-ups always). Until then the descriptor stays open, or Unwatch is called.
  void WatchOnce(int fd, uint32_t events, Task ready);
  void Unwatch(int fd);
  void After(absl::Duration delay, Task task);

 private:
  IoLoop(UniqueFd epoll, UniqueFd event);
  void Run();
  void RunPosted();
  int RunTimers();

  UniqueFd epoll_;
  UniqueFd event_;
  absl::flat_hash_map<int, Task> watched_;
  std::multimap<absl::Time, Task> timers_;
  absl::Mutex mutex_;
  std::vector<Task> posted_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_STREAMS_IO_LOOP_H_
