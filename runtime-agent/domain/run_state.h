#ifndef RUNTIME_AGENT_DOMAIN_RUN_STATE_H_
#define RUNTIME_AGENT_DOMAIN_RUN_STATE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "runtime-agent/domain/runtime.h"

namespace slipway::agent {

// What a start holds. Undone in reverse order when it goes away before Finish() released it.
struct Runtime::RunState {
  RunBindings bindings;
  std::shared_ptr<const UniqueFd> root;  // the overlay; the container gets a copy
  std::vector<EndpointLease> endpoints;
  std::optional<std::vector<AttachmentSpec>> attachments;
  std::vector<Endpoint> connected;
  CgroupLease cgroup;
  UniqueFd mount_namespace;  // of the process, where it was had in time
  std::vector<std::string> extra_hosts;
  absl::Time began = absl::Now();
  const char* step = "";
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_RUN_STATE_H_
