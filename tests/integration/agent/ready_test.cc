// Containers that stand ready between their creation and their start.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/integration/agent/host.h"

namespace slipway::agent {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(10);

class ReadyTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { host_ = new Host; }
  static void TearDownTestSuite() {
    delete host_;
    host_ = nullptr;
  }
  // Whether there is a cgroup of the container, which has not been started.
  bool StandsReady(const std::string& id) const {
    for (const std::string& object : host_->KernelObjects()) {
      if (absl::StrContains(object, id) && absl::StrContains(object, "cgroup")) return true;
    }
    return false;
  }
  void Await(const std::string& id, bool ready) const {
    const absl::Time give_up = absl::Now() + kPatience;
    while (StandsReady(id) != ready && absl::Now() < give_up) usleep(2000);
    ASSERT_EQ(StandsReady(id), ready) << testing::PrintToString(host_->KernelObjects());
  }
  v1::PrepareContainerRequest Prepared(const std::vector<std::string>& argv) {
    v1::PrepareContainerRequest request = host_->Request(argv);
    EXPECT_TRUE(host_->Prepare(request).ok());
    return request;
  }
  int StartAndAwait(const std::string& id) {
    const grpc::Status started = host_->Start(id);
    EXPECT_TRUE(started.ok()) << started.error_message();
    return started.ok() ? host_->AwaitExit(id).exit_code() : -1;
  }

  static Host* host_;
};

Host* ReadyTest::host_ = nullptr;

TEST_F(ReadyTest, WhatItCannotRunIsToldByTheStart) {
  const auto request = Prepared({"no-such-command"});
  Await(request.container_id(), true);
  const grpc::Status status = host_->Start(request.container_id());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("executable file not found in $PATH"));
  Await(request.container_id(), false);
}

TEST_F(ReadyTest, RunsOnceWhenItIsStarted) {
  const auto request = Prepared({"sh", "-c", "echo ran; exit 3"});
  Await(request.container_id(), true);
  EXPECT_EQ(host_->Log(request.container_id()), "");
  EXPECT_EQ(StartAndAwait(request.container_id()), 3);
  EXPECT_EQ(host_->Log(request.container_id()), "ran\n");
  EXPECT_EQ(host_->ExitEvents(request.container_id()), 1);
}

TEST_F(ReadyTest, TimeUndoesItAndAStartMakesUpForThat) {
  const auto request = Prepared({"sh", "-c", "exit 4"});
  Await(request.container_id(), true);
  Await(request.container_id(), false);
  EXPECT_EQ(StartAndAwait(request.container_id()), 4);
  EXPECT_EQ(host_->ExitEvents(request.container_id()), 1);
}

TEST_F(ReadyTest, OneThatGoesWithItsEndIsMountedAgain) {
  auto request = host_->Request({"sh", "-c", "exit 6"});
  request.mutable_spec()->set_auto_remove(true);
  ASSERT_TRUE(host_->Prepare(request).ok());
  Await(request.container_id(), true);
  Await(request.container_id(), false);
  EXPECT_EQ(StartAndAwait(request.container_id()), 6);
}

TEST_F(ReadyTest, AnUpdateUndoesIt) {
  const auto request = Prepared(
      {"sh", "-c", "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null"});
  Await(request.container_id(), true);
  grpc::ClientContext context;
  v1::UpdateContainerRequest update;
  update.set_container_id(request.container_id());
  update.mutable_resources()->set_pids_limit(77);
  v1::UpdateContainerResponse response;
  ASSERT_TRUE(host_->agent()->UpdateContainer(&context, update, &response).ok());
  EXPECT_FALSE(StandsReady(request.container_id()));
  StartAndAwait(request.container_id());
  EXPECT_EQ(host_->Log(request.container_id()), "77\n");
}

TEST_F(ReadyTest, ALinkUndoesIt) {
  const auto request = Prepared({"sh", "-c", "echo $LINKED"});
  Await(request.container_id(), true);
  grpc::ClientContext context;
  v1::StartContainerRequest start;
  start.set_container_id(request.container_id());
  start.add_env("LINKED=yes");
  v1::StartContainerResponse response;
  ASSERT_TRUE(host_->agent()->StartContainer(&context, start, &response).ok());
  EXPECT_EQ(host_->AwaitExit(request.container_id()).exit_code(), 0);
  EXPECT_EQ(host_->Log(request.container_id()), "yes\n");
}

TEST_F(ReadyTest, WhatFailsBeforeTheStartIsUndoneAndDoneAgain) {
  for (const char* step : {"overlay", "cgroup", "mount", "unshare"}) {
    host_->FailStartsAt(step);
    const auto request = Prepared({"true"});
    // The start comes behind what went on by itself, and fails in the same way.
    EXPECT_FALSE(host_->Start(request.container_id()).ok()) << step;
    EXPECT_FALSE(StandsReady(request.container_id())) << step;
    host_->FailStartsAt("");
    EXPECT_EQ(StartAndAwait(request.container_id()), 0) << step;
  }
}

TEST_F(ReadyTest, ARemovalLeavesNothing) {
  const auto request = Prepared({"true"});
  Await(request.container_id(), true);
  EXPECT_TRUE(host_->Remove(request.container_id()).ok());
  host_->AwaitRemoved(request.container_id());
  EXPECT_FALSE(StandsReady(request.container_id()));
}

TEST_F(ReadyTest, AKilledAgentsAreEndedAndNeverRan) {
  const auto request = Prepared({"sh", "-c", "echo ran"});
  Await(request.container_id(), true);
  host_->StopAgent(SIGKILL);
  host_->StartAgent();
  for (const auto& container : host_->List()) {
    if (container.container_id() != request.container_id()) continue;
    EXPECT_EQ(container.status(), v1::ContainerActual::STATUS_PREPARED);
  }
  EXPECT_FALSE(StandsReady(request.container_id()))
      << testing::PrintToString(host_->KernelObjects());
  EXPECT_EQ(StartAndAwait(request.container_id()), 0);
  EXPECT_EQ(host_->Log(request.container_id()), "ran\n");
  EXPECT_EQ(host_->ExitEvents(request.container_id()), 1);
}

TEST_F(ReadyTest, AHeldProcessThatIsKilledIsStartedAnew) {
  const auto request = Prepared({"sh", "-c", "exit 5"});
  Await(request.container_id(), true);
  host_->KillSupervisors();
  EXPECT_EQ(StartAndAwait(request.container_id()), 5);
}

}  // namespace
}  // namespace slipway::agent
