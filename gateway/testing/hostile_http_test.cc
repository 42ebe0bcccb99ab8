#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gateway/testing/gateway_fixture.h"

namespace slipway::gateway {
namespace {

using HostileHttpTest = GatewayTest;

std::string Post(absl::string_view headers, absl::string_view body) {
  return absl::StrCat("POST /containers/create HTTP/1.1\r\nHost: d\r\n", headers, "\r\n", body);
}

TEST_F(HostileHttpTest, NotHttp) {
  EXPECT_EQ(Raw("\x16\x03\x01\x02\r\n\r\n").status, 400);
  EXPECT_EQ(Raw("GET /_ping\r\n\r\n").status, 400);
  EXPECT_EQ(Raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status, 400);
  EXPECT_EQ(Raw("GET /_ping HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n").status, 200);
}

TEST_F(HostileHttpTest, HugeHeader) {
  const std::string line(100 << 10, 'x');
  const auto response =
      Raw(absl::StrCat("GET /_ping HTTP/1.1\r\nHost: d\r\nX-A: ", line, "\r\n\r\n"));
  EXPECT_EQ(response.status, 431);
}

TEST_F(HostileHttpTest, AmbiguousMessages) {
  EXPECT_EQ(Raw(Post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}x")).status, 400);
  EXPECT_EQ(Raw(Post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}")).status, 400);
  EXPECT_EQ(Raw(Post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")).status,
            400);
  EXPECT_EQ(Raw(Post("Content-Length: -2\r\n", "{}")).status, 400);
  EXPECT_EQ(Raw("GET /_ping HTTP/1.1\r\n\r\n").status, 400);
  EXPECT_EQ(Raw("GET /_ping HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").status, 400);
  EXPECT_EQ(Raw("GET /_ping HTTP/1.0\r\n\r\n").status, 200);
}

TEST_F(HostileHttpTest, BadBodies) {
  const struct {
    const char* body;
    const char* message;
  } cases[] = {
      {"{", "invalid JSON"},
      {"{\"Image\":\"a\"} x", "unexpected content after JSON"},
      {"{\"Image\":\"\xff\"}", "invalid JSON"},
      {"nonsense", "invalid JSON"},
      {"3", "must be an object"},
  };
  for (const auto& c : cases) {
    const auto response = Call("POST", "/containers/create", c.body);
    EXPECT_EQ(response.status, 400) << c.body;
    EXPECT_TRUE(absl::StrContains(response.body, c.message)) << response.body;
  }
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_EQ(Call("POST", "/containers/create", deep).status, 400);
  const auto empty = Call("POST", "/containers/create");
  EXPECT_EQ(empty.status, 400);
  EXPECT_EQ(empty.body, "{\"message\":\"invalid JSON: got EOF while reading request body\"}\n");
  const auto form = Raw(Post("Content-Type: text/plain\r\nContent-Length: 2\r\n", "{}"));
  EXPECT_EQ(form.status, 400);
  EXPECT_TRUE(absl::StrContains(form.body, "must be 'application/json'"));
}

TEST_F(HostileHttpTest, TooLargeBodies) {
  EXPECT_EQ(
      Raw(Post("Content-Type: application/json\r\nContent-Length: 999999999999\r\n", "")).status,
      400);
  const std::string huge = absl::StrCat("{\"Image\":\"", std::string(5 << 20, 'x'), "\"}");
  std::string chunked = absl::StrCat(absl::Hex(huge.size()), "\r\n", huge, "\r\n0\r\n\r\n");
  EXPECT_EQ(
      Raw(Post("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", chunked)).status,
      400);
}

TEST_F(HostileHttpTest, BadTargets) {
  EXPECT_EQ(Call("GET", "/v1.99/_ping").status, 400);
  EXPECT_EQ(Call("GET", "/v1.12/_ping").status, 400);
  EXPECT_EQ(Call("GET", "/v1/_ping").status, 404);
  EXPECT_EQ(Call("GET", "/images/%zz/json").status, 400);
  EXPECT_EQ(Call("GET", "/images/%00/json").status, 400);
  EXPECT_EQ(Call("GET", "/containers/json?filters=%7B").status, 400);
  EXPECT_EQ(Call("GET", "/containers/json?filters=%7B%22colour%22%3A%5B%22red%22%5D%7D").status,
            400);
  const auto missing = Call("GET", "/nonsense");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.body, "{\"message\":\"page not found\"}\n");
  const auto later = Call("GET", "/swarm");
  EXPECT_EQ(later.status, 501);
  EXPECT_TRUE(absl::StrContains(later.body, "swarm mode")) << later.body;
}

TEST_F(HostileHttpTest, RequestsInOneGoAndAfterErrors) {
  HttpClient client(docker_socket());
  client.Send(
      "GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"
      "GET /nonsense HTTP/1.1\r\nHost: d\r\n\r\n"
      "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
      "Content-Length: 1\r\n\r\n{"
      "HEAD /_ping HTTP/1.1\r\nHost: d\r\n\r\n"
      "GET /version HTTP/1.1\r\nHost: d\r\n\r\n");
  EXPECT_EQ(client.Read().body, "OK");
  EXPECT_EQ(client.Read().status, 404);
  EXPECT_EQ(client.Read().status, 400);
  EXPECT_EQ(client.Read(/*head_only=*/true).status, 200);
  EXPECT_TRUE(absl::StrContains(client.Read().body, "\"ApiVersion\":\"1.51\""));
}

TEST_F(HostileHttpTest, ClientsThatLeaveDoNotHurt) {
  const auto created = Call("POST", "/containers/create?name=sleeper",
                            R"({"Image":"known","Cmd":["sleep"],"OpenStdin":true})");
  ASSERT_EQ(created.status, 201) << created.body;
  ASSERT_EQ(Call("POST", "/containers/sleeper/start").status, 204);
  for (const char* target : {"POST /containers/sleeper/wait", "GET /events",
                             "GET /containers/sleeper/logs?follow=1&stdout=1",
                             "POST /containers/sleeper/attach?stream=1&stdout=1&stdin=1"}) {
    for (int i = 0; i < 20; ++i) {
      HttpClient client(docker_socket());
      client.Send(absl::StrCat(target, " HTTP/1.1\r\nHost: d\r\n\r\n"));
      if (i % 2 == 0) {
        EXPECT_NE(client.Read(/*head_only=*/true).status, 0) << target;
      }
    }
  }
  EXPECT_EQ(Call("GET", "/_ping").body, "OK");
  EXPECT_EQ(Call("DELETE", "/containers/sleeper?force=1").status, 204);
}

TEST_F(HostileHttpTest, AServiceThatIsGoneIs503) {
  platform_.reset();
  EXPECT_EQ(Call("GET", "/containers/json").status, 503);
  EXPECT_EQ(Call("GET", "/_ping").status, 200);
}

}  // namespace
}  // namespace slipway::gateway
