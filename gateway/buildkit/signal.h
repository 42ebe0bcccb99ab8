#ifndef GATEWAY_BUILDKIT_SIGNAL_H_
#define GATEWAY_BUILDKIT_SIGNAL_H_

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <set>

#include "gateway/http/coroutine.h"

namespace slipway::gateway {

// Wakes coroutines that wait for something to change; each looks for itself whether it did. Used on
// one thread; outlives those who wait.
class Signal {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit Signal(asio::any_io_executor executor) : executor_(std::move(executor)) {}

  void Notify() {
    for (asio::steady_timer* timer : waiting_) timer->cancel();
  }

  // Until Notify(), or `until`.
  Awaitable<void> Wait(TimePoint until = TimePoint::max()) {
    Waiter waiter{*this, asio::steady_timer(executor_, until)};
    waiting_.insert(&waiter.timer);
    error_code ignored;
    co_await waiter.timer.async_wait(Into(ignored));
  }

 private:
  struct Waiter {
    Signal& signal;
    asio::steady_timer timer;
    ~Waiter() { signal.waiting_.erase(&timer); }
  };

  const asio::any_io_executor executor_;
  std::set<asio::steady_timer*> waiting_;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_SIGNAL_H_
