#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/container/domain/volumes.h"

namespace slipway::container {
namespace {

absl::Status RemoveNow(Core& core, const std::string& name, bool force) {
  const VolumeTable::Turn turn(core.volumes(), name);
  const absl::StatusOr<UsedVolume> found = GetVolume(core, name);
  if (!found.ok()) return force ? absl::OkStatus() : found.status();
  if (!found->users.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("remove ", name, ": volume is in use - [",
                                                      absl::StrJoin(found->users, ", "), "]"));
  }
  const absl::Status removed = RemoveInTurn(core, turn, Durability::kSynced);
  if (removed.ok()) return removed;
  return absl::Status(removed.code(), absl::StrCat("remove ", name, ": ", removed.message()));
}

}  // namespace

void RemoveVolume(Core& core, const std::string& name, bool force, DoneStatus done) {
  core.executor().Post(
      [&core, name, force, done = Observed(core, "volume_remove", std::move(done))] {
        done(RemoveNow(core, name, force));
      });
}

}  // namespace slipway::container
