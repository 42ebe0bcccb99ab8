#include "services/log/domain/find_bytes.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>

namespace slipway::log {
namespace {

TEST(FindBytesTest, NothingInTooLittle) {
  EXPECT_EQ(FindBytes("", 0, "a"), std::nullopt);
  EXPECT_EQ(FindBytes("abc", 3, "c"), std::nullopt);
  EXPECT_EQ(FindBytes("abc", 0, "abcd"), std::nullopt);
  EXPECT_EQ(FindBytes("abc", 1, "abc"), std::nullopt);
}

TEST(FindBytesTest, AnyBytes) {
  const std::string text("a\0b\xff\n", 5);
  EXPECT_EQ(FindBytes(text, 0, absl::string_view("\0b", 2)), 1u);
  EXPECT_EQ(FindBytes(text, 0, "\xff"), 3u);
}

// Few different bytes, so that much fits in part; and each text ends where its memory does.
TEST(FindBytesTest, AgreesWithAPlainLook) {
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {
    const size_t size = random() % 80;
    const std::unique_ptr<char[]> bytes(new char[size]);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>('a' + random() % 3);
    const absl::string_view text(bytes.get(), size);
    std::string wanted(1 + random() % 20, ' ');
    for (char& each : wanted) each = static_cast<char>('a' + random() % 3);
    if (size > 0 && round % 2 == 0) {
      const size_t begin = random() % size;
      wanted = std::string(text.substr(begin, 1 + random() % (size - begin)));
    }
    const size_t from = random() % (size + 1);
    const size_t expected = text.find(wanted, from);
    const auto found = FindBytes(text, from, wanted);
    ASSERT_EQ(found.value_or(absl::string_view::npos), expected) << text << " " << wanted;
  }
}

}  // namespace
}  // namespace slipway::log
