#include <gmock/gmock.h>

#include <atomic>
#include <csignal>

#include "absl/synchronization/blocking_counter.h"
#include "services/container/testing/world.h"

namespace slipway::container {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What a wait brings, for a test to look at.
struct Waiting {
  absl::Notification done;
  WaitOutcome outcome;
};
std::shared_ptr<Waiting> Wait(World& world, const std::string& id, WaitCondition condition) {
  auto waiting = std::make_shared<Waiting>();
  const auto entry = world.core().table().Find(id);
  EXPECT_TRUE(entry.ok());
  EXPECT_TRUE((*entry)
                  ->Wait(condition,
                         [waiting](const WaitOutcome& outcome) {
                           waiting->outcome = outcome;
                           waiting->done.Notify();
                         })
                  .ok());
  return waiting;
}
bool Ends(const std::shared_ptr<Waiting>& waiting) {
  return waiting->done.WaitForNotificationWithTimeout(absl::Seconds(10));
}

TEST(CreateTest, AnImageThatIsAnotherByNowIsNotGuessed) {
  World world;
  ASSERT_TRUE(world.Create("first").ok());
  world.images.image.id = "sha256:fedcba0987654321";
  world.images.image.config.labels = {{"from", "another"}};
  ASSERT_TRUE(world.Create("second").ok());
  const auto second = world.core().table().Find("second");
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)->snapshot()->definition->image_id, "sha256:fedcba0987654321");
  EXPECT_EQ((*second)->snapshot()->definition->effective.labels.at("from"), "another");
  EXPECT_EQ(world.images.owner_count(), 2u);
  EXPECT_EQ(world.agent.count(), 2u);
  EXPECT_TRUE(world.core().intents().empty());

  // What the former image makes an error is none of the new one's.
  world.images.image.config.command.clear();
  world.images.image.id = "sha256:00";
  ContainerSpec spec = World::Spec();
  spec.command.clear();
  EXPECT_EQ(world.Create("third", spec).status().message(), "no command specified");
  world.images.image.config.command = {"sh"};
  world.images.image.id = "sha256:01";
  EXPECT_TRUE(world.Create("third", spec).ok());
}

TEST(CreateTest, FailuresAtEachStepLeaveNothingBehind) {
  World world;
  ContainerSpec spec = World::Spec();
  spec.image = "nothere";
  EXPECT_EQ(world.Create("web", spec).status().code(), absl::StatusCode::kNotFound);

  world.images.image.config.command.clear();
  EXPECT_EQ(world.Create("web").status(), absl::InvalidArgumentError("no command specified"));
  world.images.image.config.command = {"sh"};
  world.images.image.id = "sha256:2345";  // of the configuration, as everywhere

  world.agent.prepare_error = absl::InvalidArgumentError("unable to find user bob");
  EXPECT_EQ(world.Create("web").status().message(), "unable to find user bob");
  world.agent.prepare_error = absl::OkStatus();

  spec = World::Spec();
  spec.resources.memory_bytes = 1 << 20;
  EXPECT_EQ(world.Create("web", spec).status().message(), "Minimum memory limit allowed is 6MB");
  EXPECT_EQ(world.Create("-x").status().code(), absl::StatusCode::kInvalidArgument);

  EXPECT_EQ(world.images.owner_count(), 0u);
  EXPECT_EQ(world.agent.count(), 0u);
  EXPECT_EQ(world.core().table().size(), 0u);
  EXPECT_TRUE(world.core().intents().empty());
  EXPECT_TRUE(world.Create("web").ok());
}

TEST(CreateTest, NamesConflictAndMadeUpOnesDoNot) {
  World world;
  const std::string id = world.Make("web");
  EXPECT_EQ(id.size(), 64u);
  EXPECT_EQ(world.Create("/web").status(),
            absl::AlreadyExistsError(
                "Conflict. The container name \"/web\" is already in use by container \"" + id +
                "\". You have to remove (or rename) that container to be able to reuse that "
                "name."));
  const std::string other = world.Make("");
  EXPECT_THAT(world.Get(other)->name, HasSubstr("_"));
  EXPECT_EQ(world.Get(other)->definition->hostname, other.substr(0, 12));
  EXPECT_EQ(world.Get(id.substr(0, 20))->id(), id);
  EXPECT_EQ(world.Get("/web")->id(), id);
  EXPECT_EQ(world.core().table().Find("nope").status(),
            absl::NotFoundError("No such container: nope"));
}

