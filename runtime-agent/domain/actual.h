#ifndef RUNTIME_AGENT_DOMAIN_ACTUAL_H_
#define RUNTIME_AGENT_DOMAIN_ACTUAL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "runtime-agent/domain/container_state.h"
#include "runtime-agent/domain/definition.h"
#include "runtime-agent/network/network_driver.h"

// What is so on this host. Value types without thread safety of their own. Times are nanoseconds
// since the Unix epoch, zero: never.
namespace slipway::agent {

struct Actual {
  ContainerState state = ContainerState::kPrepared;
  int64_t pid = 0;
  int64_t started_ns = 0;
  int64_t finished_ns = 0;
  int32_t exit_code = 0;
  bool oom_killed = false;
  bool paused = false;
  std::vector<Endpoint> endpoints;  // of its networks
  // Incarnation of the supervisor's entry of the run; zero when it was forgotten there.
  uint64_t incarnation = 0;
  uint64_t runs = 0;
  // Where the last run's output ended in the spool, the latest last: what marks an end for readers
  // that are behind.
  std::vector<uint64_t> run_ends;
};

struct ExecRecord {
  std::string exec_id;
  std::string container_id;
  int64_t pid = 0;
  int64_t finished_ns = 0;  // zero while it runs
  int32_t exit_code = 0;
};

// What the container service is told of a container.
struct ContainerReport {
  std::string id;
  Actual actual;
  NamespaceMode network;
};

struct ExecExit {
  std::string exec_id;
  std::string container_id;
  int32_t exit_code = 0;
};

struct HostEvent {
  enum class Kind { kStarted, kExited, kExecExited, kRemoved, kOutOfMemory };
  uint64_t sequence = 0;
  int64_t time_ns = 0;
  Kind kind = Kind::kStarted;
  ContainerReport container;  // of kStarted, kExited; only the id of kRemoved
  ExecExit exec;              // of kExecExited
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_ACTUAL_H_
