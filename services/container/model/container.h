#ifndef SERVICES_CONTAINER_MODEL_CONTAINER_H_
#define SERVICES_CONTAINER_MODEL_CONTAINER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "services/container/model/spec.h"

// One container, as immutable snapshots: a change makes a new Container that shares its Definition,
// so that a reader keeps what it has without a lock. Times are nanoseconds since the Unix epoch,
// zero meaning "never".
namespace slipway::container {

// Numbered as on disk; append only.
enum class State {
  kCreated = 0,
  kStarting = 1,  // intent: the agent was, or is about to be, asked to start it
  kRunning = 2,
  kPaused = 3,
  kStopping = 4,    // intent: runs, and shall end
  kRestarting = 5,  // waits for its next start by its restart policy
  kExited = 6,
  kRemoving = 7,  // intent: may still run, and shall be gone
  kDead = 8,      // its host does not know it any more
};
inline constexpr int kStateCount = 9;

struct Endpoint {
  std::string network;
  std::string address;
  uint32_t prefix_length = 0;
  std::string gateway;
  std::string mac_address;
  std::vector<PortBinding> ports;
  std::string network_id;
  std::string endpoint_id;
  std::string address6;
  uint32_t prefix_length6 = 0;
  std::string gateway6;
  std::string interface;

  bool operator==(const Endpoint&) const = default;
};

// Of a container with a health check. Numbered as on disk; append only.
struct HealthProbe {
  int64_t started_unix_ns = 0;
  int64_t finished_unix_ns = 0;
  int32_t exit_code = 0;  // -1: it took too long
  std::string output;
};
struct Health {
  enum class Status { kNone = 0, kStarting = 1, kHealthy = 2, kUnhealthy = 3 };
  Status status = Status::kNone;
  int32_t failing_streak = 0;
  std::vector<HealthProbe> log;  // the last ones, oldest first
};

// What changes only by an update, which makes a new one.
struct Definition {
  std::string id;  // 64 hex digits
  std::string host_id;
  std::string sandbox_id;
  int64_t created_unix_ns = 0;
  ContainerSpec spec;
  std::string path;
  std::vector<std::string> args;
  ImageConfig effective;  // image and spec merged
  std::string image_id;
  std::vector<std::string> process_env;  // effective.env with what every process gets
  std::string hostname;
};

struct Container {
  std::shared_ptr<const Definition> definition;
  std::string name;  // without a slash
  State state = State::kCreated;
  int64_t pid = 0;
  int32_t exit_code = 0;
  bool oom_killed = false;
  std::string error;
  int64_t started_unix_ns = 0;
  int64_t finished_unix_ns = 0;
  int32_t restart_count = 0;
  std::vector<Endpoint> endpoints;
  bool manually_stopped = false;
  // The run's end must not be answered by the restart policy.
  bool suppress_restart = false;
  bool restart_after_stop = false;
  // Of a stop under way: when it turns into SIGKILL, and what is sent first.
  bool stop_has_deadline = false;
  int64_t stop_deadline_unix_ns = 0;
  int32_t stop_signal = 0;
  int64_t backoff_ms = 0;  // the last delay before a restart
  uint64_t agent_sequence = 0;
  std::shared_ptr<const Health> health;  // null without a health check, and before the first run
  bool remove_volumes = false;           // of a removal: anonymous volumes too

  const std::string& id() const { return definition->id; }
};

using ContainerPtr = std::shared_ptr<const Container>;

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_MODEL_CONTAINER_H_
