#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>

#include "services/container/testing/world.h"

namespace slipway::container {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

int CountOf(const std::vector<std::string>& actions, const std::string& action) {
  return static_cast<int>(std::count(actions.begin(), actions.end(), action));
}

TEST(RecoveryTest, EverythingIsThereAgain) {
  World world;
  ContainerSpec spec = World::Spec();
  spec.labels = {{"a", "b"}};
  spec.env = {"X=1"};
  spec.client_data = std::string("\0\1", 2);
  spec.network.ports = {{80, "tcp", "", 8080}};
  const std::string id = world.Run("web", spec);
  const ContainerPtr before = world.Get(id);
  world.Down();
  world.Up();
  const ContainerPtr after = world.Get("web");
  ASSERT_NE(after, nullptr);
  EXPECT_EQ(after->state, State::kRunning);
  EXPECT_EQ(after->pid, before->pid);
  EXPECT_EQ(after->definition->spec.labels, spec.labels);
  EXPECT_EQ(after->definition->spec.client_data, spec.client_data);
  EXPECT_EQ(after->definition->effective.env, before->definition->effective.env);
  EXPECT_EQ(after->definition->spec.network.ports[0].host_port, 8080u);
  EXPECT_THAT(world.Actions(id), ElementsAre("create", "start"));
  EXPECT_EQ(world.agent.starts, 1);
}

TEST(RecoveryTest, AnExitWhileNobodyLookedIsRecordedOnce) {
  World world;
  const std::string id = world.Run("web");
  world.Down();
  world.agent.Exit(id, 42);
  const int64_t finished = world.agent.Get(id).finished_unix_ns;
  world.Up();
  ASSERT_TRUE(world.Reaches(id, State::kExited));
  EXPECT_EQ(world.Get(id)->exit_code, 42);
  EXPECT_EQ(world.Get(id)->finished_unix_ns, finished);
  world.Down();
  world.Up();
  world.agent.BreakWatch();
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_THAT(world.Actions(id), ElementsAre("create", "start", "die"));
}

// Not what was asked for is kept, but how it ended.
TEST(RecoveryTest, AnExecThatWasStartedBeforeCanBeAskedAfter) {
  World world;
  const std::string id = world.Run("web");
  const std::string exec = CreateExec(world.core(), id, {.command = {"true"}}).value();
  ASSERT_TRUE(world.StartExec(exec).ok());
  world.Down();
  world.Up();
  EXPECT_EQ(world.GetExec(exec)->phase, ExecRecord::Phase::kRunning);
  EXPECT_EQ(world.GetExec(exec)->container_id, id);
  world.agent.ExitExec(exec, id, 9);
  EXPECT_EQ(world.GetExec(exec)->phase, ExecRecord::Phase::kEnded);
  EXPECT_EQ(world.GetExec(exec)->exit_code, 9);
  EXPECT_TRUE(absl::IsNotFound(world.GetExec("unheard-of").status()));
}

TEST(RecoveryTest, EventsThatAreNotKeptAreReplacedByTheList) {
  World world;
  const std::string id = world.Run("web");
  const std::string other = world.Run("other");
  world.agent.SetDown(true);
  EXPECT_TRUE(absl::IsUnavailable(world.Kill(other)));
  world.agent.Exit(id, 5);
  world.agent.ForgetEvents();
  world.agent.SetDown(false);
  ASSERT_TRUE(world.Reaches(id, State::kExited));
  EXPECT_EQ(world.Get(id)->exit_code, 5);
  world.agent.Exit(other, 6);
  ASSERT_TRUE(world.Reaches(other, State::kExited));
  EXPECT_EQ(CountOf(world.Actions(id), "die"), 1);
}

TEST(RecoveryTest, AStartThatWasBegunIsFinished) {
  World world;
  const std::string id = world.Make("web");
  world.agent.SetDown(true);
  EXPECT_TRUE(absl::IsUnavailable(world.Start(id).status()));
  EXPECT_EQ(world.Get(id)->state, State::kStarting);
  world.Down();
  world.agent.SetDown(false);
  world.Up();
  ASSERT_TRUE(world.Reaches(id, State::kRunning));
  EXPECT_EQ(world.Get(id)->error, "");
}

TEST(RecoveryTest, AStopThatWasBegunIsFinished) {
  World world;
  world.agent.ignore_term = true;
  const std::string id = world.Run("web");
  StopContainer(world.core(), {.reference = id, .timeout_seconds = 30},
                [](absl::StatusOr<bool>) {});
  ASSERT_TRUE(world.Reaches(id, State::kStopping));
  world.Down();
  world.Up();
  EXPECT_EQ(world.Get(id)->state, State::kStopping);
  ASSERT_TRUE(World::Eventually([&] { return world.clock.Next() > absl::ZeroDuration(); }));
  world.clock.Advance(absl::Seconds(31));
  ASSERT_TRUE(world.Reaches(id, State::kExited));
  EXPECT_EQ(world.Get(id)->exit_code, 137);
}

TEST(RecoveryTest, ARemovalThatWasBegunIsFinished) {
  World world;
  const std::string id = world.Make("web");
  world.agent.remove_error = absl::UnavailableError("gone away");
  EXPECT_TRUE(absl::IsUnavailable(world.Remove(id)));
  EXPECT_EQ(world.Get(id)->state, State::kRemoving);
  EXPECT_THAT(std::string(world.Start(id).status().message()), HasSubstr("marked for removal"));
  world.Down();
  world.agent.remove_error = absl::OkStatus();
  world.Up();
  EXPECT_TRUE(World::Eventually([&] { return world.Get(id) == nullptr; }));
  EXPECT_EQ(world.agent.count(), 0u);
  EXPECT_EQ(world.images.owner_count(), 0u);
}

TEST(RecoveryTest, AnAutomaticRemovalHappensAfterTheService) {
  World world;
  ContainerSpec spec = World::Spec();
  spec.auto_remove = true;
  const std::string id = world.Run("web", spec);
  world.Down();
  world.agent.Exit(id, 0);
  world.Up();
  EXPECT_TRUE(World::Eventually([&] { return world.Get(id) == nullptr; }));
  EXPECT_EQ(world.agent.count(), 0u);
}

TEST(RecoveryTest, ACreateThatCouldNotBeUndoneIsUndoneLater) {
  World world;
  world.agent.prepare_error = absl::UnavailableError("lost");
  world.agent.remove_error = absl::UnavailableError("lost");
  EXPECT_TRUE(absl::IsUnavailable(world.Create("web").status()));
  EXPECT_EQ(world.images.owner_count(), 1u);
  ASSERT_EQ(world.core().intents().size(), 1u);
  // The agent had done it after all.
  world.agent.AddStranger(world.core().intents()[0], Actual::Status::kPrepared);
  world.Down();
  world.agent.prepare_error = world.agent.remove_error = absl::OkStatus();
  world.Up();
  EXPECT_TRUE(World::Eventually([&] { return world.core().intents().empty(); }));
  EXPECT_EQ(world.core().table().size(), 0u);
  EXPECT_EQ(world.agent.count(), 0u);
  EXPECT_EQ(world.images.owner_count(), 0u);
}

TEST(RecoveryTest, StrangersThatRunAreLeftAlone) {
  World world;
  world.Down();
  const std::string running(64, 'a');
  const std::string prepared(64, 'b');
  world.agent.AddStranger(running, Actual::Status::kRunning);
  world.agent.AddStranger(prepared, Actual::Status::kPrepared);
  world.images.Acquire("busybox", std::string(64, 'c')).status().IgnoreError();
  world.images.Acquire("busybox", "builder").status().IgnoreError();
  world.Up();
  EXPECT_TRUE(world.agent.Has(running));
  EXPECT_FALSE(world.agent.Has(prepared));
  EXPECT_TRUE(World::Eventually([&] { return world.images.owner_count() == 1; }));
}

TEST(RecoveryTest, WhatTheHostForgotIsDeadAndCanBeRemoved) {
  World world;
  const std::string id = world.Run("web");
  world.Down();
  world.agent.Forget(id);
  world.Up();
  ASSERT_TRUE(world.Reaches(id, State::kDead));
  EXPECT_EQ(world.Get(id)->exit_code, 255);
  EXPECT_FALSE(world.Start(id).ok());
  EXPECT_TRUE(world.Remove(id).ok());
}

TEST(RecoveryTest, WhatAPowerCutTookFromTheHostIsPreparedAgain) {
  World world;
  const std::string id = world.Make("web");
  world.Down();
  world.agent.Forget(id);
  world.Up();
  ASSERT_TRUE(World::Eventually([&] { return world.agent.Has(id); }));
  EXPECT_EQ(world.Get(id)->state, State::kCreated);
  EXPECT_TRUE(world.Start(id).ok());
}

TEST(RecoveryTest, ImagesAreHeldAgain) {
  World world;
  const std::string id = world.Run("web");
  world.Down();
  ASSERT_TRUE(world.images.Release(id).ok());
  world.Up();
  EXPECT_TRUE(World::Eventually([&] { return world.images.owner_count() == 1; }));
}

TEST(RecoveryTest, AFailedCreateLeavesNoRecord) {
  World world;
  world.agent.prepare_error = absl::InvalidArgumentError("no such user");
  EXPECT_FALSE(world.Create("web").ok());
  world.Down();
  world.agent.prepare_error = absl::OkStatus();
  world.Up();
  EXPECT_EQ(world.core().table().size(), 0u);
  EXPECT_TRUE(world.core().intents().empty());
}

TEST(RecoveryTest, AfterAHostRestartPoliciesBringContainersBack) {
  World world;
  ContainerSpec always = World::Spec();
  always.restart_policy.mode = RestartPolicy::Mode::kUnlessStopped;
  const std::string kept = world.Run("kept", always);
  const std::string stopped = world.Run("stopped", always);
  const std::string plain = world.Run("plain");
  EXPECT_TRUE(world.Stop({.reference = stopped}).ok());
  world.Down();
  world.agent.Reboot();
  world.Up();
  ASSERT_TRUE(world.Reaches(kept, State::kRestarting));
  ASSERT_TRUE(World::Eventually([&] { return world.clock.Next() > absl::ZeroDuration(); }));
  world.clock.Advance(absl::Seconds(1));
  EXPECT_TRUE(world.Reaches(kept, State::kRunning));
  EXPECT_EQ(world.Get(stopped)->state, State::kExited);
  EXPECT_TRUE(world.Reaches(plain, State::kExited));
  EXPECT_EQ(world.Get(plain)->exit_code, 255);
}

TEST(RecoveryTest, EventsKeepTheirNumbers) {
  World world;
  world.Make("one");
  const uint64_t last = world.core().events().last_sequence();
  world.Down();
  world.Up();
  world.Make("two");
  const auto events = world.core().events().Read(last, 10);
  ASSERT_TRUE(events.ok());
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ((*events)[0]->sequence, last + 1);
  EXPECT_EQ((*events)[0]->attributes.at("name"), "two");
  EXPECT_EQ((*events)[0]->attributes.at("from"), "image");
}

TEST(RecoveryTest, AnAgentThatComesBackIsFollowedAgain) {
  World world;
  const std::string id = world.Run("web");
  for (int i = 0; i < 5; ++i) {
    world.agent.BreakWatch();
    absl::SleepFor(absl::Milliseconds(10));
  }
  world.agent.Exit(id, 1);
  EXPECT_TRUE(world.Reaches(id, State::kExited));
  EXPECT_THAT(world.Actions(id), ElementsAre("create", "start", "die"));
}

}  // namespace
}  // namespace slipway::container
