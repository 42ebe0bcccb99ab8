#ifndef RUNTIME_AGENT_SUPERVISOR_SPOOL_WRITER_H_
#define RUNTIME_AGENT_SUPERVISOR_SPOOL_WRITER_H_

#include <stdint.h>

#include "runtime-agent/supervisor/status_page.h"

// Moves bytes from a pipe into a spool without holding them in memory: header, splice, publish.
namespace slipway::agent {

// Pipes of a spool that is smaller stay small: what is in them at the exit goes in past the
// capacity.
inline constexpr uint64_t kLargeSpoolBytes = 4 << 20;
// What a pipe holds when it is made, and when it is called nearly full: it belongs to a producer in
// a hurry and gets a larger one.
inline constexpr uint64_t kSmallPipeBytes = 64 << 10;
inline constexpr uint64_t kCrowdedPipeBytes = 48 << 10;

enum class PumpResult {
  kIdle,     // the pipe is empty for now
  kMoved,    // something was moved; there may be more
  kEnded,    // the pipe is empty and nobody can write to it any more
  kBlocked,  // the spool is full and the policy is to wait
  kNoSpace,  // the disk is full (or another error of the file): try again later
};

// One stream of one spool. Does not own the descriptors. `stream`: 1 stdout, 2 stderr.
struct SpoolStream {
  StatusSlot* slot;
  int spool;
  int pipe;
  uint8_t stream;
  uint16_t record_flags;
};

// Moves at most `limit` bytes. `past_capacity`: the bytes go in even when the spool is full.
// `null_device`: where dropped bytes go.
PumpResult Pump(const SpoolStream& stream, uint32_t limit, bool past_capacity, int null_device);

// Appends the end-of-stream record (after a gap record when one is due). False: no space now.
bool WriteEnd(const SpoolStream& stream);

// After a writer was killed: makes the file end where its records end. Bytes that had already left
// the pipe behind a header keep it, with the length corrected.
void RecoverSpool(StatusSlot* slot, int spool);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_SPOOL_WRITER_H_
