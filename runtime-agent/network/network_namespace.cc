#include "runtime-agent/network/network_namespace.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sched.h>

#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/os/file.h"
#include "base/os/thread.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/network/links.h"
#include "runtime-agent/network/netlink.h"

namespace slipway::agent {
namespace {

constexpr const char* kOwnNamespace = "/proc/thread-self/ns/net";
constexpr int kLoopbackIndex = 1;  // the first interface of every namespace

absl::Status LoopbackUp() {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_ROUTE));
  NetlinkBatch batch;
  SetLinkUp(batch, kLoopbackIndex);
  return socket.Run(batch);
}

}  // namespace

class NamespaceVisitor::Impl {
 public:
  Impl(UniqueFd home, bool background)
      : home_(std::move(home)), thread_([this, background] {
          NameThread("namespaces");
          if (background) GiveWayToOthers();
          Work();
        }) {}

  ~Impl() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  // Runs `task` on the thread and waits for it.
  absl::Status Call(const std::function<absl::Status()>& task) {
    Job job{&task};
    std::unique_lock<std::mutex> lock(mutex_);
    jobs_.push_back(&job);
    wake_.notify_all();
    done_.wait(lock, [&job] { return job.done; });
    return job.result;
  }

  absl::Status GoHome() {
    if (setns(home_.get(), CLONE_NEWNET) == 0) return absl::OkStatus();
    return ErrnoStatus(errno, "return to the host's network namespace");
  }

 private:
  struct Job {
    const std::function<absl::Status()>* task;
    absl::Status result;
    bool done = false;
  };

  void Work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      Job* job = jobs_.front();
      jobs_.pop_front();
      lock.unlock();
      absl::Status result = (*job->task)();
      // Also keeps this thread from holding the namespace alive.
      absl::Status home = GoHome();
      if (result.ok()) result = home;
      lock.lock();
      job->result = std::move(result);
      job->done = true;
      done_.notify_all();
    }
  }

  UniqueFd home_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::deque<Job*> jobs_;
  bool stop_ = false;
  std::thread thread_;  // last: it uses the others
};

NamespaceVisitor::NamespaceVisitor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NamespaceVisitor::~NamespaceVisitor() = default;

absl::StatusOr<std::unique_ptr<NamespaceVisitor>> NamespaceVisitor::Start(bool background) {
  ASSIGN_OR_RETURN(UniqueFd home, OpenFile(kOwnNamespace, O_RDONLY));
  return std::unique_ptr<NamespaceVisitor>(
      new NamespaceVisitor(std::make_unique<Impl>(std::move(home), background)));
}

absl::StatusOr<NetworkNamespace> NamespaceVisitor::CreateNamespace() {
  UniqueFd created;
  RETURN_IF_ERROR(impl_->Call([&created]() -> absl::Status {
    if (unshare(CLONE_NEWNET) != 0) return ErrnoStatus(errno, "make a network namespace");
    ASSIGN_OR_RETURN(created, OpenFile(kOwnNamespace, O_RDONLY));
    return LoopbackUp();
  }));
  return NetworkNamespace(std::move(created));
}

absl::Status NamespaceVisitor::Visit(int netns_fd, const std::function<absl::Status()>& visit) {
  return impl_->Call([&]() -> absl::Status {
    if (setns(netns_fd, CLONE_NEWNET) != 0) return ErrnoStatus(errno, "enter network namespace");
    return visit();
  });
}

}  // namespace slipway::agent
