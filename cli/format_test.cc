#include "cli/format.h"

#include <gtest/gtest.h>

#include "cli/attach.h"

namespace slipway::cli {
namespace {

TEST(FormatTest, Table) {
  EXPECT_EQ(Table({{"A", "LONG"}, {"xyz", ""}, {"", "b"}}), "A     LONG\nxyz\n      b\n");
}

TEST(FormatTest, HumanSize) {
  EXPECT_EQ(HumanSize(0), "0B");
  EXPECT_EQ(HumanSize(999), "999B");
  EXPECT_EQ(HumanSize(4260000), "4.26MB");
  EXPECT_EQ(HumanSize(1280000000), "1.28GB");
}

TEST(FormatTest, HumanDuration) {
  EXPECT_EQ(HumanDuration(absl::Milliseconds(3)), "Less than a second");
  EXPECT_EQ(HumanDuration(absl::Seconds(59)), "59 seconds");
  EXPECT_EQ(HumanDuration(absl::Seconds(61)), "About a minute");
  EXPECT_EQ(HumanDuration(absl::Hours(5)), "5 hours");
  EXPECT_EQ(HumanDuration(absl::Hours(24 * 15)), "2 weeks");
}

TEST(FormatTest, StatusText) {
  container::v1::ContainerState state;
  const absl::Time now = absl::FromUnixSeconds(1000);
  state.set_status(container::v1::CONTAINER_STATUS_EXITED);
  state.set_exit_code(3);
  state.set_finished_unix_ns(absl::ToUnixNanos(now - absl::Seconds(5)));
  EXPECT_EQ(StatusText(state, now), "Exited (3) 5 seconds ago");
  state.set_status(container::v1::CONTAINER_STATUS_CREATED);
  EXPECT_EQ(StatusText(state, now), "Created");
}

TEST(FormatTest, TimestampHasNineDigits) {
  EXPECT_EQ(Timestamp(1'000'000'006), "1970-01-01T00:00:01.000000006Z");
}

TEST(FormatTest, ParseTime) {
  const absl::Time now = absl::FromUnixSeconds(10000);
  EXPECT_EQ(ParseTime("1.5", now).value(), 1'500'000'000);
  EXPECT_EQ(ParseTime("10s", now).value(), 9990'000'000'000);
  EXPECT_EQ(ParseTime("1970-01-01T00:00:02Z", now).value(), 2'000'000'000);
  EXPECT_FALSE(ParseTime("", now).ok());
  EXPECT_FALSE(ParseTime("yesterday", now).ok());
  EXPECT_FALSE(ParseTime("1.x", now).ok());
}

TEST(FormatTest, ShortId) {
  EXPECT_EQ(ShortId("sha256:0123456789abcdef"), "0123456789ab");
  EXPECT_EQ(ShortId("01"), "01");
}

TEST(DetachKeysTest, OnlyTheWholeSequenceDetaches) {
  DetachKeys keys;
  std::string out;
  EXPECT_FALSE(keys.Feed("a\x10", out));
  EXPECT_EQ(out, "a");
  EXPECT_FALSE(keys.Feed("b", out));
  EXPECT_EQ(out,
            "a\x10"
            "b");
  EXPECT_FALSE(keys.Feed("\x10\x10", out));
  EXPECT_TRUE(keys.Feed("\x11", out));
  EXPECT_EQ(out,
            "a\x10"
            "b\x10");
}

}  // namespace
}  // namespace slipway::cli
