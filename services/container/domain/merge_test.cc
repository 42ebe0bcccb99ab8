#include "services/container/domain/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slipway::container {
namespace {

using ::testing::ElementsAre;
using Strings = std::vector<std::string>;

// Dockerfile reference, "Understand how CMD and ENTRYPOINT interact", and `docker run
// --entrypoint`.
TEST(MergeTest, EntrypointAndCommand) {
  const struct {
    const char* what;
    Strings image_entrypoint, image_command;
    std::optional<Strings> entrypoint;
    Strings command;
    Strings expected;  // empty: refused
  } cases[] = {
      {"nothing", {}, {}, {}, {}, {}},
      {"image command", {}, {"sh", "-c"}, {}, {}, {"sh", "-c"}},
      {"image entrypoint", {"e"}, {}, {}, {}, {"e"}},
      {"both of the image", {"e"}, {"c"}, {}, {}, {"e", "c"}},
      {"command replaces the image's", {}, {"c"}, {}, {"d", "1"}, {"d", "1"}},
      {"command goes to the entrypoint", {"e"}, {"c"}, {}, {"d"}, {"e", "d"}},
      {"entrypoint drops the image's command", {"e"}, {"c"}, {{"f"}}, {}, {"f"}},
      {"entrypoint with command", {"e"}, {"c"}, {{"f", "1"}}, {"d"}, {"f", "1", "d"}},
      {"cleared entrypoint with command", {"e"}, {"c"}, {Strings{}}, {"d"}, {"d"}},
      {"cleared entrypoint alone", {"e"}, {"c"}, {Strings{}}, {}, {}},
      {"cleared as the CLI does", {"e"}, {"c"}, {{""}}, {"d"}, {"d"}},
      {"cleared as the CLI does, alone", {"e"}, {"c"}, {{""}}, {}, {}},
  };
  for (const auto& test : cases) {
    ImageConfig image;
    image.entrypoint = test.image_entrypoint;
    image.command = test.image_command;
    ContainerSpec spec;
    spec.entrypoint = test.entrypoint;
    spec.command = test.command;
    const auto merged = MergeConfig(spec, image);
    if (test.expected.empty()) {
      EXPECT_EQ(merged.status(), absl::InvalidArgumentError("no command specified")) << test.what;
      continue;
    }
    ASSERT_TRUE(merged.ok()) << test.what;
    Strings argv = {merged->path};
    argv.insert(argv.end(), merged->args.begin(), merged->args.end());
    EXPECT_EQ(argv, test.expected) << test.what;
  }
}

TEST(MergeTest, EnvironmentByName) {
  ImageConfig image;
  image.command = {"sh"};
  image.env = {"PATH=/bin", "A=image", "GONE=1", "EMPTY="};
  ContainerSpec spec;
  spec.env = {"A=first", "B=2", "A=last", "GONE", "UNKNOWN"};
  EXPECT_THAT(MergeConfig(spec, image)->effective.env,
              ElementsAre("A=last", "B=2", "GONE", "UNKNOWN", "PATH=/bin", "EMPTY="));
}

TEST(MergeTest, EverythingElse) {
  ImageConfig image;
  image.command = {"sh"};
  image.user = "app";
  image.working_directory = "/srv";
  image.stop_signal = "SIGQUIT";
  image.labels = {{"both", "image"}, {"image", "1"}};
  image.exposed_ports = {"80/tcp", "53/udp"};
  image.volumes = {"/data"};
  image.healthcheck = Healthcheck{.test = {"CMD", "true"}, .interval_ns = 5, .retries = 3};
  ContainerSpec spec;
  spec.labels = {{"both", "spec"}};
  spec.exposed_ports = {"80", "443/tcp"};
  spec.volumes = {"/more", "/data"};
  spec.healthcheck = Healthcheck{.interval_ns = 7};
  const ImageConfig merged = MergeConfig(spec, image)->effective;
  EXPECT_EQ(merged.user, "app");
  EXPECT_EQ(merged.working_directory, "/srv");
  EXPECT_EQ(merged.stop_signal, "SIGQUIT");
  EXPECT_EQ(merged.labels, (StringMap{{"both", "spec"}, {"image", "1"}}));
  EXPECT_THAT(merged.exposed_ports, ElementsAre("80/tcp", "443/tcp", "53/udp"));
  EXPECT_THAT(merged.volumes, ElementsAre("/more", "/data"));
  EXPECT_THAT(merged.healthcheck->test, ElementsAre("CMD", "true"));
  EXPECT_EQ(merged.healthcheck->interval_ns, 7);
  EXPECT_EQ(merged.healthcheck->retries, 3);
  spec.user = "0";
  spec.working_directory = "/";
  spec.stop_signal = "9";
  const ImageConfig other = MergeConfig(spec, image)->effective;
  EXPECT_EQ(other.user, "0");
  EXPECT_EQ(other.working_directory, "/");
  EXPECT_EQ(other.stop_signal, "9");
}

TEST(MergeTest, ProcessEnvironmentHasDefaults) {
  EXPECT_THAT(ProcessEnv({"A=1"}, "host", true),
              ElementsAre("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                          "HOSTNAME=host", "TERM=xterm", "A=1"));
  EXPECT_THAT(ProcessEnv({"PATH=/x", "TERM=vt100"}, "h", true),
              ElementsAre("HOSTNAME=h", "PATH=/x", "TERM=vt100"));
  EXPECT_THAT(ProcessEnv({"PATH=/x", "GONE"}, "h", false), ElementsAre("HOSTNAME=h", "PATH=/x"));
}

}  // namespace
}  // namespace slipway::container
