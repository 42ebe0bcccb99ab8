#include "image-service/layer/entry_path.h"

#include <gtest/gtest.h>

#include "absl/strings/str_join.h"

namespace slipway::image {
namespace {

std::string Parsed(absl::string_view name) {
  const auto path = ParseEntryPath(name, {});
  return path.ok() ? absl::StrJoin(*path, "/") : "refused";
}

TEST(EntryPathTest, NormalisesBelowTheRoot) {
  EXPECT_EQ(Parsed(".."), "refused");
  EXPECT_EQ(Parsed("a/../.."), "refused");
  EXPECT_EQ(Parsed("/.."), "refused");
  EXPECT_EQ(Parsed(std::string(256, 'x')), "refused");
  EXPECT_EQ(Parsed(""), "");
  EXPECT_EQ(Parsed("/"), "");
  EXPECT_EQ(Parsed("a/.."), "");
  EXPECT_EQ(Parsed("//a/./b//c/"), "a/b/c");
  EXPECT_EQ(Parsed("..."), "...");
}

TEST(EntryPathTest, Whiteouts) {
  const auto classify = [](absl::string_view name) -> std::pair<int, std::string> {
    auto path = *ParseEntryPath(name, {});
    const auto role = ClassifyEntry(&path);
    return {role.ok() ? static_cast<int>(*role) : -1, absl::StrJoin(path, "/")};
  };
  EXPECT_EQ(classify("a/.wh.b"),
            std::make_pair(static_cast<int>(EntryRole::kWhiteout), std::string("a/b")));
  EXPECT_EQ(classify(".wh..hidden").second, ".hidden");
  EXPECT_EQ(classify("a/.wh..wh..opq"),
            std::make_pair(static_cast<int>(EntryRole::kOpaque), std::string("a")));
  EXPECT_EQ(classify(".wh..wh.plnk/x").first, static_cast<int>(EntryRole::kIgnored));
  EXPECT_EQ(classify(".wh.").first, -1);
  EXPECT_EQ(classify(".wh.x/y").first, -1);
  EXPECT_EQ(classify("a.wh.x").first, static_cast<int>(EntryRole::kContent));
}

}  // namespace
}  // namespace slipway::image
