#include "image-service/store/file_blob_writer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

#include "base/os/file.h"

namespace slipway::image {
namespace {

class FileBlobWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/var/tmp/blob_test_XXXXXX";
    root_ = mkdtemp(pattern);
    std::filesystem::create_directory(root_ + "/blobs");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::unique_ptr<FileBlobWriter> Open(bool resumable) {
    auto writer = FileBlobWriter::Open(root_ + "/part", root_ + "/blobs", resumable);
    EXPECT_TRUE(writer.ok()) << writer.status();
    return *std::move(writer);
  }
  static std::string Noise(size_t size_bytes) {
    std::mt19937 random(1);
    std::string bytes(size_bytes, 0);
    for (char& c : bytes) c = static_cast<char>(random());
    return bytes;
  }
  bool PartIsThere() const { return std::filesystem::exists(root_ + "/part"); }

  std::string root_;
};

TEST_F(FileBlobWriterTest, AnAbandonedOneIsGoneUnlessItMayBeResumed) {
  for (const size_t size : {size_t{1}, size_t{6} << 20}) {
    ASSERT_TRUE(Open(false)->Append(Noise(size)).ok());
    EXPECT_FALSE(PartIsThere());
    ASSERT_TRUE(Open(true)->Append(Noise(size)).ok());
    EXPECT_TRUE(PartIsThere());
    std::filesystem::remove(root_ + "/part");
  }
  Open(true);
  EXPECT_FALSE(PartIsThere());
}

TEST_F(FileBlobWriterTest, InPiecesAndAttemptsOfAnySize) {
  const std::string bytes = Noise((9 << 20) + 12345);
  const Digest digest = Digest::OfBytes(bytes);
  std::mt19937 random(2);
  for (int round = 0; round < 8; ++round) {
    size_t at = 0;
    while (at < bytes.size()) {
      // Another attempt, which may end anywhere.
      const auto writer = Open(true);
      ASSERT_EQ(writer->size_bytes(), static_cast<int64_t>(at));
      const size_t end = std::min(bytes.size(), at + random() % (4 << 20));
      while (at < end) {
        const size_t part = std::min(end - at, 1 + random() % (700 << 10));
        ASSERT_TRUE(writer->Append(absl::string_view(bytes).substr(at, part)).ok());
        at += part;
      }
    }
    const auto writer = Open(true);
    std::string read;
    ASSERT_TRUE(writer
                    ->ForEachChunk([&](absl::string_view part) {
                      read.append(part.data(), part.size());
                      return absl::OkStatus();
                    })
                    .ok());
    EXPECT_TRUE(read == bytes);
    ASSERT_TRUE(writer->Sync().ok());
    ASSERT_TRUE(writer->Commit(digest).ok());
    EXPECT_FALSE(PartIsThere());
    EXPECT_TRUE(*ReadFile(root_ + "/blobs/" + digest.hex()) == bytes);
  }
}

TEST_F(FileBlobWriterTest, BeginsAnewWhenTold) {
  const auto writer = Open(true);
  ASSERT_TRUE(writer->Append(Noise(5 << 20)).ok());
  ASSERT_TRUE(writer->Truncate().ok());
  ASSERT_TRUE(writer->Append("short").ok());
  ASSERT_TRUE(writer->Commit(Digest::OfBytes("short")).ok());
  EXPECT_EQ(*ReadFile(root_ + "/blobs/" + Digest::OfBytes("short").hex()), "short");
}

}  // namespace
}  // namespace slipway::image
