#include "services/log/store/segment_format.h"

#include <gtest/gtest.h>

#include "services/log/store/crc32c.h"

namespace slipway::log {
namespace {

TEST(Crc32cTest, KnownValueAndContinuation) {
  // RFC 3720 and the CRC catalogue's check value.
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c("6789", Crc32c("12345")), 0xe3069283u);
  EXPECT_EQ(Crc32c(""), 0u);
}

SegmentHeader SomeHeader() {
  return {.first_offset_bytes = 7,
          .created_unix_ns = 8,
          .salt = 0x1122334455667788,
          .before = {.stdout_bytes = 1,
                     .stderr_bytes = 2,
                     .records = 3,
                     .dropped_bytes = 4,
                     .max_time_unix_ns = 5,
                     .spool_end_bytes = 6,
                     .unterminated = {false, true}}};
}

TEST(SegmentFormatTest, AFlippedByteInThePrologueCostsNothing) {
  const std::string good = EncodeSegmentPrologue(SomeHeader());
  ASSERT_EQ(good.size(), kSegmentPrologueBytes);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bytes = good;
    bytes[i] = static_cast<char>(bytes[i] ^ 0x40);
    const auto header = DecodeSegmentPrologue(bytes);
    ASSERT_TRUE(header.ok()) << i;
    EXPECT_EQ(header->salt, SomeHeader().salt);
    EXPECT_EQ(header->before, SomeHeader().before);
  }
  std::string both = good;
  both[20] ^= 1;
  both[148] ^= 1;
  EXPECT_EQ(DecodeSegmentPrologue(both).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(DecodeSegmentPrologue(good.substr(0, 100)).ok());
  EXPECT_TRUE(DecodeSegmentPrologue(good.substr(0, 128)).ok());
}

TEST(SegmentFormatTest, RecordHeaderRoundTripAndEveryFlip) {
  const RecordHeader header{.data_bytes = 5,
                            .data_crc = 6,
                            .kind = RecordKind::kChunk,
                            .stream = StdStream::kStderr,
                            .first_of_batch = true,
                            .last_of_batch = false,
                            .time_unix_ns = -9,
                            .spool_end_bytes = 10};
  char bytes[kRecordHeaderBytes];
  EncodeRecordHeader(header, 77, bytes);
  const auto back = DecodeRecordHeader(bytes, 77);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->data_bytes, 5u);
  EXPECT_EQ(back->stream, StdStream::kStderr);
  EXPECT_TRUE(back->first_of_batch);
  EXPECT_FALSE(back->last_of_batch);
  EXPECT_EQ(back->time_unix_ns, -9);
  EXPECT_EQ(back->spool_end_bytes, 10u);
  // What somebody without the salt makes is no record.
  EXPECT_FALSE(DecodeRecordHeader(bytes, 78).has_value());
  for (size_t bit = 0; bit < 8 * kRecordHeaderBytes; ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(DecodeRecordHeader(bytes, 77).has_value()) << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  }
}

TEST(SegmentFormatTest, ImpossibleHeadersAreRefused) {
  char bytes[kRecordHeaderBytes];
  EncodeRecordHeader({.data_bytes = kMaxRecordDataBytes + 1, .stream = StdStream::kStdout}, 1,
                     bytes);
  EXPECT_FALSE(DecodeRecordHeader(bytes, 1).has_value());
  EncodeRecordHeader({.kind = static_cast<RecordKind>(9)}, 1, bytes);
  EXPECT_FALSE(DecodeRecordHeader(bytes, 1).has_value());
  EncodeRecordHeader({.kind = RecordKind::kChunk, .stream = StdStream::kNone}, 1, bytes);
  EXPECT_FALSE(DecodeRecordHeader(bytes, 1).has_value());
}

TEST(SegmentFormatTest, IndexEntries) {
  const Block block{.begin = 256,
                    .end = 999,
                    .starts_batch = true,
                    .unterminated_before = {true, false},
                    .line_ends = {3, 4},
                    .after = SomeHeader().before};
  std::string bytes = EncodeIndexEntry(block, 5);
  ASSERT_EQ(bytes.size(), kIndexEntryBytes);
  const auto back = DecodeIndexEntry(bytes, 5);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->begin, 256u);
  EXPECT_EQ(back->end, 999u);
  EXPECT_TRUE(back->starts_batch);
  EXPECT_TRUE(back->unterminated_before[0]);
  EXPECT_EQ(back->line_ends[1], 4u);
  EXPECT_EQ(back->after, block.after);
  EXPECT_FALSE(DecodeIndexEntry(bytes, 6).has_value());
  bytes[50] ^= 1;
  EXPECT_FALSE(DecodeIndexEntry(bytes, 5).has_value());
  EXPECT_FALSE(DecodeIndexEntry("", 5).has_value());
  EXPECT_TRUE(IsIndexHeader(EncodeIndexHeader(5), 5));
  EXPECT_FALSE(IsIndexHeader(EncodeIndexHeader(5), 6));
  EXPECT_FALSE(IsIndexHeader("", 5));
}

}  // namespace
}  // namespace slipway::log
