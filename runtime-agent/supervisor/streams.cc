#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <initializer_list>

#include "runtime-agent/spool/format.h"
#include "runtime-agent/supervisor/supervisor.h"
#include "runtime-agent/supervisor/syscalls.h"

namespace slipway::agent {

namespace {

// Moved per stream before others get their turn.
constexpr uint32_t kTurnBytes = 1u << 20;
constexpr size_t kTerminalChunkBytes = 64 << 10;
// A stream that moves so much, or so often, within a rest's time is not looked at before the next:
// few large moves instead of many small ones, and followers see it at most that much later. A small
// move costs as much as copying 50 KiB, so that this pays long before a processor is busy with it.
constexpr uint64_t kBusyBytes = 16 << 10;
constexpr uint32_t kBusyMoves = 8;
// What moves so much in that time would fill its pipe and wait.
constexpr uint64_t kFastBytes = 512 << 10;
constexpr uint64_t kRestNs = 1000000;
constexpr int kTerminalDrainChunks = 64;

}  // namespace

SpoolStream Supervisor::Stream(uint32_t slot, FdRole role) {
  bool tty = (page_->slot[slot].flags.load(std::memory_order_relaxed) & kEntryTty) != 0;
  return {&page_->slot[slot], FdOf(slot, FdRole::kSpool), FdOf(slot, role),
          static_cast<uint8_t>(role == FdRole::kStderr ? 2 : 1),
          static_cast<uint16_t>(tty ? kSpoolTty : 0)};
}

void Supervisor::EndStream(uint32_t slot, FdRole role) {
  StatusSlot& entry = page_->slot[slot];
  if (!WriteEnd(Stream(slot, role))) {
    UnwatchRole(slot, role);
    runtime_[slot].retry = retry_ = true;
    return;
  }
  progressed_ = true;
  entry.flags.fetch_or(role == FdRole::kStderr ? kEntryStderrEnded : kEntryStdoutEnded);
  if ((entry.flags & kEntryTty) != 0) {
    entry.flags.fetch_or(kEntryStderrEnded);
    UnwatchRole(slot, FdRole::kPtyMaster);
    Drop(slot, RoleBit(FdRole::kStdout) | RoleBit(FdRole::kPtyPipeWrite));
  } else {
    Drop(slot, RoleBit(role));
  }
}

void Supervisor::RestIfBusy(uint32_t slot, FdRole role, uint64_t moved_bytes) {
  if (page_->slot[slot].spool_capacity < kLargeSpoolBytes) return;
  uint64_t now = MonotonicNs();
  Runtime& runtime = runtime_[slot];
  uint64_t passed = now - runtime.moved_since_ns;
  if (passed > kRestNs) {
    runtime.moved_before = passed < 3 * kRestNs ? runtime.moved_bytes : 0;
    runtime.moved_since_ns = now;
    runtime.moved_bytes = 0;
    runtime.moves = 0;
  }
  runtime.moved_bytes += moved_bytes;
  ++runtime.moves;
  if (runtime.moved_bytes < kBusyBytes && runtime.moves < kBusyMoves) return;
  if (runtime.moved_bytes >= kFastBytes || runtime.moved_before >= kFastBytes) return;
  // Its pipe was full, and could not be made larger.
  if (moved_bytes >= kCrowdedPipeBytes &&
      moved_bytes <= kSmallPipeBytes + sizeof(SpoolRecordHeader)) {
    return;
  }
  if (rest_count_ == kMaxRests) return;
  if ((runtime.watched & RoleBit(role)) == 0) return;
  UnwatchRole(slot, role);
  if (rest_count_ == 0) rest_until_ns_ = now + kRestNs;
  rests_[rest_count_++] = {slot, role, page_->slot[slot].incarnation};
}

void Supervisor::EndRests() {
  if (MonotonicNs() < rest_until_ns_) return;
  for (uint32_t i = 0; i < rest_count_; ++i) {
    const Rest& rest = rests_[i];
    if (page_->slot[rest.slot].incarnation != rest.incarnation) continue;
    if (FdOf(rest.slot, rest.role) >= 0) WatchRole(rest.slot, rest.role);
  }
  rest_count_ = 0;
}

void Supervisor::PumpStream(uint32_t slot, FdRole role) {
  const std::atomic<uint64_t>& committed = page_->slot[slot].spool_committed;
  uint64_t before = committed.load(std::memory_order_relaxed);
  switch (Pump(Stream(slot, role), kTurnBytes, false, null_)) {
    case PumpResult::kMoved:
      progressed_ = true;
      RestIfBusy(slot, role, committed.load(std::memory_order_relaxed) - before);
      break;
    case PumpResult::kIdle:
      break;
    case PumpResult::kEnded:
      EndStream(slot, role);
      break;
    case PumpResult::kBlocked:
      page_->slot[slot].flags.fetch_or(kEntrySpoolBlocked);
      UnwatchRole(slot, role);
      progressed_ = true;
      break;
    case PumpResult::kNoSpace:
      progressed_ = true;
      UnwatchRole(slot, role);
      runtime_[slot].retry = retry_ = true;
      break;
  }
}

// Terminal → intermediate pipe → spool. Only an empty pipe is filled again, so at no time is there
// a byte that only this process has.
void Supervisor::PumpTerminal(uint32_t slot) {
  bool exited = (page_->slot[slot].flags & kEntryExitCollected) != 0;
  for (int chunk = 0; chunk < (exited ? kTerminalDrainChunks : 1); ++chunk) {
    PumpResult result = PumpResult::kMoved;
    while (result == PumpResult::kMoved) {
      result = Pump(Stream(slot, FdRole::kStdout), kTurnBytes, exited, null_);
      progressed_ |= result == PumpResult::kMoved;
    }
    if (result == PumpResult::kBlocked || result == PumpResult::kNoSpace) {
      UnwatchRole(slot, FdRole::kPtyMaster);
      if (result == PumpResult::kNoSpace) runtime_[slot].retry = retry_ = true;
      if (result == PumpResult::kBlocked) page_->slot[slot].flags.fetch_or(kEntrySpoolBlocked);
      return;
    }
    ssize_t moved =
        splice(FdOf(slot, FdRole::kPtyMaster), nullptr, FdOf(slot, FdRole::kPtyPipeWrite), nullptr,
               kTerminalChunkBytes, SPLICE_F_NONBLOCK);
    if (moved > 0) {
      Pump(Stream(slot, FdRole::kStdout), kTurnBytes, exited, null_);
      progressed_ = true;
      continue;
    }
    if (moved < 0 && (errno == EAGAIN || errno == EINTR)) return;
    // EIO: nobody has the other side open. It may be opened again while the process lives.
    if (exited) return EndStream(slot, FdRole::kStdout);
    UnwatchRole(slot, FdRole::kPtyMaster);
    runtime_[slot].retry = retry_ = true;
    return;
  }
}

// What is in the pipes at this moment was written before the exit: it is committed before the exit
// is told, even past the capacity of the spool (by at most the size of the pipes).
void Supervisor::DrainAtExit(uint32_t slot) {
  if (FdOf(slot, FdRole::kSpool) < 0) return;
  if (FdOf(slot, FdRole::kPtyPipeWrite) >= 0) {
    if (FdOf(slot, FdRole::kPtyMaster) >= 0) PumpTerminal(slot);
    return;
  }
  for (FdRole role : {FdRole::kStdout, FdRole::kStderr}) {
    int available = 0;
    if (FdOf(slot, role) < 0 || ioctl(FdOf(slot, role), FIONREAD, &available) != 0) continue;
    if (available > 0) {
      Pump(Stream(slot, role), static_cast<uint32_t>(available), true, null_);
      progressed_ = true;
    }
    // The usual case is that nobody else writes: the end is then known together with the exit.
    PumpStream(slot, role);
  }
}

// Looks again at streams that had stopped: after an acknowledgement, a pause, or a restart.
void Supervisor::ResumeStreams(uint32_t slot) {
  if (FdOf(slot, FdRole::kSpool) < 0) return;
  page_->slot[slot].flags.fetch_and(~static_cast<uint32_t>(kEntrySpoolBlocked));
  for (FdRole role : {FdRole::kStdout, FdRole::kStderr, FdRole::kPtyMaster}) {
    bool terminal = FdOf(slot, FdRole::kPtyPipeWrite) >= 0;
    if (FdOf(slot, role) < 0 || terminal != (role == FdRole::kPtyMaster)) continue;
    WatchRole(slot, role);
  }
}

}  // namespace slipway::agent
