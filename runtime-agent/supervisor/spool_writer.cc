#include "runtime-agent/supervisor/spool_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime-agent/spool/format.h"
#include "runtime-agent/supervisor/syscalls.h"

namespace slipway::agent {

namespace {

constexpr uint64_t kHeaderBytes = sizeof(SpoolRecordHeader);
constexpr uint64_t kGapRecordBytes = kHeaderBytes + sizeof(SpoolGap);
constexpr int kLargePipeBytes = 1 << 20;

SpoolRecordHeader MakeHeader(SpoolRecordType type, const SpoolStream& stream, uint32_t length) {
  SpoolRecordHeader header = {
      kSpoolMagic, static_cast<uint8_t>(type), stream.stream, stream.record_flags, length, 0,
      RealtimeNs()};
  header.crc32c = SpoolHeaderCrc(header);
  return header;
}

bool PutHeader(int spool, uint64_t at, const SpoolRecordHeader& header) {
  return pwrite(spool, &header, sizeof(header), static_cast<off_t>(at)) == sizeof(header);
}

void Publish(StatusSlot* slot, uint64_t committed) {
  slot->spool_committed.store(committed, std::memory_order_release);
}

// Bytes that fit between what is committed and the capacity, with room kept for a gap record.
uint64_t Room(const StatusSlot& slot) {
  uint64_t used = slot.spool_committed.load(std::memory_order_relaxed) -
                  slot.spool_acked.load(std::memory_order_relaxed);
  uint64_t overhead = used + kHeaderBytes + kGapRecordBytes;
  return overhead < slot.spool_capacity ? slot.spool_capacity - overhead : 0;
}

// Tells readers what was dropped. False when the file cannot take it now.
bool WriteGap(const SpoolStream& stream) {
  StatusSlot* slot = stream.slot;
  int which = stream.stream - 1;
  uint64_t bytes = slot->dropped_bytes[which].load(std::memory_order_relaxed);
  if (bytes == 0) return true;
  struct {
    SpoolRecordHeader header;
    SpoolGap gap;
  } record = {MakeHeader(SpoolRecordType::kGap, stream, sizeof(SpoolGap)),
              {bytes, slot->dropped_chunks[which].load(std::memory_order_relaxed)}};
  uint64_t at = slot->spool_committed.load(std::memory_order_relaxed);
  if (pwrite(stream.spool, &record, sizeof(record), static_cast<off_t>(at)) != sizeof(record)) {
    if (ftruncate(stream.spool, static_cast<off_t>(at)) != 0) return false;
    return false;
  }
  Publish(slot, at + sizeof(record));
  slot->dropped_bytes[which].store(0, std::memory_order_relaxed);
  slot->dropped_chunks[which].store(0, std::memory_order_relaxed);
  return true;
}

PumpResult Drop(const SpoolStream& stream, uint32_t length, int null_device) {
  int which = stream.stream - 1;
  StatusSlot* slot = stream.slot;
  // Counted first: a kill in between may count bytes that then survive, never the other way round.
  slot->dropped_bytes[which].fetch_add(length, std::memory_order_relaxed);
  slot->dropped_chunks[which].fetch_add(1, std::memory_order_relaxed);
  slot->total_dropped_bytes.fetch_add(length, std::memory_order_relaxed);
  splice(stream.pipe, nullptr, null_device, nullptr, length, SPLICE_F_NONBLOCK);
  return PumpResult::kMoved;
}

// Writes a record of `length` bytes that are known to be in the pipe.
PumpResult MoveRecord(const SpoolStream& stream, uint32_t length) {
  StatusSlot* slot = stream.slot;
  uint64_t start = slot->spool_committed.load(std::memory_order_relaxed);
  SpoolRecordHeader header =
      MakeHeader(static_cast<SpoolRecordType>(stream.stream), stream, length);
  if (!PutHeader(stream.spool, start, header)) {
    if (ftruncate(stream.spool, static_cast<off_t>(start)) != 0) return PumpResult::kNoSpace;
    return PumpResult::kNoSpace;
  }
  uint32_t moved = 0;
  while (moved < length) {
    loff_t at = static_cast<loff_t>(start + kHeaderBytes + moved);
    ssize_t count = splice(stream.pipe, nullptr, stream.spool, &at, length - moved,
                           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    moved += static_cast<uint32_t>(count);
  }
  if (moved < length) {
    if (moved == 0) {
      if (ftruncate(stream.spool, static_cast<off_t>(start)) != 0) return PumpResult::kNoSpace;
      return PumpResult::kNoSpace;
    }
    header.length = moved;
    header.crc32c = SpoolHeaderCrc(header);
    if (!PutHeader(stream.spool, start, header)) return PumpResult::kNoSpace;
  }
  Publish(slot, start + kHeaderBytes + moved);
  return moved < length ? PumpResult::kNoSpace : PumpResult::kMoved;
}

}  // namespace

PumpResult Pump(const SpoolStream& stream, uint32_t limit, bool past_capacity, int null_device) {
  int available = 0;
  if (ioctl(stream.pipe, FIONREAD, &available) != 0) return PumpResult::kEnded;
  if (available == 0) {
    pollfd polled = {stream.pipe, POLLIN, 0};
    poll(&polled, 1, 0);
    if ((polled.revents & POLLIN) != 0) return PumpResult::kMoved;  // came in since
    return (polled.revents & POLLHUP) != 0 ? PumpResult::kEnded : PumpResult::kIdle;
  }
  uint32_t length = static_cast<uint32_t>(available);
  if (length >= kCrowdedPipeBytes && length <= kSmallPipeBytes &&
      stream.slot->spool_capacity >= kLargeSpoolBytes) {
    fcntl(stream.pipe, F_SETPIPE_SZ, kLargePipeBytes);
  }
  if (length > limit) length = limit;
  if (!past_capacity) {
    uint64_t room = Room(*stream.slot);
    bool drop = stream.slot->spool_policy == static_cast<uint32_t>(SpoolFullPolicy::kDrop);
    if (drop && room < length) return Drop(stream, length, null_device);
    if (room == 0) return PumpResult::kBlocked;
    if (room < length) length = static_cast<uint32_t>(room);
  }
  if (!WriteGap(stream)) return PumpResult::kNoSpace;
  return MoveRecord(stream, length);
}

bool WriteEnd(const SpoolStream& stream) {
  if (!WriteGap(stream)) return false;
  uint64_t at = stream.slot->spool_committed.load(std::memory_order_relaxed);
  if (!PutHeader(stream.spool, at, MakeHeader(SpoolRecordType::kEnd, stream, 0))) return false;
  Publish(stream.slot, at + kHeaderBytes);
  return true;
}

void RecoverSpool(StatusSlot* slot, int spool) {
  uint64_t start = slot->spool_committed.load(std::memory_order_acquire);
  struct stat info;
  if (fstat(spool, &info) != 0 || static_cast<uint64_t>(info.st_size) <= start) return;
  uint64_t extra = static_cast<uint64_t>(info.st_size) - start;
  SpoolRecordHeader header;
  bool data = extra > kHeaderBytes &&
              pread(spool, &header, sizeof(header), static_cast<off_t>(start)) == sizeof(header) &&
              IsValidSpoolHeader(header) && header.type <= 2;
  if (!data) {
    if (ftruncate(spool, static_cast<off_t>(start)) != 0) return;
    return;
  }
  uint64_t moved = extra - kHeaderBytes;
  if (moved > header.length) moved = header.length;
  if (moved < header.length) {
    header.length = static_cast<uint32_t>(moved);
    header.flags |= kSpoolRecovered;
    header.crc32c = SpoolHeaderCrc(header);
    if (!PutHeader(spool, start, header)) return;
  }
  Publish(slot, start + kHeaderBytes + moved);
}

}  // namespace slipway::agent
