#ifndef GATEWAY_CLIENTS_STATS_HUB_H_
#define GATEWAY_CLIENTS_STATS_HUB_H_

#include <boost/asio/experimental/concurrent_channel.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "gateway/clients/call_tracker.h"
#include "gateway/http/coroutine.h"
#include "slipway/agent/v1/agent.grpc.pb.h"

namespace slipway::gateway {

// The usage of containers, each second, for any number of clients over one stream from the agent:
// what it costs does not grow with a call for each client. Thread-safe; outlives its subscriptions.
class StatsHub {
 public:
  using Calls = slipway::agent::v1::StreamService::StubInterface::async_interface;
  using Sample = std::shared_ptr<const slipway::agent::v1::ContainerStats>;

  // Samples of one container. A slow client misses some.
  class Subscription {
   public:
    Subscription(StatsHub& hub, std::string id, const asio::any_io_executor& executor);
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

    // Null when there is no more: the agent is gone, or Cancel() was called. One coroutine waits.
    Awaitable<Sample> Next();
    void Cancel();

   private:
    friend class StatsHub;
    StatsHub& hub_;
    const std::string id_;
    asio::experimental::concurrent_channel<void(error_code, Sample)> samples_;
  };

  // Both outlive the hub.
  StatsHub(Calls* stub, CallTracker& calls) : stub_(stub), calls_(calls) {}

 private:
  class Watch;
  using Message = std::shared_ptr<slipway::agent::v1::WatchStatsResponse>;

  void Add(Subscription* subscription);
  void Remove(Subscription* subscription);
  // A watch of all that are subscribed to, in place of the present one; null when nobody is.
  std::shared_ptr<Watch> Renew() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Took(Watch* watch, const Message& message);
  void Ended(Watch* watch);

  Calls* const stub_;
  CallTracker& calls_;
  absl::Mutex mu_;
  std::map<std::string, std::set<Subscription*>> subscriptions_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<Watch> watch_ ABSL_GUARDED_BY(mu_);
  bool outdated_ ABSL_GUARDED_BY(mu_) = false;  // subscriptions came or went since
};

}  // namespace slipway::gateway

#endif  // GATEWAY_CLIENTS_STATS_HUB_H_
