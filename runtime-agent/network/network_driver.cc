#include "runtime-agent/network/network_driver.h"

#include <utility>

namespace slipway::agent {

const Endpoint* GatewayOf(const std::vector<Endpoint>& endpoints) {
  const Endpoint* best = nullptr;
  for (const Endpoint& one : endpoints) {
    if (one.gateway.empty()) continue;
    if (best == nullptr || one.gateway_priority > best->gateway_priority ||
        (one.gateway_priority == best->gateway_priority && one.network_name < best->network_name)) {
      best = &one;
    }
  }
  return best;
}

EndpointLease& EndpointLease::operator=(EndpointLease&& other) noexcept {
  if (this == &other) return *this;
  NetworkDriver* old_driver = std::exchange(driver_, std::exchange(other.driver_, nullptr));
  Endpoint old = std::exchange(endpoint_, std::move(other.endpoint_));
  // What cannot be undone now is found by Recover.
  if (old_driver != nullptr) old_driver->DisconnectFrom(old.network_id, old.id, -1).IgnoreError();
  return *this;
}

EndpointLease::~EndpointLease() {
  if (driver_ != nullptr)
    driver_->DisconnectFrom(endpoint_.network_id, endpoint_.id, -1).IgnoreError();
}

Endpoint EndpointLease::Release() {
  driver_ = nullptr;
  return std::move(endpoint_);
}

}  // namespace slipway::agent
