#include "gateway/docker/path_stat.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "absl/strings/escaping.h"
#include "gateway/docker/json_build.h"

namespace slipway::gateway {
namespace {

TEST(PathStatTest, ModesAreGos) {
  EXPECT_EQ(GoFileMode(S_IFREG | 0644), 0644u);
  EXPECT_EQ(GoFileMode(S_IFDIR | 0755), 0x800001edu);
  EXPECT_EQ(GoFileMode(S_IFLNK | 0777), 0x80001ffu);
  EXPECT_EQ(GoFileMode(S_IFCHR | 0666), 0x42001b6u);
  EXPECT_EQ(GoFileMode(S_IFREG | 06755), 0xc001edu);
  EXPECT_EQ(GoFileMode(S_IFDIR | 01777), 0x801001ffu);
}

TEST(PathStatTest, HeaderIsJsonInBase64) {
  slipway::agent::v1::PathStat stat;
  stat.set_name("pass\xffwd");
  stat.set_size_bytes(12);
  stat.set_mode(S_IFREG | 0600);
  stat.set_modified_unix_ns(1'500'000'000);
  std::string text;
  ASSERT_TRUE(absl::Base64Unescape(PathStatHeader(stat), &text));
  EXPECT_EQ(text,
            "{\"name\":\"pass\xEF\xBF\xBDwd\",\"size\":12,\"mode\":384,"
            "\"mtime\":\"1970-01-01T00:00:01.5Z\",\"linkTarget\":\"\"}");
}

TEST(ValidUtf8Test, ReplacesWhatIsNone) {
  EXPECT_EQ(ValidUtf8("abc\xC3\xA9"), "abc\xC3\xA9");
  EXPECT_EQ(ValidUtf8("\xC3"), "\xEF\xBF\xBD");
  EXPECT_EQ(ValidUtf8("\xC0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(ValidUtf8("\xED\xA0\x80").size(), 9u);
  EXPECT_EQ(ValidUtf8("\xF0\x9F\x90\x8B"), "\xF0\x9F\x90\x8B");
}

}  // namespace
}  // namespace slipway::gateway
