#include "runtime-agent/domain/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slipway::agent {
namespace {

using testing::ElementsAre;

constexpr char kPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

TEST(Environment, EntriesWithoutANameOrValueAreDropped) {
  EXPECT_THAT(ContainerEnvironment({"A", "=b", ""}, "h", false), ElementsAre(kPath, "HOSTNAME=h"));
}

TEST(Environment, DockersDefaultsComeFirst) {
  EXPECT_THAT(ContainerEnvironment({"A=1"}, "h", true),
              ElementsAre(kPath, "HOSTNAME=h", "TERM=xterm", "A=1"));
}

TEST(Environment, TheLastOfANameWins) {
  EXPECT_THAT(ContainerEnvironment({"PATH=/x", "A=1", "A=2=3"}, "h", false),
              ElementsAre("PATH=/x", "HOSTNAME=h", "A=2=3"));
}

TEST(Environment, HomeIsAddedOnlyWhereMissing) {
  std::vector<std::string> env = {"HOME=/own"};
  AddHome("/root", env);
  EXPECT_THAT(env, ElementsAre("HOME=/own"));
  env = {"HOMES=1"};
  AddHome("/root", env);
  EXPECT_THAT(env, ElementsAre("HOMES=1", "HOME=/root"));
}

}  // namespace
}  // namespace slipway::agent
