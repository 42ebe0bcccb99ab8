#ifndef RUNTIME_AGENT_DOMAIN_CONTAINER_H_
#define RUNTIME_AGENT_DOMAIN_CONTAINER_H_

#include <fcntl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/domain/actual.h"
#include "runtime-agent/domain/definition.h"
#include "runtime-agent/kernel/layer_mounts.h"
#include "runtime-agent/streams/output.h"

namespace slipway::agent {

// Descriptors of a run. Shared, because streams may use them for a moment longer than the run. Set
// before it is shared, but for what EndOfRun takes away. Thread-safe.
class RunHandles {
 public:
  // Never reused for another process: signals to it after its end say so.
  UniqueFd pidfd;
  // The overlay: held so that the last unmount, which syncs, happens here and not in the exit of
  // the container's process. Null when an earlier agent started the run.
  std::shared_ptr<const UniqueFd> root;

  // Holds the mount namespace from before the process may end, where that could be had: it is taken
  // apart when its end was told, and not before.
  void SetMountNamespace(UniqueFd mounts) {
    absl::MutexLock lock(&mutex_);
    mount_namespace_ = std::move(mounts);
  }

  // stdin's write end, or the terminal; null without one, or when it was taken away.
  std::shared_ptr<UniqueFd> input() const {
    absl::MutexLock lock(&mutex_);
    return input_;
  }
  void SetInput(std::shared_ptr<UniqueFd> input) {
    absl::MutexLock lock(&mutex_);
    input_ = std::move(input);
  }
  std::shared_ptr<UniqueFd> terminal() const {
    absl::MutexLock lock(&mutex_);
    return terminal_;
  }
  void SetTerminal(std::shared_ptr<UniqueFd> terminal) {
    absl::MutexLock lock(&mutex_);
    terminal_ = std::move(terminal);
  }
  std::shared_ptr<OomWatch> oom() const {
    absl::MutexLock lock(&mutex_);
    return oom_;
  }
  void SetOom(std::shared_ptr<OomWatch> oom) {
    absl::MutexLock lock(&mutex_);
    oom_ = std::move(oom);
  }
  // The supervisor's ends of stdout's and stderr's pipes, and the pipe behind a terminal: held so
  // that not even supervisor and keeper together take output with them.
  void SetSpares(UniqueFd out, UniqueFd error, UniqueFd terminal_pipe) {
    absl::MutexLock lock(&mutex_);
    spares_[0] = std::move(out);
    spares_[1] = std::move(error);
    spares_[2] = std::move(terminal_pipe);
  }
  void CopySpares(UniqueFd& out, UniqueFd& error, UniqueFd& terminal_pipe) const {
    absl::MutexLock lock(&mutex_);
    UniqueFd* copies[] = {&out, &error, &terminal_pipe};
    for (int i = 0; i < 3; ++i) {
      if (spares_[i].ok()) copies[i]->reset(fcntl(spares_[i].get(), F_DUPFD_CLOEXEC, 3));
    }
  }
  void DropInput() { SetInput(nullptr); }
  void EndOfRun() {
    UniqueFd mounts;  // closed without the lock: it may take a millisecond
    absl::MutexLock lock(&mutex_);
    mounts = std::move(mount_namespace_);
    input_ = nullptr;
    terminal_ = nullptr;
    for (UniqueFd& spare : spares_) spare.reset();
  }

 private:
  mutable absl::Mutex mutex_;
  std::shared_ptr<UniqueFd> input_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<UniqueFd> terminal_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<OomWatch> oom_ ABSL_GUARDED_BY(mutex_);
  UniqueFd spares_[3] ABSL_GUARDED_BY(mutex_);
  UniqueFd mount_namespace_ ABSL_GUARDED_BY(mutex_);
};

// One container of this host. Reading it never waits for what is being done to it: `mutex` is held
// for copies only, and a long operation holds the turn instead. Thread-safe.
class Container {
 public:
  Container(Definition definition, Actual actual)
      : definition_(std::move(definition)),
        actual_(std::move(actual)),
        limits_(definition_.limits) {}

