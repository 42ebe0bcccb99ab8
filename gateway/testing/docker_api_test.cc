#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "gateway/testing/gateway_fixture.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;

class DockerApiTest : public GatewayTest {
 protected:
  // Creates a container; its id.
  std::string Create(absl::string_view config) {
    const auto response = Call("POST", "/containers/create", config);
    EXPECT_EQ(response.status, 201) << response.body;
    if (response.status != 201) return "";
    return std::string(json::parse(response.body).at("Id").as_string());
  }
};

TEST_F(DockerApiTest, Ping) {
  for (const char* method : {"GET", "HEAD"}) {
    const auto response = Call(method, "/_ping");
    EXPECT_EQ(response.status, 200);
    for (const char* header :
         {"Api-Version: 1.51\r\n", "Docker-Experimental: false\r\n", "Ostype: linux\r\n",
          "Builder-Version: 1\r\n", "Content-Length: 2\r\n"}) {
      EXPECT_TRUE(absl::StrContains(response.head, header)) << response.head;
    }
  }
}

TEST_F(DockerApiTest, CreateOfAnUnknownImageIs404) {
  const auto response = Call("POST", "/containers/create", R"({"Image":"nobody"})");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, "{\"message\":\"No such image: nobody\"}\n");
}

TEST_F(DockerApiTest, UnknownContainersAre404) {
  for (const char* verb : {"start", "stop", "restart", "kill", "wait", "attach", "rename?name=x"}) {
    const auto response = Call("POST", absl::StrCat("/containers/nobody/", verb));
    // restart is not in the fake platform.
    EXPECT_EQ(response.status, absl::string_view(verb) == "restart" ? 501 : 404) << verb;
  }
  EXPECT_EQ(Call("GET", "/containers/nobody/json").body,
            "{\"message\":\"No such container: nobody\"}\n");
  EXPECT_EQ(Call("GET", "/containers/nobody/logs?stdout=1").status, 404);
  EXPECT_EQ(Call("GET", "/exec/nobody/json").body,
            "{\"message\":\"No such exec instance: nobody\"}\n");
  EXPECT_EQ(Call("POST", "/exec/nobody/resize?h=1&w=1").body,
            "{\"message\":\"No such exec instance: nobody\"}\n");
}

TEST_F(DockerApiTest, LifeOfAContainer) {
  const std::string id = Create(R"({"Image":"known","Cmd":["echo","hello","you"]})");
  EXPECT_EQ(Call("GET", absl::StrCat("/containers/", id, "/logs")).status, 400);
  HttpClient waiter(docker_socket());
  waiter.Send(absl::StrCat("POST /v1.41/containers/", id,
                           "/wait?condition=next-exit HTTP/1.1\r\nHost: d\r\n\r\n"));
  // Registered before anything has started.
  EXPECT_EQ(waiter.Read(/*head_only=*/true).status, 200);
  EXPECT_EQ(Call("POST", absl::StrCat("/containers/", id, "/start")).status, 204);
  EXPECT_TRUE(absl::StrContains(waiter.ReadAtLeast(20), "{\"StatusCode\":0}"));
  const auto logs = Call("GET", absl::StrCat("/containers/", id, "/logs?stdout=1"));
  EXPECT_EQ(logs.body, std::string("\x01\0\0\0\0\0\0\x0a", 8) + "hello you\n");
  EXPECT_TRUE(
      absl::StrContains(logs.head, "Content-Type: application/vnd.docker.multiplexed-stream"));
  const auto old = Call("GET", absl::StrCat("/v1.41/containers/", id, "/logs?stdout=1"));
  EXPECT_TRUE(absl::StrContains(old.head, "Content-Type: application/vnd.docker.raw-stream"));
  const auto stamped = Call("GET", absl::StrCat("/containers/", id, "/logs?stdout=1&timestamps=1"));
  EXPECT_TRUE(absl::StrContains(stamped.body, "Z hello you\n")) << stamped.body;
  const auto inspected = Call("GET", absl::StrCat("/containers/", id, "/json"));
  EXPECT_EQ(json::parse(inspected.body).at("State").at("Status"), "exited");
  EXPECT_EQ(Call("POST", absl::StrCat("/containers/", id, "/stop")).status, 409);
  EXPECT_EQ(Call("DELETE", absl::StrCat("/containers/", id)).status, 204);
  EXPECT_EQ(Call("DELETE", absl::StrCat("/containers/", id)).status, 404);
}

