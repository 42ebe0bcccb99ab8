#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "base/status/status_macros.h"
#include "services/container/domain/volume_rules.h"
#include "services/container/domain/volumes.h"

namespace slipway::container {
namespace {

bool LooksMadeUp(const std::string& name) {
  return name.size() == 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

absl::Status Keep(Core& core, Volume volume) {
  volume.host_id = core.host().host_id;
  const auto shared = std::make_shared<const Volume>(std::move(volume));
  StoreBatch batch;
  batch.put_volume = shared;
  RETURN_IF_ERROR(core.Write(std::move(batch), {}, Durability::kSoon));
  core.volumes().Put(shared);
  return absl::OkStatus();
}

// Directories of a time before there were records, or whose record was lost.
absl::Status Adopt(Core& core, const std::vector<std::string>& on_host, uint64_t erased) {
  for (const std::string& name : on_host) {
    const VolumeTable::Turn turn(core.volumes(), name);
    if (core.volumes().Find(name).has_value() || !CheckVolumeName(name).ok()) continue;
    // What was removed since the host was asked is no find.
    if (core.volumes().erased() != erased) continue;
    RETURN_IF_ERROR(Keep(core, {.name = name,
                                .created_unix_ns = core.clock().NowUnixNs(),
                                .anonymous = LooksMadeUp(name)}));
  }
  return absl::OkStatus();
}

absl::Status MakeAgain(Core& core, const VolumeTable::Turn& turn) {
  const std::optional<UsedVolume> now = core.volumes().Find(turn.name());
  if (!now.has_value()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const VolumeSource source, ParseVolumeOptions(now->volume->options));
  const absl::Status made = core.agent().CreateVolume(turn.name(), source);
  if (made.ok() || IsUncertain(made)) return made;
  core.observer().Warning("a volume cannot be made on its host", turn.name(), made);
  // Its create was never acknowledged: there it would have failed.
  if (now->users.empty()) return RemoveInTurn(core, turn, Durability::kSoon);
  return absl::OkStatus();
}

}  // namespace

absl::Status SyncVolumes(Core& core) {
  const uint64_t erased = core.volumes().erased();
  ASSIGN_OR_RETURN(const std::vector<std::string> on_host, core.agent().ListVolumes());
  RETURN_IF_ERROR(Adopt(core, on_host, erased));
  const absl::flat_hash_set<std::string> known(on_host.begin(), on_host.end());
  for (const UsedVolume& used : core.volumes().All()) {
    const VolumeTable::Turn turn(core.volumes(), used.volume->name);
    const std::optional<UsedVolume> now = core.volumes().Find(turn.name());
    if (!now.has_value()) continue;
    if (now->volume->removing && now->users.empty()) {
      RETURN_IF_ERROR(RemoveInTurn(core, turn, Durability::kSoon));
      continue;
    }
    // Known by its containers alone.
    if (now->volume->host_id.empty()) RETURN_IF_ERROR(Keep(core, *now->volume));
    if (!known.contains(turn.name())) RETURN_IF_ERROR(MakeAgain(core, turn));
  }
  return absl::OkStatus();
}

}  // namespace slipway::container
