#ifndef RUNTIME_AGENT_DOMAIN_EXEC_H_
#define RUNTIME_AGENT_DOMAIN_EXEC_H_

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/domain/actual.h"

namespace slipway::agent {

class ExecStreams;

// A further process in a container. Thread-safe.
class Exec {
 public:
  Exec(ExecRecord record, bool tty, bool transient)
      : tty_(tty), transient_(transient), record_(std::move(record)) {}

  bool tty() const { return tty_; }
  // Forgotten by who started it.
  bool transient() const { return transient_; }
  ExecRecord record() const {
    absl::MutexLock lock(&mutex_);
    return record_;
  }
  template <typename Change>
  ExecRecord UpdateRecord(Change change) {
    absl::MutexLock lock(&mutex_);
    change(record_);
    return record_;
  }
  // Null when it was started detached, or before a restart of the agent.
  std::shared_ptr<ExecStreams> streams() const {
    absl::MutexLock lock(&mutex_);
    return streams_;
  }
  void SetStreams(std::shared_ptr<ExecStreams> streams) {
    absl::MutexLock lock(&mutex_);
    streams_ = std::move(streams);
  }
  // Null before it runs. Also held so that the exit code can be learned although supervisor and
  // keeper die together.
  std::shared_ptr<UniqueFd> pidfd() const {
    absl::MutexLock lock(&mutex_);
    return pidfd_;
  }
  void SetPidfd(std::shared_ptr<UniqueFd> pidfd) {
    absl::MutexLock lock(&mutex_);
    pidfd_ = std::move(pidfd);
  }
  std::shared_ptr<UniqueFd> terminal() const {
    absl::MutexLock lock(&mutex_);
    return terminal_;
  }
  void SetTerminal(std::shared_ptr<UniqueFd> terminal) {
    absl::MutexLock lock(&mutex_);
    terminal_ = std::move(terminal);
  }

 private:
  const bool tty_;
  const bool transient_;
  mutable absl::Mutex mutex_;
  ExecRecord record_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<ExecStreams> streams_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<UniqueFd> terminal_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<UniqueFd> pidfd_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_EXEC_H_
