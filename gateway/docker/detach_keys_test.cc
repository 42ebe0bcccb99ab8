#include "gateway/docker/detach_keys.h"

#include <gtest/gtest.h>

namespace slipway::gateway {
namespace {

TEST(DetachKeysTest, RefusesWhatIsNoKey) {
  for (const char* text : {"ctrl-", "ctrl-pq", "shift-a", "ctrl-p,", "ctrl-1", "ab"}) {
    EXPECT_EQ(ParseDetachKeys(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(DetachKeysTest, ReadsDockersNames) {
  EXPECT_EQ(*ParseDetachKeys(""), "\x10\x11");
  EXPECT_EQ(*ParseDetachKeys("ctrl-a,x"), "\x01x");
  EXPECT_EQ(*ParseDetachKeys("ctrl-@,ctrl-[,ctrl-_"), std::string("\0\x1b\x1f", 3));
}

TEST(DetachScannerTest, PassesOnWhatIsNotTheKeys) {
  DetachScanner scanner("\x10\x11");
  std::string data = "ls\x10";
  EXPECT_FALSE(scanner.Scan(data));
  EXPECT_EQ(data, "ls");
  data = "x";
  EXPECT_FALSE(scanner.Scan(data));
  EXPECT_EQ(data, "\x10x");
  data = "\x10\x10";
  EXPECT_FALSE(scanner.Scan(data));
  EXPECT_EQ(data, "\x10");
  data = "\x11more";
  EXPECT_TRUE(scanner.Scan(data));
  EXPECT_EQ(data, "");
}

TEST(DetachScannerTest, WithoutKeysNothingIsFound) {
  DetachScanner scanner("");
  std::string data = "\x10\x11";
  EXPECT_FALSE(scanner.Scan(data));
  EXPECT_EQ(data, "\x10\x11");
}

}  // namespace
}  // namespace slipway::gateway
