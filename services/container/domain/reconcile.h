#ifndef SERVICES_CONTAINER_DOMAIN_RECONCILE_H_
#define SERVICES_CONTAINER_DOMAIN_RECONCILE_H_

#include <cstdint>

#include "services/container/domain/core.h"

// What a host's word about one container means for its record, and what has to be done to finish
// what was begun. Each runs inside one of the entry's operations.
namespace slipway::container {

// The host's list of `sequence` (zero: it cannot be compared) has it like this.
void ReconcileWith(Core& core, const EntryPtr& entry, const Actual& actual, uint64_t sequence);
// The host's list of `sequence` does not have it.
void ReconcileMissing(Core& core, const EntryPtr& entry, uint64_t sequence);
// Started, exited, removed.
void ReconcileEvent(Core& core, const EntryPtr& entry, const AgentEvent& event);
void ReconcileExec(Core& core, const ExecExited& exited);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_RECONCILE_H_