TEST(LifecycleTest, CreateStartExitWaitRemove) {
  World world;
  const std::string id = world.Make("web");
  EXPECT_FALSE(world.Start("web").value());
  EXPECT_TRUE(world.Start("web").value());
  EXPECT_GT(world.Get(id)->pid, 0);
  const auto waiting = Wait(world, id, WaitCondition::kNotRunning);
  EXPECT_EQ(world.Remove(id).message(),
            "You cannot remove a running container " + id +
                ". Stop the container before attempting removal or force remove");
  world.agent.Exit(id, 7);
  ASSERT_TRUE(Ends(waiting));
  EXPECT_EQ(waiting->outcome.exit_code, 7);
  EXPECT_EQ(world.Get(id)->state, State::kExited);
  EXPECT_EQ(world.Get(id)->finished_unix_ns, world.agent.Get(id).finished_unix_ns);
  const auto removed = Wait(world, id, WaitCondition::kRemoved);
  EXPECT_EQ(world.Kill(id).message(),
            "Cannot kill container: " + id + ": Container " + id + " is not running");
  EXPECT_TRUE(world.Remove(id).ok());
  ASSERT_TRUE(Ends(removed));
  EXPECT_EQ(removed->outcome.exit_code, 7);
  EXPECT_EQ(world.Get(id), nullptr);
  EXPECT_FALSE(world.agent.Has(id));
  EXPECT_EQ(world.images.owner_count(), 0u);
  EXPECT_THAT(world.Actions(id), ElementsAre("create", "start", "die", "destroy"));
  EXPECT_TRUE(absl::IsNotFound(world.Remove(id)));
  EXPECT_TRUE(world.Create("web").ok());
}

TEST(LifecycleTest, ACommandThatCannotRunIsRecordedAndReported) {
  World world;
  const std::string id = world.Make("web");
  world.agent.start_error =
      absl::InvalidArgumentError("exec: \"foo\": executable file not found in $PATH");
  const auto next_exit = Wait(world, id, WaitCondition::kNextExit);
  EXPECT_EQ(world.Start(id).status(), world.agent.start_error);
  EXPECT_FALSE(next_exit->done.HasBeenNotified()) << "nothing has run";
  EXPECT_EQ(world.Get(id)->state, State::kCreated);
  EXPECT_EQ(world.Get(id)->exit_code, 127);
  EXPECT_THAT(world.Get(id)->error, HasSubstr("not found in $PATH"));
  world.agent.start_error = absl::InvalidArgumentError("exec: \"/etc\": permission denied");
  EXPECT_FALSE(world.Start(id).ok());
  EXPECT_EQ(world.Get(id)->exit_code, 126);
  world.agent.start_error = absl::InvalidArgumentError("unable to find user nosuch");
  EXPECT_FALSE(world.Start(id).ok());
  EXPECT_EQ(world.Get(id)->exit_code, 128);

  ContainerSpec spec = World::Spec();
  spec.auto_remove = true;
  const std::string gone = world.Make("gone", spec);
  EXPECT_FALSE(world.Start(gone).ok());
  EXPECT_EQ(world.Get(gone), nullptr);
}

TEST(LifecycleTest, AutoRemoveEndsTheWaitWithTheExitCode) {
  World world;
  ContainerSpec spec = World::Spec();
  spec.auto_remove = true;
  const std::string id = world.Make("web", spec);
  const auto waiting = Wait(world, id, WaitCondition::kRemoved);
  world.agent.exit_at_once = 3;
  EXPECT_TRUE(world.Start(id).ok());
  ASSERT_TRUE(Ends(waiting));
  EXPECT_EQ(waiting->outcome.exit_code, 3);
  EXPECT_EQ(world.Get(id), nullptr);
  EXPECT_EQ(world.agent.count(), 0u);
}

