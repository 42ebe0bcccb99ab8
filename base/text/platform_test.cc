#include "base/text/platform.h"

#include "gtest/gtest.h"

namespace slipway {
namespace {

TEST(Platform, Serves) {
  const PlatformName amd64{"linux", "amd64", ""};
  EXPECT_TRUE(Serves(amd64, amd64));
  EXPECT_TRUE(Serves(amd64, {"linux", "", ""}));
  EXPECT_TRUE(Serves({}, amd64));
  EXPECT_FALSE(Serves(amd64, {"linux", "arm64", ""}));
  EXPECT_FALSE(Serves(amd64, {"windows", "amd64", ""}));
  EXPECT_TRUE(Serves({"linux", "arm64", "v8"}, {"linux", "arm64", ""}));
  EXPECT_TRUE(Serves({"linux", "arm", "v6"}, {"linux", "arm", "v7"}));
  EXPECT_FALSE(Serves({"linux", "arm", "v7"}, {"linux", "arm", "v6"}));
  EXPECT_EQ(Format({"linux", "arm", "v7"}), "linux/arm/v7");
  EXPECT_EQ(Format(amd64), "linux/amd64");
}

}  // namespace
}  // namespace slipway
