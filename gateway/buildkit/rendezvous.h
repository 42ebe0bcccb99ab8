#ifndef GATEWAY_BUILDKIT_RENDEZVOUS_H_
#define GATEWAY_BUILDKIT_RENDEZVOUS_H_

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "gateway/http/coroutine.h"

namespace slipway::gateway {

// Where requests of one client that come in any order, on connections of their own, find what the
// others brought, by its id. Thread-safe.
template <typename Value>
class Rendezvous {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // False where the id is taken, or too many are there.
  bool Add(const std::string& id, Value value) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (values_.size() >= kMaxValues) return false;
    if (!values_.emplace(id, std::move(value)).second) return false;
    const auto [first, last] = waiters_.equal_range(id);
    for (auto waiter = first; waiter != last; ++waiter) {
      // A timer belongs to its coroutine's thread.
      asio::post(waiter->second->get_executor(), [timer = waiter->second] { timer->cancel(); });
    }
    waiters_.erase(first, last);
    return true;
  }

  bool Has(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return values_.contains(id);
  }

  void Remove(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    values_.erase(id);
  }

  // The value, as soon as it is there; nothing at `until`.
  Awaitable<std::optional<Value>> Await(std::string id, TimePoint until) {
    const auto timer =
        std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor, until);
    std::optional<Value> value = FindOrList(id, timer);
    if (value.has_value()) co_return value;
    error_code ignored;
    co_await timer->async_wait(Into(ignored));
    co_return FindAndUnlist(id, timer);
  }

 private:
  static constexpr size_t kMaxValues = 1024;
  using Timer = std::shared_ptr<asio::steady_timer>;

  std::optional<Value> Find(const std::string& id) const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    const auto found = values_.find(id);
    return found == values_.end() ? std::nullopt : std::optional<Value>(found->second);
  }

  std::optional<Value> FindOrList(const std::string& id, const Timer& timer)
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    std::optional<Value> value = Find(id);
    if (!value.has_value()) waiters_.emplace(id, timer);
    return value;
  }

  std::optional<Value> FindAndUnlist(const std::string& id, const Timer& timer)
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    const auto [first, last] = waiters_.equal_range(id);
    for (auto waiter = first; waiter != last; ++waiter) {
      if (waiter->second != timer) continue;
      waiters_.erase(waiter);
      break;
    }
    return Find(id);
  }

  absl::Mutex mu_;
  std::map<std::string, Value> values_ ABSL_GUARDED_BY(mu_);
  std::multimap<std::string, Timer> waiters_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_RENDEZVOUS_H_
