#include <memory>
#include <string>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "services/container/domain/container_state.h"
#include "services/container/domain/labels.h"
#include "services/container/domain/verbs.h"

namespace slipway::container {
namespace {

bool IsPruned(const Container& container, const PruneCommand& command) {
  const bool at_rest = container.state == State::kCreated || container.state == State::kExited ||
                       container.state == State::kDead;
  if (!at_rest) return false;
  if (command.until_unix_ns != 0 && container.definition->created_unix_ns > command.until_unix_ns) {
    return false;
  }
  return LabelsPass(container.definition->effective.labels, command.labels, command.not_labels);
}

// The removals run beside each other; the last one answers.
class Prune {
 public:
  Prune(Core& core, Done<PruneResult> done) : core_(core), done_(std::move(done)) {}
  ~Prune() {
    Event event;
    event.time_unix_ns = core_.clock().NowUnixNs();
    event.type = "container";
    event.action = "prune";
    event.attributes["reclaimed"] = std::to_string(result_.freed_bytes);
    event.host_id = core_.host().host_id;
    core_.Write({}, {std::move(event)}, Durability::kSoon).IgnoreError();
    done_(std::move(result_));
  }

  // What starts or goes away meanwhile is left out.
  void Removed(const std::string& id, int64_t bytes) {
    absl::MutexLock lock(&mu_);
    result_.container_ids.push_back(id);
    result_.freed_bytes += bytes;
  }

 private:
  Core& core_;
  Done<PruneResult> done_;
  absl::Mutex mu_;
  PruneResult result_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

void PruneContainers(Core& core, PruneCommand command, Done<PruneResult> done) {
  done = Observed<PruneResult>(core, "prune", std::move(done));
  core.executor().Post([&core, command = std::move(command), done = std::move(done)] {
    const auto prune = std::make_shared<Prune>(core, done);
    for (const EntryPtr& entry : core.table().All()) {
      const ContainerPtr container = entry->snapshot();
      if (!IsPruned(*container, command)) continue;
      const std::string id = container->id();
      const absl::StatusOr<int64_t> bytes = core.agent().Measure(id);
      RemoveContainer(core, id, {},
                      [prune, id, size = bytes.ok() ? *bytes : 0](const absl::Status& status) {
                        if (status.ok()) prune->Removed(id, size);
                      });
    }
  });
}

}  // namespace slipway::container