TEST_F(DockerApiTest, AttachMovesBytesBothWaysAndHalfCloseEndsStdin) {
  const std::string id =
      Create(R"({"Image":"known","Cmd":["cat"],"OpenStdin":true,"StdinOnce":true})");
  HttpClient client(docker_socket());
  // Input that comes in one go with the header is not lost.
  client.Send(absl::StrCat("POST /containers/", id,
                           "/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: d\r\n"
                           "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly "));
  const auto upgraded = client.Read(/*head_only=*/true);
  EXPECT_EQ(upgraded.status, 101);
  EXPECT_TRUE(absl::StrContains(upgraded.head, "101 UPGRADED")) << upgraded.head;
  EXPECT_EQ(Call("POST", absl::StrCat("/containers/", id, "/start")).status, 204);
  client.Send("late");
  client.CloseWrite();
  const std::string output = client.ReadToEnd();
  std::string joined;
  for (size_t at = 0; at + 8 <= output.size();) {
    const auto size = static_cast<size_t>(static_cast<unsigned char>(output[at + 7]));
    joined += output.substr(at + 8, size);
    at += 8 + size;
  }
  EXPECT_EQ(joined, "early late");
}

TEST_F(DockerApiTest, AttachWithoutUpgradeAnswers200) {
  const std::string id = Create(R"({"Image":"known","Cmd":["echo","x"],"Tty":true})");
  HttpClient client(docker_socket());
  client.Send(absl::StrCat("POST /containers/", id,
                           "/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n"));
  const auto response = client.Read(/*head_only=*/true);
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(absl::StrContains(response.head, "application/vnd.docker.raw-stream"));
  EXPECT_EQ(Call("POST", absl::StrCat("/containers/", id, "/start")).status, 204);
  EXPECT_EQ(client.ReadToEnd(), "x\n");
}

TEST_F(DockerApiTest, ExecRunsAndTellsItsExitCode) {
  const std::string id = Create(R"({"Image":"known","Cmd":["sleep"]})");
  const std::string exec_path = absl::StrCat("/containers/", id, "/exec");
  EXPECT_EQ(Call("POST", exec_path, R"({"Cmd":["echo"]})").status, 409);
  EXPECT_EQ(Call("POST", absl::StrCat("/containers/", id, "/start")).status, 204);
  EXPECT_EQ(Call("POST", exec_path, "{}").status, 400);
  const auto run = [&](const char* config) {
    const auto created = Call("POST", exec_path, config);
    EXPECT_EQ(created.status, 201) << created.body;
    const std::string exec(json::parse(created.body).at("Id").as_string());
    HttpClient client(docker_socket());
    const auto started = client.Call("POST", absl::StrCat("/exec/", exec, "/start"), "{}");
    EXPECT_EQ(started.status, 200);
    const std::string output = client.ReadToEnd();
    const auto inspected = Call("GET", absl::StrCat("/exec/", exec, "/json"));
    return absl::StrCat(
        output.substr(8), "|",
        std::string(inspected.body).substr(inspected.body.find("\"ExitCode\""), 14));
  };
  EXPECT_EQ(run(R"({"Cmd":["fail","7"],"AttachStdout":true,"AttachStderr":true})"),
            "failing\n|\"ExitCode\":7,\"");
  EXPECT_EQ(run(R"({"Cmd":["missing"],"AttachStdout":true})"),
            "exec: \"missing\": executable file not found in $PATH\r\n|\"ExitCode\":127");
}

TEST_F(DockerApiTest, TheStartOfAnExecSaysHowItsOutputIsRead) {
  const std::string id = Create(R"({"Image":"known","Cmd":["sleep"]})");
  EXPECT_EQ(Call("POST", absl::StrCat("/containers/", id, "/start")).status, 204);
  const auto run = [&](const char* config, const char* start) {
    const auto created = Call("POST", absl::StrCat("/containers/", id, "/exec"), config);
    EXPECT_EQ(created.status, 201) << created.body;
    const std::string exec(json::parse(created.body).at("Id").as_string());
    HttpClient client(docker_socket());
    client.Call("POST", absl::StrCat("/exec/", exec, "/start"), start);
    return client.ReadToEnd();
  };
  const char* terminal = R"({"Cmd":["echo","x"],"Tty":true,"AttachStdout":true})";
  const char* pipes = R"({"Cmd":["echo","x"],"AttachStdout":true})";
  const std::string framed = std::string("\x01\0\0\0\0\0\0\x02", 8) + "x\n";
  EXPECT_EQ(run(terminal, "{}"), framed);
  EXPECT_EQ(run(terminal, R"({"Tty":true})"), "x\n");
  EXPECT_EQ(run(pipes, R"({"Tty":false})"), framed);
  EXPECT_EQ(run(pipes, R"({"Tty":true})"), "x\n");
}

