#include "gateway/endpoints/route_table.h"

#include <gtest/gtest.h>

namespace slipway::gateway {
namespace {

TEST(RouteTableTest, UnknownPathsHaveNoRoute) {
  for (const char* path :
       {"", "/", "/containers", "/containers/", "/containers//json", "/containers/a/b/json",
        "/images/", "/exec/a", "/containers/a/start/", "/_ping/"}) {
    EXPECT_EQ(FindRoute("GET", path).route, nullptr) << path;
  }
}

TEST(RouteTableTest, TheMethodCounts) {
  EXPECT_EQ(FindRoute("GET", "/containers/a/start").route, nullptr);
  EXPECT_EQ(FindRoute("PATCH", "/containers/json").route, nullptr);
  EXPECT_NE(FindRoute("POST", "/containers/a/start").route, nullptr);
}

TEST(RouteTableTest, FixedPathsComeFirst) {
  EXPECT_EQ(FindRoute("GET", "/containers/json").route->handler, &ContainerList);
  EXPECT_EQ(FindRoute("POST", "/containers/create").route->handler, &ContainerCreate);
  EXPECT_EQ(FindRoute("GET", "/images/json").route->handler, &ImageList);
}

TEST(RouteTableTest, ImageNamesHaveSlashes) {
  const RouteMatch match = FindRoute("GET", "/images/localhost:5000/a/b:tag/json");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.route->handler, &ImageInspect);
  EXPECT_EQ(match.variable, "localhost:5000/a/b:tag");
  EXPECT_EQ(FindRoute("DELETE", "/images/a/b").variable, "a/b");
}

TEST(RouteTableTest, KnownButNotYet) {
  const RouteMatch match = FindRoute("GET", "/swarm");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.route->handler, nullptr);
  EXPECT_EQ(match.route->verb, "swarm mode");
}

TEST(ApiVersionTest, TakesTheVersionOffThePath) {
  absl::string_view path = "/v1.41/info";
  EXPECT_EQ(*TakeVersion(path), (ApiVersion{1, 41}));
  EXPECT_EQ(path, "/info");
  path = "/version";
  EXPECT_EQ(*TakeVersion(path), kMaxApiVersion);
  EXPECT_EQ(path, "/version");
  for (const char* bad : {"/v1/info", "/v1.x/info", "/v1.41", "/v99999999999.1/x", "/v1.-4/x"}) {
    path = bad;
    EXPECT_FALSE(TakeVersion(path)) << bad;
  }
}

TEST(ApiVersionTest, RefusesInDockersWords) {
  EXPECT_TRUE(CheckVersion({1, 24}).ok());
  EXPECT_TRUE(CheckVersion({1, 51}).ok());
  EXPECT_EQ(CheckVersion({1, 12}).message(),
            "client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade "
            "your client to a newer version");
  EXPECT_EQ(CheckVersion({1, 99}).message(),
            "client version 1.99 is too new. Maximum supported API version is 1.51");
  EXPECT_EQ(CheckVersion({2, 0}).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace slipway::gateway
