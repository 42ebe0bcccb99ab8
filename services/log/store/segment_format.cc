#include "services/log/store/segment_format.h"

#include <bit>
#include <cstring>
#include <type_traits>

#include "services/log/store/crc32c.h"

namespace slipway::log {
namespace {

static_assert(std::endian::native == std::endian::little, "integers on disk are little-endian");

constexpr absl::string_view kSegmentMagic = "SLWYLOG1";
constexpr absl::string_view kIndexMagic = "SLWYIDX1";
constexpr absl::string_view kMagic = "\x8bLR\x01";
constexpr uint16_t kFirstOfBatch = 1;
constexpr uint16_t kLastOfBatch = 2;
constexpr uint32_t kStartsBatch = 1;
constexpr uint8_t kEnded = 4;

template <typename T>
void Put(char* out, T value) {
  static_assert(std::is_integral_v<T>);
  memcpy(out, &value, sizeof(value));
}

template <typename T>
T Get(const char* bytes) {
  T value;
  memcpy(&value, bytes, sizeof(value));
  return value;
}

uint8_t PackFlags(const std::array<bool, kStreams>& flags) {
  return static_cast<uint8_t>((flags[0] ? 1 : 0) | (flags[1] ? 2 : 0));
}

std::array<bool, kStreams> UnpackFlags(uint8_t bits) { return {(bits & 1) != 0, (bits & 2) != 0}; }

// 56 bytes, the same in segments and indexes.
constexpr size_t kStateBytes = 56;

void PutState(char* out, const RunningState& state) {
  Put(out, state.stdout_bytes);
  Put(out + 8, state.stderr_bytes);
  Put(out + 16, state.records);
  Put(out + 24, state.dropped_bytes);
  Put(out + 32, state.max_time_unix_ns);
  Put(out + 40, state.spool_end_bytes);
  Put(out + 48, static_cast<uint64_t>(PackFlags(state.unterminated) | (state.ended ? kEnded : 0)));
}

RunningState GetState(const char* bytes) {
  RunningState state;
  state.stdout_bytes = Get<uint64_t>(bytes);
  state.stderr_bytes = Get<uint64_t>(bytes + 8);
  state.records = Get<uint64_t>(bytes + 16);
  state.dropped_bytes = Get<uint64_t>(bytes + 24);
  state.max_time_unix_ns = Get<int64_t>(bytes + 32);
  state.spool_end_bytes = Get<uint64_t>(bytes + 40);
  state.unterminated = UnpackFlags(static_cast<uint8_t>(bytes[48]));
  state.ended = (static_cast<uint8_t>(bytes[48]) & kEnded) != 0;
  return state;
}

uint32_t Salted(absl::string_view bytes, uint64_t salt) {
  char salt_bytes[8];
  Put(salt_bytes, salt);
  return Crc32c(bytes, Crc32c(absl::string_view(salt_bytes, sizeof(salt_bytes))));
}

std::optional<SegmentHeader> DecodeHeader(absl::string_view bytes) {
  if (bytes.size() < kSegmentHeaderBytes || bytes.substr(0, 8) != kSegmentMagic) return {};
  bytes = bytes.substr(0, kSegmentHeaderBytes);
  if (Get<uint32_t>(bytes.data() + 8) != Crc32c(bytes.substr(12))) return {};
  SegmentHeader header;
  header.first_offset_bytes = Get<uint64_t>(bytes.data() + 16);
  header.created_unix_ns = Get<int64_t>(bytes.data() + 24);
  header.salt = Get<uint64_t>(bytes.data() + 32);
  header.before = GetState(bytes.data() + 40);
  return header;
}

}  // namespace

std::string EncodeSegmentPrologue(const SegmentHeader& header) {
  std::string bytes(kSegmentHeaderBytes, '\0');
  memcpy(bytes.data(), kSegmentMagic.data(), kSegmentMagic.size());
  Put<uint32_t>(bytes.data() + 12, 1);
  Put(bytes.data() + 16, header.first_offset_bytes);
  Put(bytes.data() + 24, header.created_unix_ns);
  Put(bytes.data() + 32, header.salt);
  PutState(bytes.data() + 40, header.before);
  Put(bytes.data() + 8, Crc32c(absl::string_view(bytes).substr(12)));
  return bytes + bytes;
}

absl::StatusOr<SegmentHeader> DecodeSegmentPrologue(absl::string_view bytes) {
  if (const auto header = DecodeHeader(bytes)) return *header;
  if (bytes.size() >= kSegmentPrologueBytes) {
    if (const auto header = DecodeHeader(bytes.substr(kSegmentHeaderBytes))) return *header;
  }
  return absl::DataLossError("both copies of the segment header are damaged");
}

absl::string_view RecordMagic() { return kMagic; }

void EncodeRecordHeader(const RecordHeader& header, uint64_t salt, char* out) {
  memcpy(out, kMagic.data(), kMagic.size());
  Put(out + 8, header.data_bytes);
  Put(out + 12, header.data_crc);
  Put(out + 16, static_cast<uint8_t>(header.kind));
  Put(out + 17, static_cast<uint8_t>(header.stream));
  Put(out + 18, static_cast<uint16_t>((header.first_of_batch ? kFirstOfBatch : 0) |
                                      (header.last_of_batch ? kLastOfBatch : 0)));
  Put<uint32_t>(out + 20, 0);
  Put(out + 24, header.time_unix_ns);
  Put(out + 32, header.spool_end_bytes);
  Put(out + 4, Salted(absl::string_view(out + 8, kRecordHeaderBytes - 8), salt));
}

std::optional<RecordHeader> DecodeRecordHeader(const char* bytes, uint64_t salt) {
  if (memcmp(bytes, kMagic.data(), kMagic.size()) != 0) return {};
  if (Get<uint32_t>(bytes + 4) !=
      Salted(absl::string_view(bytes + 8, kRecordHeaderBytes - 8), salt)) {
    return {};
  }
  RecordHeader header;
  header.data_bytes = Get<uint32_t>(bytes + 8);
  header.data_crc = Get<uint32_t>(bytes + 12);
  const auto kind = static_cast<uint8_t>(bytes[16]);
  const auto stream = static_cast<uint8_t>(bytes[17]);
  if (header.data_bytes > kMaxRecordDataBytes || kind < 1 || kind > 3 || stream > 2) return {};
  header.kind = static_cast<RecordKind>(kind);
  header.stream = static_cast<StdStream>(stream);
  if (header.kind == RecordKind::kChunk && header.stream == StdStream::kNone) return {};
  const auto flags = Get<uint16_t>(bytes + 18);
  header.first_of_batch = (flags & kFirstOfBatch) != 0;
  header.last_of_batch = (flags & kLastOfBatch) != 0;
  header.time_unix_ns = Get<int64_t>(bytes + 24);
  header.spool_end_bytes = Get<uint64_t>(bytes + 32);
  return header;
}

std::string EncodeGapData(uint64_t dropped_bytes) {
  std::string bytes(8, '\0');
  Put(bytes.data(), dropped_bytes);
  return bytes;
}

uint64_t DecodeGapData(absl::string_view data) {
  return data.size() == 8 ? Get<uint64_t>(data.data()) : 0;
}

std::string EncodeIndexHeader(uint64_t salt) {
  std::string bytes(kIndexHeaderBytes, '\0');
  memcpy(bytes.data(), kIndexMagic.data(), kIndexMagic.size());
  Put(bytes.data() + 8, salt);
  return bytes;
}

bool IsIndexHeader(absl::string_view bytes, uint64_t salt) {
  return bytes.substr(0, kIndexHeaderBytes) == EncodeIndexHeader(salt);
}

std::string EncodeIndexEntry(const Block& block, uint64_t salt) {
  std::string bytes(kIndexEntryBytes, '\0');
  char* out = bytes.data();
  Put<uint16_t>(out + 4, block.starts_batch ? kStartsBatch : 0);
  Put<uint16_t>(out + 6, PackFlags(block.unterminated_before));
  Put(out + 8, block.begin);
  Put(out + 16, block.end);
  Put(out + 24, block.line_ends[0]);
  Put(out + 28, block.line_ends[1]);
  static_assert(32 + kStateBytes == kIndexEntryBytes);
  PutState(out + 32, block.after);
  Put(out, Salted(absl::string_view(bytes).substr(4), salt));
  return bytes;
}

std::optional<Block> DecodeIndexEntry(absl::string_view bytes, uint64_t salt) {
  if (bytes.size() < kIndexEntryBytes) return {};
  bytes = bytes.substr(0, kIndexEntryBytes);
  if (Get<uint32_t>(bytes.data()) != Salted(bytes.substr(4), salt)) return {};
  Block block;
  block.starts_batch = (Get<uint16_t>(bytes.data() + 4) & kStartsBatch) != 0;
  block.unterminated_before = UnpackFlags(static_cast<uint8_t>(bytes[6]));
  block.begin = Get<uint64_t>(bytes.data() + 8);
  block.end = Get<uint64_t>(bytes.data() + 16);
  block.line_ends = {Get<uint32_t>(bytes.data() + 24), Get<uint32_t>(bytes.data() + 28)};
  block.after = GetState(bytes.data() + 32);
  return block;
}

}  // namespace slipway::log