TEST(LifecycleTest, ForceRemoveKillsAndTellsTheTrueExit) {
  World world;
  const std::string id = world.Run("web");
  const auto exited = Wait(world, id, WaitCondition::kNextExit);
  const auto removed = Wait(world, id, WaitCondition::kRemoved);
  EXPECT_TRUE(world.Remove(id, true).ok());
  ASSERT_TRUE(Ends(exited));
  ASSERT_TRUE(Ends(removed));
  EXPECT_EQ(exited->outcome.exit_code, 137);
  EXPECT_THAT(world.Actions(id), ElementsAre("create", "start", "kill", "die", "destroy"));
}

TEST(StopTest, WaitsTheGracePeriodThenKills) {
  World world;
  world.agent.ignore_term = true;
  const std::string id = world.Run("web");
  std::atomic<int> ended{0};
  for (int i = 0; i < 3; ++i) {
    StopContainer(world.core(), {.reference = id, .timeout_seconds = 5},
                  [&ended](absl::StatusOr<bool> was_stopped) {
                    if (was_stopped.ok() && !*was_stopped) ++ended;
                  });
  }
  ASSERT_TRUE(World::Eventually([&] { return world.agent.SignalsOf(id).size() == 3; }));
  EXPECT_TRUE(world.Start(id).value());  // it runs, and nothing waits for the grace period
  world.clock.Advance(absl::Seconds(4));
  EXPECT_EQ(ended, 0);
  world.clock.Advance(absl::Seconds(2));
  ASSERT_TRUE(World::Eventually([&] { return ended == 3; }));
  EXPECT_EQ(world.agent.SignalsOf(id), (std::vector<int>{15, 15, 15, 9}));
  EXPECT_EQ(world.Get(id)->exit_code, 137);
  EXPECT_TRUE(world.Stop({.reference = id}).value());
}

TEST(StopTest, UsesTheContainersSignalAndNamesBadOnes) {
  World world;
  world.images.image.config.stop_signal = "SIGUSR1";
  const std::string id = world.Run("web");
  EXPECT_EQ(world.Stop({.reference = id, .signal = "NOPE"}).status(),
            absl::InvalidArgumentError("Invalid signal: NOPE"));
  std::atomic<bool> ended{false};
  StopContainer(world.core(), {.reference = id}, [&](absl::StatusOr<bool>) { ended = true; });
  ASSERT_TRUE(World::Eventually([&] { return world.agent.SignalsOf(id).size() == 1; }));
  EXPECT_EQ(world.agent.SignalsOf(id), (std::vector<int>{SIGUSR1}));
  world.agent.Exit(id, 0);
  ASSERT_TRUE(World::Eventually([&] { return ended.load(); }));
  EXPECT_THAT(world.Actions(id), ElementsAre("create", "start", "kill", "die", "stop"));
}

TEST(RestartTest, StopsAndStartsAgainEvenWithAutoRemove) {
  World world;
  ContainerSpec spec = World::Spec();
  spec.auto_remove = true;
  const std::string id = world.Run("web", spec);
  const int64_t pid = world.Get(id)->pid;
  EXPECT_TRUE(world.Restart({.reference = id}).ok());
  EXPECT_EQ(world.Get(id)->state, State::kRunning);
  EXPECT_NE(world.Get(id)->pid, pid);
  EXPECT_THAT(world.Actions(id),
              ElementsAre("create", "start", "kill", "die", "stop", "start", "restart"));
}

