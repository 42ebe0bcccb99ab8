#ifndef RUNTIME_AGENT_SUPERVISOR_DESCRIPTOR_TABLE_H_
#define RUNTIME_AGENT_SUPERVISOR_DESCRIPTOR_TABLE_H_

#include <stdint.h>
#include <unistd.h>

#include "runtime-agent/supervisor/status_page.h"
#include "runtime-agent/supervisor/wire.h"

// Every descriptor that must survive the death of its process has a handle, a small number that
// means the same in supervisor and keeper; the table says which descriptor it is in this process.
namespace slipway::agent {

using Handle = uint32_t;

inline constexpr Handle kStoreHandles = kMaxEntries * kFdRoles;
inline constexpr Handle kFixedHandles = kStoreHandles + kMaxStoredFds;
inline constexpr Handle kListenHandle = kFixedHandles + 0;
inline constexpr Handle kStatusHandle = kFixedHandles + 1;  // the status page's file
inline constexpr Handle kBinaryHandle = kFixedHandles + 2;  // sealed copy of this program
inline constexpr Handle kLockHandle = kFixedHandles + 3;
inline constexpr Handle kHandleCount = kFixedHandles + 8;

inline constexpr Handle EntryHandle(uint32_t slot, FdRole role) {
  return slot * kFdRoles + static_cast<uint32_t>(role);
}

// Owns what it holds. One per process; not thread-safe.
class DescriptorTable {
 public:
  // -1 when there is none.
  int Get(Handle handle) const { return plus_one_[handle] - 1; }
  // Takes `fd`; an earlier one is closed.
  void Put(Handle handle, int fd) {
    Close(handle);
    plus_one_[handle] = fd + 1;
  }
  void Close(Handle handle) {
    if (plus_one_[handle] != 0) close(plus_one_[handle] - 1);
    plus_one_[handle] = 0;
  }

 private:
  int plus_one_[kHandleCount];  // zero is "none": the pages of unused handles are never touched
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_DESCRIPTOR_TABLE_H_
