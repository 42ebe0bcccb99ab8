#ifndef RUNTIME_AGENT_SPOOL_FORMAT_H_
#define RUNTIME_AGENT_SPOOL_FORMAT_H_

#include <cstddef>
#include <cstdint>

// The byte format of a log spool, shared by the supervisor (the only writer) and its readers.
// Described byte for byte in docs/spool-format.md. Little endian. No dependencies, no allocation.
namespace slipway::agent {

inline constexpr uint32_t kSpoolMagic = 0x31524c53;  // "SLR1"
inline constexpr uint32_t kMaxSpoolRecordBytes = 4u << 20;

enum class SpoolRecordType : uint8_t {
  kStdout = 1,
  kStderr = 2,
  kGap = 3,  // Payload: SpoolGap. Bytes of `stream` were dropped before this point.
  kEnd = 4,  // No payload. `stream` reached end of file; nothing of it follows.
};

enum SpoolRecordFlags : uint16_t {
  kSpoolTty = 1,        // The bytes come from a pseudo terminal (stdout and stderr are one).
  kSpoolRecovered = 2,  // The length was corrected after the writer had been killed in between.
};

struct SpoolRecordHeader {
  uint32_t magic;
  uint8_t type;    // SpoolRecordType
  uint8_t stream;  // 1 stdout, 2 stderr; the same as `type` for data
  uint16_t flags;
  uint32_t length;   // bytes of payload that follow the header
  uint32_t crc32c;   // of the 24 bytes of the header with this field zero
  uint64_t time_ns;  // CLOCK_REALTIME when the bytes were taken out of the pipe
};
static_assert(sizeof(SpoolRecordHeader) == 24);

struct SpoolGap {
  uint64_t dropped_bytes;
  uint64_t dropped_chunks;
};
static_assert(sizeof(SpoolGap) == 16);

namespace spool_internal {
struct CrcTable {
  uint32_t entry[256];
  constexpr CrcTable() : entry() {
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? 0x82f63b78u : 0);
      entry[i] = value;
    }
  }
};
inline constexpr CrcTable kCrcTable;
}  // namespace spool_internal

inline uint32_t SpoolHeaderCrc(SpoolRecordHeader header) {
  header.crc32c = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  uint32_t crc = ~0u;
  for (size_t i = 0; i < sizeof(header); ++i) {
    crc = (crc >> 8) ^ spool_internal::kCrcTable.entry[(crc ^ bytes[i]) & 0xff];
  }
  return ~crc;
}

// Magic, checksum, type, stream and length are those of a record that the supervisor writes.
inline bool IsValidSpoolHeader(const SpoolRecordHeader& header) {
  if (header.magic != kSpoolMagic || header.crc32c != SpoolHeaderCrc(header)) return false;
  if (header.stream != 1 && header.stream != 2) return false;
  switch (static_cast<SpoolRecordType>(header.type)) {
    case SpoolRecordType::kStdout:
    case SpoolRecordType::kStderr:
      return header.stream == header.type && header.length <= kMaxSpoolRecordBytes;
    case SpoolRecordType::kGap:
      return header.length == sizeof(SpoolGap);
    case SpoolRecordType::kEnd:
      return header.length == 0;
  }
  return false;
}

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SPOOL_FORMAT_H_