  const std::string& id() const { return definition_.id; }
  // As it was prepared; limits() may have been changed since.
  const Definition& definition() const { return definition_; }
  CgroupLimits limits() const {
    absl::MutexLock lock(&mutex_);
    return limits_;
  }
  void SetLimits(CgroupLimits limits) {
    absl::MutexLock lock(&mutex_);
    limits_ = std::move(limits);
  }

  // The right to change the container's kernel objects; one operation has it at a time.
  class Turn {
   public:
    explicit Turn(Container& container) : container_(&container) { container_->TakeTurn(); }
    Turn(Turn&& other) noexcept : container_(std::exchange(other.container_, nullptr)) {}
    ~Turn() {
      if (container_ != nullptr) container_->GiveTurn();
    }

   private:
    Container* container_;
  };

  Actual actual() const {
    absl::MutexLock lock(&mutex_);
    return actual_;
  }
  void SetActual(Actual actual) {
    absl::MutexLock lock(&mutex_);
    actual_ = std::move(actual);
  }
  // Follows the transition table. Everything else of `actual` is the caller's to set.
  absl::Status Apply(ContainerEvent event) {
    absl::MutexLock lock(&mutex_);
    auto next = NextState(actual_.state, event);
    if (!next.ok()) return next.status();
    actual_.state = *next;
    return absl::OkStatus();
  }
  template <typename Change>
  Actual Update(Change change) {
    absl::MutexLock lock(&mutex_);
    change(actual_);
    return actual_;
  }

  // Calls `save` with the latest state while no other save of this container goes on: what is on
  // disk last is the latest. Callers may hold the turn or not.
  template <typename Save>
  absl::Status WithLatest(Save save) {
    absl::MutexLock lock(&save_mutex_);
    const Actual latest = actual();
    return save(latest);
  }
  // True for the first caller only.
  bool ClaimReaping() {
    absl::MutexLock lock(&mutex_);
    return !std::exchange(reaping_, true);
  }

  std::shared_ptr<RunHandles> handles() const {
    absl::MutexLock lock(&mutex_);
    return handles_;
  }
  void SetHandles(std::shared_ptr<RunHandles> handles) {
    absl::MutexLock lock(&mutex_);
    handles_ = std::move(handles);
  }
  std::shared_ptr<Output> output() const {
    absl::MutexLock lock(&mutex_);
    return output_;
  }
  void SetOutput(std::shared_ptr<Output> output) {
    absl::MutexLock lock(&mutex_);
    output_ = std::move(output);
  }
  std::vector<LayerHold> layers() const {
    absl::MutexLock lock(&mutex_);
    return layers_;
  }
  void SetLayers(std::vector<LayerHold> layers) {
    absl::MutexLock lock(&mutex_);
    layers_ = std::move(layers);
  }
  // The mounted file system while somebody holds it; null otherwise.
  std::shared_ptr<const UniqueFd> overlay() const {
    absl::MutexLock lock(&mutex_);
    return overlay_.lock();
  }
  void SetOverlay(const std::shared_ptr<const UniqueFd>& overlay) {
    absl::MutexLock lock(&mutex_);
    overlay_ = overlay;
  }
  ContainerReport Report() const {
    absl::MutexLock lock(&mutex_);
    return {.id = definition_.id, .actual = actual_, .network = definition_.network};
  }

 private:
  void TakeTurn() {
    absl::MutexLock lock(&mutex_);
    const auto is_free = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !busy_; };
    mutex_.Await(absl::Condition(&is_free));
    busy_ = true;
  }
  void GiveTurn() {
    absl::MutexLock lock(&mutex_);
    busy_ = false;
  }

  const Definition definition_;
  absl::Mutex save_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  mutable absl::Mutex mutex_;
  Actual actual_ ABSL_GUARDED_BY(mutex_);
  CgroupLimits limits_ ABSL_GUARDED_BY(mutex_);
  bool reaping_ ABSL_GUARDED_BY(mutex_) = false;
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<RunHandles> handles_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Output> output_ ABSL_GUARDED_BY(mutex_);
  std::vector<LayerHold> layers_ ABSL_GUARDED_BY(mutex_);
  std::weak_ptr<const UniqueFd> overlay_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_CONTAINER_H_
