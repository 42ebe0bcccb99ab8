#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/container/domain/container_state.h"
#include "services/container/domain/take.h"
#include "services/container/domain/validate.h"
#include "services/container/domain/verbs.h"

namespace slipway::container {
namespace {

absl::Status Conflict(absl::string_view message) { return absl::FailedPreconditionError(message); }

// What goes together only when it is set together. Docker's rules and words.
absl::Status CheckConflicts(const Resources& now, const Resources& wanted) {
  if (wanted.nano_cpus > 0 && now.cpu_period_us > 0) {
    return Conflict(
        "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set");
  }
  if (wanted.nano_cpus > 0 && now.cpu_quota_us > 0) {
    return Conflict(
        "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set");
  }
  if (wanted.cpu_quota_us > 0 && now.nano_cpus > 0) {
    return Conflict(
        "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set");
  }
  if (wanted.cpu_period_us > 0 && now.nano_cpus > 0) {
    return Conflict(
        "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set");
  }
  // Unset, it was set to twice the memory.
  const int64_t swap = now.memory_swap_bytes != 0 ? now.memory_swap_bytes : 2 * now.memory_bytes;
  if (wanted.memory_bytes != 0 && wanted.memory_bytes > swap && wanted.memory_swap_bytes == 0 &&
      swap != -1) {
    return Conflict(
        "Memory limit should be smaller than already set memoryswap limit, update the memoryswap "
        "at "
        "the same time");
  }
  return absl::OkStatus();
}

void MergeResources(const UpdateCommand& command, Resources& to) {
  const Resources& from = command.resources;
  Take(from.nano_cpus, to.nano_cpus);
  Take(from.cpu_shares, to.cpu_shares);
  Take(from.cpu_quota_us, to.cpu_quota_us);
  Take(from.cpu_period_us, to.cpu_period_us);
  Take(from.cpuset_cpus, to.cpuset_cpus);
  Take(from.cpuset_mems, to.cpuset_mems);
  // The swap that nobody named stays what it was.
  if (from.memory_bytes != 0 && from.memory_swap_bytes == 0 && to.memory_swap_bytes == 0 &&
      to.memory_bytes != 0) {
    to.memory_swap_bytes = 2 * to.memory_bytes;
  }
  Take(from.memory_bytes, to.memory_bytes);
  Take(from.memory_swap_bytes, to.memory_swap_bytes);
  Take(from.memory_reservation_bytes, to.memory_reservation_bytes);
  Take(from.kernel_memory_bytes, to.kernel_memory_bytes);
  Take(from.blkio_weight, to.blkio_weight);
  if (command.pids_limit.has_value()) {
    to.pids_limit = *command.pids_limit > 0 ? *command.pids_limit : -1;
  }
}

absl::StatusOr<std::vector<std::string>> UpdateNow(Core& core, const EntryPtr& entry,
                                                   const UpdateCommand& command) {
  const ContainerPtr now = entry->snapshot();
  if (now->state == State::kRemoving || now->state == State::kDead) {
    return Conflict(absl::StrCat("Cannot update container ", now->id(),
                                 ": Container is marked for removal and cannot be \"update\"."));
  }
  const auto prefixed = [&now](const absl::Status& status) {
    return absl::Status(
        status.code(), absl::StrCat("Cannot update container ", now->id(), ": ", status.message()));
  };
  auto definition = std::make_shared<Definition>(*now->definition);
  ContainerSpec& spec = definition->spec;
  if (const absl::Status fits = CheckConflicts(spec.resources, command.resources); !fits.ok()) {
    return prefixed(fits);
  }
  MergeResources(command, spec.resources);
  if (command.restart_policy.has_value()) {
    const RestartPolicy::Mode mode = command.restart_policy->mode;
    const bool none = mode == RestartPolicy::Mode::kNo || mode == RestartPolicy::Mode::kUnspecified;
    if (spec.auto_remove && !none) {
      return prefixed(Conflict(
          "Restart policy cannot be updated because AutoRemove is enabled for the container"));
    }
    spec.restart_policy = *command.restart_policy;
  }
  RETURN_IF_ERROR(ValidateSpec(spec, core.host().cpu_count));
  std::vector<std::string> warnings;
  if (spec.resources != now->definition->spec.resources) {
    auto updated = core.agent().Update(now->id(), spec.resources);
    if (!updated.ok()) return prefixed(updated.status());
    warnings = *std::move(updated);
  }
  if (command.resources.kernel_memory_bytes != 0) warnings.emplace_back(kKernelMemoryWarning);
  auto next = std::make_shared<Container>(*now);
  next->definition = std::move(definition);
  StoreBatch batch;
  batch.put_definition = next->definition;
  batch.put_container = next;
  RETURN_IF_ERROR(
      core.Write(std::move(batch), {core.MakeEvent(*next, "update")}, Durability::kSynced));
  entry->Set(std::move(next), Entry::Fire::kNothing);
  return warnings;
}

}  // namespace

void UpdateContainer(Core& core, UpdateCommand command, Done<std::vector<std::string>> done) {
  done = Observed<std::vector<std::string>>(core, "update", std::move(done));
  const absl::StatusOr<EntryPtr> entry = core.table().Find(command.reference);
  if (!entry.ok()) return done(entry.status());
  (*entry)->Post([&core, entry = *entry, command = std::move(command), done = std::move(done)] {
    if (entry->removed()) {
      return done(absl::NotFoundError(absl::StrCat("No such container: ", command.reference)));
    }
    done(UpdateNow(core, entry, command));
  });
}

}  // namespace slipway::container
