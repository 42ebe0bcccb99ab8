#include "gateway/clients/stats_hub.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <utility>

namespace slipway::gateway {
namespace {

namespace pb = slipway::agent::v1;

constexpr int64_t kIntervalNs = 1'000'000'000;

}  // namespace

// One stream. Keeps itself until gRPC is done with it.
class StatsHub::Watch : public grpc::ClientReadReactor<pb::WatchStatsResponse> {
 public:
  Watch(StatsHub& hub, pb::WatchStatsRequest request)
      : hub_(hub), context_(hub.calls_, /*endless=*/true), request_(std::move(request)) {}

  void Begin(std::shared_ptr<Watch> self) {
    self_ = std::move(self);
    hub_.stub_->WatchStats(&context_.get(), &request_, this);
    StartRead(message_.get());
    StartCall();
  }
  void Cancel() { context_.get().TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    const Message took = std::exchange(message_, std::make_shared<pb::WatchStatsResponse>());
    hub_.Took(this, took);
    StartRead(message_.get());
  }
  void OnDone(const grpc::Status&) override {
    hub_.Ended(this);
    const std::shared_ptr<Watch> last = std::move(self_);
  }

 private:
  StatsHub& hub_;
  TrackedContext context_;
  const pb::WatchStatsRequest request_;
  std::shared_ptr<Watch> self_;
  Message message_ = std::make_shared<pb::WatchStatsResponse>();
};

StatsHub::Subscription::Subscription(StatsHub& hub, std::string id,
                                     const asio::any_io_executor& executor)
    : hub_(hub), id_(std::move(id)), samples_(executor, 1) {
  hub_.Add(this);
}

StatsHub::Subscription::~Subscription() { hub_.Remove(this); }

Awaitable<StatsHub::Sample> StatsHub::Subscription::Next() {
  error_code error;
  Sample sample = co_await samples_.async_receive(Into(error));
  co_return error ? nullptr : sample;
}

void StatsHub::Subscription::Cancel() { samples_.close(); }

void StatsHub::Add(Subscription* subscription) {
  std::shared_ptr<Watch> watch;
  {
    absl::MutexLock lock(&mu_);
    subscriptions_[subscription->id_].insert(subscription);
    // Many come at once: those after the first are taken in with the next samples.
    outdated_ = watch_ != nullptr;
    if (watch_ == nullptr) watch = Renew();
  }
  if (watch != nullptr) watch->Begin(watch);
}

void StatsHub::Remove(Subscription* subscription) {
  std::shared_ptr<Watch> unused;
  {
    absl::MutexLock lock(&mu_);
    const auto found = subscriptions_.find(subscription->id_);
    found->second.erase(subscription);
    if (found->second.empty()) subscriptions_.erase(found);
    outdated_ = true;
    if (subscriptions_.empty()) unused = std::move(watch_);
  }
  if (unused != nullptr) unused->Cancel();
}

std::shared_ptr<StatsHub::Watch> StatsHub::Renew() {
  outdated_ = false;
  watch_ = nullptr;
  if (subscriptions_.empty()) return nullptr;
  pb::WatchStatsRequest request;
  request.set_interval_ns(kIntervalNs);
  for (const auto& [id, subscriptions] : subscriptions_) request.add_container_ids(id);
  watch_ = std::make_shared<Watch>(*this, std::move(request));
  return watch_;
}

void StatsHub::Took(Watch* watch, const Message& message) {
  std::shared_ptr<Watch> next;
  {
    absl::MutexLock lock(&mu_);
    if (watch_.get() != watch) return;
    for (const pb::ContainerStats& stats : message->containers()) {
      const auto found = subscriptions_.find(stats.container_id());
      if (found == subscriptions_.end()) continue;
      for (Subscription* subscription : found->second) {
        subscription->samples_.try_send(error_code(), Sample(message, &stats));
      }
    }
    if (!outdated_) return;
    next = Renew();
  }
  watch->Cancel();
  if (next != nullptr) next->Begin(next);
}

void StatsHub::Ended(Watch* watch) {
  absl::MutexLock lock(&mu_);
  if (watch_.get() != watch) return;
  watch_ = nullptr;
  for (const auto& [id, subscriptions] : subscriptions_) {
    for (Subscription* subscription : subscriptions) subscription->samples_.close();
  }
}

}  // namespace slipway::gateway
