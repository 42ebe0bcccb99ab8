#ifndef SERVICES_CONTAINER_DOMAIN_CORE_H_
#define SERVICES_CONTAINER_DOMAIN_CORE_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/container/domain/container_table.h"
#include "services/container/domain/entry.h"
#include "services/container/domain/event_log.h"
#include "services/container/domain/exec_records.h"
#include "services/container/domain/executor.h"
#include "services/container/domain/network_table.h"
#include "services/container/domain/recent_images.h"
#include "services/container/domain/volume_table.h"
#include "services/container/model/container.h"
#include "services/container/ports/agent_port.h"
#include "services/container/ports/clock.h"
#include "services/container/ports/image_port.h"
#include "services/container/ports/observer.h"
#include "services/container/ports/store.h"

namespace slipway::container {

inline constexpr size_t kMaximumEvents = 4096;
inline constexpr size_t kMaximumExecs = 4096;

template <typename T>
using Done = std::function<void(absl::StatusOr<T>)>;
using DoneStatus = std::function<void(absl::Status)>;

// What the domain was given. All outlive it, and the executor and the clock are stopped before it
// goes.
struct Ports {
  AgentPort& agent;
  ImagePort& image;
  Store& store;
  Clock& clock;
  Observer& observer;
  Executor& executor;
  // Where networks that nobody chose addresses for get theirs.
  AddressBlock network_pool = *AddressBlock::Parse("172.30.0.0/15");
};

// The state that the verbs share. Thread-safe.
class Core {
 public:
  // Reads everything from the store.
  static absl::StatusOr<std::unique_ptr<Core>> Load(Ports ports);

  AgentPort& agent() { return ports_.agent; }
  ImagePort& image() { return ports_.image; }
  Clock& clock() { return ports_.clock; }
  Observer& observer() { return ports_.observer; }
  Executor& executor() { return ports_.executor; }
  ContainerTable& table() { return table_; }
  NetworkTable& networks() { return networks_; }
  const AddressBlock& network_pool() const { return ports_.network_pool; }
  VolumeTable& volumes() { return volumes_; }
  RecentImages& images() { return images_; }
  EventLog& events() { return events_; }
  ExecRecords& execs() { return execs_; }

  // Writes a batch with its events, and publishes them.
  absl::Status Write(StoreBatch batch, std::vector<Event> events, Durability durability);

  // Writes the next snapshot of a container with its events, then shows it. Only from one of the
  // entry's operations. On an error nothing changed.
  absl::Status Commit(Entry& entry, std::shared_ptr<Container> next, std::vector<Event> events,
                      Durability durability = Durability::kSoon,
                      Entry::Fire fire = Entry::Fire::kNothing);
  // As Commit() for what has happened anyway: shown also when it could not be written.
  void Record(Entry& entry, std::shared_ptr<Container> next, std::vector<Event> events,
              Entry::Fire fire);

  // An event of a container with Docker's attributes: name, image, the labels, and `more`.
  Event MakeEvent(const Container& container, absl::string_view action, StringMap more = {});

  // Entries are made here, so that they know the executor.
  EntryPtr NewEntry(ContainerPtr container);

  HostInfo host() const ABSL_LOCKS_EXCLUDED(mu_);
  void SetHost(HostInfo host) ABSL_LOCKS_EXCLUDED(mu_);

  // Everything up to this event of the agent is in the records; written along with later batches.
  uint64_t agent_sequence() const ABSL_LOCKS_EXCLUDED(mu_);
  void SetAgentSequence(uint64_t sequence) ABSL_LOCKS_EXCLUDED(mu_);

  // Creations that were begun, by this process or a former one, and neither finished nor undone.
  void KeepIntent(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<std::string> intents() const ABSL_LOCKS_EXCLUDED(mu_);
  void ForgetIntent(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  Core(Ports ports, StoreContents contents);
  void LoadVolumes(std::vector<VolumePtr> volumes);

  Ports ports_;
  ContainerTable table_;
  NetworkTable networks_;
  VolumeTable volumes_;
  RecentImages images_;
  EventLog events_;
  ExecRecords execs_;
  mutable absl::Mutex mu_;
  absl::btree_set<std::string> intents_ ABSL_GUARDED_BY(mu_);
  HostInfo host_ ABSL_GUARDED_BY(mu_);
  uint64_t agent_sequence_ ABSL_GUARDED_BY(mu_) = 0;
};

// Wraps `done` so that the observer learns verb, outcome and duration.
template <typename T>
Done<T> Observed(Core& core, absl::string_view verb, Done<T> done) {
  return [&core, verb, done = std::move(done),
          begin = core.clock().NowUnixNs()](absl::StatusOr<T> result) {
    core.observer().OperationDone(verb, result.status(),
                                  absl::Nanoseconds(core.clock().NowUnixNs() - begin));
    done(std::move(result));
  };
}
DoneStatus Observed(Core& core, absl::string_view verb, DoneStatus done);

// Of several calls only the first gets through. Thread-safe.
DoneStatus Once(DoneStatus done);

// The agent did not answer: what was asked may have happened all the same.
bool IsUncertain(const absl::Status& status);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_CORE_H_
