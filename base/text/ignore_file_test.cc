#include "base/text/ignore_file.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

TEST(PathPattern, RefusesWhatIsBroken) {
  for (const char* bad : {"[", "[a", "[]", "[a-", "a\\", "[-x]"}) {
    EXPECT_FALSE(PathPattern::Parse(bad).ok()) << bad;
  }
}

TEST(PathPattern, Matches) {
  struct Case {
    const char* pattern;
    const char* path;
    bool matches;
  };
  const Case cases[] = {
      {"a", "a", true},         {"a", "b", false},           {"*", "a", true},
      {"*", "a/b", false},      {"*.go", "x.go", true},      {"*.go", "d/x.go", false},
      {"a?c", "abc", true},     {"a?c", "a/c", false},       {"[a-c]x", "bx", true},
      {"[^a-c]x", "bx", false}, {"**", "a/b/c", true},       {"**/x", "x", true},
      {"**/x", "a/b/x", true},  {"**/x", "a/bx", false},     {"a/**", "a/b/c", true},
      {"a/**/z", "a/z", true},  {"a/**/z", "a/b/c/z", true}, {"a/**/z", "a/bz", false},
      {"\\*", "*", true},       {"\\*", "a", false},         {"a*b*c", "aXbYc", true},
      {"a/*/c", "a/b/c", true}, {"**/*.o", "d/e.o", true},   {"*a", "aa", true},
  };
  for (const Case& c : cases) {
    const auto pattern = PathPattern::Parse(c.pattern);
    ASSERT_TRUE(pattern.ok()) << c.pattern;
    EXPECT_EQ(pattern->Matches(c.path), c.matches) << c.pattern << " on " << c.path;
  }
}

TEST(PathPattern, ManyStarsTakeNoLongTime) {
  std::string pattern, path(20000, 'a');
  for (int i = 0; i < 200; ++i) pattern += "*a";
  EXPECT_FALSE(PathPattern::Parse(pattern + "b")->Matches(path));
}

TEST(IgnoreFile, RefusesWhatIsBroken) {
  EXPECT_FALSE(IgnoreFile::Parse("!\n").ok());
  EXPECT_FALSE(IgnoreFile::Parse("a[\n").ok());
}

TEST(IgnoreFile, TheLastRuleThatFitsDecides) {
  const auto file = IgnoreFile::Parse(
      "# comment\n\n/node_modules/\n*.md\n!README.md\ndocs\n!docs/keep\ndocs/keep/not\n**/*.tmp\n");
  ASSERT_TRUE(file.ok());
  for (const char* path : {"node_modules", "node_modules/a/b", "x.md", "docs", "docs/a",
                           "docs/keep/not", "docs/keep/not/x", "a.tmp", "a/b/c.tmp"}) {
    EXPECT_TRUE(file->Ignores(path)) << path;
  }
  for (const char* path : {"README.md", "src", "docs/keep", "docs/keep/x", "a/x.md", "a/tmp"}) {
    EXPECT_FALSE(file->Ignores(path)) << path;
  }
}

TEST(IgnoreFile, EverythingButAFew) {
  const auto file = IgnoreFile::Parse("*\n!src/**\n!Dockerfile");
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(file->Ignores("a"));
  EXPECT_FALSE(file->Ignores("Dockerfile"));
  EXPECT_FALSE(file->Ignores("src/a/b"));
}

TEST(CleanPath, IsGos) {
  EXPECT_EQ(CleanPath("a//b/./c/.."), "a/b");
  EXPECT_EQ(CleanPath("/../a"), "/a");
  EXPECT_EQ(CleanPath("../a"), "../a");
  EXPECT_EQ(CleanPath("a/.."), ".");
  EXPECT_EQ(CleanPath(""), ".");
  EXPECT_EQ(CleanPath("/"), "/");
}

}  // namespace
}  // namespace slipway
