#include "services/container/store/record_codec.h"

#include "absl/strings/str_cat.h"
#include "services/container/codec/spec_codec.h"
#include "slipway/storage/v1/container.pb.h"

namespace slipway::container {
namespace {

template <typename Message>
absl::StatusOr<Message> Parse(absl::string_view bytes, absl::string_view what) {
  Message message;
  if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return message;
  return absl::DataLossError(absl::StrCat("a stored ", what, " cannot be read"));
}

void PutHealth(const Health& from, storage::v1::StoredHealth& to) {
  to.set_status(static_cast<uint32_t>(from.status));
  to.set_failing_streak(from.failing_streak);
  for (const HealthProbe& probe : from.log) {
    storage::v1::StoredHealthProbe* entry = to.add_log();
    entry->set_started_unix_ns(probe.started_unix_ns);
    entry->set_finished_unix_ns(probe.finished_unix_ns);
    entry->set_exit_code(probe.exit_code);
    entry->set_output(probe.output);
  }
}

Health GetHealth(const storage::v1::StoredHealth& from) {
  Health to;
  if (from.status() <= static_cast<uint32_t>(Health::Status::kUnhealthy)) {
    to.status = static_cast<Health::Status>(from.status());
  }
  to.failing_streak = from.failing_streak();
  for (const auto& entry : from.log()) {
    to.log.push_back({.started_unix_ns = entry.started_unix_ns(),
                      .finished_unix_ns = entry.finished_unix_ns(),
                      .exit_code = entry.exit_code(),
                      .output = entry.output()});
  }
  return to;
}

}  // namespace

std::string EncodeDefinition(const Definition& definition) {
  storage::v1::StoredDefinition message;
  message.set_id(definition.id);
  message.set_host_id(definition.host_id);
  message.set_sandbox_id(definition.sandbox_id);
  message.set_created_unix_ns(definition.created_unix_ns);
  codec::PutSpec(definition.spec, message.mutable_spec());
  message.set_path(definition.path);
  codec::PutList(definition.args, message.mutable_args());
  codec::PutImageConfig(definition.effective, message.mutable_effective_config());
  message.set_image_id(definition.image_id);
  codec::PutList(definition.process_env, message.mutable_process_env());
  message.set_hostname(definition.hostname);
  return message.SerializeAsString();
}

absl::StatusOr<Definition> DecodeDefinition(absl::string_view bytes) {
  const auto message = Parse<storage::v1::StoredDefinition>(bytes, "container definition");
  if (!message.ok()) return message.status();
  Definition definition;
  definition.id = message->id();
  definition.host_id = message->host_id();
  definition.sandbox_id = message->sandbox_id();
  definition.created_unix_ns = message->created_unix_ns();
  definition.spec = codec::GetSpec(message->spec());
  definition.path = message->path();
  definition.args = codec::GetList(message->args());
  definition.effective = codec::GetImageConfig(message->effective_config());
  definition.image_id = message->image_id();
  definition.process_env = codec::GetList(message->process_env());
  definition.hostname = message->hostname();
  return definition;
}

std::string EncodeState(const Container& container) {
  storage::v1::StoredState message;
  message.set_name(container.name);
  message.set_state(static_cast<uint32_t>(container.state));
  message.set_pid(container.pid);
  message.set_exit_code(container.exit_code);
  message.set_oom_killed(container.oom_killed);
  message.set_error(container.error);
  message.set_started_unix_ns(container.started_unix_ns);
  message.set_finished_unix_ns(container.finished_unix_ns);
  message.set_restart_count(container.restart_count);
  for (const Endpoint& endpoint : container.endpoints) {
    codec::PutEndpoint(endpoint, message.add_endpoints());
  }
  message.set_manually_stopped(container.manually_stopped);
  message.set_remove_volumes(container.remove_volumes);
  message.set_suppress_restart(container.suppress_restart);
  message.set_restart_after_stop(container.restart_after_stop);
  message.set_stop_has_deadline(container.stop_has_deadline);
  message.set_stop_deadline_unix_ns(container.stop_deadline_unix_ns);
  message.set_stop_signal(container.stop_signal);
  message.set_backoff_ms(container.backoff_ms);
  message.set_agent_sequence(container.agent_sequence);
  if (container.health != nullptr) PutHealth(*container.health, *message.mutable_health());
  return message.SerializeAsString();
}

absl::StatusOr<Container> DecodeState(absl::string_view bytes) {
  const auto message = Parse<storage::v1::StoredState>(bytes, "container state");
  if (!message.ok()) return message.status();
  if (message->state() >= static_cast<uint32_t>(kStateCount)) {
    return absl::DataLossError("a stored container state is of a newer version");
  }
  Container container;
  container.name = message->name();
  container.state = static_cast<State>(message->state());
  container.pid = message->pid();
  container.exit_code = message->exit_code();
  container.oom_killed = message->oom_killed();
  container.error = message->error();
  container.started_unix_ns = message->started_unix_ns();
  container.finished_unix_ns = message->finished_unix_ns();
  container.restart_count = message->restart_count();
  for (const auto& endpoint : message->endpoints()) {
    container.endpoints.push_back(codec::GetEndpoint(endpoint));
  }
  container.manually_stopped = message->manually_stopped();
  container.remove_volumes = message->remove_volumes();
  container.suppress_restart = message->suppress_restart();
  container.restart_after_stop = message->restart_after_stop();
  container.stop_has_deadline = message->stop_has_deadline();
  container.stop_deadline_unix_ns = message->stop_deadline_unix_ns();
  container.stop_signal = message->stop_signal();
  container.backoff_ms = message->backoff_ms();
  container.agent_sequence = message->agent_sequence();
  if (message->has_health()) {
    container.health = std::make_shared<const Health>(GetHealth(message->health()));
  }
  return container;
}

std::string EncodeNetwork(const VirtualNetwork& network) {
  storage::v1::StoredNetwork message;
  codec::PutVirtualNetwork(network, &message);
  return message.SerializeAsString();
}

absl::StatusOr<VirtualNetwork> DecodeNetwork(absl::string_view bytes) {
  const auto message = Parse<storage::v1::StoredNetwork>(bytes, "network");
  if (!message.ok()) return message.status();
  return codec::GetVirtualNetwork(*message);
}

std::string EncodeVolume(const Volume& volume) {
  storage::v1::StoredVolume message;
  message.set_driver(volume.driver);
  codec::PutMap(volume.labels, message.mutable_labels());
  codec::PutMap(volume.options, message.mutable_options());
  message.set_created_unix_ns(volume.created_unix_ns);
  message.set_host_id(volume.host_id);
  message.set_anonymous(volume.anonymous);
  message.set_removing(volume.removing);
  message.set_made_for(volume.made_for);
  return message.SerializeAsString();
}

absl::StatusOr<Volume> DecodeVolume(absl::string_view bytes) {
  const auto message = Parse<storage::v1::StoredVolume>(bytes, "volume");
  if (!message.ok()) return message.status();
  return Volume{.driver = message->driver(),
                .labels = codec::GetMap(message->labels()),
                .options = codec::GetMap(message->options()),
                .created_unix_ns = message->created_unix_ns(),
                .host_id = message->host_id(),
                .anonymous = message->anonymous(),
                .removing = message->removing(),
                .made_for = message->made_for()};
}

std::string EncodeEvent(const Event& event) {
  storage::v1::StoredEvent message;
  message.set_time_unix_ns(event.time_unix_ns);
  message.set_type(event.type);
  message.set_action(event.action);
  message.set_actor_id(event.actor_id);
  codec::PutMap(event.attributes, message.mutable_attributes());
  message.set_host_id(event.host_id);
  return message.SerializeAsString();
}

absl::StatusOr<Event> DecodeEvent(absl::string_view bytes) {
  const auto message = Parse<storage::v1::StoredEvent>(bytes, "event");
  if (!message.ok()) return message.status();
  Event event;
  event.time_unix_ns = message->time_unix_ns();
  event.type = message->type();
  event.action = message->action();
  event.actor_id = message->actor_id();
  event.attributes = codec::GetMap(message->attributes());
  event.host_id = message->host_id();
  return event;
}

}  // namespace slipway::container
