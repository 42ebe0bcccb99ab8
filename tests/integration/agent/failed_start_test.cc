// A start that fails, at whichever step, names the step and leaves the host as it was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime-agent/supervisor/plan.h"
#include "tests/integration/agent/host.h"

namespace slipway::agent {
namespace {

namespace fs = std::filesystem;

// The agent's own, in their order; then those of the process.
constexpr const char* kAgentSteps[] = {"overlay", "network", "namespaces", "files", "mounts",
                                       "spool",   "seccomp", "cgroup",     "plan"};
constexpr PlanStep kProcessSteps[] = {PlanStep::kOomScoreAdj,
                                      PlanStep::kJoinNamespace,
                                      PlanStep::kUnshare,
                                      PlanStep::kHostname,
                                      PlanStep::kDomainname,
                                      PlanStep::kSetPropagation,
                                      PlanStep::kRoot,
                                      PlanStep::kMount,
                                      PlanStep::kBind,
                                      PlanStep::kDevice,
                                      PlanStep::kSymlink,
                                      PlanStep::kTty,
                                      PlanStep::kSysctl,
                                      PlanStep::kWorkingDirectoryMake,
                                      PlanStep::kReadonlyPath,
                                      PlanStep::kMaskPath,
                                      PlanStep::kReadonlyRoot,
                                      PlanStep::kRlimit,
                                      PlanStep::kUmask,
                                      PlanStep::kBoundingSet,
                                      PlanStep::kStdioOwner,
                                      PlanStep::kUser,
                                      PlanStep::kWorkingDirectory,
                                      PlanStep::kNoNewPrivileges,
                                      PlanStep::kSeccomp,
                                      PlanStep::kCapabilities,
                                      PlanStep::kAmbient,
                                      PlanStep::kExec};

// Descriptors of a process by what they are, numbers taken away.
std::multiset<std::string> Descriptors(pid_t pid) {
  std::multiset<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(absl::StrCat("/proc/", pid, "/fd"), error)) {
    std::string target = fs::read_symlink(entry.path(), error).string();
    // Log and database files, sockets of clients: not of containers.
    if (absl::StartsWith(target, "socket:") || absl::StrContains(target, "/db/")) continue;
    for (const char* kind : {"pipe:", "net:", "anon_inode:"}) {
      if (absl::StartsWith(target, kind)) target = kind;
    }
    found.insert(target);
  }
  return found;
}

std::multiset<std::string> UpperOf(const std::string& directory) {
  std::multiset<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    // The place where the container wanted a mount is made in its own layer, as with Docker, and
    // stays for its next start.
    if (!absl::EndsWith(entry.path().string(), "/upper/tmpfs")) found.insert(entry.path());
  }
  return found;
}

struct Look {
  std::set<std::string> kernel;
  std::multiset<std::string> agent;
  std::multiset<std::string> supervisor;
  std::multiset<std::string> keeper;
  std::multiset<std::string> upper;

  friend bool operator==(const Look&, const Look&) = default;
};

class FailedStartTest : public testing::Test {
 protected:
  Look LookAround(const std::string& id) const {
    const std::vector<pid_t> both = host_.Supervisors();
    return {.kernel = host_.KernelObjects(),
            .agent = Descriptors(host_.agent_pid()),
            .supervisor = Descriptors(both.at(1)),
            .keeper = Descriptors(both.at(0)),
            .upper = UpperOf(absl::StrCat(host_.root(), "/containers/", id, "/upper"))};
  }

