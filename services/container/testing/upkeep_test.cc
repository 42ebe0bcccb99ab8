#include <gmock/gmock.h>

#include <csignal>

#include "services/container/testing/world.h"

namespace slipway::container {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

ContainerSpec WithCheck() {
  ContainerSpec spec = World::Spec();
  spec.healthcheck = Healthcheck{.test = {"CMD-SHELL", "test -f /ok"},
                                 .interval_ns = 1'000'000'000,
                                 .timeout_ns = 3'000'000'000,
                                 .retries = 2};
  return spec;
}

ProbeResult Result(int exit_code, const std::string& output = "") {
  return {.exit_code = exit_code,
          .output = output,
          .started_unix_ns = 2'000'000'000'000,
          .finished_unix_ns = 2'000'000'000'001};
}

TEST(PauseTest, OnlyWhatRunsIsPaused) {
  World world;
  const std::string id = world.Make("web");
  EXPECT_EQ(world.Pause("nope").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(world.Pause(id), absl::FailedPreconditionError("Container " + id + " is not running"));
  ASSERT_TRUE(world.Start(id).ok());
  EXPECT_EQ(world.Unpause(id), absl::FailedPreconditionError("Container " + id + " is not paused"));
  EXPECT_TRUE(world.Pause(id).ok());
  EXPECT_EQ(world.Pause(id),
            absl::FailedPreconditionError("Container " + id + " is already paused"));
  EXPECT_EQ(world.Get(id)->state, State::kPaused);
  EXPECT_TRUE(world.agent.Get(id).paused);
  EXPECT_TRUE(world.Unpause(id).ok());
  EXPECT_EQ(world.Get(id)->state, State::kRunning);
  EXPECT_THAT(world.Actions(id), ElementsAre("create", "start", "pause", "unpause"));
}

TEST(PauseTest, AnAgentThatIsAwayLeavesItRunning) {
  World world;
  const std::string id = world.Run("web");
  world.agent.SetDown(true);
  EXPECT_EQ(world.Pause(id).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(world.Get(id)->state, State::kRunning);
  world.agent.SetDown(false);
}

TEST(PauseTest, AStopThawsAndAKillDoes) {
  World world;
  const std::string stopped = world.Run("stopped");
  ASSERT_TRUE(world.Pause(stopped).ok());
  EXPECT_TRUE(world.Stop({.reference = stopped}).ok());
  EXPECT_FALSE(world.agent.Get(stopped).paused);
  const std::string killed = world.Run("killed");
  ASSERT_TRUE(world.Pause(killed).ok());
  EXPECT_TRUE(world.Kill(killed).ok());
  EXPECT_FALSE(world.agent.Get(killed).paused);
}

TEST(PauseTest, ThePausedStateSurvivesAndIsComparedWithTheHost) {
  World world;
  const std::string id = world.Run("web");
  ASSERT_TRUE(world.Pause(id).ok());
  world.Down();
  world.Up();
  EXPECT_EQ(world.Get(id)->state, State::kPaused);
  world.Down();
  ASSERT_TRUE(world.agent.Unpause(id).ok());
  world.Up();
  EXPECT_TRUE(world.Reaches(id, State::kRunning));
}

TEST(UpdateTest, RefusesInDockersWords) {
  World world;
  ContainerSpec spec = World::Spec();
  spec.resources.nano_cpus = 1'000'000'000;
  spec.resources.memory_bytes = 100 << 20;
  const std::string id = world.Run("web", spec);
  const auto message = [&](UpdateCommand command) {
    command.reference = id;
    return std::string(world.Update(command).status().message());
  };
  EXPECT_EQ(world.Update({.reference = "nope"}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(message({.resources = {.cpu_quota_us = 50000}}),
              HasSubstr("CPU Quota cannot be updated as NanoCPUs has already been set"));
  EXPECT_THAT(message({.resources = {.memory_bytes = 300 << 20}}),
              HasSubstr("Memory limit should be smaller than already set memoryswap limit"));
  EXPECT_EQ(message({.resources = {.memory_bytes = 1 << 20}}),
            "Minimum memory limit allowed is 6MB");
  EXPECT_TRUE(world.agent.updates.empty());
}

TEST(UpdateTest, ChangesWhatIsNamedAndNothingElse) {
  World world;
  ContainerSpec spec = World::Spec();
  spec.resources.memory_bytes = 100 << 20;
  spec.resources.cpu_shares = 512;
  const std::string id = world.Run("web", spec);
  UpdateCommand command{.reference = id, .resources = {.memory_bytes = 150 << 20}};
  command.pids_limit = 77;
  command.restart_policy = RestartPolicy{RestartPolicy::Mode::kAlways, 0};
  ASSERT_TRUE(world.Update(command).ok());
  ASSERT_EQ(world.agent.updates.size(), 1u);
  const Resources& told = world.agent.updates[0].second;
  EXPECT_EQ(told.memory_bytes, 150 << 20);
  EXPECT_EQ(told.memory_swap_bytes, 200 << 20);
  EXPECT_EQ(told.cpu_shares, 512);
  EXPECT_EQ(told.pids_limit, 77);
  world.Down();
  world.Up();
  EXPECT_EQ(world.Get(id)->definition->spec.resources, told);
  EXPECT_EQ(world.Get(id)->definition->spec.restart_policy.mode, RestartPolicy::Mode::kAlways);
  EXPECT_THAT(world.Actions(id), Contains("update"));
}

TEST(UpdateTest, KernelMemoryIsWarnedOfAsAtCreation) {
  World world;
  const std::string id = world.Run("web");
  const auto warnings =
      world.Update({.reference = id, .resources = {.kernel_memory_bytes = 64 << 20}});
  ASSERT_TRUE(warnings.ok()) << warnings.status();
  EXPECT_THAT(*warnings, ElementsAre(HasSubstr("kernel memory limit is deprecated")));
  EXPECT_EQ(
      world.Update({.reference = id, .resources = {.kernel_memory_bytes = 5}}).status().message(),
      "Minimum kernel memory limit allowed is 6MB");
}

TEST(PruneTest, TakesWhatIsAtRestAndFits) {
  World world;
  ContainerSpec labelled = World::Spec();
  labelled.labels["keep"] = "yes";
  const std::string kept = world.Make("kept", labelled);
  const std::string created = world.Make("created");
  const std::string running = world.Run("running");
  const auto pruned = world.Prune({.not_labels = {"keep=yes"}});
  ASSERT_TRUE(pruned.ok());
  EXPECT_THAT(pruned->container_ids, ElementsAre(created));
  EXPECT_EQ(pruned->freed_bytes, 1000);
  EXPECT_NE(world.Get(kept), nullptr);
  EXPECT_NE(world.Get(running), nullptr);
  EXPECT_EQ(world.Get(created), nullptr);
}

TEST(HealthTest, WithoutACheckThereIsNone) {
  World world;
  ContainerSpec spec = World::Spec();
  const std::string plain = world.Run("plain", spec);
  spec.healthcheck = Healthcheck{.test = {"NONE"}};
  const std::string off = world.Run("off", spec);
  world.clock.Advance(absl::Minutes(5));
  EXPECT_EQ(world.Get(plain)->health, nullptr);
  EXPECT_EQ(world.Get(off)->health, nullptr);
  EXPECT_EQ(world.agent.probes, 0);
}

TEST(HealthTest, RunsTheCommandAsDockerDoes) {
  World world;
  std::vector<std::string> command;
  world.agent.probe = [&command](const ProbeCommand& probe) {
    command = probe.exec.spec.command;
    EXPECT_EQ(probe.timeout, absl::Seconds(3));
    return Result(0);
  };
  const std::string id = world.Run("web", WithCheck());
  EXPECT_EQ(world.Get(id)->health->status, Health::Status::kStarting);
  world.clock.Advance(absl::Seconds(1));
  EXPECT_TRUE(world.HealthIs(id, Health::Status::kHealthy));
  EXPECT_THAT(command, ElementsAre("/bin/sh", "-c", "test -f /ok"));
  EXPECT_THAT(world.Actions(id), ElementsAre("create", "start", "health_status: healthy"));
}

TEST(HealthTest, FailuresAddUpAndTheLogHasFive) {
  World world;
  std::atomic<int> number{0};
  world.agent.probe = [&number](const ProbeCommand&) {
    return Result(1, absl::StrCat("failure ", ++number));
  };
  const std::string id = world.Run("web", WithCheck());
  for (int i = 1; i <= 7; ++i) {
    world.clock.Advance(absl::Seconds(1));
    ASSERT_TRUE(World::Eventually([&] {
      const auto health = world.Get(id)->health;
      return health->failing_streak == i;
    })) << i;
    EXPECT_EQ(world.Get(id)->health->status,
              i < 2 ? Health::Status::kStarting : Health::Status::kUnhealthy);
  }
  const auto health = world.Get(id)->health;
  ASSERT_EQ(health->log.size(), 5u);
  EXPECT_EQ(health->log.front().output, "failure 3");
  EXPECT_EQ(health->log.back().output, "failure 7");
  world.Down();
  world.Up();
  EXPECT_EQ(world.Get(id)->health->log.size(), 5u);
  EXPECT_EQ(world.Get(id)->health->status, Health::Status::kUnhealthy);
}

TEST(HealthTest, TheStartPeriodExcuses) {
  World world;
  world.agent.probe = [&world](const ProbeCommand&) {
    ProbeResult result = Result(1);
    result.started_unix_ns = world.agent.Get(world.Get("web")->id()).started_unix_ns + 1;
    return result;
  };
  ContainerSpec spec = WithCheck();
  spec.healthcheck->start_period_ns = 3600'000'000'000;
  const std::string id = world.Run("web", spec);
  for (int i = 0; i < 4; ++i) {
    world.clock.Advance(absl::Seconds(5));  // Docker's start interval
    ASSERT_TRUE(World::Eventually(
        [&] { return world.Get(id)->health->log.size() == static_cast<size_t>(i + 1); }));
  }
  EXPECT_EQ(world.Get(id)->health->status, Health::Status::kStarting);
  EXPECT_EQ(world.Get(id)->health->failing_streak, 0);
}

TEST(HealthTest, ATimeoutIsAFailureAndAnAbsentAgentIsNot) {
  World world;
  const std::string id = world.Run("web", WithCheck());
  world.clock.Advance(absl::Seconds(1));  // no answer
  EXPECT_TRUE(World::Eventually([&] { return world.agent.probes == 1; }));
  EXPECT_TRUE(world.Get(id)->health->log.empty());
  world.agent.probe = [](const ProbeCommand&) {
    ProbeResult result = Result(137);
    result.timed_out = true;
    return result;
  };
  EXPECT_TRUE(World::Eventually([&] {
    world.clock.Advance(absl::Seconds(1));
    return !world.Get(id)->health->log.empty();
  }));
  EXPECT_EQ(world.Get(id)->health->log[0].exit_code, -1);
  EXPECT_EQ(world.Get(id)->health->log[0].output, "Health check exceeded timeout (3s)");
}

TEST(HealthTest, NothingIsProbedWhilePausedOrStopped) {
  World world;
  world.agent.probe = [](const ProbeCommand&) { return Result(0); };
  const std::string id = world.Run("web", WithCheck());
  ASSERT_TRUE(world.Pause(id).ok());
  world.clock.Advance(absl::Minutes(1));
  EXPECT_EQ(world.agent.probes, 0);
  ASSERT_TRUE(world.Unpause(id).ok());
  world.clock.Advance(absl::Seconds(1));
  EXPECT_TRUE(world.HealthIs(id, Health::Status::kHealthy));
  ASSERT_TRUE(world.Stop({.reference = id}).ok());
  const int before = world.agent.probes;
  world.clock.Advance(absl::Minutes(1));
  EXPECT_EQ(world.agent.probes, before);
  ASSERT_TRUE(world.Start(id).ok());
  EXPECT_EQ(world.Get(id)->health->status, Health::Status::kStarting);
}

TEST(HealthTest, UnhealthyRestartsWhereThatIsAskedFor) {
  World world;
  world.agent.probe = [](const ProbeCommand&) { return Result(1); };
  ContainerSpec spec = WithCheck();
  const std::string left_alone = world.Run("plain", spec);
  spec.labels["slipway.restart-on-unhealthy"] = "true";
  const std::string id = world.Run("web", spec);
  ASSERT_TRUE(World::Eventually([&] {
    world.clock.Advance(absl::Seconds(1));
    const std::vector<std::string> actions = world.Actions(id);
    return std::find(actions.begin(), actions.end(), "restart") != actions.end();
  }));
  EXPECT_THAT(world.Actions(id), Contains("health_status: unhealthy"));
  EXPECT_THAT(world.Actions(left_alone), Not(Contains("restart")));
}

TEST(DeadTest, NothingIsDeadForEver) {
  World world;
  const std::string id = world.Run("web");
  world.Down();
  world.agent.Forget(id);
  world.Up();
  ASSERT_TRUE(world.Reaches(id, State::kDead));
  world.clock.Advance(absl::Hours(23));
  EXPECT_TRUE(world.Reaches(id, State::kDead));
  // The time goes on over a restart.
  world.Down();
  world.Up();
  ASSERT_TRUE(World::Eventually([&] { return world.clock.Next() > absl::ZeroDuration(); }));
  world.clock.Advance(absl::Hours(2));
  EXPECT_TRUE(World::Eventually([&] { return world.Get(id) == nullptr; }));
  EXPECT_EQ(world.images.owner_count(), 0u);
}

}  // namespace
}  // namespace slipway::container
