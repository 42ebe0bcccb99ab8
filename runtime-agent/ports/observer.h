#ifndef RUNTIME_AGENT_PORTS_OBSERVER_H_
#define RUNTIME_AGENT_PORTS_OBSERVER_H_

#include <cstdint>
#include <string>

namespace slipway::agent {

// Figures of the agent, for whoever publishes them. Implementations are thread-safe and cheap.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void Started(double seconds, bool on_bridge) = 0;
  // `step` is the plan step or the part of the agent that failed: "exec", "mount", "network".
  virtual void StartFailed(const std::string& step) = 0;
  virtual void Exited() = 0;
  virtual void ShippedBytes(uint64_t bytes) = 0;
  virtual void DroppedBytes(uint64_t bytes) = 0;
  virtual void Removed(double seconds) = 0;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_PORTS_OBSERVER_H_
