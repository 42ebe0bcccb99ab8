#ifndef RUNTIME_AGENT_STREAMS_INPUT_QUEUE_H_
#define RUNTIME_AGENT_STREAMS_INPUT_QUEUE_H_

#include <functional>
#include <memory>
#include <string>

#include "base/os/unique_fd.h"
#include "runtime-agent/streams/io_loop.h"

namespace slipway::agent {

// Bytes on their way into a non-blocking pipe or terminal. Holds one message; the next is asked for
// when it is written. Everything happens on the loop.
class InputQueue {
 public:
  // `drained`: the message was taken. `closed`: all is written and the end was asked for.
  InputQueue(IoLoop* loop, std::function<void()> drained, std::function<void()> closed);
  ~InputQueue();
  InputQueue(const InputQueue&) = delete;
  InputQueue& operator=(const InputQueue&) = delete;

  // Where bytes go; until then they wait.
  void SetTarget(std::shared_ptr<UniqueFd> target);
  bool has_target() const { return own_.ok(); }
  // All that was pushed is written.
  bool idle() const { return pending_.empty(); }
  void Push(std::string data);
  // After what was pushed.
  void Close();
  // Gives the descriptor up; what is pushed later is dropped.
  void Drop();

 private:
  void Write();

  IoLoop* const loop_;
  const std::function<void()> drained_;
  const std::function<void()> closed_;
  // A duplicate: several queues may watch one pipe.
  UniqueFd own_;
  std::string pending_;
  size_t written_ = 0;
  bool waiting_ = false;
  bool close_ = false;
  bool gone_ = false;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_STREAMS_INPUT_QUEUE_H_
