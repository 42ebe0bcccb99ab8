#include "services/log/domain/retention.h"

#include <gtest/gtest.h>

namespace slipway::log {
namespace {

StoredSegment Segment(const char* id, uint64_t first, uint64_t size, int64_t time, bool last) {
  return {id, first, size, time, last};
}

TEST(RetentionTest, OldestFirstOverAllContainersAndNeverTheLast) {
  const std::vector<StoredSegment> all = {
      Segment("a", 0, 10, 5, false), Segment("a", 10, 10, 6, true), Segment("b", 0, 10, 1, true),
      Segment("c", 0, 10, 3, false), Segment("c", 9, 10, 4, false), Segment("c", 20, 1, 9, true)};
  const auto ids = [&](uint64_t total) {
    std::string text;
    for (const auto& victim : PlanRetention(all, total)) {
      text += victim.container_id + std::to_string(victim.segment) + " ";
    }
    return text;
  };
  EXPECT_EQ(ids(51), "");
  EXPECT_EQ(ids(50), "c0 ");
  EXPECT_EQ(ids(41), "c0 ");
  EXPECT_EQ(ids(31), "c0 c9 ");
  EXPECT_EQ(ids(0), "c0 c9 a0 ");
  EXPECT_TRUE(PlanRetention({}, 0).empty());
}

}  // namespace
}  // namespace slipway::log
