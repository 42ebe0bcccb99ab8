#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gateway/testing/gateway_fixture.h"

namespace slipway::gateway {
namespace {

// The stock client, as Debian has it and a newer one where there is one.
class DockerCliTest : public GatewayTest {
 protected:
  struct Result {
    int exit_code = -1;
    std::string output;  // stdout, then stderr
  };

  void SetUp() override {
    GatewayTest::SetUp();
    for (const char* path : {"/usr/bin/docker", "/usr/local/bin/docker"}) {
      if (access(path, X_OK) == 0) clients_.emplace_back(path);
    }
    ASSERT_FALSE(clients_.empty()) << "package docker.io is missing";
  }

  Result Run(const std::string& client, const std::string& arguments) {
    const std::string command =
        absl::StrCat("DOCKER_HOST=unix://", docker_socket(), " DOCKER_CONFIG=", directory_,
                     "/config timeout 20 ", client, " ", arguments, " 2>", directory_,
                     "/err; r=$?; cat ", directory_, "/err; exit $r");
    FILE* pipe = popen(command.c_str(), "r");
    Result result;
    char piece[4096];
    size_t count = 0;
    while ((count = fread(piece, 1, sizeof(piece), pipe)) > 0) result.output.append(piece, count);
    const int status = pclose(pipe);
    result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return result;
  }

  std::vector<std::string> clients_;
};

TEST_F(DockerCliTest, Run) {
  for (const std::string& client : clients_) {
    const Result echo = Run(client, "run --rm known echo hello");
    EXPECT_EQ(echo.exit_code, 0) << client << echo.output;
    EXPECT_EQ(echo.output, "hello\n") << client;
    const Result cat = Run(client, "run -i --rm known cat </proc/version");
    EXPECT_EQ(cat.exit_code, 0) << client << cat.output;
    EXPECT_TRUE(absl::StartsWith(cat.output, "Linux version")) << client << cat.output;
    const Result fail = Run(client, "run known fail 7");
    EXPECT_EQ(fail.exit_code, 7) << client;
    EXPECT_EQ(fail.output, "failing\n") << client;
    const Result missing = Run(client, "run known missing");
    EXPECT_EQ(missing.exit_code, 127) << client << missing.output;
    const Result pulled = Run(client, "run remote echo pulled");
    EXPECT_EQ(pulled.exit_code, 0) << client << pulled.output;
    EXPECT_TRUE(absl::StrContains(pulled.output, "pulled\n")) << pulled.output;
    const Result nobody = Run(client, "run nobody true");
    EXPECT_EQ(nobody.exit_code, 125) << client << nobody.output;
  }
}

TEST_F(DockerCliTest, DetachedLife) {
  for (const std::string& client : clients_) {
    EXPECT_EQ(Run(client, "run -d --name web -p 8080:80 -v /a:/b -m 64m known sleep").exit_code, 0);
    const Result listed = Run(client, "ps");
    EXPECT_TRUE(absl::StrContains(listed.output, "Up ")) << listed.output;
    EXPECT_TRUE(absl::StrContains(listed.output, "web")) << listed.output;
    const Result format = Run(client, "inspect -f '{{.State.Running}} {{.HostConfig.Memory}}' web");
    EXPECT_EQ(format.output, "true 67108864\n");
    const Result exec = Run(client, "exec web echo inside");
    EXPECT_EQ(exec.output, "inside\n") << client;
    EXPECT_EQ(exec.exit_code, 0);
    EXPECT_EQ(Run(client, "exec web fail 3").exit_code, 3);
    const Result missing = Run(client, "exec web missing");
    EXPECT_EQ(missing.exit_code, 127) << missing.output;
    EXPECT_EQ(Run(client, "exec -i web cat </etc/hostname").exit_code, 0);
    EXPECT_EQ(Run(client, "stop web").exit_code, 0);
    EXPECT_EQ(Run(client, "wait web").output, "143\n");
    EXPECT_EQ(Run(client, "rename web old").exit_code, 0);
    EXPECT_EQ(Run(client, "rm old").exit_code, 0);
    EXPECT_EQ(Run(client, "inspect old").exit_code, 1);
  }
}

TEST_F(DockerCliTest, TheRest) {
  for (const std::string& client : clients_) {
    for (const char* arguments :
         {"version", "info", "ps -a", "images", "network ls", "network inspect bridge",
          "history known", "image inspect known", "tag known other", "pull remote:latest",
          "events --since 1 --until 2", "rmi known"}) {
      const Result result = Run(client, arguments);
      EXPECT_EQ(result.exit_code, 0) << client << " " << arguments << ": " << result.output;
    }
    const Result denied = Run(client, "node ls");
    EXPECT_TRUE(absl::StrContains(denied.output, "not supported")) << denied.output;
    const Result device = Run(client, "run --device /dev/null known true");
    EXPECT_EQ(device.exit_code, 125);
    EXPECT_TRUE(absl::StrContains(device.output, "HostConfig.Devices")) << device.output;
  }
}

TEST_F(DockerCliTest, LogsOfBothStreams) {
  for (const std::string& client : clients_) {
    EXPECT_EQ(Run(client, "run --name chatty known fail 1").exit_code, 1);
    EXPECT_EQ(Run(client, "logs chatty").output, "failing\n") << client;
    EXPECT_TRUE(absl::StrContains(Run(client, "logs -t chatty").output, "Z failing\n"));
    EXPECT_EQ(Run(client, "logs -f chatty").output, "failing\n") << client;
    EXPECT_EQ(Run(client, "rm -f chatty").exit_code, 0);
  }
}

}  // namespace
}  // namespace slipway::gateway
