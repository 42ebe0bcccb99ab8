// The agent and the log service die at any moment: no byte, no exit code and no event is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "runtime-agent/supervisor/testing.h"
#include "tests/integration/agent/host.h"

namespace slipway::agent {
namespace {

class FaultsTest : public testing::Test {
 protected:
  Host host_;
};

// Of what ended when its parents, supervisor and keeper, were gone. That nobody knows is what is
// said then.
int ExitCodeOfOrphan(int code) { return KernelTellsExits() ? code : 255; }

std::string Numbers(int last) {
  std::string text;
  for (int i = 1; i <= last; ++i) absl::StrAppend(&text, i, "\n");
  return text;
}

TEST_F(FaultsTest, ExitWhileTheAgentIsDead) {
  const auto request = host_.Request(
      {"sh", "-c", "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; done; sleep 0.5; exit 33"});
  const std::string& id = request.container_id();
  ASSERT_TRUE(host_.Prepare(request).ok());
  ASSERT_TRUE(host_.Start(id).ok());
  host_.StopAgent(SIGKILL);
  sleep(1);
  host_.StartAgent();
  EXPECT_EQ(host_.AwaitExit(id).exit_code(), 33);
  EXPECT_EQ(host_.Log(id), Numbers(3000));
  // Told once, also to the agent after the next.
  host_.StopAgent(SIGKILL);
  host_.StartAgent();
  ASSERT_EQ(host_.List().size(), 1u);
  EXPECT_EQ(host_.List()[0].status(), v1::ContainerActual::STATUS_EXITED);
  EXPECT_EQ(host_.ExitEvents(id), 1);
  EXPECT_EQ(host_.Log(id), Numbers(3000));
  EXPECT_TRUE(host_.Remove(id).ok());
  host_.AwaitRemoved(id);
  EXPECT_THAT(host_.KernelObjects(), testing::IsEmpty());
}

TEST_F(FaultsTest, KillsAllTheTimeLoseNoLine) {
  const auto request = host_.Request(
      {"sh", "-c",
       "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; [ $((i % 500)) = 0 ] && sleep 0.05; "
       "done; exit 5"});
  const std::string& id = request.container_id();
  ASSERT_TRUE(host_.Prepare(request).ok());
  ASSERT_TRUE(host_.Start(id).ok());
  for (int i = 0; i < 8; ++i) {
    usleep(200000);
    if (i % 2 == 0) {
      host_.StopAgent(SIGKILL);
      host_.StartAgent();
    } else {
      host_.StopLog(SIGKILL);
      host_.StartLog();
    }
  }
  EXPECT_EQ(host_.AwaitExit(id).exit_code(), 5);
  EXPECT_TRUE(host_.Log(id) == Numbers(20000));
  EXPECT_EQ(host_.ExitEvents(id), 1);
}

constexpr char kSlowCount[] =
    "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; [ $((i % 100)) = 0 ] && sleep 0.02; done; "
    "exit 21";

TEST_F(FaultsTest, SupervisorAndKeeperAtOnce) {
  const auto counter = host_.Request({"sh", "-c", kSlowCount});
  ASSERT_TRUE(host_.Prepare(counter).ok());
  ASSERT_TRUE(host_.Start(counter.container_id()).ok());
  for (int i = 0; i < 5; ++i) {
    const auto brief = host_.Request({"sh", "-c", "echo brief; usleep 3000; exit 7"});
    ASSERT_TRUE(host_.Prepare(brief).ok());
    ASSERT_TRUE(host_.Start(brief.container_id()).ok());
    host_.KillSupervisors();
    EXPECT_THAT(host_.AwaitExit(brief.container_id()).exit_code(),
                testing::AnyOf(7, ExitCodeOfOrphan(7)));
    EXPECT_EQ(host_.Log(brief.container_id()), "brief\n");
    EXPECT_TRUE(host_.Remove(brief.container_id()).ok());
    host_.AwaitRemoved(brief.container_id());
  }
  EXPECT_EQ(host_.AwaitExit(counter.container_id()).exit_code(), ExitCodeOfOrphan(21));
  EXPECT_TRUE(host_.Log(counter.container_id()) == Numbers(3000));
  EXPECT_TRUE(host_.Remove(counter.container_id()).ok());
  host_.AwaitRemoved(counter.container_id());
  EXPECT_THAT(host_.KernelObjects(), testing::IsEmpty());
}

// Nobody holds a descriptor of it any more but the container itself.
TEST_F(FaultsTest, AgentSupervisorAndKeeperAtOnce) {
  // More than its pipe takes: it cannot end while nobody reads.
  const auto counter = host_.Request(
      {"sh", "-c",
       "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); echo $i; [ $((i % 1000)) = 0 ] && sleep 0.02; "
       "done; exit 21"});
  const auto ends = host_.Request({"sh", "-c", "sleep 0.5; exit 7"});
  for (const auto& request : {counter, ends}) {
    ASSERT_TRUE(host_.Prepare(request).ok());
    ASSERT_TRUE(host_.Start(request.container_id()).ok());
  }
  host_.StopAgent(SIGKILL);
  host_.KillSupervisors();
  sleep(1);
  host_.StartAgent();
  EXPECT_EQ(host_.AwaitExit(counter.container_id()).exit_code(), ExitCodeOfOrphan(21));
  EXPECT_TRUE(host_.Log(counter.container_id()) == Numbers(40000));
  // What ended while there was nobody: known only where init had not reaped it yet; otherwise that
  // nobody knows is what is said.
  EXPECT_THAT(host_.AwaitExit(ends.container_id()).exit_code(), testing::AnyOf(7, 255));
  for (const auto& request : {counter, ends}) {
    EXPECT_TRUE(host_.Remove(request.container_id()).ok());
    host_.AwaitRemoved(request.container_id());
  }
  EXPECT_THAT(host_.KernelObjects(), testing::IsEmpty());
}

TEST_F(FaultsTest, ExecExitsWhenSupervisorAndKeeperDie) {
  const auto request = host_.Request({"sleep", "1000"});
  const std::string& id = request.container_id();
  ASSERT_TRUE(host_.Prepare(request).ok());
  ASSERT_TRUE(host_.Start(id).ok());
  v1::StartExecRequest exec;
  exec.set_exec_id(Host::NewId());
  exec.set_container_id(id);
  exec.set_detach(true);
  for (const char* word : {"sh", "-c", "usleep 20000; exit 6"})
    exec.mutable_spec()->add_command(word);
  ASSERT_TRUE(host_.StartExec(exec).ok());
  host_.KillSupervisors();
  EXPECT_EQ(host_.AwaitExec(exec.exec_id()).exit_code(), ExitCodeOfOrphan(6));
}

// A client that lost its answer asks again: the program runs once.
TEST_F(FaultsTest, AStartThatIsAskedForAgainMeanwhileIsTheSame) {
  const auto request = host_.Request({"echo", "once"});
  const std::string& id = request.container_id();
  ASSERT_TRUE(host_.Prepare(request).ok());
  const std::vector<pid_t> both = host_.Supervisors();
  ASSERT_EQ(both.size(), 2u);
  kill(both[1], SIGSTOP);
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([this, id] { EXPECT_TRUE(host_.Start(id).ok()); });
  }
  usleep(300'000);
  kill(both[1], SIGCONT);
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(host_.AwaitExit(id).exit_code(), 0);
  usleep(300'000);
  EXPECT_EQ(host_.ExitEvents(id), 1);
  EXPECT_EQ(host_.Log(id), "once\n");
}

TEST_F(FaultsTest, InputAndSignalsAfterARestart) {
  auto request =
      host_.Request({"sh", "-c", "trap 'echo got; exit 4' TERM; while :; do sleep 0.05; done"});
  const std::string& id = request.container_id();
  ASSERT_TRUE(host_.Prepare(request).ok());
  ASSERT_TRUE(host_.Start(id).ok());
  host_.StopAgent(SIGKILL);
  host_.StartAgent();
  v1::StartContainerResponse started;
  ASSERT_TRUE(host_.Start(id, &started).ok());
  EXPECT_TRUE(started.was_running());
  v1::StartExecRequest exec;
  exec.set_exec_id(Host::NewId());
  exec.set_container_id(id);
  exec.mutable_spec()->add_command("id");
  exec.mutable_spec()->set_user("www-data");
  ASSERT_TRUE(host_.StartExec(exec).ok());
  EXPECT_EQ(host_.AwaitExec(exec.exec_id()).exit_code(), 0);
  ASSERT_TRUE(host_.Signal(id, SIGTERM).ok());
  EXPECT_EQ(host_.AwaitExit(id).exit_code(), 4);
  EXPECT_EQ(host_.Log(id), "got\n");
}

TEST_F(FaultsTest, TombstonesAreFinishedAndLogsDeletedLater) {
  const auto request = host_.Request({"echo", "x"});
  const std::string& id = request.container_id();
  host_.Run(request);
  EXPECT_EQ(host_.Log(id), "x\n");
  host_.StopLog(SIGKILL);
  EXPECT_TRUE(host_.Remove(id).ok());
  EXPECT_TRUE(host_.List().empty());
  usleep(300000);
  host_.StopAgent(SIGKILL);
  host_.StartAgent();
  EXPECT_TRUE(host_.List().empty());
  host_.StartLog();
  host_.AwaitRemoved(id);
  EXPECT_THAT(host_.KernelObjects(), testing::IsEmpty());
}

TEST_F(FaultsTest, KilledDuringStartsLeavesNothing) {
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) {
    auto request = host_.Request({"sleep", "1000"});
    request.mutable_spec()->mutable_network()->set_mode(i % 2 == 0 ? "none" : "bridge");
    ASSERT_TRUE(host_.Prepare(request).ok());
    ids.push_back(request.container_id());
  }
  std::vector<std::thread> starters;
  for (const std::string& id : ids) {
    starters.emplace_back([this, id] { host_.Start(id); });
  }
  usleep(8000);
  host_.StopAgent(SIGKILL);
  host_.StartAgent();
  for (std::thread& starter : starters) starter.join();
  for (const std::string& id : ids) EXPECT_TRUE(host_.Remove(id).ok());
  for (const std::string& id : ids) host_.AwaitRemoved(id);
  for (int i = 0; i < 300 && !host_.KernelObjects().empty(); ++i) usleep(10000);
  EXPECT_THAT(host_.KernelObjects(), testing::IsEmpty());
}

}  // namespace
}  // namespace slipway::agent
