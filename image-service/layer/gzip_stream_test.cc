#include "image-service/layer/gzip_stream.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "image-service/layer/decompress.h"

namespace slipway::image {
namespace {

std::string Compress(absl::string_view bytes, size_t piece) {
  std::string out;
  GzipStream stream([&](absl::string_view part) {
    out.append(part.data(), part.size());
    return absl::OkStatus();
  });
  for (size_t at = 0; at < bytes.size(); at += piece) {
    EXPECT_TRUE(stream.Append(bytes.substr(at, piece)).ok());
  }
  EXPECT_TRUE(stream.Finish().ok());
  return out;
}

std::string Decompressed(const std::string& bytes) {
  ChunkQueue in(2, std::max<size_t>(bytes.size(), 1));
  ChunkQueue out(64, 1 << 20);
  std::copy(bytes.begin(), bytes.end(), in.Acquire());
  in.Publish(bytes.size());
  in.Close();
  const auto first = in.Next();
  EXPECT_TRUE(Decompress(DetectCompression(bytes), *first, &in, &out, {}).ok());
  out.Close();
  std::string result;
  while (const auto part = out.Next()) result.append(part->data(), part->size());
  return result;
}

TEST(GzipStreamTest, AnOutputThatFailsEndsIt) {
  GzipStream stream([](absl::string_view) { return absl::ResourceExhaustedError("full"); });
  const std::string noise(4 << 20, 'x');
  const absl::Status appended = stream.Append(noise);
  EXPECT_TRUE(absl::IsResourceExhausted(appended.ok() ? stream.Finish() : appended));
}

TEST(GzipStreamTest, ComesBackAsItWas) {
  std::mt19937 random(7);
  std::string noise(3 << 20, 0);
  for (char& c : noise) c = static_cast<char>(random());
  for (const std::string& text :
       {std::string(), std::string("a"), std::string(5 << 20, 0), noise}) {
    EXPECT_EQ(Decompressed(Compress(text, 100 << 10)), text);
  }
}

TEST(GzipStreamTest, TheSameBytesGiveTheSameStream) {
  const std::string text(1 << 20, 'q');
  EXPECT_EQ(Compress(text, 64 << 10), Compress(text, 64 << 10));
}

}  // namespace
}  // namespace slipway::image
