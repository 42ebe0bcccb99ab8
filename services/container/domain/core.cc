#include "services/container/domain/core.h"

#include <atomic>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway::container {

absl::StatusOr<std::unique_ptr<Core>> Core::Load(Ports ports) {
  ASSIGN_OR_RETURN(StoreContents contents, ports.store.Load());
  return std::unique_ptr<Core>(new Core(ports, std::move(contents)));
}

Core::Core(Ports ports, StoreContents contents)
    : ports_(ports),
      events_(kMaximumEvents, std::move(contents.events), ports.executor),
      execs_(kMaximumExecs),
      intents_(contents.intents.begin(), contents.intents.end()) {
  for (Container& container : contents.containers) {
    // Two of one name cannot be written; should it be so, the second is still found by its id.
    const absl::Status reserved = table_.ReserveName(container.name, container.id());
    if (!reserved.ok()) {
      observer().Warning("two containers of one name", container.id(), reserved);
    }
    table_.Add(NewEntry(std::make_shared<const Container>(std::move(container))));
  }
  for (NetworkPtr& network : contents.networks) networks_.Add(std::move(network));
  LoadVolumes(std::move(contents.volumes));
  for (const auto& [host, sequence] : contents.agent_sequences) {
    host_.host_id = host;
    agent_sequence_ = sequence;
  }
}

// A volume that only a container tells of is written when its host is heard of (SyncVolumes).
void Core::LoadVolumes(std::vector<VolumePtr> volumes) {
  for (VolumePtr& volume : volumes) volumes_.Put(std::move(volume));
  for (const EntryPtr& entry : table_.All()) {
    const std::shared_ptr<const Definition> definition = entry->snapshot()->definition;
    for (const Mount& mount : definition->spec.mounts) {
      if (mount.type != Mount::Type::kVolume) continue;
      if (!volumes_.Find(mount.source).has_value()) {
        volumes_.Put(
            std::make_shared<const Volume>(Volume{.name = mount.source,
                                                  .created_unix_ns = definition->created_unix_ns,
                                                  .anonymous = mount.anonymous}));
      }
      volumes_.AddUser(mount.source, definition->id);
    }
  }
}

EntryPtr Core::NewEntry(ContainerPtr container) {
  return std::make_shared<Entry>(std::move(container), ports_.executor, ports_.observer);
}

absl::Status Core::Write(StoreBatch batch, std::vector<Event> events, Durability durability) {
  {
    absl::MutexLock lock(&mu_);
    batch.agent_host = host_.host_id;
    batch.agent_sequence = agent_sequence_;
  }
  const EventLog::Pending pending = events_.Begin(std::move(events));
  batch.events = pending.events;
  batch.delete_event = pending.trim_first;
  batch.delete_event_last = pending.trim_last;
  const absl::Status written = ports_.store.Write(batch, durability);
  events_.Finish(pending, written.ok());
  if (!written.ok()) return written;
  for (const EventPtr& event : pending.events) observer().EventWritten(event->action);
  return absl::OkStatus();
}

absl::Status Core::Commit(Entry& entry, std::shared_ptr<Container> next, std::vector<Event> events,
                          Durability durability, Entry::Fire fire) {
  StoreBatch batch;
  batch.put_container = next;
  RETURN_IF_ERROR(Write(std::move(batch), std::move(events), durability));
  entry.Set(std::move(next), fire);
  return absl::OkStatus();
}

void Core::Record(Entry& entry, std::shared_ptr<Container> next, std::vector<Event> events,
                  Entry::Fire fire) {
  StoreBatch batch;
  batch.put_container = next;
  const absl::Status written = Write(std::move(batch), std::move(events), Durability::kSoon);
  if (!written.ok()) observer().Warning("state could not be written", next->id(), written);
  entry.Set(std::move(next), fire);
}

Event Core::MakeEvent(const Container& container, absl::string_view action, StringMap more) {
  Event event;
  event.time_unix_ns = clock().NowUnixNs();
  event.type = "container";
  event.action = std::string(action);
  event.actor_id = container.id();
  event.host_id = container.definition->host_id;
  event.attributes = container.definition->effective.labels;
  event.attributes["image"] = container.definition->spec.image;
  event.attributes["name"] = container.name;
  for (auto& [key, value] : more) event.attributes[key] = value;
  return event;
}

HostInfo Core::host() const {
  absl::MutexLock lock(&mu_);
  return host_;
}

void Core::SetHost(HostInfo host) {
  networks_.SetBridge(host.bridge_subnet, host.bridge_gateway);
  absl::MutexLock lock(&mu_);
  host_ = std::move(host);
}

uint64_t Core::agent_sequence() const {
  absl::MutexLock lock(&mu_);
  return agent_sequence_;
}

void Core::SetAgentSequence(uint64_t sequence) {
  absl::MutexLock lock(&mu_);
  agent_sequence_ = sequence;
}

void Core::KeepIntent(const std::string& id) {
  absl::MutexLock lock(&mu_);
  intents_.insert(id);
}

std::vector<std::string> Core::intents() const {
  absl::MutexLock lock(&mu_);
  return {intents_.begin(), intents_.end()};
}

void Core::ForgetIntent(const std::string& id) {
  absl::MutexLock lock(&mu_);
  intents_.erase(id);
}

DoneStatus Observed(Core& core, absl::string_view verb, DoneStatus done) {
  return
      [&core, verb, done = std::move(done), begin = core.clock().NowUnixNs()](absl::Status status) {
        core.observer().OperationDone(verb, status,
                                      absl::Nanoseconds(core.clock().NowUnixNs() - begin));
        done(std::move(status));
      };
}

DoneStatus Once(DoneStatus done) {
  auto called = std::make_shared<std::atomic<bool>>(false);
  return [called, done = std::move(done)](absl::Status status) {
    if (!called->exchange(true)) done(std::move(status));
  };
}

bool IsUncertain(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsCancelled(status) || absl::IsUnknown(status);
}

}  // namespace slipway::container
