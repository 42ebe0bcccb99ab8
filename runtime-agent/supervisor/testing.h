#ifndef RUNTIME_AGENT_SUPERVISOR_TESTING_H_
#define RUNTIME_AGENT_SUPERVISOR_TESTING_H_

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "runtime-agent/spool/reader.h"
#include "runtime-agent/supervisor/client.h"

// A real supervisor in a temporary directory, with a client, for tests that run as root.
namespace slipway::agent {

inline constexpr absl::Duration kTestTimeout = absl::Seconds(20);

// What a spool holds, streams apart.
struct SpoolContent {
  std::string out;
  std::string err;
  uint64_t dropped_bytes = 0;
  int records = 0;
  int ends = 0;
};

// Whether the exit of a process can be asked for whose parent is somebody else (Linux 6.15).
bool KernelTellsExits();

class SupervisorTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Runs the binary; true when it exited with 0.
  bool StartSupervisor();
  std::unique_ptr<SupervisorClient> Connect();

  // A builder with a spool named `id` and args, environment PATH only.
  PlanBuilder Builder(const std::string& id, const std::vector<std::string>& args,
                      SpoolOptions options = {});
  // The same in a root of its own with busybox, six new namespaces, /proc, /dev.
  PlanBuilder ContainerBuilder(const std::string& id, const std::vector<std::string>& args,
                               SpoolOptions options = {}, bool spool = true);
  absl::StatusOr<SpawnResult> Spawn(const std::string& id, PlanBuilder* builder,
                                    EntryKind kind = EntryKind::kContainer, bool hold = false);
  // Builder + Spawn + wait + Forget; the exit code, or -1.
  int Run(const std::string& id, const std::vector<std::string>& args);
  // Waits for the exit event.
  EntryInfo AwaitExit(const std::string& id);
  bool AwaitEnd(const EntryInfo& entry);
  SpoolContent ReadSpool(const std::string& id, uint64_t committed);
  SpoolContent FinishedSpool(const std::string& id);
  UniqueFd OpenSpool(const std::string& id);
  UniqueFd CloneTree(const std::string& path);
  SupervisorStats Stats();
  // Kills and waits until another process has the role.
  void KillSupervisor();
  void KillKeeper();

  std::string dir_;
  std::atomic<bool> may_revive_ = true;
  std::string probe_;
  std::unique_ptr<SupervisorClient> client_;
  absl::Mutex mutex_;
  std::map<std::string, EntryInfo> exits_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_TESTING_H_
