#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status/status_macros.h"
#include "services/container/domain/container_name.h"
#include "services/container/domain/lifecycle.h"
#include "services/container/domain/merge.h"
#include "services/container/domain/validate.h"
#include "services/container/domain/verbs.h"

namespace slipway::container {
namespace {

Event ExecEvent(Core& core, const Container& container, absl::string_view action,
                const ExecRecord& record) {
  return core.MakeEvent(container,
                        absl::StrCat(action, ": ", absl::StrJoin(record.spec.command, " ")),
                        {{"execID", record.id}});
}

absl::StatusOr<StartExecResult> StartExecNow(Core& core, const StartExecCommand& command) {
  ASSIGN_OR_RETURN(const ExecRecord record, core.execs().Get(command.exec_id));
  const EntryPtr entry = core.table().FindById(record.container_id);
  if (entry == nullptr) {
    return absl::NotFoundError(absl::StrCat("No such container: ", record.container_id));
  }
  const ContainerPtr container = entry->snapshot();
  RETURN_IF_ERROR(Follow(*container, Transition::kExec).status());
  RETURN_IF_ERROR(core.execs().BeginStart(command.exec_id).status());
  const Definition& definition = *container->definition;
  const absl::StatusOr<int64_t> pid = core.agent().StartExec(
      {.exec_id = record.id,
       .container_id = record.container_id,
       .spec = record.spec,
       .env = ProcessEnv(definition.effective.env, definition.hostname, record.spec.tty),
       .user = definition.effective.user,
       .working_directory = definition.effective.working_directory,
       .detach = command.detach,
       .terminal_size = command.terminal_size});
  if (!pid.ok()) {
    if (IsUncertain(pid.status())) {
      core.execs().StartUndone(record.id);
    } else {
      core.execs().Ended(record.id, ExitCodeOfFailedStart(pid.status(), /*otherwise=*/126));
    }
    return pid.status();
  }
  core.execs().Started(record.id, *pid);
  core.Write({}, {ExecEvent(core, *container, "exec_start", record)}, Durability::kSoon)
      .IgnoreError();
  return StartExecResult{record.container_id, definition.host_id};
}

// Of an exec that was started before this service was: the host knows how it ended, though not
// what it was asked to do.
absl::StatusOr<ExecRecord> GetForgottenExec(Core& core, const std::string& exec_id,
                                            const absl::Status& unknown) {
  const absl::StatusOr<ExecStatus> actual = core.agent().GetExec(exec_id);
  if (!actual.ok() || core.table().FindById(actual->container_id) == nullptr) return unknown;
  ExecRecord record;
  record.id = exec_id;
  record.container_id = actual->container_id;
  record.phase = actual->running ? ExecRecord::Phase::kRunning : ExecRecord::Phase::kEnded;
  record.exit_code = actual->exit_code;
  record.pid = actual->pid;
  return record;
}

absl::StatusOr<ExecRecord> GetExecNow(Core& core, const std::string& exec_id) {
  absl::StatusOr<ExecRecord> known = core.execs().Get(exec_id);
  if (!known.ok()) return GetForgottenExec(core, exec_id, known.status());
  ExecRecord record = *std::move(known);
  if (record.phase != ExecRecord::Phase::kRunning) return record;
  const absl::StatusOr<ExecStatus> actual = core.agent().GetExec(exec_id);
  if (absl::IsNotFound(actual.status())) {
    // The host forgot it: it does not run.
    record.phase = ExecRecord::Phase::kEnded;
    return record;
  }
  RETURN_IF_ERROR(actual.status());
  if (actual->running) return record;
  record.phase = ExecRecord::Phase::kEnded;
  record.exit_code = actual->exit_code;
  return record;
}

}  // namespace

absl::StatusOr<std::string> CreateExec(Core& core, const std::string& reference, ExecSpec spec) {
  ASSIGN_OR_RETURN(const EntryPtr entry, core.table().Find(reference));
  const ContainerPtr container = entry->snapshot();
  RETURN_IF_ERROR(ValidateExecSpec(spec));
  RETURN_IF_ERROR(Follow(*container, Transition::kExec).status());
  ExecRecord record;
  record.id = NewId();
  record.container_id = container->id();
  record.spec = std::move(spec);
  const ExecRecord copy = record;
  RETURN_IF_ERROR(core.execs().Add(std::move(record)));
  core.Write({}, {ExecEvent(core, *container, "exec_create", copy)}, Durability::kSoon)
      .IgnoreError();
  return copy.id;
}

void StartExec(Core& core, StartExecCommand command, Done<StartExecResult> done) {
  core.executor().Post([&core, command = std::move(command),
                        done = Observed<StartExecResult>(core, "exec_start", std::move(done))] {
    done(StartExecNow(core, command));
  });
}

void GetExec(Core& core, const std::string& exec_id, Done<ExecRecord> done) {
  core.executor().Post(
      [&core, exec_id, done = std::move(done)] { done(GetExecNow(core, exec_id)); });
}

void RecordExecExit(Core& core, const ExecExited& exited) {
  if (!core.execs().Ended(exited.exec_id, exited.exit_code)) return;
  const EntryPtr entry = core.table().FindById(exited.container_id);
  if (entry == nullptr) return;
  core.Write({},
             {core.MakeEvent(
                 *entry->snapshot(), "exec_die",
                 {{"execID", exited.exec_id}, {"exitCode", absl::StrCat(exited.exit_code)}})},
             Durability::kSoon)
      .IgnoreError();
}

}  // namespace slipway::container