  // What went before is still being cleared away, and the pool filled.
  Look LookWhenQuiet(const std::string& id) const {
    Look last = LookAround(id);
    int same = 0;
    for (int i = 0; i < 500 && same < 5; ++i) {
      usleep(10'000);
      Look now = LookAround(id);
      same = Same(last, now) ? same + 1 : 0;
      last = std::move(now);
    }
    return last;
  }

  // A container that has every kind of step.
  v1::PrepareContainerRequest Request() const {
    auto request = host_.Request({"sh", "-c", "exit 5"});
    auto& spec = *request.mutable_spec();
    spec.mutable_network()->set_mode("bridge");
    spec.set_tty(true);
    spec.set_domainname("domain");
    spec.set_read_only_root(true);
    spec.mutable_security()->set_no_new_privileges(true);
    spec.mutable_resources()->set_memory_bytes(64 << 20);
    auto* limit = spec.add_ulimits();
    limit->set_name("core");
    auto* mount = spec.add_mounts();
    mount->set_type(container::v1::Mount::TYPE_TMPFS);
    mount->set_target("/tmpfs");
    request.set_working_directory("/tmp");
    return request;
  }

  void ExpectFailureAt(const std::string& step, const std::string& words) {
    host_.FailStartsAt("");
    const auto request = Request();
    const std::string& id = request.container_id();
    grpc::Status status = host_.Prepare(request);
    ASSERT_TRUE(status.ok()) << status.error_message();
    const Look before = LookWhenQuiet(id);
    host_.FailStartsAt(step);
    status = host_.Start(id);
    ASSERT_FALSE(status.ok()) << "nothing fails at " << step;
    EXPECT_THAT(status.error_message(), testing::HasSubstr(words)) << step;
    Look after = LookAround(id);
    // Interfaces and the pool's namespaces are made and deleted behind the answer; the layers stay
    // mounted for the next start.
    for (int i = 0; i < 500 && !Same(before, after); ++i) {
      usleep(10'000);
      after = LookAround(id);
    }
    EXPECT_EQ(before.kernel, after.kernel) << "after a failure at " << step;
    EXPECT_EQ(before.upper, after.upper) << "after a failure at " << step;
    EXPECT_EQ(before.supervisor, after.supervisor) << "after a failure at " << step;
    EXPECT_EQ(before.keeper, after.keeper) << "after a failure at " << step;
    EXPECT_EQ(WithoutPool(before.agent), WithoutPool(after.agent)) << "after a failure at " << step;
    // And it is as good as before: the same container starts.
    host_.FailStartsAt("");
    ASSERT_TRUE(host_.Start(id).ok()) << "after a failure at " << step;
    EXPECT_EQ(host_.AwaitExit(id).exit_code(), 5);
    EXPECT_TRUE(host_.Remove(id).ok());
    host_.AwaitRemoved(id);
  }

  // The agent's namespaces in the pool come and go, and so do spools of containers that went
  // before.
  static std::multiset<std::string> WithoutPool(std::multiset<std::string> descriptors) {
    descriptors.erase("net:");
    std::erase_if(descriptors,
                  [](const std::string& target) { return absl::EndsWith(target, " (deleted)"); });
    return descriptors;
  }

  static bool Same(const Look& before, const Look& after) {
    return before.kernel == after.kernel && before.supervisor == after.supervisor &&
           before.keeper == after.keeper && before.upper == after.upper &&
           WithoutPool(before.agent) == WithoutPool(after.agent);
  }

  // Nothing of a start is done before it: it fails where it is told to.
  Host host_{{"--ready_runs=0"}};
};

TEST_F(FailedStartTest, StepsOfTheAgent) {
  for (const char* step : kAgentSteps) ExpectFailureAt(step, absl::StrCat("step ", step));
}

TEST_F(FailedStartTest, StepsOfTheProcess) {
  for (const PlanStep step : kProcessSteps) {
    const char* name = PlanStepName(step);
    // The words for these are Docker's, which has its own names for them.
    const bool dockers = step == PlanStep::kExec || step == PlanStep::kSysctl ||
                         step == PlanStep::kWorkingDirectory ||
                         step == PlanStep::kWorkingDirectoryMake;
    const bool mounts = step == PlanStep::kMount || step == PlanStep::kBind;
    ExpectFailureAt(name, dockers ? "nput/output error" : mounts ? "error mounting to" : name);
  }
}

}  // namespace
}  // namespace slipway::agent
