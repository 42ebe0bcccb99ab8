#include "base/os/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

namespace slipway {
namespace {

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/file_test_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string dir_;
};

TEST_F(FileTest, MissingFileIsNamed) {
  const auto content = ReadFile(dir_ + "/none");
  EXPECT_EQ(content.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(content.status().message().find(dir_ + "/none"), std::string::npos);
}

TEST_F(FileTest, TooLongIsRefused) {
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/f", "12345").ok());
  EXPECT_EQ(ReadFile(dir_ + "/f", 4).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReadFile(dir_ + "/f", 5).value(), "12345");
}

TEST_F(FileTest, AtomicWriteReplacesAndLeavesNothingElse) {
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/f", "old").ok());
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/f", "new", 0600).ok());
  EXPECT_EQ(ReadFile(dir_ + "/f").value(), "new");
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir_)) {
    (void)entry;
    ++count;
  }
  EXPECT_EQ(count, 1);
}

TEST_F(FileTest, AtomicWriteIntoMissingDirectoryFails) {
  EXPECT_FALSE(WriteFileAtomically(dir_ + "/none/f", "x").ok());
}

TEST_F(FileTest, MakeDirectoriesRefusesAFileInTheWay) {
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/f", "x").ok());
  EXPECT_FALSE(MakeDirectories(dir_ + "/f").ok());
  EXPECT_FALSE(MakeDirectories(dir_ + "/f/g").ok());
  EXPECT_TRUE(MakeDirectories(dir_ + "/a/b/c").ok());
  EXPECT_TRUE(MakeDirectories(dir_ + "/a/b/c").ok());
}

}  // namespace
}  // namespace slipway
