#ifndef SERVICES_CONTAINER_DOMAIN_PLACEMENT_H_
#define SERVICES_CONTAINER_DOMAIN_PLACEMENT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "services/container/ports/agent_port.h"

namespace slipway::container {

// Whether a container that asks for `wanted` ("": any host) may go to `host`, the one that there
// is. UNAVAILABLE while its agent was never heard of. Thread-safe.
inline absl::Status PlaceContainer(const std::string& wanted, const HostInfo& host) {
  if (host.host_id.empty()) {
    return absl::UnavailableError("no host is known yet: its agent has not answered");
  }
  if (wanted.empty() || wanted == host.host_id) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("No such host: ", wanted));
}

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_PLACEMENT_H_
