#ifndef SERVICES_CONTAINER_DOMAIN_VERBS_H_
#define SERVICES_CONTAINER_DOMAIN_VERBS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/container/domain/core.h"
#include "services/container/domain/list_filter.h"

// The use cases. Those with a Done return at once and call it exactly once, from another thread or
// from here; it must not block. `reference` is an id, a unique prefix of one, or a name. Errors are
// Docker's messages under the codes that container.proto promises. Thread-safe.
namespace slipway::container {

struct CreateCommand {
  std::string name;  // empty: made up
  ContainerSpec spec;
  std::string host_id;  // empty: any
};
struct CreateResult {
  std::string id;
  std::vector<std::string> warnings;
};
// create.cc. Done when it has been synced to disk; a failure leaves nothing behind.
void CreateContainer(Core& core, CreateCommand command, Done<CreateResult> done);

// start.cc. Whether it ran already.
void StartContainer(Core& core, const std::string& reference, Done<bool> done);

struct StopCommand {
  std::string reference;
  std::optional<int32_t> timeout_seconds;  // unset: the container's own, or 10; negative: for ever
  std::string signal;                      // empty: the container's own
};
// stop.cc. Whether it had ended already; done when its end has been recorded.
void StopContainer(Core& core, StopCommand command, Done<bool> done);
void RestartContainer(Core& core, StopCommand command, DoneStatus done);

// kill.cc. After SIGKILL done when the end has been recorded.
void KillContainer(Core& core, const std::string& reference, const std::string& signal,
                   DoneStatus done);

// pause.cc
void PauseContainer(Core& core, const std::string& reference, DoneStatus done);
void UnpauseContainer(Core& core, const std::string& reference, DoneStatus done);

struct UpdateCommand {
  std::string reference;
  Resources resources;  // zero: stays as it is
  std::optional<int64_t> pids_limit;
  std::optional<RestartPolicy> restart_policy;
};
// update.cc. Warnings; done when it has been synced to disk.
void UpdateContainer(Core& core, UpdateCommand command, Done<std::vector<std::string>> done);

struct PruneCommand {
  std::vector<std::string> labels;
  std::vector<std::string> not_labels;
  int64_t until_unix_ns = 0;  // zero: whenever
};
struct PruneResult {
  std::vector<std::string> container_ids;
  int64_t freed_bytes = 0;
};
// prune.cc
void PruneContainers(Core& core, PruneCommand command, Done<PruneResult> done);

struct ContainerSize {
  int64_t written_bytes = 0;  // its own layer
  int64_t root_bytes = 0;     // with its image's
};
// measure.cc. Blocks on the agent.
absl::StatusOr<ContainerSize> MeasureContainer(Core& core, const Container& container);

// access.cc. An event about a container that was only looked at.
absl::Status RecordAccess(Core& core, const std::string& reference, absl::string_view action,
                          StringMap attributes);

// remove.cc
struct RemoveOptions {
  bool force = false;
  bool volumes = false;  // its anonymous ones too
};
void RemoveContainer(Core& core, const std::string& reference, RemoveOptions options,
                     DoneStatus done);

// rename.cc
void RenameContainer(Core& core, const std::string& reference, const std::string& name,
                     DoneStatus done);

struct CommitCommand {
  std::string reference;
  std::string image_reference;  // "name[:tag]"; empty: untagged
  std::string author;
  std::string message;
  bool pause = false;                 // while its files are read
  std::optional<ImageConfig> config;  // unset: the container's
  std::string created_by;             // for the history; empty: the container's command
  int64_t created_unix_ns = 0;        // 0: now
  int64_t latest_mtime_unix_s = 0;    // later times of files become this one; 0: they stay
};
// commit.cc. The new image's id.
void CommitContainer(Core& core, CommitCommand command, Done<std::string> done);

// list.cc. From memory only, but for an ancestor that has to be looked up.
absl::StatusOr<std::vector<ContainerPtr>> ListContainers(Core& core, ListQuery query);

// exec.cc
absl::StatusOr<std::string> CreateExec(Core& core, const std::string& reference, ExecSpec spec);
struct StartExecCommand {
  std::string exec_id;
  bool detach = false;
  TerminalSize terminal_size;
};
struct StartExecResult {
  std::string container_id;
  std::string host_id;
};
void StartExec(Core& core, StartExecCommand command, Done<StartExecResult> done);
// Asks the agent unless the end is known.
void GetExec(Core& core, const std::string& exec_id, Done<ExecRecord> done);
void RecordExecExit(Core& core, const ExecExited& exited);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_VERBS_H_