TEST(RestartPolicyTest, BacksOffAndStopSuppresses) {
  World world;
  ContainerSpec spec = World::Spec();
  spec.restart_policy.mode = RestartPolicy::Mode::kAlways;
  const std::string id = world.Run("web", spec);
  for (const int expected_ms : {100, 200, 400, 800}) {
    world.agent.Exit(id, 1);
    ASSERT_TRUE(world.Reaches(id, State::kRestarting));
    ASSERT_TRUE(World::Eventually([&] { return world.clock.Next() > absl::ZeroDuration(); }));
    EXPECT_EQ(world.clock.Next(), absl::Milliseconds(expected_ms));
    world.clock.Advance(absl::Milliseconds(expected_ms));
    ASSERT_TRUE(world.Reaches(id, State::kRunning));
  }
  EXPECT_EQ(world.Get(id)->restart_count, 4);
  world.agent.Exit(id, 1, 11'000'000'000);  // it ran long enough to begin anew
  ASSERT_TRUE(World::Eventually([&] { return world.clock.Next() > absl::ZeroDuration(); }));
  EXPECT_EQ(world.clock.Next(), absl::Milliseconds(100));
  EXPECT_FALSE(world.Stop({.reference = id}).value());
  EXPECT_EQ(world.Get(id)->state, State::kExited);
  world.clock.Advance(absl::Minutes(2));
  EXPECT_EQ(world.Get(id)->state, State::kExited);
  EXPECT_TRUE(world.Start(id).ok());
  EXPECT_TRUE(world.Kill(id).ok());
  EXPECT_EQ(world.Get(id)->state, State::kExited);
}

TEST(RestartPolicyTest, OnFailureCounts) {
  World world;
  ContainerSpec spec = World::Spec();
  spec.restart_policy = {RestartPolicy::Mode::kOnFailure, 1};
  const std::string id = world.Run("web", spec);
  world.agent.Exit(id, 2);
  ASSERT_TRUE(world.Reaches(id, State::kRestarting));
  ASSERT_TRUE(World::Eventually([&] { return world.clock.Next() > absl::ZeroDuration(); }));
  world.clock.Advance(absl::Seconds(1));
  ASSERT_TRUE(world.Reaches(id, State::kRunning));
  world.agent.Exit(id, 2);
  EXPECT_TRUE(world.Reaches(id, State::kExited));
}

TEST(RenameTest, MovesTheNameAtomically) {
  World world;
  const std::string id = world.Make("one");
  world.Make("two");
  EXPECT_THAT(std::string(world.Rename("one", "two").message()),
              HasSubstr("Error when allocating new name: Conflict."));
  EXPECT_EQ(world.Rename("one", "one").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(world.Rename("one", "").message(), "Neither old nor new names may be empty");
  EXPECT_TRUE(world.Rename("one", "three").ok());
  EXPECT_EQ(world.Get("one"), nullptr);
  EXPECT_EQ(world.Get("three")->id(), id);
  EXPECT_TRUE(world.Create("one").ok());
}

TEST(ExecTest, RunsOnceAndReportsItsEnd) {
  World world;
  const std::string id = world.Make("web");
  const ExecSpec spec{.command = {"sh", "-c", "true"}};
  EXPECT_EQ(CreateExec(world.core(), id, spec).status(),
            absl::FailedPreconditionError("Container " + id + " is not running"));
  EXPECT_TRUE(world.Start(id).ok());
  EXPECT_EQ(CreateExec(world.core(), id, {}).status().message(), "No exec command specified");
  const std::string exec = CreateExec(world.core(), id, spec).value();
  EXPECT_EQ(world.StartExec(exec)->container_id, id);
  EXPECT_TRUE(absl::IsFailedPrecondition(world.StartExec(exec).status()));
  EXPECT_EQ(world.GetExec(exec)->phase, ExecRecord::Phase::kRunning);
  world.agent.ExitExec(exec, id, 9);
  ASSERT_TRUE(World::Eventually([&] { return world.Actions(id).back() == "exec_die"; }));
  EXPECT_EQ(world.GetExec(exec)->exit_code, 9);
  EXPECT_THAT(world.Actions(id), ElementsAre("create", "start", "exec_create: sh -c true",
                                             "exec_start: sh -c true", "exec_die"));
  const std::string bad = CreateExec(world.core(), id, spec).value();
  world.agent.start_error =
      absl::InvalidArgumentError("exec: \"foo\": executable file not found in $PATH");
  EXPECT_EQ(world.StartExec(bad).status(), world.agent.start_error);
  EXPECT_EQ(world.GetExec(bad)->exit_code, 127);
  // dockerd has another code for other reasons than it has for a container's start.
  const std::string stranger = CreateExec(world.core(), id, spec).value();
  world.agent.start_error = absl::InvalidArgumentError("unable to find user nosuch");
  EXPECT_FALSE(world.StartExec(stranger).ok());
  EXPECT_EQ(world.GetExec(stranger)->exit_code, 126);
}

// What the service itself takes, beside its calls: a synced write and a few that are not.
TEST(SpeedTest, OneAfterTheOther) {
  World world;
  world.agent.exit_at_once = 0;
  std::vector<double> times;
  for (int i = 0; i < 200; ++i) {
    const absl::Time begin = absl::Now();
    const std::string id = world.Make("");
    const auto waiting = Wait(world, id, WaitCondition::kNextExit);
    ASSERT_TRUE(world.Start(id).ok());
    ASSERT_TRUE(Ends(waiting));
    ASSERT_TRUE(world.Remove(id).ok());
    times.push_back(absl::ToDoubleMilliseconds(absl::Now() - begin));
  }
  std::sort(times.begin(), times.end());
  std::printf("create+start+wait+rm, no wire: median %.3f ms, best %.3f ms\n", times[100],
              times[0]);
}

TEST(ConcurrencyTest, ThirtyTwoAtOnceThroughTheirWholeLife) {
  World world;
  world.agent.exit_at_once = 0;
  constexpr int kClients = 32;
  constexpr int kRounds = 10;
  absl::BlockingCounter done(kClients);
  std::atomic<int> failures{0};
  const absl::Time begin = absl::Now();
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        const auto created = world.Create("");
        if (!created.ok()) {
          ++failures;
          continue;
        }
        const auto waiting = Wait(world, created->id, WaitCondition::kNextExit);
        if (!world.Start(created->id).ok() || !Ends(waiting)) ++failures;
        if (!world.Remove(created->id).ok()) ++failures;
      }
      done.DecrementCount();
    });
  }
  done.Wait();
  const double each_ms = absl::ToDoubleMilliseconds(absl::Now() - begin) / (kClients * kRounds);
  for (std::thread& client : clients) client.join();
  RecordProperty("ms_per_container", absl::StrCat(each_ms));
  std::printf("create+start+wait+rm, 32 at once: %.3f ms each\n", each_ms);
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(world.core().table().size(), 0u);
  EXPECT_EQ(world.agent.count(), 0u);
  EXPECT_EQ(world.images.owner_count(), 0u);
}

