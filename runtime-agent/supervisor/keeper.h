#ifndef RUNTIME_AGENT_SUPERVISOR_KEEPER_H_
#define RUNTIME_AGENT_SUPERVISOR_KEEPER_H_

#include <stdint.h>

#include "runtime-agent/supervisor/handoff.h"

// The keeper: parent of the supervisor, child subreaper, and a second owner of every descriptor.
namespace slipway::agent {

enum class KeeperOp : uint32_t {
  kHold = 1,         // to the keeper: one descriptor per handle
  kDrop = 2,         // to the keeper
  kChildExited = 3,  // from the keeper: the exit fields of slot handle[0] were written
  kUpgrade = 4,      // to the keeper: exec the program now held as kBinaryHandle
  kShutdown = 5,     // to the keeper: the supervisor is about to end for good
};

inline constexpr uint32_t kMaxKeeperHandles = 16;

struct KeeperMessage {
  KeeperOp op;
  uint32_t count;
  Handle handle[kMaxKeeperHandles];
};

// Runs the keeper until a shutdown. Starts a supervisor when state->supervisor_pid is 0, and again
// whenever it ends. Returns the exit code of the process.
int RunKeeper(ProcessState* state);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_KEEPER_H_
