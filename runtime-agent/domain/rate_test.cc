#include "runtime-agent/domain/rate.h"

#include "gtest/gtest.h"

namespace slipway::agent {
namespace {

TEST(RateTest, RefusesWhatIsNoRate) {
  for (const char* text : {"", "bit", "-1mbit", "1tbit", "fast", "1 mbit", "0", "7kbit", "1e9",
                           "inf", "nan", "9999999999gbit", "1..5mbit"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseRate(text).status())) << text;
  }
}

TEST(RateTest, KnowsUnits) {
  EXPECT_EQ(*ParseRate("10mbit"), 1'250'000u);
  EXPECT_EQ(*ParseRate("1.5Gbit"), 187'500'000u);
  EXPECT_EQ(*ParseRate("8000"), 1000u);
  EXPECT_EQ(*ParseRate("100k"), 12'500u);
  EXPECT_EQ(*ParseRate("2mbps"), 2'000'000u);
}

}  // namespace
}  // namespace slipway::agent
