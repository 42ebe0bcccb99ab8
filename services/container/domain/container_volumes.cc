#include <algorithm>
#include <utility>

#include "base/status/status_macros.h"
#include "services/container/domain/volume_rules.h"
#include "services/container/domain/volumes.h"

namespace slipway::container {
namespace {

const Mount& MountOf(const ContainerSpec& spec, const std::string& volume) {
  return *std::find_if(spec.mounts.begin(), spec.mounts.end(), [&volume](const Mount& mount) {
    return mount.type == Mount::Type::kVolume && mount.source == volume;
  });
}

absl::Status MakeFor(Core& core, const VolumeTable::Turn& turn, const Definition& definition) {
  const Mount& mount = MountOf(definition.spec, turn.name());
  Volume volume{.name = turn.name(),
                .labels = mount.volume_labels,
                .options = mount.volume_options,
                .anonymous = mount.anonymous,
                .made_for = definition.id};
  ASSIGN_OR_RETURN(const VolumeSource source, ParseVolumeOptions(volume.options));
  // A plain directory is made by the host when it prepares the container, whose record is synced.
  return MakeVolume(core, turn, std::move(volume), /*ask_host=*/!source.plain(), Durability::kSoon);
}

// It has another user than the create that made it: it stays when that one fails.
absl::Status Share(Core& core, const Volume& volume, const std::string& container_id) {
  if (volume.made_for.empty() || volume.made_for == container_id) return absl::OkStatus();
  auto shared = std::make_shared<Volume>(volume);
  shared->made_for.clear();
  StoreBatch batch;
  batch.put_volume = shared;
  RETURN_IF_ERROR(core.Write(std::move(batch), {}, Durability::kSoon));
  core.volumes().Put(std::move(shared));
  return absl::OkStatus();
}

}  // namespace

absl::Status TakeVolumes(Core& core, const Definition& definition, std::vector<std::string>& made) {
  for (const std::string& name : VolumesOf(definition.spec)) {
    const VolumeTable::Turn turn(core.volumes(), name);
    RETURN_IF_ERROR(FinishRemoval(core, turn));
    const std::optional<UsedVolume> found = core.volumes().Find(name);
    if (found.has_value()) {
      RETURN_IF_ERROR(Share(core, *found->volume, definition.id));
    } else {
      RETURN_IF_ERROR(MakeFor(core, turn, definition));
      made.push_back(name);
    }
    core.volumes().AddUser(name, definition.id);
  }
  return absl::OkStatus();
}

absl::Status ReleaseVolumes(Core& core, const Definition& definition, bool remove_anonymous) {
  for (const std::string& name : VolumesOf(definition.spec)) {
    const VolumeTable::Turn turn(core.volumes(), name);
    const size_t users = core.volumes().RemoveUser(name, definition.id);
    if (users > 0 || !remove_anonymous || !MountOf(definition.spec, name).anonymous) continue;
    const absl::Status removed = RemoveInTurn(core, turn, Durability::kSoon);
    if (removed.ok()) continue;
    if (IsUncertain(removed)) return removed;
    core.observer().Warning("an anonymous volume was not removed", definition.id, removed);
  }
  return absl::OkStatus();
}

void UndoVolumes(Core& core, const Definition& definition, const std::vector<std::string>& made) {
  for (const std::string& name : VolumesOf(definition.spec)) {
    const VolumeTable::Turn turn(core.volumes(), name);
    const size_t users = core.volumes().RemoveUser(name, definition.id);
    if (users > 0 || std::find(made.begin(), made.end(), name) == made.end()) continue;
    const absl::Status removed = RemoveInTurn(core, turn, Durability::kSoon);
    if (!removed.ok()) {
      core.observer().Warning("undo of a create left a volume", definition.id, removed);
    }
  }
}

absl::Status RemoveVolumesMadeFor(Core& core, const std::string& container_id) {
  for (const UsedVolume& used : core.volumes().All()) {
    if (used.volume->made_for != container_id) continue;
    const VolumeTable::Turn turn(core.volumes(), used.volume->name);
    const std::optional<UsedVolume> now = core.volumes().Find(turn.name());
    if (!now.has_value() || !now->users.empty() || now->volume->made_for != container_id) continue;
    RETURN_IF_ERROR(RemoveInTurn(core, turn, Durability::kSoon));
  }
  return absl::OkStatus();
}

std::vector<Event> VolumeEvents(Core& core, const Container& container, absl::string_view action) {
  std::vector<Event> events;
  for (const Mount& mount : container.definition->spec.mounts) {
    if (mount.type != Mount::Type::kVolume) continue;
    Event event{.time_unix_ns = core.clock().NowUnixNs(),
                .type = "volume",
                .action = std::string(action),
                .actor_id = mount.source,
                .attributes = {{"container", container.id()}, {"driver", "local"}},
                .host_id = container.definition->host_id};
    if (action == "mount") {
      event.attributes["destination"] = mount.target;
      event.attributes["propagation"] = mount.propagation;
      event.attributes["read/write"] = mount.read_only ? "false" : "true";
    }
    events.push_back(std::move(event));
  }
  return events;
}

}  // namespace slipway::container
