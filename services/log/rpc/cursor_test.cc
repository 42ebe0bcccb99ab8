#include "services/log/rpc/cursor.h"

#include <gtest/gtest.h>

#include <random>

namespace slipway::log {
namespace {

TEST(CursorTest, WhatWasNotMadeHereIsRefused) {
  const std::string good = EncodeCursor({{.container_id = std::string(64, 'a')}});
  std::mt19937 random(5);
  for (const std::string& bad : {std::string(), std::string("x"), std::string(1000, 'x'),
                                 good.substr(1), good + "x", good.substr(0, good.size() - 1)}) {
    EXPECT_EQ(DecodeCursor(bad).status().code(), absl::StatusCode::kInvalidArgument);
  }
  for (int i = 0; i < 1000; ++i) {
    std::string bad = good;
    bad[random() % bad.size()] ^= static_cast<char>(1 + random() % 255);
    EXPECT_FALSE(DecodeCursor(bad).ok());
  }
}

TEST(CursorTest, ThereAndBack) {
  std::vector<Place> places;
  for (const char digit : {'a', '0', 'f'}) {
    Place place{.container_id = std::string(64, digit)};
    place.streams[0] = {.segment = 1, .offset = uint64_t{1} << 40, .data_offset = 7};
    place.streams[1] = {.segment = 2, .offset = 3, .data_offset = Position::kAfterRecord};
    places.push_back(place);
  }
  const auto decoded = DecodeCursor(EncodeCursor(places));
  ASSERT_TRUE(decoded.ok());
  ASSERT_EQ(decoded->size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*decoded)[i].container_id, places[i].container_id);
    EXPECT_EQ((*decoded)[i].streams, places[i].streams);
  }
  EXPECT_TRUE(DecodeCursor(EncodeCursor({}))->empty());
}

}  // namespace
}  // namespace slipway::log
