#include <gtest/gtest.h>

#include <string>

#include "absl/time/clock.h"
#include "image-service/clients/registry_repository.h"

namespace slipway::image {
namespace {

TEST(RegistryErrorTextTest, WhatIsNoErrorDocumentSaysNothing) {
  for (const std::string body : {"", "<html>", "{}", R"({"errors":[]})", R"({"errors":[7]})",
                                 R"({"errors":[{"message":"x"}]})", R"({"errors":7})"}) {
    std::string code;
    EXPECT_EQ(RegistryErrorText(body, &code), "") << body;
  }
}

TEST(RegistryErrorTextTest, DockersForm) {
  std::string code;
  EXPECT_EQ(RegistryErrorText(
                R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})", &code),
            "manifest unknown: manifest unknown");
  EXPECT_EQ(code, "MANIFEST_UNKNOWN");
  EXPECT_EQ(RegistryErrorText(R"({"errors":[{"code":"DENIED"}]})", &code), "denied: denied");
}

TEST(RegistryErrorTextTest, NoTerminalTricks) {
  std::string code;
  const std::string text =
      RegistryErrorText(R"({"errors":[{"code":"X","message":"a\u001b[2J\nb"}]})", &code);
  EXPECT_EQ(text, "x: a [2J b");
}

TEST(RetryAfterTest, SecondsDatesAndNonsense) {
  const auto limit = absl::Seconds(30);
  EXPECT_EQ(RetryAfter("", absl::Seconds(1), limit), absl::Seconds(1));
  EXPECT_EQ(RetryAfter("soon", absl::Seconds(1), limit), absl::Seconds(1));
  EXPECT_EQ(RetryAfter("-5", absl::Seconds(1), limit), absl::ZeroDuration());
  EXPECT_EQ(RetryAfter("7", absl::Seconds(1), limit), absl::Seconds(7));
  EXPECT_EQ(RetryAfter("100000", absl::Seconds(1), limit), limit);
  EXPECT_EQ(RetryAfter("Wed, 21 Oct 2015 07:28:00 GMT", absl::Seconds(1), limit),
            absl::ZeroDuration());
}

}  // namespace
}  // namespace slipway::image
