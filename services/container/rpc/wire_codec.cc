#include "services/container/rpc/wire_codec.h"

#include "services/container/codec/spec_codec.h"

namespace slipway::container {
namespace {

v1::ContainerStatus StatusOf(const Container& container) {
  switch (container.state) {
    case State::kCreated:
      return v1::CONTAINER_STATUS_CREATED;
    case State::kStarting:
      if (container.restart_count > 0) return v1::CONTAINER_STATUS_RESTARTING;
      return container.started_unix_ns == 0 ? v1::CONTAINER_STATUS_CREATED
                                            : v1::CONTAINER_STATUS_EXITED;
    case State::kRunning:
    case State::kStopping:
      return v1::CONTAINER_STATUS_RUNNING;
    case State::kPaused:
      return v1::CONTAINER_STATUS_PAUSED;
    case State::kRestarting:
      return v1::CONTAINER_STATUS_RESTARTING;
    case State::kRemoving:
      return v1::CONTAINER_STATUS_REMOVING;
    case State::kExited:
      return v1::CONTAINER_STATUS_EXITED;
    case State::kDead:
      return v1::CONTAINER_STATUS_DEAD;
  }
  return v1::CONTAINER_STATUS_UNSPECIFIED;
}

// `whole`: with the log.
void PutHealth(const Health& from, bool whole, v1::Health* to) {
  to->set_status(static_cast<v1::Health::Status>(from.status));
  to->set_failing_streak(from.failing_streak);
  if (!whole) return;
  for (const HealthProbe& probe : from.log) {
    v1::HealthProbe* entry = to->add_log();
    entry->set_started_unix_ns(probe.started_unix_ns);
    entry->set_finished_unix_ns(probe.finished_unix_ns);
    entry->set_exit_code(probe.exit_code);
    entry->set_output(probe.output);
  }
}

absl::string_view ActionName(v1::RecordAccessRequest::Action action) {
  switch (action) {
    case v1::RecordAccessRequest::ACTION_ATTACH:
      return "attach";
    case v1::RecordAccessRequest::ACTION_DETACH:
      return "detach";
    case v1::RecordAccessRequest::ACTION_RESIZE:
      return "resize";
    case v1::RecordAccessRequest::ACTION_TOP:
      return "top";
    case v1::RecordAccessRequest::ACTION_EXPORT:
      return "export";
    case v1::RecordAccessRequest::ACTION_ARCHIVE_PATH:
      return "archive-path";
    case v1::RecordAccessRequest::ACTION_EXTRACT_TO_DIRECTORY:
      return "extract-to-dir";
    case v1::RecordAccessRequest::ACTION_EXEC_DETACH:
      return "exec_detach";
    default:
      return "";
  }
}

}  // namespace

UpdateCommand GetUpdate(const v1::UpdateContainerRequest& from) {
  UpdateCommand to{.reference = from.container(),
                   .resources = codec::GetResources(from.resources())};
  if (from.has_pids_limit()) to.pids_limit = from.pids_limit();
  if (from.has_restart_policy()) {
    to.restart_policy =
        RestartPolicy{static_cast<RestartPolicy::Mode>(from.restart_policy().mode()),
                      from.restart_policy().maximum_retries()};
  }
  return to;
}

void PutSize(const ContainerSize& from, v1::Container* to) {
  to->set_written_bytes(from.written_bytes);
  to->set_root_bytes(from.root_bytes);
}

PruneCommand GetPrune(const v1::PruneContainersRequest& from) {
  return {.labels = codec::GetList(from.labels()),
          .not_labels = codec::GetList(from.not_labels()),
          .until_unix_ns = from.until_unix_ns()};
}

absl::StatusOr<Access> GetAccess(const v1::RecordAccessRequest& from) {
  const absl::string_view action = ActionName(from.action());
  if (action.empty()) return absl::InvalidArgumentError("unknown access to a container");
  return Access{std::string(action), codec::GetMap(from.attributes())};
}

void PutContainer(const Container& from, bool whole, v1::Container* to) {
  const Definition& definition = *from.definition;
  to->set_id(definition.id);
  to->set_name(from.name);
  to->set_host_id(definition.host_id);
  to->set_sandbox_id(definition.sandbox_id);
  to->set_created_unix_ns(definition.created_unix_ns);
  codec::PutSpec(definition.spec, to->mutable_spec());
  if (!whole) to->mutable_spec()->clear_client_data();
  to->set_path(definition.path);
  codec::PutList(definition.args, to->mutable_args());
  codec::PutImageConfig(definition.effective, to->mutable_effective_config());
  to->set_image_id(definition.image_id);
  v1::ContainerState* state = to->mutable_state();
  state->set_status(StatusOf(from));
  state->set_pid(from.pid);
  state->set_exit_code(from.exit_code);
  state->set_oom_killed(from.oom_killed);
  state->set_error(from.error);
  state->set_started_unix_ns(from.started_unix_ns);
  state->set_finished_unix_ns(from.finished_unix_ns);
  state->set_restart_count(from.restart_count);
  if (from.health != nullptr) PutHealth(*from.health, whole, state->mutable_health());
  for (const Endpoint& endpoint : from.endpoints) {
    codec::PutEndpoint(endpoint, to->add_endpoints());
  }
}

void PutEvent(const Event& from, slipway::common::v1::Event* to) {
  to->set_sequence(from.sequence);
  to->set_time_unix_ns(from.time_unix_ns);
  to->set_type(from.type);
  to->set_action(from.action);
  to->set_actor_id(from.actor_id);
  codec::PutMap(from.attributes, to->mutable_attributes());
  to->set_host_id(from.host_id);
}

ListQuery GetListQuery(const v1::ListContainersRequest& from) {
  ListQuery to;
  to.all = from.all();
  to.limit = from.limit();
  to.ids = codec::GetList(from.ids());
  to.names = codec::GetList(from.names());
  to.labels = codec::GetList(from.labels());
  to.statuses = codec::GetList(from.statuses());
  to.ancestors = codec::GetList(from.ancestors());
  to.exit_codes.assign(from.exit_codes().begin(), from.exit_codes().end());
  to.before = from.before();
  to.since = from.since();
  to.networks = codec::GetList(from.networks());
  to.health = codec::GetList(from.health());
  return to;
}

ExecSpec GetExecSpec(const v1::ExecSpec& from) {
  return ExecSpec{.command = codec::GetList(from.command()),
                  .env = codec::GetList(from.env()),
                  .working_directory = from.working_directory(),
                  .user = from.user(),
                  .tty = from.tty(),
                  .attach_stdin = from.attach_stdin(),
                  .attach_stdout = from.attach_stdout(),
                  .attach_stderr = from.attach_stderr(),
                  .privileged = from.privileged(),
                  .detach_keys = from.detach_keys()};
}

void PutExec(const ExecRecord& from, v1::GetExecResponse* to) {
  to->set_exec_id(from.id);
  to->set_container_id(from.container_id);
  v1::ExecSpec* spec = to->mutable_spec();
  codec::PutList(from.spec.command, spec->mutable_command());
  codec::PutList(from.spec.env, spec->mutable_env());
  spec->set_working_directory(from.spec.working_directory);
  spec->set_user(from.spec.user);
  spec->set_tty(from.spec.tty);
  spec->set_attach_stdin(from.spec.attach_stdin);
  spec->set_attach_stdout(from.spec.attach_stdout);
  spec->set_attach_stderr(from.spec.attach_stderr);
  spec->set_privileged(from.spec.privileged);
  spec->set_detach_keys(from.spec.detach_keys);
  to->set_running(from.phase == ExecRecord::Phase::kRunning);
  if (from.exit_code.has_value()) to->set_exit_code(*from.exit_code);
  to->set_pid(from.pid);
}

WaitCondition GetCondition(v1::WaitContainerRequest::Condition from) {
  switch (from) {
    case v1::WaitContainerRequest::CONDITION_NEXT_EXIT:
      return WaitCondition::kNextExit;
    case v1::WaitContainerRequest::CONDITION_REMOVED:
      return WaitCondition::kRemoved;
    default:
      return WaitCondition::kNotRunning;
  }
}

}  // namespace slipway::container
