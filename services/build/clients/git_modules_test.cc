#include "services/build/clients/git_modules.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace slipway::build {
namespace {

TEST(GitModules, WhatIsNone) {
  EXPECT_TRUE(ParseGitModules("").empty());
  EXPECT_TRUE(ParseGitModules("path = a\nurl = b\n").empty());
  EXPECT_TRUE(ParseGitModules("[include]\npath = /etc/passwd\nurl = x\n").empty());
  EXPECT_TRUE(ParseGitModules("[submodule \"a\"]\npath = a\n").empty());
  std::string many;
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&many, "[submodule]\npath=", i, "\nurl=x\n");
  EXPECT_EQ(ParseGitModules(many).size(), 256u);
}

TEST(GitModules, PathsAndUrls) {
  const auto urls = ParseGitModules(
      "# all\n[submodule \"a\"]\n\tpath = lib/a/\n\turl = https://h/a.git ; comment\n"
      "[submodule \"b\"]\n\tURL = \"../b#1.git\"\n\tpath=b\n\tbranch = main\n");
  ASSERT_EQ(urls.size(), 2u);
  EXPECT_EQ(urls.at("lib/a"), "https://h/a.git");
  EXPECT_EQ(urls.at("b"), "../b#1.git");
}

TEST(GitModules, Addresses) {
  EXPECT_EQ(*ResolveModuleUrl("https://h/o/r.git", "../x.git"), "https://h/o/x.git");
  EXPECT_EQ(*ResolveModuleUrl("https://h/o/r.git/", "./../../x"), "https://h/x");
  EXPECT_EQ(*ResolveModuleUrl("https://h/r.git", "./sub"), "https://h/r.git/sub");
  EXPECT_EQ(*ResolveModuleUrl("https://h/r.git", "git://other/r"), "git://other/r");
  for (const char* url :
       {"/etc", "file:///etc", "git@h:r", "ssh://h/r", "../../../x", "--upload-pack=x"}) {
    EXPECT_FALSE(ResolveModuleUrl("https://h/r.git", url).ok()) << url;
  }
}

}  // namespace
}  // namespace slipway::build
