#include "image-service/domain/image_reference.h"

#include <gtest/gtest.h>

#include <string>

namespace slipway::image {
namespace {

const std::string kHex(64, 'a');

TEST(ImageReferenceTest, Refuses) {
  for (const std::string& text :
       std::initializer_list<std::string>{"",
                                          ":tag",
                                          "@sha256:" + kHex,
                                          "UPPER",
                                          "a/Upper",
                                          "localhost/Upper",
                                          "a//b",
                                          "/a",
                                          "a/",
                                          "-x",
                                          "x-",
                                          "a.-b",
                                          "a..b",
                                          "a___b",
                                          "_a",
                                          "a b",
                                          "a:",
                                          "a:b:c",
                                          "a:-tag",
                                          "a:" + std::string(129, 't'),
                                          "a@",
                                          "a@sha256:12",
                                          "a@sha256:" + std::string(64, 'G'),
                                          "a@md5:" + kHex,
                                          "a@sha256:" + kHex + "@sha256:" + kHex,
                                          "http://a/b",
                                          "a\nb",
                                          "ä",
                                          "host:port/a",
                                          "host:/a",
                                          "[::1/a",
                                          "[zz]:5/a",
                                          std::string(256, 'a'),
                                          std::string(2000, 'a'),
                                          kHex,
                                          "a/b:c/d"}) {
    const auto parsed = ImageReference::Parse(text);
    EXPECT_FALSE(parsed.ok()) << text << " became " << parsed->FullString();
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(ImageReferenceTest, UpperCaseIsNamed) {
  EXPECT_EQ(ImageReference::Parse("Redis").status().message(),
            "invalid reference format: repository name must be lowercase");
}

struct Case {
  std::string text;
  std::string domain;
  std::string path;
  std::string tag;
  std::string familiar;
};

TEST(ImageReferenceTest, FamiliarNames) {
  for (const Case& expected : std::initializer_list<Case>{
           {"redis", "docker.io", "library/redis", "", "redis"},
           {"redis:7", "docker.io", "library/redis", "7", "redis:7"},
           {"library/redis", "docker.io", "library/redis", "", "redis"},
           {"docker.io/redis", "docker.io", "library/redis", "", "redis"},
           {"index.docker.io/library/redis", "docker.io", "library/redis", "", "redis"},
           {"docker.io/library/a/b", "docker.io", "library/a/b", "", "library/a/b"},
           {"me/app", "docker.io", "me/app", "", "me/app"},
           {"localhost/app", "localhost", "app", "", "localhost/app"},
           {"localhost:5000/a/b:T_1.x-y", "localhost:5000", "a/b", "T_1.x-y",
            "localhost:5000/a/b:T_1.x-y"},
           {"r.example.com/a", "r.example.com", "a", "", "r.example.com/a"},
           {"docker.io/a.b/c", "docker.io", "a.b/c", "", "docker.io/a.b/c"},
           {"index.docker.io/localhost/c", "docker.io", "localhost/c", "", "docker.io/localhost/c"},
           {"docker.io/docker.io/c", "docker.io", "docker.io/c", "", "docker.io/docker.io/c"},
           {"library/" + kHex, "docker.io", "library/" + kHex, "", "library/" + kHex},
           {"Registry/a", "Registry", "a", "", "Registry/a"},
           {"127.0.0.1:5000/a__b/c--d/e.f", "127.0.0.1:5000", "a__b/c--d/e.f", "",
            "127.0.0.1:5000/a__b/c--d/e.f"},
           {"[::1]:5000/a", "[::1]:5000", "a", "", "[::1]:5000/a"}}) {
    const auto parsed = ImageReference::Parse(expected.text);
    ASSERT_TRUE(parsed.ok()) << expected.text << ": " << parsed.status();
    EXPECT_EQ(parsed->domain(), expected.domain) << expected.text;
    EXPECT_EQ(parsed->path(), expected.path) << expected.text;
    EXPECT_EQ(parsed->tag(), expected.tag) << expected.text;
    EXPECT_EQ(parsed->FamiliarString(), expected.familiar) << expected.text;
    // What is printed means the same again.
    EXPECT_EQ(ImageReference::Parse(parsed->FamiliarString()).value(), *parsed);
    EXPECT_EQ(ImageReference::Parse(parsed->FullString()).value(), *parsed);
  }
}

TEST(ImageReferenceTest, TagAndDigest) {
  const auto both = ImageReference::Parse("localhost:5000/a/b:tag@sha256:" + kHex).value();
  EXPECT_EQ(both.tag(), "tag");
  EXPECT_EQ(both.digest().hex(), kHex);
  EXPECT_EQ(both.FamiliarString(), "localhost:5000/a/b:tag@sha256:" + kHex);
  EXPECT_EQ(both.WithDigest(both.digest()).FamiliarString(), "localhost:5000/a/b@sha256:" + kHex);
  EXPECT_EQ(both.WithTag("x").FamiliarString(), "localhost:5000/a/b:x");
  EXPECT_EQ(both.WithDefaultTag(), both);
  EXPECT_EQ(ImageReference::Parse("redis")->WithDefaultTag().FamiliarString(), "redis:latest");
}

TEST(ImageReferenceTest, GlobsStopAtSlashes) {
  const auto redis = ImageReference::Parse("redis:7").value();
  const auto app = ImageReference::Parse("me/app:1").value();
  EXPECT_TRUE(FamiliarMatch("red*", redis));
  EXPECT_TRUE(FamiliarMatch("redis:7", redis));
  EXPECT_TRUE(FamiliarMatch("me/*", app));
  EXPECT_FALSE(FamiliarMatch("*", app));
  EXPECT_FALSE(FamiliarMatch("redis:8", redis));
}

TEST(DigestTest, OnlySha256) {
  EXPECT_FALSE(Digest::Parse("").ok());
  EXPECT_FALSE(Digest::Parse(kHex).ok());
  EXPECT_FALSE(Digest::Parse("sha512:" + kHex + kHex).ok());
  EXPECT_FALSE(Digest::Parse("sha256:" + std::string(64, 'A')).ok());
  EXPECT_FALSE(Digest::Parse("sha256:" + std::string(63, 'a')).ok());
  EXPECT_EQ(Digest::OfBytes("").ToString(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace slipway::image
