#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/container/domain/labels.h"
#include "services/container/domain/volumes.h"

namespace slipway::container {
namespace {

// As with Docker, one that was made with options is left to who made it.
bool IsPruned(const UsedVolume& used, const PruneVolumesCommand& command) {
  return used.users.empty() && used.volume->options.empty() &&
         (command.all || used.volume->anonymous) &&
         LabelsPass(used.volume->labels, command.labels, command.not_labels);
}

absl::StatusOr<PruneVolumesResult> PruneNow(Core& core, const PruneVolumesCommand& command) {
  std::vector<UsedVolume> unused;
  for (UsedVolume& used : core.volumes().All()) {
    if (IsPruned(used, command)) unused.push_back(std::move(used));
  }
  ASSIGN_OR_RETURN(const auto sizes, MeasureVolumes(core, unused));
  PruneVolumesResult result;
  for (size_t i = 0; i < unused.size(); ++i) {
    const std::string& name = unused[i].volume->name;
    const VolumeTable::Turn turn(core.volumes(), name);
    // Taken by a container meanwhile.
    const std::optional<UsedVolume> now = core.volumes().Find(name);
    if (!now.has_value() || !now->users.empty()) continue;
    const absl::Status removed = RemoveInTurn(core, turn, Durability::kSoon);
    if (!removed.ok()) {
      core.observer().Warning("a volume was not pruned", name, removed);
      continue;
    }
    result.names.push_back(name);
    result.freed_bytes += sizes[i].value_or(0);
  }
  Event event{.time_unix_ns = core.clock().NowUnixNs(),
              .type = "volume",
              .action = "prune",
              .attributes = {{"reclaimed", absl::StrCat(result.freed_bytes)}},
              .host_id = core.host().host_id};
  // With it all that was written before is synced.
  RETURN_IF_ERROR(core.Write({}, {std::move(event)}, Durability::kSynced));
  return result;
}

}  // namespace

void PruneVolumes(Core& core, PruneVolumesCommand command, Done<PruneVolumesResult> done) {
  core.executor().Post(
      [&core, command = std::move(command),
       done = Observed<PruneVolumesResult>(core, "volume_prune", std::move(done))] {
        done(PruneNow(core, command));
      });
}

}  // namespace slipway::container
