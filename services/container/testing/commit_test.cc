#include <gmock/gmock.h>

#include "services/container/testing/world.h"

namespace slipway::container {
namespace {

using ::testing::ElementsAre;

TEST(CommitTest, WhatIsNotThereOrCannotBeRead) {
  World world;
  EXPECT_EQ(world.Commit({.reference = "nope"}).status(),
            absl::NotFoundError("No such container: nope"));
  const std::string id = world.Make("web");
  world.agent.export_error = absl::DataLossError("the disk is broken");
  EXPECT_EQ(world.Commit({.reference = id}).status(), world.agent.export_error);
  EXPECT_TRUE(world.images.committed.empty());
  world.agent.SetDown(true);
  EXPECT_TRUE(absl::IsUnavailable(world.Commit({.reference = id}).status()));
  world.agent.SetDown(false);
}

TEST(CommitTest, TheContainersConfigurationUnlessAnotherIsGiven) {
  World world;
  const std::string id = world.Make("web");
  ASSERT_TRUE(
      world
          .Commit(
              {.reference = "web", .image_reference = "made:1", .author = "me", .message = "why"})
          .ok());
  ImageConfig other;
  other.command = {"other"};
  ASSERT_TRUE(world.Commit({.reference = id, .config = other}).ok());
  const NewImage& first = world.images.committed.at(0);
  EXPECT_EQ(first.parent, world.images.image.id);
  EXPECT_EQ(first.reference, "made:1");
  EXPECT_EQ(first.author, "me");
  EXPECT_EQ(first.message, "why");
  EXPECT_EQ(first.container_id, id);
  EXPECT_EQ(first.config.command, world.Get(id)->definition->effective.command);
  EXPECT_THAT(world.images.committed.at(1).config.command, ElementsAre("other"));
  EXPECT_EQ(world.images.layers.at(0), "tar of changes");
  EXPECT_THAT(world.Actions(id), ElementsAre("create", "commit", "commit"));
}

TEST(CommitTest, PausedWhileItIsRead) {
  World world;
  const std::string id = world.Run("web");
  ASSERT_TRUE(world.Commit({.reference = id, .pause = true}).ok());
  EXPECT_TRUE(world.agent.paused_at_export);
  EXPECT_FALSE(world.agent.Get(id).paused);
  ASSERT_TRUE(world.Commit({.reference = id}).ok());
  EXPECT_FALSE(world.agent.paused_at_export);
  world.agent.export_error = absl::DataLossError("the disk is broken");
  EXPECT_FALSE(world.Commit({.reference = id, .pause = true}).ok());
  EXPECT_FALSE(world.agent.Get(id).paused);
}

}  // namespace
}  // namespace slipway::container
