#include "runtime-agent/spool/reader.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os/unique_fd.h"
#include "gtest/gtest.h"

namespace slipway::agent {
namespace {

class SpoolReaderTest : public ::testing::Test {
 protected:
  void Append(SpoolRecordType type, uint8_t stream, const std::string& data) {
    SpoolRecordHeader header = {kSpoolMagic, static_cast<uint8_t>(type),         stream,
                                0,           static_cast<uint32_t>(data.size()), 0,
                                1234};
    header.crc32c = SpoolHeaderCrc(header);
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
    bytes += data;
    ASSERT_EQ(pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_)),
              static_cast<ssize_t>(bytes.size()));
    size_ += bytes.size();
  }

  UniqueFd fd_{memfd_create("spool", MFD_CLOEXEC)};
  uint64_t size_ = 0;
};

TEST(SpoolFormatTest, ChecksumIsCrc32c) {
  SpoolRecordHeader header = {};
  EXPECT_EQ(SpoolHeaderCrc(header), 0x84fbeceeu);  // of 24 zero bytes
  header.crc32c = 77;
  EXPECT_EQ(SpoolHeaderCrc(header), SpoolHeaderCrc(SpoolRecordHeader{}));
}

TEST_F(SpoolReaderTest, NothingBeforeItIsCommitted) {
  Append(SpoolRecordType::kStdout, 1, "abc");
  SpoolReader reader(fd_.get(), 0);
  auto record = reader.Next(0);
  ASSERT_TRUE(record.ok());
  EXPECT_FALSE(record->has_value());
  EXPECT_EQ(reader.Next(size_ - 1).status().code(), absl::StatusCode::kDataLoss);
  record = reader.Next(size_);
  ASSERT_TRUE(record.ok() && record->has_value());
  EXPECT_EQ((*record)->data, "abc");
  EXPECT_EQ((*record)->time_ns, 1234u);
  EXPECT_EQ((*record)->next_offset, size_);
}

TEST_F(SpoolReaderTest, DamageIsNamed) {
  Append(SpoolRecordType::kStderr, 2, "abc");
  ASSERT_EQ(pwrite(fd_.get(), "X", 1, 8), 1);
  auto record = SpoolReader(fd_.get(), 0).Next(size_);
  EXPECT_EQ(record.status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SpoolReaderTest, GapAndEnd) {
  SpoolGap gap = {100, 2};
  Append(SpoolRecordType::kGap, 1, std::string(reinterpret_cast<const char*>(&gap), sizeof(gap)));
  Append(SpoolRecordType::kEnd, 2, "");
  SpoolReader reader(fd_.get(), 0);
  auto first = reader.Next(size_);
  ASSERT_TRUE(first.ok() && first->has_value());
  EXPECT_EQ((*first)->gap.dropped_bytes, 100u);
  auto second = reader.Next(size_);
  ASSERT_TRUE(second.ok() && second->has_value());
  EXPECT_EQ((*second)->type, SpoolRecordType::kEnd);
  EXPECT_EQ((*second)->stream, 2);
}

TEST_F(SpoolReaderTest, TrimGivesBlocksBackAndKeepsOffsets) {
  Append(SpoolRecordType::kStdout, 1, std::string(1 << 20, 'x'));
  uint64_t second = size_;
  Append(SpoolRecordType::kStdout, 1, "tail");
  struct stat before;
  ASSERT_EQ(fstat(fd_.get(), &before), 0);
  ASSERT_TRUE(TrimSpool(fd_.get(), 0, second).ok());
  struct stat after;
  ASSERT_EQ(fstat(fd_.get(), &after), 0);
  EXPECT_EQ(after.st_size, before.st_size);
  EXPECT_LT(after.st_blocks, before.st_blocks / 10);
  EXPECT_EQ(SpoolReader(fd_.get(), 0).Next(size_).status().code(), absl::StatusCode::kOutOfRange);
  auto record = SpoolReader(fd_.get(), second).Next(size_);
  ASSERT_TRUE(record.ok() && record->has_value());
  EXPECT_EQ((*record)->data, "tail");
}

}  // namespace
}  // namespace slipway::agent
