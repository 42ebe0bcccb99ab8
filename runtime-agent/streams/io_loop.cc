#include "runtime-agent/streams/io_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/time/clock.h"
#include "base/os/thread.h"
#include "base/status/errno_status.h"

namespace slipway::agent {

absl::StatusOr<std::unique_ptr<IoLoop>> IoLoop::Start() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.ok()) return ErrnoStatus(errno, "epoll_create1");
  UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.ok()) return ErrnoStatus(errno, "eventfd");
  epoll_event interest{.events = EPOLLIN, .data = {.fd = event.get()}};
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, event.get(), &interest) != 0) {
    return ErrnoStatus(errno, "epoll_ctl");
  }
  return std::unique_ptr<IoLoop>(new IoLoop(std::move(epoll), std::move(event)));
}

IoLoop::IoLoop(UniqueFd epoll, UniqueFd event)
    : epoll_(std::move(epoll)), event_(std::move(event)), thread_([this] { Run(); }) {}

IoLoop::~IoLoop() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  eventfd_write(event_.get(), 1);
  thread_.join();
}

void IoLoop::Post(Task task) {
  bool first = false;
  {
    absl::MutexLock lock(&mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(task));
  }
  if (first) eventfd_write(event_.get(), 1);
}

void IoLoop::WatchOnce(int fd, uint32_t events, Task ready) {
  const bool known = watched_.contains(fd);
  watched_[fd] = std::move(ready);
  epoll_event interest{.events = events | EPOLLONESHOT, .data = {.fd = fd}};
  if (epoll_ctl(epoll_.get(), known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &interest) == 0) return;
  // A regular file is always ready; anything else shows its error at the next read or write.
  Task task = std::move(watched_[fd]);
  watched_.erase(fd);
  Post(std::move(task));
}

void IoLoop::Unwatch(int fd) {
  if (watched_.erase(fd) > 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void IoLoop::After(absl::Duration delay, Task task) {
  timers_.emplace(absl::Now() + delay, std::move(task));
}

void IoLoop::RunPosted() {
  std::vector<Task> tasks;
  {
    absl::MutexLock lock(&mutex_);
    tasks.swap(posted_);
  }
  for (Task& task : tasks) task();
}

// Milliseconds until the next timer, -1 for none.
int IoLoop::RunTimers() {
  while (!timers_.empty()) {
    const absl::Duration left = timers_.begin()->first - absl::Now();
    if (left > absl::ZeroDuration()) {
      return static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(left) + 1, 60000));
    }
    Task task = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    task();
  }
  return -1;
}

void IoLoop::Run() {
  NameThread("streams");
  epoll_event events[64];
  while (true) {
    const int timeout = RunTimers();
    const int count = epoll_wait(epoll_.get(), events, 64, timeout);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == event_.get()) {
        eventfd_t ignored = 0;
        eventfd_read(event_.get(), &ignored);
        continue;
      }
      const auto found = watched_.find(fd);
      if (found == watched_.end()) continue;
      Task task = std::move(found->second);
      watched_.erase(found);
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
      task();
    }
    RunPosted();
    absl::MutexLock lock(&mutex_);
    if (stop_ && posted_.empty()) return;
  }
}

}  // namespace slipway::agent
