#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/container/domain/container_name.h"
#include "services/container/domain/placement.h"
#include "services/container/domain/volume_rules.h"
#include "services/container/domain/volumes.h"

namespace slipway::container {
namespace {

absl::StatusOr<UsedVolume> CreateNow(Core& core, CreateVolumeCommand command) {
  RETURN_IF_ERROR(PlaceContainer("", core.host()));
  Volume volume{.name = std::move(command.name),
                .labels = std::move(command.labels),
                .options = std::move(command.options)};
  if (volume.name.empty()) {
    volume.name = NewId();
    volume.anonymous = true;
  }
  if (!command.driver.empty() && command.driver != volume.driver) {
    return absl::NotFoundError(absl::StrCat("create ", volume.name,
                                            ": error looking up volume plugin ", command.driver,
                                            ": plugin \"", command.driver, "\" not found"));
  }
  RETURN_IF_ERROR(CheckVolumeName(volume.name));
  const absl::Status options = ParseVolumeOptions(volume.options).status();
  if (!options.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("create ", volume.name, ": ", options.message()));
  }
  const VolumeTable::Turn turn(core.volumes(), volume.name);
  RETURN_IF_ERROR(FinishRemoval(core, turn));
  if (!core.volumes().Find(turn.name()).has_value()) {
    RETURN_IF_ERROR(
        MakeVolume(core, turn, std::move(volume), /*ask_host=*/true, Durability::kSynced));
  }
  return GetVolume(core, turn.name());
}

Event MakeVolumeEvent(Core& core, const Volume& volume, absl::string_view action) {
  return Event{.time_unix_ns = core.clock().NowUnixNs(),
               .type = "volume",
               .action = std::string(action),
               .actor_id = volume.name,
               .attributes = {{"driver", volume.driver}},
               .host_id = volume.host_id};
}

absl::Status DropRecord(Core& core, const std::string& name, std::vector<Event> events,
                        Durability durability) {
  StoreBatch batch;
  batch.delete_volume = name;
  return core.Write(std::move(batch), std::move(events), durability);
}

}  // namespace

absl::Status MakeVolume(Core& core, const VolumeTable::Turn& turn, Volume volume, bool ask_host,
                        Durability durability) {
  volume.created_unix_ns = core.clock().NowUnixNs();
  volume.host_id = core.host().host_id;
  // As Docker marks them, for who prunes.
  if (volume.anonymous) volume.labels.emplace("com.docker.volume.anonymous", "");
  const auto shared = std::make_shared<const Volume>(std::move(volume));
  std::vector<Event> events = {MakeVolumeEvent(core, *shared, "create")};
  StoreBatch batch;
  batch.put_volume = shared;
  if (!ask_host) {
    RETURN_IF_ERROR(core.Write(std::move(batch), std::move(events), durability));
    core.volumes().Put(shared);
    return absl::OkStatus();
  }
  // First the record: a directory without one would be somebody's data.
  RETURN_IF_ERROR(core.Write(std::move(batch), {}, Durability::kSoon));
  ASSIGN_OR_RETURN(const VolumeSource source, ParseVolumeOptions(shared->options));
  const absl::Status made = core.agent().CreateVolume(turn.name(), source);
  if (!made.ok() && !IsUncertain(made)) {
    DropRecord(core, turn.name(), {}, Durability::kSoon).IgnoreError();
    return absl::Status(made.code(), absl::StrCat("create ", turn.name(), ": ", made.message()));
  }
  // Without an answer it may be there: SyncVolumes() settles it.
  core.volumes().Put(shared);
  RETURN_IF_ERROR(made);
  return core.Write({}, std::move(events), durability);
}

absl::Status RemoveInTurn(Core& core, const VolumeTable::Turn& turn, Durability durability) {
  const std::optional<UsedVolume> found = core.volumes().Find(turn.name());
  if (!found.has_value()) return absl::OkStatus();
  if (!found->volume->removing) {
    auto intent = std::make_shared<Volume>(*found->volume);
    intent->removing = true;
    StoreBatch batch;
    batch.put_volume = intent;
    RETURN_IF_ERROR(core.Write(std::move(batch), {}, Durability::kSoon));
    core.volumes().Put(std::move(intent));
  }
  const absl::Status removed = core.agent().RemoveVolume(turn.name());
  if (!removed.ok()) {
    if (IsUncertain(removed)) return removed;
    auto kept = std::make_shared<Volume>(*found->volume);
    kept->removing = false;
    StoreBatch batch;
    batch.put_volume = kept;
    core.Write(std::move(batch), {}, Durability::kSoon).IgnoreError();
    core.volumes().Put(std::move(kept));
    return removed;
  }
  RETURN_IF_ERROR(DropRecord(core, turn.name(), {MakeVolumeEvent(core, *found->volume, "destroy")},
                             durability));
  core.volumes().Erase(turn.name());
  return absl::OkStatus();
}

absl::Status FinishRemoval(Core& core, const VolumeTable::Turn& turn) {
  const std::optional<UsedVolume> found = core.volumes().Find(turn.name());
  if (!found.has_value() || !found->volume->removing) return absl::OkStatus();
  return RemoveInTurn(core, turn, Durability::kSoon);
}

void CreateVolume(Core& core, CreateVolumeCommand command, Done<UsedVolume> done) {
  core.executor().Post(
      [&core, command = std::move(command),
       done = Observed<UsedVolume>(core, "volume_create", std::move(done))]() mutable {
        done(CreateNow(core, std::move(command)));
      });
}

}  // namespace slipway::container
