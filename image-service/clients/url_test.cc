#include "image-service/clients/url.h"

#include <gtest/gtest.h>

#include <string>

namespace slipway::image {
namespace {

TEST(UrlTest, Refuses) {
  for (const std::string& text : std::initializer_list<std::string>{
           "https://:443/b", "https://D:443:443/b", "http://a:/", "http://a:b/", "http://[::1/",
           "http://[::1]x:80/", "http://a:123456/", "", "x", "file:///etc/passwd", "ftp://a/",
           "http://", "http:///x", "http://u:p@a/", "http://a b/", "http://a/\r\nX: y",
           "http://a\\@b/", "http://a/" + std::string(9000, 'x')}) {
    EXPECT_FALSE(Url::Parse(text).ok()) << text;
  }
}

TEST(UrlTest, OriginIgnoresCaseAndDefaultPort) {
  const Url a = Url::Parse("HTTPS://Example.com:443/x").value();
  EXPECT_TRUE(a.SameOrigin(Url::Parse("https://example.com/y").value()));
  EXPECT_FALSE(a.SameOrigin(Url::Parse("http://example.com/y").value()));
  EXPECT_FALSE(a.SameOrigin(Url::Parse("https://example.com:444/y").value()));
  EXPECT_FALSE(a.SameOrigin(Url::Parse("https://example.com.evil/y").value()));
}

TEST(UrlTest, ResolvesWhatRegistriesSend) {
  const Url base = Url::Parse("https://r.example/v2/a/blobs/x?q=1").value();
  EXPECT_EQ(base.Resolve("/y?z=1#f")->ToString(), "https://r.example/y?z=1");
  EXPECT_EQ(base.Resolve("y")->ToString(), "https://r.example/v2/a/blobs/y");
  EXPECT_EQ(base.Resolve("//cdn.example/y")->ToString(), "https://cdn.example/y");
  EXPECT_EQ(base.Resolve("https://cdn.example?y=a:b")->ToString(), "https://cdn.example/?y=a:b");
  EXPECT_FALSE(base.Resolve("javascript:alert(1)").ok());
  EXPECT_FALSE(base.Resolve("file:///etc/passwd").ok());
}

TEST(UrlTest, Loopback) {
  for (const char* text :
       {"localhost", "LOCALHOST:5000", "127.0.0.1", "127.9.9.9:1", "[::1]:5000"}) {
    EXPECT_TRUE(IsLoopback(text)) << text;
  }
  for (const char* text : {"localhost.evil", "128.0.0.1", "127.evil", "[::2]:1", "10.0.0.1:127"}) {
    EXPECT_FALSE(IsLoopback(text)) << text;
  }
}

TEST(UrlTest, QueryEscape) { EXPECT_EQ(QueryEscape("a b&c=d/e:f"), "a%20b%26c%3Dd/e:f"); }

}  // namespace
}  // namespace slipway::image
