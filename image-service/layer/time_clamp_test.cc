#include "image-service/layer/time_clamp.h"

#include <gtest/gtest.h>

#include "image-service/layer/tar_builder.h"

namespace slipway::image {
namespace {

std::string Clamped(const std::string& tar, int64_t latest_s, size_t piece_bytes) {
  std::string out;
  TimeClamp clamp(latest_s, [&](absl::string_view bytes) {
    out.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  });
  for (size_t at = 0; at < tar.size(); at += piece_bytes) {
    EXPECT_TRUE(clamp.Append(absl::string_view(tar).substr(at, piece_bytes)).ok());
  }
  return out;
}

std::string TarAt(int64_t mtime_s, long mtime_ns) {
  return BuildTar({{.name = "d", .type = 0040000, .mtime_s = mtime_s, .mtime_ns = mtime_ns},
                   {.name = "d/" + std::string(200, 'n'),
                    .content = std::string(3000, '7'),
                    .mtime_s = mtime_s,
                    .mtime_ns = mtime_ns},
                   {.name = "l", .type = 0120000, .target = "d", .mtime_s = mtime_s}});
}

TEST(TimeClamp, LaterTimesBecomeTheLatest) {
  for (const size_t piece : {size_t{1}, size_t{511}, size_t{100000}}) {
    EXPECT_EQ(Clamped(TarAt(1'700'000'999, 123'456'789), 1'600'000'000, piece),
              Clamped(TarAt(1'700'000'111, 987'654'321), 1'600'000'000, piece));
  }
}

TEST(TimeClamp, EarlierTimesStay) {
  const std::string tar = TarAt(1'500'000'000, 5);
  EXPECT_EQ(Clamped(tar, 1'600'000'000, 700), tar);
}

TEST(TimeClamp, WhatIsNoTarGoesThrough) {
  for (const std::string& bytes : {std::string("short"), std::string(5000, 'x'),
                                   std::string(2000, '\0'), TarAt(1, 0).substr(0, 700)}) {
    const std::string out = Clamped(bytes, 1, 100);
    EXPECT_LE(out.size(), bytes.size());
  }
}

}  // namespace
}  // namespace slipway::image