TEST(ConcurrencyTest, ThousandsWaitAndEachIsTold) {
  World world;
  const std::string id = world.Run("web");
  std::atomic<int> told{0};
  const EntryPtr entry = world.core().table().Find(id).value();
  constexpr int kWaiters = 5000;
  for (int i = 0; i < kWaiters; ++i) {
    ASSERT_TRUE(entry
                    ->Wait(WaitCondition::kNotRunning,
                           [&told](const WaitOutcome& outcome) {
                             if (outcome.exit_code == 4) ++told;
                           })
                    .ok());
  }
  world.agent.Exit(id, 4);
  EXPECT_TRUE(World::Eventually([&] { return told == kWaiters; }));
}

TEST(ConcurrencyTest, OneContainerByManyAtOnceEndsInOneState) {
  World world;
  const std::string id = world.Make("web");
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&world, &id, i] {
      for (int round = 0; round < 20; ++round) {
        switch ((i + round) % 4) {
          case 0:
            world.Start(id).status().IgnoreError();
            break;
          case 1:
            world.Stop({.reference = id, .timeout_seconds = 0}).status().IgnoreError();
            break;
          case 2:
            world.Kill(id, "KILL").IgnoreError();
            break;
          default:
            world.Restart({.reference = id, .timeout_seconds = 0}).IgnoreError();
            break;
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(world.Remove(id, true).ok());
  EXPECT_EQ(world.core().table().size(), 0u);
}

}  // namespace
}  // namespace slipway::container
