#ifndef RUNTIME_AGENT_DOMAIN_STATS_SAMPLER_H_
#define RUNTIME_AGENT_DOMAIN_STATS_SAMPLER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/domain/executor.h"
#include "runtime-agent/kernel/cgroup.h"

namespace slipway::agent {

struct InterfaceCounters {
  std::string name;
  uint64_t received[4] = {};  // bytes, packets, errors, dropped
  uint64_t sent[4] = {};
};

// What a container uses, at one moment.
struct ContainerSample {
  std::string id;
  bool running = false;
  int64_t read_ns = 0;
  CgroupStats counters;
  uint64_t system_ns = 0;  // what all processors could have done since the host's start
  uint32_t online_cpus = 0;
  std::vector<InterfaceCounters> interfaces;
};

struct SamplePair {
  std::shared_ptr<const ContainerSample> now;
  std::shared_ptr<const ContainerSample> previous;  // null: there is none
};

// Samples containers for whoever watches, on a thread of its own. Watchers of one container share
// its samples, and its files stay open while it is watched. Thread-safe.
class StatsSampler {
 public:
  struct Subject {
    int64_t pid = 0;
    uint64_t run = 0;             // another run has other counters
    std::string group;            // as CgroupDriver names it
    bool has_interfaces = false;  // of its own
  };
  struct Host {
    CgroupDriver* cgroups = nullptr;
    // Nothing for a container that does not run.
    std::function<std::optional<Subject>(const std::string& id)> find;
    std::function<std::vector<std::string>()> running;
  };
  // Called on the sampler's thread; must not block. False ends the watch.
  using Callback = std::function<bool(const std::vector<SamplePair>& samples)>;

  explicit StatsSampler(Host host);

  // No ids: all that run, at each moment. A zero interval: one call. Without a former sample that
  // is young enough to compare with, two are taken unless `without_previous`.
  void Watch(std::vector<std::string> ids, absl::Duration interval, bool without_previous,
             Callback callback);

 private:
  struct State {
    Subject subject;
    std::unique_ptr<CgroupStatsReader> reader;
    UniqueFd interfaces;
    std::string buffer;
    std::shared_ptr<const ContainerSample> last;
    std::shared_ptr<const ContainerSample> before_last;
    absl::Time used;
  };
  struct Watcher {
    std::vector<std::string> ids;
    absl::Duration interval;
    bool without_previous = false;
    Callback callback;
  };

  void Tick(const std::shared_ptr<Watcher>& watcher, bool first);
  std::vector<std::string> IdsOf(const Watcher& watcher) const;
  bool HasPrevious(const std::vector<std::string>& ids);
  SamplePair Sample(const std::string& id, bool without_previous);
  std::shared_ptr<ContainerSample> Read(const std::string& id, State& state);
  static void ReadInterfaces(State& state, ContainerSample& sample);
  void DropUnused();

  const Host host_;
  // Only on the thread.
  std::map<std::string, State> states_;
  uint64_t ticks_ = 0;
  // Last: its thread uses the rest.
  Executor thread_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_STATS_SAMPLER_H_
