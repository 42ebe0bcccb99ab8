#ifndef SERVICES_CONTAINER_DOMAIN_VOLUMES_H_
#define SERVICES_CONTAINER_DOMAIN_VOLUMES_H_

#include <optional>
#include <string>
#include <vector>

#include "services/container/domain/core.h"

// The use cases of volumes, and what containers do with theirs. As verbs.h: those with a Done
// return at once and call it exactly once. Thread-safe.
namespace slipway::container {

struct CreateVolumeCommand {
  std::string name;    // empty: made up
  std::string driver;  // empty: "local"
  StringMap labels;
  StringMap options;
};
// create_volume.cc. The volume of that name where there is one. Done when it has been synced.
void CreateVolume(Core& core, CreateVolumeCommand command, Done<UsedVolume> done);

// remove_volume.cc. `force`: OK when there is none.
void RemoveVolume(Core& core, const std::string& name, bool force, DoneStatus done);

struct PruneVolumesCommand {
  bool all = false;  // not only anonymous ones
  std::vector<std::string> labels;
  std::vector<std::string> not_labels;
};
struct PruneVolumesResult {
  std::vector<std::string> names;
  int64_t freed_bytes = 0;
};
// prune_volumes.cc. Those that no container has.
void PruneVolumes(Core& core, PruneVolumesCommand command, Done<PruneVolumesResult> done);

struct VolumeQuery {
  std::vector<std::string> names;
  std::vector<std::string> labels;
  std::vector<std::string> not_labels;
  std::optional<bool> dangling;
};
// list_volumes.cc. From memory.
std::vector<UsedVolume> ListVolumes(Core& core, const VolumeQuery& query);
absl::StatusOr<UsedVolume> GetVolume(Core& core, const std::string& name);
// Blocks on the host. For each volume the bytes of its files, where they are the platform's.
absl::StatusOr<std::vector<std::optional<int64_t>>> MeasureVolumes(
    Core& core, const std::vector<UsedVolume>& volumes);

std::string MountpointOf(const HostInfo& host, const std::string& volume);

// The steps. Those with a Turn block on the host.

// Writes the record and, unless the host makes it on the way (`ask_host`), has it made there.
absl::Status MakeVolume(Core& core, const VolumeTable::Turn& turn, Volume volume, bool ask_host,
                        Durability durability);
// Removes one that no container has, whatever its record says. OK when there is none.
absl::Status RemoveInTurn(Core& core, const VolumeTable::Turn& turn, Durability durability);
// Of one whose removal a host did not answer.
absl::Status FinishRemoval(Core& core, const VolumeTable::Turn& turn);

// container_volumes.cc

// Before a container is prepared: its volumes, those made that there were not, each with their
// names put into `made`. On an error those made so far are there too.
absl::Status TakeVolumes(Core& core, const Definition& definition, std::vector<std::string>& made);
// The container goes: its anonymous volumes too when `remove_anonymous` says so, unless another one
// has them. UNAVAILABLE when the host did not answer; may be repeated.
absl::Status ReleaseVolumes(Core& core, const Definition& definition, bool remove_anonymous);
// Takes TakeVolumes() back.
void UndoVolumes(Core& core, const Definition& definition, const std::vector<std::string>& made);
// What a create that was never finished made.
absl::Status RemoveVolumesMadeFor(Core& core, const std::string& container_id);

// "mount" or "unmount" for each volume of a container whose run begins or ended.
std::vector<Event> VolumeEvents(Core& core, const Container& container, absl::string_view action);

// sync_volumes.cc. Makes records and host agree: finishes removals, has volumes made that the host
// does not know, and takes over directories that no record knows: files are never removed for want
// of a record.
absl::Status SyncVolumes(Core& core);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_VOLUMES_H_
