#ifndef RUNTIME_AGENT_PORTS_RECORD_STORE_H_
#define RUNTIME_AGENT_PORTS_RECORD_STORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime-agent/domain/actual.h"
#include "runtime-agent/domain/definition.h"
#include "runtime-agent/network/network_definition.h"

namespace slipway::agent {

struct StoredContainer {
  Definition definition;
  Actual actual;
};

// One atomic change. Absent parts stay as they are.
struct RecordChange {
  const Definition* definition = nullptr;  // by prepare and update
  std::string id;                          // of `actual`
  const Actual* actual = nullptr;
  std::string remove_id;  // definition and actual
  const HostEvent* event = nullptr;
  uint64_t forget_events_through = 0;
  const ExecRecord* exec = nullptr;
  std::string remove_exec_id;
  const NetworkDefinition* network = nullptr;
  std::string remove_network_id;
};

struct StoredState {
  std::vector<StoredContainer> containers;
  std::vector<HostEvent> events;  // in order
  std::vector<ExecRecord> execs;
  std::string host_id;
  std::vector<NetworkDefinition> networks;
};

// What survives the agent. Implementations are thread-safe. A change that returned is there after
// a kill of the process, and 100 ms later after a power cut too: what clients were promised is the
// container service's to keep, and reconciliation restores what a cut took here.
class RecordStore {
 public:
  virtual ~RecordStore() = default;
  virtual absl::StatusOr<StoredState> Load() = 0;
  virtual absl::Status Save(const RecordChange& change) = 0;
  virtual absl::Status SaveHostId(const std::string& host_id) = 0;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_PORTS_RECORD_STORE_H_