TEST_F(DockerApiTest, ResizeWithoutATerminalIsNothingToDo) {
  const std::string id = Create(R"({"Image":"known","Cmd":["sleep"]})");
  const std::string resize = "/resize?h=1&w=1";
  EXPECT_EQ(Call("POST", absl::StrCat("/containers/", id, resize)).status, 409);
  EXPECT_EQ(Call("POST", absl::StrCat("/containers/", id, "/start")).status, 204);
  EXPECT_EQ(Call("POST", absl::StrCat("/containers/", id, resize)).status, 200);
  const auto created =
      Call("POST", absl::StrCat("/containers/", id, "/exec"), R"({"Cmd":["sleep"]})");
  const std::string exec(json::parse(created.body).at("Id").as_string());
  EXPECT_EQ(Call("POST", absl::StrCat("/exec/", exec, resize)).status, 409);
  EXPECT_EQ(Call("POST", absl::StrCat("/exec/", exec, "/start"), R"({"Detach":true})").status, 200);
  EXPECT_EQ(Call("POST", absl::StrCat("/exec/", exec, resize)).status, 200);
}

TEST_F(DockerApiTest, WrongFilterValuesAreRefused) {
  const auto list = [&](const char* name, const char* value) {
    return Call("GET", absl::StrCat("/containers/json?filters=%7B%22", name, "%22:%5B%22", value,
                                    "%22%5D%7D"));
  };
  EXPECT_EQ(list("health", "bogus").status, 400);
  EXPECT_EQ(list("health", "bogus").body,
            "{\"message\":\"Unrecognised filter value for health: bogus\"}\n");
  for (const char* name : {"publish", "expose"}) {
    EXPECT_EQ(list(name, "x").status, 400);
    EXPECT_TRUE(absl::StrContains(list(name, "x").body,
                                  absl::StrCat("error while looking up for ", name, " x: ")));
    EXPECT_EQ(list(name, "80:80").status, 400);
    for (const char* good : {"80", "80/udp", "80-90/tcp", "80/nosuch"}) {
      EXPECT_EQ(list(name, good).status, 200) << good;
    }
  }
  EXPECT_EQ(list("health", "none").status, 200);
}

TEST_F(DockerApiTest, PullTellsItsProgress) {
  const auto pulled = Call("POST", "/images/create?fromImage=remote&tag=latest");
  EXPECT_EQ(pulled.status, 200);
  for (const char* message :
       {"{\"status\":\"Pulling from library/remote\",\"id\":\"latest\"}\r\n",
        "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"0123456789ab\"}\r\n",
        "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":600000,\"total\":1200000}",
        "{\"status\":\"Status: Downloaded newer image for remote:latest\"}\r\n"}) {
    EXPECT_TRUE(absl::StrContains(pulled.body, message)) << message << "\n" << pulled.body;
  }
  const auto missing = Call("POST", "/images/create?fromImage=nobody&tag=latest");
  EXPECT_EQ(missing.status, 404);
  const auto broken = Call("POST", "/images/create?fromImage=broken&tag=latest");
  EXPECT_EQ(broken.status, 200);
  EXPECT_TRUE(absl::StrContains(broken.body,
                                "{\"errorDetail\":{\"message\":\"layer 0123456789ab does not "
                                "match its digest\"}"))
      << broken.body;
  // Every tag of a repository that is not there.
  EXPECT_EQ(Call("POST", "/images/create?fromImage=x").status, 404);
  EXPECT_EQ(Call("POST", "/images/create").status, 400);
}

TEST_F(DockerApiTest, LoadAndImportTakeArchives) {
  const std::string archive(3 << 20, 'a');
  const auto post = [&](absl::string_view target, absl::string_view body) {
    HttpClient client(docker_socket());
    client.Send(absl::StrCat("POST ", target,
                             " HTTP/1.1\r\nHost: d\r\nContent-Length: ", body.size(), "\r\n\r\n"));
    client.Send(body);
    return client.Read();
  };
  const auto loaded = post("/images/load?quiet=1", archive);
  EXPECT_EQ(loaded.body, "{\"stream\":\"Loaded image: loaded:latest\\u000a\"}\r\n");
  EXPECT_EQ(platform_->uploaded_bytes(), archive.size());
  const auto loud = post("/images/load", archive);
  EXPECT_TRUE(absl::StrContains(loud.body, "\"status\":\"Loading layer\"")) << loud.body;
  const auto bad = post("/images/load", "bad archive");
  EXPECT_EQ(bad.status, 400) << bad.body;
  const auto bad_and_long = post("/images/load", absl::StrCat("bad", archive));
  EXPECT_EQ(bad_and_long.status, 400) << bad_and_long.body;
  const auto imported = post("/images/create?fromSrc=-&repo=a&changes=CMD+x", archive);
  EXPECT_TRUE(absl::StartsWith(imported.body, "{\"status\":\"sha256:")) << imported.body;
  EXPECT_EQ(post("/images/create?fromSrc=-&changes=RUN+x", "x").status, 400);
}

