#include "gateway/docker/commit_config.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace slipway::gateway {
namespace {

using slipway::image::v1::ImageConfig;

ImageConfig Container() {
  ImageConfig config;
  config.add_env("A=container");
  config.add_env("B=container");
  config.add_command("sleep");
  config.set_working_directory("/srv");
  (*config.mutable_labels())["l"] = "container";
  return config;
}

TEST(CommitConfigTest, WhatCannotBeReadIsRefused) {
  EXPECT_FALSE(CommitConfig(boost::json::parse("[]"), {}, Container()).ok());
  EXPECT_FALSE(CommitConfig(boost::json::parse(R"({"Env":7})"), {}, Container()).ok());
  EXPECT_FALSE(CommitConfig(nullptr, {"RUN true"}, Container()).ok());
  EXPECT_FALSE(CommitConfig(nullptr, {"ENV"}, Container()).ok());
}

TEST(CommitConfigTest, WithoutABodyTheContainers) {
  const auto config = CommitConfig(nullptr, {"ENV A=new", "CMD [\"true\"]"}, Container());
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->env(0), "A=new");
  EXPECT_EQ(config->env(1), "B=container");
  EXPECT_EQ(config->command(0), "true");
  EXPECT_EQ(config->working_directory(), "/srv");
}

TEST(CommitConfigTest, ABodyIsFilledUp) {
  const auto config =
      CommitConfig(boost::json::parse(R"({"Env":["A=body"],"Labels":{"m":"body"},"User":"u"})"), {},
                   Container());
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->env_size(), 2);
  EXPECT_EQ(config->env(0), "A=body");
  EXPECT_EQ(config->env(1), "B=container");
  EXPECT_EQ(config->labels().size(), 2u);
  EXPECT_EQ(config->command(0), "sleep");
  EXPECT_EQ(config->user(), "u");
}

}  // namespace
}  // namespace slipway::gateway
