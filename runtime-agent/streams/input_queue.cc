#include "runtime-agent/streams/input_queue.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace slipway::agent {

InputQueue::InputQueue(IoLoop* loop, std::function<void()> drained, std::function<void()> closed)
    : loop_(loop), drained_(std::move(drained)), closed_(std::move(closed)) {}

InputQueue::~InputQueue() {
  if (waiting_) loop_->Unwatch(own_.get());
}

void InputQueue::SetTarget(std::shared_ptr<UniqueFd> target) {
  if (own_.ok() || gone_ || target == nullptr || !target->ok()) return;
  own_ = UniqueFd(fcntl(target->get(), F_DUPFD_CLOEXEC, 3));
  Write();
}

void InputQueue::Push(std::string data) {
  if (gone_) {
    drained_();
    return;
  }
  if (pending_.empty()) {
    pending_ = std::move(data);
    written_ = 0;
  } else {
    pending_.append(data);
  }
  Write();
}

void InputQueue::Close() {
  close_ = true;
  Write();
}

void InputQueue::Drop() {
  if (waiting_) loop_->Unwatch(own_.get());
  waiting_ = false;
  gone_ = true;
  own_.reset();
  pending_.clear();
}

void InputQueue::Write() {
  if (!own_.ok() || waiting_ || gone_) return;
  const bool had = !pending_.empty();
  while (written_ < pending_.size()) {
    const ssize_t put = write(own_.get(), pending_.data() + written_, pending_.size() - written_);
    if (put > 0) {
      written_ += static_cast<size_t>(put);
      continue;
    }
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) {
      waiting_ = true;
      loop_->WatchOnce(own_.get(), EPOLLOUT, [this] {
        waiting_ = false;
        Write();
      });
      return;
    }
    // EPIPE, EIO: nobody reads any more.
    Drop();
    drained_();
    return;
  }
  pending_.clear();
  written_ = 0;
  if (close_) {
    Drop();
    closed_();
    return;
  }
  if (had) drained_();
}

}  // namespace slipway::agent
