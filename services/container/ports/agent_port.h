#ifndef SERVICES_CONTAINER_PORTS_AGENT_PORT_H_
#define SERVICES_CONTAINER_PORTS_AGENT_PORT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/container/model/container.h"
#include "services/container/model/network.h"
#include "services/container/model/volume.h"
#include "services/container/ports/tar_sink.h"

// The actual state of one host, as the domain needs it (slipway.agent.v1.AgentService). Calls block
// the calling thread, bounded by the implementation's deadlines; each may be repeated with the same
// outcome. Implementations are thread-safe. Errors: UNAVAILABLE when the agent did not answer (what
// was asked may have happened), otherwise the agent's own.
namespace slipway::container {

struct HostInfo {
  std::string host_id;
  std::string hostname;
  int32_t cpu_count = 0;
  std::string volumes_directory;
  std::string bridge_subnet;  // of the default bridge
  std::string bridge_gateway;
};

struct PrepareCommand {
  const Definition* definition = nullptr;  // borrowed for the call
  std::string name;
  std::string join_sandbox_id;
  std::vector<std::string> layer_diff_ids;  // bottom first
};

// A container's place in a network that the host has.
struct HostAttachment {
  std::string network_id;
  std::string address;
  std::string address6;
  std::string mac_address;
  int32_t gateway_priority = 0;
  std::vector<std::string> names;  // what others in the network find it by
  StringMap links;                 // names of its own for others, by their ids
  StringMap driver_options;
};

// What one run has beyond the definition.
struct StartExtras {
  std::vector<std::string> extra_hosts;  // "name name:address"
  int64_t last_started_unix_ns = 0;      // of the last run that is recorded
  std::vector<std::string> env;
  std::vector<HostAttachment> attachments;  // all
};

struct StartResult {
  int64_t pid = 0;
  int64_t started_unix_ns = 0;
  std::vector<Endpoint> endpoints;
  bool was_running = false;
};

struct Actual {
  enum class Status { kUnspecified, kPrepared, kRunning, kExited };
  std::string container_id;
  Status status = Status::kUnspecified;
  int64_t pid = 0;
  int64_t started_unix_ns = 0;
  int64_t finished_unix_ns = 0;
  int32_t exit_code = 0;
  bool oom_killed = false;
  std::vector<Endpoint> endpoints;
  bool paused = false;
  // By network: what others find it by there.
  std::map<std::string, std::vector<std::string>> names;
};

struct ActualList {
  std::vector<Actual> containers;
  uint64_t sequence = 0;
};

struct ExecCommand {
  std::string exec_id;
  std::string container_id;
  ExecSpec spec;
  std::vector<std::string> env;
  std::string user;
  std::string working_directory;
  bool detach = false;
  TerminalSize terminal_size;
};

struct ExecStatus {
  std::string container_id;
  bool running = false;
  std::optional<int32_t> exit_code;
  int64_t pid = 0;
};

// A command that is run to its end.
struct ProbeCommand {
  ExecCommand exec;
  absl::Duration timeout;
  size_t output_limit_bytes = 0;
};

struct ProbeResult {
  int32_t exit_code = 0;
  std::string output;
  bool timed_out = false;
  int64_t started_unix_ns = 0;
  int64_t finished_unix_ns = 0;
};

struct ContainerStarted {
  Actual actual;
};
struct ContainerExited {
  Actual actual;
};
struct ExecExited {
  std::string exec_id;
  std::string container_id;
  int32_t exit_code = 0;
};
struct ContainerRemoved {
  std::string container_id;
};
struct OutOfMemory {
  std::string container_id;
};

struct AgentEvent {
  uint64_t sequence = 0;
  int64_t time_unix_ns = 0;
  std::variant<std::monostate, ContainerStarted, ContainerExited, ExecExited, ContainerRemoved,
               OutOfMemory>
      kind;
};

class AgentPort {
 public:
  virtual ~AgentPort() = default;

  virtual absl::StatusOr<HostInfo> GetHost() = 0;
  // Begins to prepare. What is returned is to be called once: it waits for the end, and has
  // warnings for the client.
  virtual std::function<absl::StatusOr<std::vector<std::string>>()> BeginPrepare(
      const PrepareCommand& command) = 0;
  virtual absl::StatusOr<StartResult> Start(const std::string& container_id,
                                            const StartExtras& extras) = 0;
  // Whether it ran.
  virtual absl::StatusOr<bool> Signal(const std::string& container_id, int signal) = 0;
  virtual absl::Status Remove(const std::string& container_id) = 0;
  virtual absl::Status Pause(const std::string& container_id) = 0;
  virtual absl::Status Unpause(const std::string& container_id) = 0;
  // Sets the limits of the container and of its later runs. Warnings.
  virtual absl::StatusOr<std::vector<std::string>> Update(const std::string& container_id,
                                                          const Resources& resources) = 0;
  // Bytes in the container's own layer.
  virtual absl::StatusOr<int64_t> Measure(const std::string& container_id) = 0;
  virtual absl::Status CreateVolume(const std::string& name, const VolumeSource& source) = 0;
  virtual absl::Status RemoveVolume(const std::string& name) = 0;
  // The names of those that are on the host.
  virtual absl::StatusOr<std::vector<std::string>> ListVolumes() = 0;
  // Bytes for each name; negative where there are none to tell.
  virtual absl::StatusOr<std::vector<int64_t>> MeasureVolumes(
      const std::vector<std::string>& names) = 0;
  // Does not block: `done` is called once, from another thread, and must not block either.
  virtual void RunProbe(const ProbeCommand& command,
                        std::function<void(absl::StatusOr<ProbeResult>)> done) = 0;
  virtual absl::StatusOr<ActualList> List() = 0;
  // ALREADY_EXISTS: `refuse_overlap`, and the host has a route for some of its addresses.
  virtual absl::Status PutNetwork(const VirtualNetwork& network, bool refuse_overlap) = 0;
  // FAILED_PRECONDITION while a container runs in it.
  virtual absl::Status RemoveNetwork(const std::string& network_id) = 0;
  virtual absl::StatusOr<std::vector<std::string>> ListNetworks() = 0;
  // Of a running container; also gives one that is connected other names. All its endpoints.
  virtual absl::StatusOr<std::vector<Endpoint>> Connect(const std::string& container_id,
                                                        const HostAttachment& attachment) = 0;
  virtual absl::StatusOr<std::vector<Endpoint>> Disconnect(const std::string& container_id,
                                                           const std::string& network_id) = 0;
  // Other addresses for what links have put into a container's /etc/hosts; lines as StartExtras has
  // them. OK when it does not run.
  virtual absl::Status UpdateHosts(const std::string& container_id,
                                   const std::vector<std::string>& extra_hosts) = 0;
  virtual absl::StatusOr<int64_t> StartExec(const ExecCommand& command) = 0;
  virtual absl::StatusOr<ExecStatus> GetExec(const std::string& exec_id) = 0;
  // The tar of what a container changed, as an image layer, in pieces given to `sink`. It is whole
  // when the call succeeds.
  virtual absl::Status ExportChanges(const std::string& container_id, const TarSink& sink) = 0;
  // Calls `on_event` for each event after `after_sequence`, in order, until the stream breaks or
  // CancelWatch(). DATA_LOSS: that far back is not kept. One watch at a time.
  virtual absl::Status Watch(uint64_t after_sequence,
                             const std::function<void(const AgentEvent&)>& on_event) = 0;
  // Ends the running watch and every later one at once. Any thread.
  virtual void CancelWatch() = 0;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_PORTS_AGENT_PORT_H_