TEST_F(DockerApiTest, ImagesInDockersShape) {
  const auto listed = Call("GET", "/v1.41/images/json");
  const json::value image = json::parse(listed.body).at(0);
  EXPECT_EQ(image.at("RepoTags").at(0), "known:latest");
  EXPECT_EQ(image.at("VirtualSize"), 12'345'678);
  EXPECT_FALSE(
      json::parse(Call("GET", "/images/json").body).at(0).as_object().contains("VirtualSize"));
  EXPECT_EQ(json::parse(Call("GET", "/images/known/history").body).at(0).at("Size"), 12'345'678);
  EXPECT_EQ(Call("GET", "/images/a/b/c/json").body, "{\"message\":\"No such image: a/b/c\"}\n");
  EXPECT_EQ(Call("POST", "/images/known/tag?repo=other&tag=1").status, 201);
  EXPECT_EQ(Call("DELETE", "/images/known").status, 200);
}

TEST_F(DockerApiTest, EventsOfBothServices) {
  HttpClient watcher(docker_socket());
  watcher.Send("GET /events HTTP/1.1\r\nHost: d\r\n\r\n");
  EXPECT_EQ(watcher.Read(/*head_only=*/true).status, 200);
  Create(R"({"Image":"known"})");
  std::string events;
  while (!absl::StrContains(events, "\"Action\":\"create\"")) {
    const std::string more = watcher.ReadAtLeast(1);
    ASSERT_FALSE(more.empty()) << events;
    events += more;
  }
  EXPECT_EQ(Call("POST", "/images/create?fromImage=remote&tag=latest").status, 200);
  while (!absl::StrContains(events, "\"Action\":\"pull\"")) {
    const std::string more = watcher.ReadAtLeast(1);
    ASSERT_FALSE(more.empty()) << events;
    events += more;
  }
  // A range that has passed ends by itself.
  const auto past = Call(
      "GET", absl::StrFormat("/events?since=1&until=%.6f", absl::ToUnixMicros(absl::Now()) / 1e6));
  EXPECT_EQ(past.status, 200);
  EXPECT_TRUE(absl::StrContains(past.body, "\"Action\":\"create\"")) << past.body;
  EXPECT_TRUE(absl::StrContains(past.body, "\"Action\":\"pull\"")) << past.body;
  EXPECT_EQ(Call("GET", "/events?since=5&until=4").status, 400);
}

TEST_F(DockerApiTest, LargeOutputArrivesWhole) {
  const std::string id = Create(R"({"Image":"known","Cmd":["spew","32"],"Tty":true})");
  HttpClient attached(docker_socket());
  attached.Send(absl::StrCat("POST /containers/", id,
                             "/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n"));
  EXPECT_EQ(attached.Read(/*head_only=*/true).status, 200);
  EXPECT_EQ(Call("POST", absl::StrCat("/containers/", id, "/start")).status, 204);
  EXPECT_EQ(attached.ReadToEnd().size(), size_t{32} << 20);
  EXPECT_EQ(Call("GET", absl::StrCat("/containers/", id, "/logs?stdout=1&follow=1")).body.size(),
            size_t{32} << 20);
}

TEST_F(DockerApiTest, Networks) {
  const json::value networks = json::parse(Call("GET", "/networks").body);
  ASSERT_EQ(networks.as_array().size(), 3u);
  EXPECT_EQ(networks.at(0).at("Name"), "bridge");
  EXPECT_EQ(Call("GET", "/networks/none").status, 200);
  EXPECT_EQ(Call("GET", "/networks/mine").status, 404);
  EXPECT_EQ(Call("POST", "/networks/create", "{}").status, 400);
  EXPECT_EQ(Call("POST", "/networks/create", R"({"Name":"mine"})").status, 201);
  EXPECT_EQ(Call("POST", "/networks/create", R"({"Name":"mine"})").status, 409);
  EXPECT_EQ(Call("POST", "/networks/mine/connect",
                 R"({"Container":"c","EndpointConfig":{"IPAMConfig":{"IPv4Address":"10.0.0.9"}}})")
                .status,
            200);
  const json::value mine = json::parse(Call("GET", "/networks/mine").body);
  EXPECT_EQ(mine.at("Containers").at("c").at("IPv4Address"), "10.0.0.9/24");
  EXPECT_EQ(
      json::parse(Call("GET", R"(/networks?filters={"name":["^min"],"type":["custom"]})").body)
          .as_array()
          .size(),
      1u);
  EXPECT_EQ(Call("GET", R"(/networks?filters={"colour":["red"]})").status, 400);
  EXPECT_EQ(Call("DELETE", "/networks/bridge").status, 403);
  EXPECT_EQ(Call("DELETE", "/networks/mine").status, 204);
  EXPECT_EQ(Call("DELETE", "/networks/mine").status, 404);
}

}  // namespace
}  // namespace slipway::gateway
