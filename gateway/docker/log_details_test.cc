#include "gateway/docker/log_details.h"

#include <gtest/gtest.h>

namespace slipway::gateway {
namespace {

TEST(LogDetailsTest, WhatTheOptionsNameInTheOrderOfKeys) {
  slipway::container::v1::Container container;
  EXPECT_EQ(LogDetails(container), " ");
  container.set_id(std::string(64, 'a'));
  container.set_name("web");
  auto& options = *container.mutable_spec()->mutable_log()->mutable_options();
  (*container.mutable_effective_config()->mutable_labels())["zone"] = "a b&c";
  (*container.mutable_effective_config()->mutable_labels())["other"] = "x";
  container.mutable_effective_config()->add_env("LEVEL=3=4");
  container.mutable_effective_config()->add_env("PATH=/bin");
  EXPECT_EQ(LogDetails(container), " ");
  options["labels"] = "zone,none";
  options["env"] = "LEVEL";
  EXPECT_EQ(LogDetails(container), "LEVEL=3%3D4,zone=a+b%26c ");
  options["labels-regex"] = "^o";
  options["env-regex"] = "(";
  options["tag"] = "{{.Name}}/{{.ID}}";
  EXPECT_EQ(LogDetails(container), "LEVEL=3%3D4,other=x,tag=web%2Faaaaaaaaaaaa,zone=a+b%26c ");
}

}  // namespace
}  // namespace slipway::gateway
