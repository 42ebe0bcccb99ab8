#include "base/logging/logging.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

TEST(JsonEscapeTest, ControlBytesAndQuotes) {
  EXPECT_EQ(JsonEscape("a\"b\\c\n\x1b"), "a\\\"b\\\\c\\u000a\\u001b");
}

TEST(JsonEscapeTest, KeepsUtf8AndReplacesWhatIsNot) {
  EXPECT_EQ(JsonEscape("h\xC3\xA9"), "h\xC3\xA9");
  EXPECT_EQ(JsonEscape("\xF0\x9F\x9A\xA2"), "\xF0\x9F\x9A\xA2");
  EXPECT_EQ(JsonEscape("\xFF"), "\xEF\xBF\xBD");
  EXPECT_EQ(JsonEscape("\xC3"), "\xEF\xBF\xBD");
  EXPECT_EQ(JsonEscape("\xC0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(JsonEscape("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(InitLoggingTest, UnknownLevelIsRefused) { EXPECT_FALSE(InitLogging("x", "loud").ok()); }

}  // namespace
}  // namespace slipway
