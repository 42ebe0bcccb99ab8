#ifndef RUNTIME_AGENT_OCI_CONTAINER_RECORD_H_
#define RUNTIME_AGENT_OCI_CONTAINER_RECORD_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"

// What slipway-runtime remembers of a container between its calls, in <root>/<id>/:
//   state.json   this record
//   config.json  the bundle's, as it was at create
//   start.sock   the first process listens here until it is started
//   stage/       empty
namespace slipway::agent {

struct OciRecord {
  std::string version;
  std::string id;
  std::string bundle;
  pid_t pid = 0;
  uint64_t start_ticks = 0;   // tells the process from a later one with its number
  std::string created;        // RFC 3339
  std::string cgroup_parent;  // without slashes at its ends; "" is the root
  std::string cgroup_name;
  bool paused = false;
  std::map<std::string, std::string> annotations;
};

enum class OciStatus { kCreating, kCreated, kRunning, kPaused, kStopped };
const char* OciStatusName(OciStatus status);

// One container's directory. Not thread-safe.
class OciDirectory {
 public:
  // InvalidArgument for an id that could not be a file name.
  static absl::StatusOr<OciDirectory> At(const std::string& root, const std::string& id);

  // AlreadyExists where there is one.
  absl::Status Make() const;
  // Removes it with what is in it. OK when there is none.
  absl::Status Remove() const;

  absl::Status Save(const OciRecord& record) const;
  // NotFound: "container does not exist".
  absl::StatusOr<OciRecord> Load() const;
  absl::Status SaveConfig(const std::string& text) const;
  absl::StatusOr<std::string> LoadConfig() const;

  OciStatus StatusOf(const OciRecord& record) const;
  // A pidfd of the container's process; NotFound when it has ended.
  absl::StatusOr<UniqueFd> OpenProcess(const OciRecord& record) const;

  std::string stage() const { return path_ + "/stage"; }
  // The socket that a held process waits at.
  absl::StatusOr<UniqueFd> Listen() const;
  absl::StatusOr<UniqueFd> ConnectToHeld() const;
  void RemoveSocket() const;

  const std::string& path() const { return path_; }

 private:
  explicit OciDirectory(std::string path, std::string id)
      : path_(std::move(path)), id_(std::move(id)) {}

  std::string path_;
  std::string id_;
};

// Ids of all containers below `root`.
std::vector<std::string> ListOciContainers(const std::string& root);

// The state of runtime-spec's runtime.md as JSON.
std::string StateJson(const OciRecord& record, OciStatus status);

// Field 22 of /proc/<pid>/stat; 0 when there is no such process or it is a zombie.
uint64_t StartTicksOf(pid_t pid);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_OCI_CONTAINER_RECORD_H_
