#ifndef SERVICES_BUILD_PORTS_BUILD_EVENTS_H_
#define SERVICES_BUILD_PORTS_BUILD_EVENTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace slipway::build {

enum class StepState { kWaiting, kRunning, kDone, kCached, kFailed, kCancelled };

struct PlannedStep {
  uint32_t number = 0;  // from 1
  std::string stage;
  std::string name;
  int line = 0;
  std::vector<uint32_t> depends_on;
};

// What the steps will ask the client for, as far as the Dockerfile alone tells.
struct PlanNeeds {
  std::vector<std::string> images;  // of FROM and --from; each once
  std::vector<std::string> secrets;
  std::vector<std::string> ssh_agents;
};

// What is known newly of a step; the rest is empty.
struct StepUpdate {
  uint32_t number = 0;
  StepState state = StepState::kRunning;
  int64_t started_unix_ns = 0;
  int64_t finished_unix_ns = 0;
  std::string image_id;
  std::string container_id;
  bool container_removed = false;
  int triggers = 0;
};

// Who is told how a build gets on. Thread-safe; calls may block while the listener is slow.
class BuildEvents {
 public:
  virtual ~BuildEvents() = default;
  virtual void OnPlan(const std::vector<PlannedStep>& steps, const PlanNeeds& needs) = 0;
  virtual void OnStep(const StepUpdate& update) = 0;
  virtual void OnOutput(uint32_t step, bool is_stderr, absl::string_view data) = 0;
  virtual void OnWarning(absl::string_view text) = 0;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_PORTS_BUILD_EVENTS_H_
