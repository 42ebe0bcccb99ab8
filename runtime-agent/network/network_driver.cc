#include "runtime-agent/network/network_driver.h"

#include <utility>

namespace slipway::agent {

EndpointLease& EndpointLease::operator=(EndpointLease&& other) noexcept {
  if (this == &other) return *this;
  NetworkDriver* old_driver = std::exchange(driver_, std::exchange(other.driver_, nullptr));
  Endpoint old = std::exchange(endpoint_, std::move(other.endpoint_));
  // What cannot be undone now is found by Recover.
  if (old_driver != nullptr) old_driver->Disconnect(old.id).IgnoreError();
  return *this;
}

EndpointLease::~EndpointLease() {
  if (driver_ != nullptr) driver_->Disconnect(endpoint_.id).IgnoreError();
}

Endpoint EndpointLease::Release() {
  driver_ = nullptr;
  return std::move(endpoint_);
}

}  // namespace slipway::agent
