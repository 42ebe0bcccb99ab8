// Chunk borders: a stream cut at every byte between two chunks of the queue.
#include "image-service/layer/decompress.h"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "image-service/layer/tar_builder.h"

namespace slipway::image {
namespace {

absl::StatusOr<std::string> DecompressPieces(const std::string& blob, size_t piece_bytes,
                                             size_t out_chunk_bytes) {
  ChunkQueue in(3, 4096);
  ChunkQueue out(2, out_chunk_bytes);
  absl::Status status;
  std::thread producer([&] {
    for (size_t at = 0; at < blob.size(); at += piece_bytes) {
      const size_t part = std::min(piece_bytes, blob.size() - at);
      char* slot = in.Acquire();
      if (slot == nullptr) return;
      memcpy(slot, blob.data() + at, part);
      in.Publish(part);
    }
    in.Close();
  });
  std::thread decompressor([&] {
    const std::optional<absl::string_view> first = in.Next();
    status = Decompress(DetectCompression(blob), first.value_or(""), &in, &out, {});
    in.Cancel();
    out.Close();
  });
  std::string result;
  while (const std::optional<absl::string_view> bytes = out.Next()) {
    result.append(bytes->data(), bytes->size());
  }
  producer.join();
  decompressor.join();
  if (!status.ok() && !absl::IsCancelled(status)) return status;
  return result;
}

TEST(DecompressTest, NoChunkBorderMatters) {
  std::string text;
  for (int i = 0; i < 300; ++i) absl::StrAppend(&text, i * 7919 % 10007, i % 3 ? " " : "aaaaaaaa");
  for (const char* filter : {"gzip", "zstd"}) {
    const std::string blob = CompressWith(filter, text) + CompressWith(filter, "") +
                             CompressWith(filter, text.substr(0, 1));
    for (const size_t piece : {1, 2, 3, 5, 7, 8, 9, 13, 64, 1000, 4096}) {
      for (const size_t out_bytes : {1, 7, 100, 100'000}) {
        const absl::StatusOr<std::string> result = DecompressPieces(blob, piece, out_bytes);
        ASSERT_TRUE(result.ok()) << filter << " " << piece << " " << result.status();
        ASSERT_EQ(*result, text + text[0]) << filter << " " << piece << " " << out_bytes;
      }
    }
    for (size_t cut = 4; cut < CompressWith(filter, text).size(); cut += 3) {
      ASSERT_EQ(DecompressPieces(blob.substr(0, cut), 8, 100).status().code(),
                absl::StatusCode::kDataLoss)
          << filter << " " << cut;
    }
  }
}

TEST(DecompressTest, ZstdOutputThatEndsWithTheBuffer) {
  for (const size_t size : {4095, 4096, 4097, 8192}) {
    const std::string text(size, 'x');
    EXPECT_EQ(*DecompressPieces(CompressWith("zstd", text), 4096, 4096), text);
    EXPECT_EQ(*DecompressPieces(CompressWith("gzip", text), 4096, 4096), text);
  }
}

TEST(DecompressTest, Magic) {
  EXPECT_EQ(DetectCompression(""), Compression::kNone);
  EXPECT_EQ(DetectCompression("\x1f"), Compression::kNone);
  EXPECT_EQ(DetectCompression("\x1f\x8b"), Compression::kGzip);
  EXPECT_EQ(DetectCompression("\x5a\x2a\x4d\x18"), Compression::kZstd);
  EXPECT_EQ(DetectCompression("BZh9"), Compression::kBzip2);
  EXPECT_EQ(DetectCompression("BZh is a file name"), Compression::kNone);
}

}  // namespace
}  // namespace slipway::image
