#include "base/text/utf8.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

constexpr char kBad[] = "\xef\xbf\xbd";

TEST(Utf8Test, BytesThatAreNoCharactersAreReplacedOneByOne) {
  EXPECT_EQ(ValidUtf8("\xff"
                      "a"),
            std::string(kBad) + "a");
  EXPECT_EQ(ValidUtf8("\xc0\xaf"), std::string(kBad) + kBad);             // overlong
  EXPECT_EQ(ValidUtf8("\xed\xa0\x80"), std::string(kBad) + kBad + kBad);  // a surrogate
  EXPECT_EQ(ValidUtf8("\xf4\x90\x80\x80").size(), 12u);                   // beyond U+10FFFF
  EXPECT_EQ(ValidUtf8("\xe2\x82"), std::string(kBad) + kBad);             // cut short
}

TEST(Utf8Test, EverythingElseStays) {
  for (const std::string text : {"", "plain", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\t\x01"}) {
    EXPECT_EQ(ValidUtf8(text), text);
  }
  EXPECT_EQ(ValidUtf8(absl::string_view("\0", 1)).size(), 1u);
}

}  // namespace
}  // namespace slipway
