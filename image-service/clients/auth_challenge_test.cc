#include "image-service/clients/auth_challenge.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace slipway::image {
namespace {

TEST(AuthChallengeTest, WhatCannotBeParsedEndsTheList) {
  EXPECT_TRUE(ParseAuthChallenges("").empty());
  EXPECT_TRUE(ParseAuthChallenges(" , ,").empty());
  EXPECT_TRUE(ParseAuthChallenges("\"x\"").empty());
  EXPECT_TRUE(ParseAuthChallenges("Bearer realm=\"unterminated").empty());
  EXPECT_TRUE(ParseAuthChallenges("Bearer realm=").empty());
  const auto challenges = ParseAuthChallenges("Basic realm=\"a\", Bearer realm=\"b");
  ASSERT_EQ(challenges.size(), 1u);
  EXPECT_EQ(challenges[0].scheme, "basic");
}

TEST(AuthChallengeTest, IsBounded) {
  std::string header;
  for (int i = 0; i < 100; ++i) absl::StrAppend(&header, "Basic, ");
  EXPECT_LE(ParseAuthChallenges(header).size(), 8u);
}

TEST(AuthChallengeTest, Bearer) {
  const auto challenges = ParseAuthChallenges(
      R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",)"
      R"(scope="repository:library/redis:pull,push", error="invalid_token")");
  ASSERT_EQ(challenges.size(), 1u);
  EXPECT_EQ(challenges[0].scheme, "bearer");
  EXPECT_EQ(challenges[0].parameters.at("realm"), "https://auth.docker.io/token");
  EXPECT_EQ(challenges[0].parameters.at("scope"), "repository:library/redis:pull,push");
  EXPECT_EQ(challenges[0].parameters.at("error"), "invalid_token");
}

TEST(AuthChallengeTest, SeveralInOneHeader) {
  const auto challenges =
      ParseAuthChallenges(R"(Negotiate, BEARER Realm = "a\"b" , service=token, Basic realm="x")");
  ASSERT_EQ(challenges.size(), 3u);
  EXPECT_EQ(challenges[0].scheme, "negotiate");
  EXPECT_EQ(challenges[1].parameters.at("realm"), "a\"b");
  EXPECT_EQ(challenges[1].parameters.at("service"), "token");
  EXPECT_EQ(challenges[2].scheme, "basic");
}

}  // namespace
}  // namespace slipway::image
