#include "cli/run_options.h"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

TEST(ParseBytesTest, UnitsAndRefusals) {
  EXPECT_EQ(ParseBytes("64m").value(), 64 << 20);
  EXPECT_EQ(ParseBytes("1.5G").value(), int64_t{3} << 29);
  EXPECT_EQ(ParseBytes("10kb").value(), 10240);
  EXPECT_EQ(ParseBytes("7").value(), 7);
  for (const char* bad : {"", "m", "-1", "x", "1x", "nan"})
    EXPECT_FALSE(ParseBytes(bad).ok()) << bad;
}

TEST(ParsePortTest, Forms) {
  container::v1::Network network;
  ASSERT_TRUE(ParsePort("80", network).ok());
  ASSERT_TRUE(ParsePort("8080:80", network).ok());
  ASSERT_TRUE(ParsePort("127.0.0.1:53:53/udp", network).ok());
  ASSERT_TRUE(ParsePort("7000-7001:80-81", network).ok());
  ASSERT_EQ(network.ports_size(), 5);
  EXPECT_EQ(network.ports(0).host_port(), 0u);
  EXPECT_EQ(network.ports(1).host_port(), 8080u);
  EXPECT_EQ(network.ports(2).host_address(), "127.0.0.1");
  EXPECT_EQ(network.ports(2).protocol(), "udp");
  EXPECT_EQ(network.ports(4).host_port(), 7001u);
  EXPECT_EQ(network.ports(4).container_port(), 81u);
}

TEST(ParsePortTest, Refusals) {
  container::v1::Network network;
  for (const char* bad : {"", "x", "0", "65536", "80/icmp", "1-2:3", "9-8", ":", "a:b"}) {
    EXPECT_FALSE(ParsePort(bad, network).ok()) << bad;
  }
}

TEST(ParseVolumeTest, FormsAndRefusals) {
  container::v1::ContainerSpec spec;
  ASSERT_TRUE(ParseVolume("/a:/b:ro", spec).ok());
  ASSERT_TRUE(ParseVolume("named:/b", spec).ok());
  ASSERT_TRUE(ParseVolume("/anonymous", spec).ok());
  EXPECT_EQ(spec.mounts(0).type(), container::v1::Mount::TYPE_BIND);
  EXPECT_TRUE(spec.mounts(0).read_only());
  EXPECT_EQ(spec.mounts(1).type(), container::v1::Mount::TYPE_VOLUME);
  EXPECT_EQ(spec.volumes(0), "/anonymous");
  for (const char* bad : {":/b", "/a:", "/a:b", "/a:/b:xx", "/a:/b:ro:z"}) {
    EXPECT_FALSE(ParseVolume(bad, spec).ok()) << bad;
  }
}

TEST(ToSpecTest, RestartPolicy) {
  RunOptions options;
  options.rest = {"x"};
  options.restart = "on-failure:3";
  EXPECT_EQ(ToSpec(options)->restart_policy().maximum_retries(), 3);
  for (const char* bad : {"sometimes", "always:3", "on-failure:x"}) {
    options.restart = bad;
    EXPECT_FALSE(ToSpec(options).ok()) << bad;
  }
}

// What follows the image is the command's, whatever it looks like.
TEST(RunOptionsTest, OptionsAfterTheImageBelongToTheCommand) {
  CLI::App app;
  CLI::App* run = app.add_subcommand("run", "");
  RunOptions options;
  options.AddTo(*run);
  const char* words[] = {"slipway", "run", "--rm", "-e",     "A=b",
                         "busybox", "sh",  "-c",   "--rm x", "-e"};
  app.parse(10, const_cast<char**>(words));
  EXPECT_TRUE(options.remove);
  EXPECT_EQ(options.env, std::vector<std::string>{"A=b"});
  EXPECT_EQ(options.rest, (std::vector<std::string>{"busybox", "sh", "-c", "--rm x", "-e"}));
}

TEST(RunOptionsTest, UnknownOptionIsNamed) {
  CLI::App app;
  RunOptions options;
  options.AddTo(app);
  const char* words[] = {"run", "--frobnicate", "busybox"};
  app.parse(3, const_cast<char**>(words));
  EXPECT_EQ(ToSpec(options).status().message(), "unknown option --frobnicate, see --help");
}

TEST(RunOptionsTest, MissingImageIsToldOf) {
  EXPECT_EQ(ToSpec(RunOptions{}).status().message(), "the image is missing, see --help");
}

}  // namespace
}  // namespace slipway::cli
