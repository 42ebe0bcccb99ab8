#include "services/build/domain/git_url.h"

#include <gtest/gtest.h>

#include <string>

namespace slipway::build {
namespace {

TEST(GitUrl, WhatIsNone) {
  for (const char* text :
       {"", "http://host/file.tar", "https://host/repo.git/archive.tar", "https://host/repo.github",
        "repo.git", "ftp://host/repo.git", "https://host/x?file=repo.git&y", "git/repo.git"}) {
    EXPECT_FALSE(IsGitUrl(text)) << text;
  }
}

TEST(GitUrl, WhatIsOne) {
  for (const char* text :
       {"git://host/repo", "https://host/repo.git", "http://host/repo.git#main", "git@host:repo",
        "ssh://git@host/repo", "github.com/owner/repo", "HTTPS://host/repo.git#:dir"}) {
    EXPECT_TRUE(IsGitUrl(text)) << text;
  }
}

TEST(GitUrl, WhatCannotBe) {
  for (const char* text : {"https://h/r.git#a b", "https://h/r.git#--upload-pack=x",
                           "https://h/r.git#a..b", "https://h/r.git#a^", "https://h/r.git#a\n",
                           "https://h/r.git#main:../x", "https://h/r.git#:a/../../x"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseGitUrl(text).status())) << text;
  }
  EXPECT_FALSE(ParseGitUrl("https://h/r.git#" + std::string(2000, 'a')).ok());
}

TEST(GitUrl, OverSsh) {
  for (const char* text : {"git@host:owner/repo.git", "ssh://git@host/repo.git"}) {
    EXPECT_TRUE(absl::IsUnimplemented(ParseGitUrl(text).status())) << text;
  }
}

TEST(GitUrl, Parts) {
  struct Case {
    const char* text;
    const char* url;
    const char* ref;
    const char* directory;
  };
  for (const Case& c :
       {Case{"https://h/r.git", "https://h/r.git", "", ""},
        Case{"https://h/r.git#", "https://h/r.git", "", ""},
        Case{"https://h/r.git#v1.2", "https://h/r.git", "v1.2", ""},
        Case{"https://h/r.git#feature/x:a/b", "https://h/r.git", "feature/x", "a/b"},
        Case{"git://h/r#:/./a//b/", "git://h/r", "", "a/b"},
        Case{"github.com/o/r#main", "https://github.com/o/r", "main", ""}}) {
    const auto reference = ParseGitUrl(c.text);
    ASSERT_TRUE(reference.ok()) << c.text << reference.status();
    EXPECT_EQ(reference->url, c.url);
    EXPECT_EQ(reference->ref, c.ref);
    EXPECT_EQ(reference->directory, c.directory);
  }
}

TEST(GitUrl, CredentialsAreNotShown) {
  EXPECT_EQ(WithoutCredentials("https://me:se@cret@host/r.git"), "https://host/r.git");
  EXPECT_EQ(WithoutCredentials("https://host/a@b.git"), "https://host/a@b.git");
  EXPECT_EQ(WithoutCredentials("https://me@host"), "https://host");
  EXPECT_EQ(WithoutCredentials("nothing"), "nothing");
}

}  // namespace
}  // namespace slipway::build
