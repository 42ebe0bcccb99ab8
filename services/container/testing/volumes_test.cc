#include "services/container/domain/volumes.h"

#include <gmock/gmock.h>

#include "services/container/testing/world.h"

namespace slipway::container {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using ::testing::SizeIs;

std::vector<std::string> Names(World& world, const VolumeQuery& query = {}) {
  std::vector<std::string> names;
  for (const UsedVolume& used : ListVolumes(world.core(), query))
    names.push_back(used.volume->name);
  return names;
}

ContainerSpec With(std::vector<Mount> mounts) {
  ContainerSpec spec = World::Spec();
  spec.mounts = std::move(mounts);
  return spec;
}

Mount Named(const std::string& name, const std::string& target = "/data") {
  return {.type = Mount::Type::kVolume, .source = name, .target = target};
}

TEST(VolumesTest, WhatCannotBeIsRefusedAndLeavesNothing) {
  World world;
  EXPECT_TRUE(absl::IsInvalidArgument(world.CreateVolume({.name = "../x"}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      world.CreateVolume({.name = "data", .options = {{"foo", "1"}}}).status()));
  const absl::Status driver = world.CreateVolume({.name = "data", .driver = "nfs"}).status();
  EXPECT_TRUE(absl::IsNotFound(driver));
  EXPECT_THAT(driver.message(), HasSubstr("plugin \"nfs\" not found"));
  world.agent.volume_error = absl::InvalidArgumentError("no such file system");
  EXPECT_THAT(world.CreateVolume({.name = "data"}).status().message(),
              HasSubstr("create data: no such file system"));
  EXPECT_THAT(Names(world), IsEmpty());
  world.Down();
  world.agent.volume_error = absl::OkStatus();
  world.Up();
  EXPECT_THAT(Names(world), IsEmpty());
  EXPECT_TRUE(absl::IsNotFound(world.RemoveVolume("data")));
  EXPECT_TRUE(world.RemoveVolume("data", /*force=*/true).ok());
}

TEST(VolumesTest, AVolumeSurvivesAndIsMadeOnce) {
  World world;
  const auto made =
      world.CreateVolume({.name = "data", .labels = {{"a", "b"}}, .options = {{"size", "16m"}}});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(world.agent.volumes.at("data").size_bytes, 16 << 20);
  EXPECT_THAT(world.Actions("data"), ElementsAre("create"));
  ASSERT_TRUE(world.CreateVolume({.name = "data"}).ok());
  world.Down();
  world.Up();
  const auto found = GetVolume(world.core(), "data");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->volume->labels, (StringMap{{"a", "b"}}));
  EXPECT_THAT(world.Actions("data"), ElementsAre("create"));
}

TEST(VolumesTest, OneInUseStays) {
  World world;
  const std::string id = world.Make("web", With({Named("data")}));
  const absl::Status refused = world.RemoveVolume("data");
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_EQ(refused.message(), "remove data: volume is in use - [" + id + "]");
  world.Down();
  world.Up();
  EXPECT_TRUE(absl::IsFailedPrecondition(world.RemoveVolume("data")));
  EXPECT_THAT(world.PruneVolumes({.all = true})->names, IsEmpty());
  ASSERT_TRUE(world.Remove("web").ok());
  ASSERT_TRUE(world.RemoveVolume("data").ok());
  EXPECT_THAT(world.agent.volumes, IsEmpty());
  EXPECT_THAT(world.Actions("data"), ElementsAre("create", "destroy"));
}

TEST(VolumesTest, AnonymousOnesGoWithTheLastContainerThatIsRemovedWithItsVolumes) {
  World world;
  ContainerSpec spec = With({Named("data")});
  spec.volumes = {"/anonymous"};
  world.Make("first", spec);
  ContainerSpec other = World::Spec();
  other.volumes_from = {"first"};
  world.Make("second", other);
  EXPECT_THAT(Names(world), SizeIs(2));
  ASSERT_TRUE(world.RemoveWithVolumes("first").ok());
  EXPECT_THAT(Names(world), SizeIs(2));
  ASSERT_TRUE(world.RemoveWithVolumes("second").ok());
  EXPECT_THAT(Names(world), ElementsAre("data"));
  world.Make("third", spec);
  ASSERT_TRUE(world.Remove("third").ok());
  EXPECT_THAT(Names(world, {.dangling = true}), SizeIs(2));
}

TEST(VolumesTest, PruneTakesAnonymousOnesUnlessAllAreMeant) {
  World world;
  ASSERT_TRUE(world.CreateVolume({.name = "kept", .labels = {{"keep", "1"}}}).ok());
  ASSERT_TRUE(world.CreateVolume({.name = "named"}).ok());
  const auto anonymous = world.CreateVolume({});
  ASSERT_TRUE(anonymous.ok());
  EXPECT_THAT(anonymous->volume->labels, Contains(Key("com.docker.volume.anonymous")));
  const auto pruned = world.PruneVolumes({});
  EXPECT_THAT(pruned->names, ElementsAre(anonymous->volume->name));
  EXPECT_EQ(pruned->freed_bytes, 10);
  EXPECT_THAT(world.PruneVolumes({.all = true, .not_labels = {"keep"}})->names,
              ElementsAre("named"));
  EXPECT_THAT(Names(world), ElementsAre("kept"));
}

TEST(VolumesTest, Filters) {
  World world;
  ASSERT_TRUE(world.CreateVolume({.name = "data1", .labels = {{"a", "1"}}}).ok());
  ASSERT_TRUE(world.CreateVolume({.name = "data2", .labels = {{"a", "2"}}}).ok());
  world.Make("web", With({Named("data2")}));
  EXPECT_THAT(Names(world, {.names = {"a1"}}), ElementsAre("data1"));
  EXPECT_THAT(Names(world, {.names = {"^data.$"}}), ElementsAre("data1", "data2"));
  EXPECT_THAT(Names(world, {.names = {"["}}), IsEmpty());
  EXPECT_THAT(Names(world, {.labels = {"a=2"}}), ElementsAre("data2"));
  EXPECT_THAT(Names(world, {.not_labels = {"a=2"}}), ElementsAre("data1"));
  EXPECT_THAT(Names(world, {.dangling = true}), ElementsAre("data1"));
  EXPECT_THAT(Names(world, {.dangling = false}), ElementsAre("data2"));
}

TEST(VolumesTest, ACreateThatFailsLeavesNoVolume) {
  World world;
  ASSERT_TRUE(world.CreateVolume({.name = "old"}).ok());
  world.agent.prepare_error = absl::InvalidArgumentError("unable to find user");
  ContainerSpec spec = With({Named("old"), Named("new", "/new")});
  spec.volumes = {"/anonymous"};
  EXPECT_FALSE(world.Create("web", spec).ok());
  EXPECT_THAT(Names(world), ElementsAre("old"));
  EXPECT_THAT(GetVolume(world.core(), "old")->users, IsEmpty());
}

TEST(VolumesTest, DirectoriesWithoutARecordAreTakenOver) {
  World world;
  world.Down();
  const std::string made_up(64, 'a');
  world.agent.volumes = {{"old", {}}, {made_up, {}}, {"not a name", {}}};
  world.Up();
  EXPECT_THAT(Names(world), ElementsAre(made_up, "old"));
  EXPECT_TRUE(GetVolume(world.core(), made_up)->volume->anonymous);
  world.Down();
  world.Up();
  EXPECT_THAT(Names(world), SizeIs(2));
}

TEST(VolumesTest, AHostThatLostAVolumeMakesItAgain) {
  World world;
  ASSERT_TRUE(world.CreateVolume({.name = "data", .options = {{"size", "16m"}}}).ok());
  world.Down();
  world.agent.volumes.clear();
  world.Up();
  EXPECT_EQ(world.agent.volumes.at("data").size_bytes, 16 << 20);
}

TEST(VolumesTest, ARemovalThatWasNotAnsweredIsFinished) {
  World world;
  ASSERT_TRUE(world.CreateVolume({.name = "data"}).ok());
  world.agent.SetDown(true);
  EXPECT_FALSE(world.RemoveVolume("data").ok());
  world.Down();
  world.agent.SetDown(false);
  world.Up();
  EXPECT_THAT(Names(world), IsEmpty());
  EXPECT_THAT(world.agent.volumes, Not(Contains(Key("data"))));
}

TEST(VolumesTest, RunsMountTheirVolumes) {
  World world;
  const std::string id = world.Run("web", With({Named("data")}));
  world.agent.Exit(id, 0);
  ASSERT_TRUE(world.Reaches(id, State::kExited));
  EXPECT_THAT(world.Actions("data"), ElementsAre("create", "mount", "unmount"));
}

}  // namespace
}  // namespace slipway::container
