#include "gateway/buildkit/build_attributes.h"

#include "gtest/gtest.h"

namespace slipway::gateway {
namespace {

TEST(BuildAttributesTest, WhatBuildxSays) {
  const auto read = ReadBuildAttributes({{"filename", "in/Dockerfile"},
                                         {"target", "t"},
                                         {"build-arg:A", "1=2"},
                                         {"label:l", "m"},
                                         {"platform", "linux/amd64"},
                                         {"no-cache", ""},
                                         {"image-resolve-mode", "pull"},
                                         {"force-network-mode", "none"},
                                         {"add-hosts", "a=1.2.3.4,b=::1"},
                                         {"shm-size", "1024"},
                                         {"ulimit", "nofile=1:2,nproc=3"},
                                         {"cgroup-parent", "p"},
                                         {"vcs:revision", "abc"}});
  ASSERT_TRUE(read.ok()) << read.status();
  const auto& options = read->options;
  EXPECT_EQ(options.dockerfile(), "in/Dockerfile");
  EXPECT_EQ(options.target_stage(), "t");
  EXPECT_EQ(options.build_args().at("A"), "1=2");
  EXPECT_EQ(options.labels(0).value(), "m");
  EXPECT_EQ(options.platform().architecture(), "amd64");
  EXPECT_TRUE(options.no_cache());
  EXPECT_TRUE(options.pull());
  EXPECT_EQ(options.network_mode(), "none");
  EXPECT_EQ(options.extra_hosts(1), "b:::1");
  EXPECT_EQ(options.shm_size_bytes(), 1024);
  EXPECT_EQ(options.ulimits(0).hard(), 2);
  EXPECT_EQ(options.ulimits(1).hard(), 3);
  EXPECT_EQ(options.resources().cgroup_parent(), "p");
  EXPECT_TRUE(read->context.empty());
  EXPECT_TRUE(read->dockerfile_of_session);
}

TEST(BuildAttributesTest, WhereContextAndDockerfileAre) {
  auto read = ReadBuildAttributes({{"context", "https://there/x.git"}});
  ASSERT_TRUE(read.ok());
  EXPECT_FALSE(read->dockerfile_of_session);
  read = ReadBuildAttributes({{"context", "https://there/x.git"}, {"dockerfilekey", "dockerfile"}});
  EXPECT_TRUE(read->dockerfile_of_session);
}

TEST(BuildAttributesTest, ImagesByOtherNames) {
  const auto read = ReadBuildAttributes({{"context:alpine:3", "docker-image://host:1/base:1"}});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->options.named_images().at("alpine:3"), "host:1/base:1");
}

TEST(BuildAttributesTest, WhatIsNotOfferedIsNamed) {
  for (const auto& [key, value] :
       std::map<std::string, std::string>{{"platform", "linux/amd64,linux/arm64"},
                                          {"context:other", "local:other"},
                                          {"requestid", "frontend.lint"}}) {
    EXPECT_TRUE(absl::IsUnimplemented(ReadBuildAttributes({{key, value}}).status())) << key;
  }
  for (const auto& [key, value] : std::map<std::string, std::string>{{"shm-size", "many"},
                                                                     {"add-hosts", "x"},
                                                                     {"ulimit", "nofile"},
                                                                     {"ulimit", "nofile=1:2:3"}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ReadBuildAttributes({{key, value}}).status())) << value;
  }
  BuildKitBuild build;
  EXPECT_TRUE(ReadExporter("moby", {{"name", "a,b:1"}}, build).ok());
  EXPECT_EQ(build.options.tags_size(), 2);
  EXPECT_EQ(build.output, "moby");
  EXPECT_TRUE(ReadExporter("tar", {}, build).ok());
  EXPECT_TRUE(ReadExporter("local", {}, build).ok());
  EXPECT_EQ(build.output, "local");
  EXPECT_TRUE(absl::IsUnimplemented(ReadExporter("docker", {{"dest", "x"}}, build)));
}

}  // namespace
}  // namespace slipway::gateway
