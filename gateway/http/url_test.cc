#include "gateway/http/url.h"

#include <gtest/gtest.h>

namespace slipway::gateway {
namespace {

TEST(PercentDecodeTest, RefusesBrokenEscapesAndNul) {
  EXPECT_FALSE(PercentDecode("%", false));
  EXPECT_FALSE(PercentDecode("a%2", false));
  EXPECT_FALSE(PercentDecode("%zz", false));
  EXPECT_FALSE(PercentDecode("a%00b", false));
}

TEST(PercentDecodeTest, Decodes) {
  EXPECT_EQ(*PercentDecode("a%2Fb%3a+", false), "a/b:+");
  EXPECT_EQ(*PercentDecode("a+b%2B", true), "a b+");
}

TEST(ParseTargetTest, RefusesWhatIsNoPath) {
  for (const char* target : {"", "*", "images", "example.com:443", "/a%zz", "/a?b=%f"}) {
    EXPECT_EQ(ParseTarget(target).status().code(), absl::StatusCode::kInvalidArgument) << target;
  }
}

TEST(ParseTargetTest, TakesBothForms) {
  auto target = ParseTarget("/v1.41/images/json?all=1&filters=%7B%7D");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->path, "/v1.41/images/json");
  EXPECT_EQ(target->query.Get("filters"), "{}");
  target = ParseTarget("http://docker/v1.41/_ping");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->path, "/v1.41/_ping");
  EXPECT_EQ(ParseTarget("http://docker")->path, "/");
}

TEST(QueryTest, ReadsValues) {
  auto query = Query::Parse("a=1&b&c=x&c=y&t=true&z=False&n=-5&bad=5x&empty=");
  ASSERT_TRUE(query.ok());
  EXPECT_TRUE(query->GetBool("a"));
  EXPECT_FALSE(query->GetBool("b"));
  EXPECT_TRUE(query->Has("b"));
  EXPECT_TRUE(query->GetBool("t"));
  EXPECT_FALSE(query->GetBool("z"));
  EXPECT_FALSE(query->GetBool("absent"));
  EXPECT_EQ(query->All("c"), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(query->GetInt("n")->value(), -5);
  EXPECT_FALSE(query->GetInt("empty")->has_value());
  EXPECT_FALSE(query->GetInt("absent")->has_value());
  EXPECT_EQ(query->GetInt("bad").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace slipway::gateway
