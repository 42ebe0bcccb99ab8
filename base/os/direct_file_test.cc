#include "base/os/direct_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "base/os/file.h"

namespace slipway {
namespace {

// On a disk's file system, and on one that knows no direct writes.
class DirectFileTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    path_ = std::string(GetParam()) + "/direct-XXXXXX";
    fd_.reset(mkstemp(path_.data()));
    ASSERT_TRUE(fd_.ok());
  }
  void TearDown() override { unlink(path_.c_str()); }

  std::string path_;
  UniqueFd fd_;
};

TEST_P(DirectFileTest, AClosedFileFails) {
  DirectFile direct(-1);
  const AlignedBuffer buffer = NewAlignedBuffer(kDirectAlignment);
  memset(buffer.get(), 'x', kDirectAlignment);
  EXPECT_FALSE(direct.WriteAt(0, {buffer.get(), kDirectAlignment}, "write nothing").ok());
}

TEST_P(DirectFileTest, BothWaysSeeTheSame) {
  constexpr size_t kBytes = 64 << 10;
  DirectFile direct(fd_.get());
  const AlignedBuffer buffer = NewAlignedBuffer(kBytes);
  memset(buffer.get(), 'd', kBytes);
  ASSERT_TRUE(direct.WriteAt(kBytes, {buffer.get(), kBytes}, "write").ok());
  const std::string head(kBytes, 'b');
  ASSERT_EQ(pwrite(fd_.get(), head.data(), kBytes, 0), static_cast<ssize_t>(kBytes));
  ASSERT_EQ(pwrite(fd_.get(), "end", 3, 2 * kBytes), 3);
  EXPECT_EQ(*ReadFile(path_), head + std::string(kBytes, 'd') + "end");
  memset(buffer.get(), 'e', kBytes);
  ASSERT_TRUE(direct.WriteAt(0, {buffer.get(), kBytes}, "write").ok());
  EXPECT_EQ(*ReadFile(path_), std::string(kBytes, 'e') + std::string(kBytes, 'd') + "end");
}

INSTANTIATE_TEST_SUITE_P(FileSystems, DirectFileTest, testing::Values("/var/tmp", "/dev/shm"));

}  // namespace
}  // namespace slipway
