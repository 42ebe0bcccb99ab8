#ifndef RUNTIME_AGENT_SUPERVISOR_HANDOFF_H_
#define RUNTIME_AGENT_SUPERVISOR_HANDOFF_H_

#include <stdint.h>

#include "runtime-agent/supervisor/descriptor_table.h"
#include "runtime-agent/supervisor/status_page.h"

// How a process becomes the next one without losing a descriptor: it execs the program again and
// hands the table on in a memfd, the descriptors themselves by inheritance. The same way serves a
// restart by the keeper, the supervisor turning keeper, and an upgrade.
namespace slipway::agent {

inline constexpr uint32_t kHandoffMagic = 0x46444e48;  // "HNDF"
// Raised when the status page, the handles or the channel to the keeper change incompatibly.
inline constexpr uint32_t kHandoffVersion = 2;

enum class Role : uint32_t { kKeeper = 1, kSupervisor = 2 };

// What a process is made of, apart from its memory. Filled by ReadHandoff().
struct ProcessState {
  Role role;
  DescriptorTable* table;
  StatusPage* page;
  int peer = -1;           // channel to the other one
  int supervisor_pid = 0;  // keeper: of a supervisor that already runs
  int ready = -1;          // first start: written to when clients are served
  const char* run_dir = nullptr;
};

// Execs the program of kBinaryHandle in `state.role`. Returns only on failure, with errno set and
// everything as it was.
void ExecInPlace(const ProcessState& state);

// After such an exec: takes everything from the memfd `fd` and maps the status page. False when it
// is not one of ours.
bool ReadHandoff(int fd, ProcessState* state);

// An anonymous sealed copy of a program: a container that finds its way to /proc/<pid>/exe cannot
// change what later runs as root on the host. -1 with errno.
int SealedCopy(int source);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_HANDOFF_H_
