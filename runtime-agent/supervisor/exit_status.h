#ifndef RUNTIME_AGENT_SUPERVISOR_EXIT_STATUS_H_
#define RUNTIME_AGENT_SUPERVISOR_EXIT_STATUS_H_

#include <stdint.h>

#include "runtime-agent/supervisor/descriptor_table.h"
#include "runtime-agent/supervisor/status_page.h"

// Collecting exit statuses so that none is lost when the collector is killed in between: the status
// is read without reaping, written to shared memory, and only then is the process reaped.
namespace slipway::agent {

// Reaps every ended child of this process. For children that are entries (or their helpers) calls
// `on_entry` with the slot after its exit fields, or helper_pid = 0, were written; for others
// `on_other` with the pid.
void ReapChildren(StatusPage* page, const DescriptorTable& table, void* context,
                  void (*on_entry)(void* context, uint32_t slot),
                  void (*on_other)(void* context, int pid));

// Whether a pidfd hangs up when its process was reaped (Linux 6.9). Before that it only becomes
// readable at the end, and CollectFromProc() looks at what there is.
bool PidfdHangsUp();

// For an entry whose pidfd became readable: when its parent is neither we nor the keeper, takes the
// status from its zombie, or marks it lost where that is gone already. False: it is collected
// otherwise.
bool CollectFromProc(StatusSlot* slot, int keeper_pid);

// For an entry whose parent we are not and whose pidfd reports a hang-up (it was reaped by
// somebody): takes the status from the pidfd (Linux 6.15), or marks it lost. Does nothing when the
// status was already written.
void CollectFromPidfd(StatusSlot* slot, int pidfd);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_EXIT_STATUS_H_
