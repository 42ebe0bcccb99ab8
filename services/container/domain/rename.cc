#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/container/domain/attachments.h"
#include "services/container/domain/container_name.h"
#include "services/container/domain/container_state.h"
#include "services/container/domain/lifecycle.h"
#include "services/container/domain/verbs.h"

namespace slipway::container {
namespace {

// A container that runs is found in its networks by the new name from now on.
void RenameOnHost(Core& core, const Container& container) {
  if (!HasProcess(container.state)) return;
  const auto attachments = AllToHost(core, container);
  if (!attachments.ok()) return;
  for (const HostAttachment& attachment : *attachments) {
    if (attachment.names.empty()) continue;
    const absl::Status told = core.agent().Connect(container.id(), attachment).status();
    if (!told.ok()) core.observer().Warning("rename on the host", container.id(), told);
  }
}

absl::Status RenameNow(Core& core, const EntryPtr& entry, const std::string& name) {
  const ContainerPtr now = entry->snapshot();
  RETURN_IF_ERROR(Follow(*now, Transition::kRename).status());
  if (name == now->name) {
    return absl::InvalidArgumentError(
        "Renaming a container with the same name as its current name");
  }
  const absl::Status reserved = core.table().ReserveName(name, now->id());
  if (!reserved.ok()) {
    return absl::AlreadyExistsError(
        absl::StrCat("Error when allocating new name: ", reserved.message()));
  }
  auto next = std::make_shared<Container>(*now);
  next->name = name;
  std::vector<Event> events = {
      core.MakeEvent(*next, "rename", {{"oldName", absl::StrCat("/", now->name)}})};
  const absl::Status written =
      core.Commit(*entry, std::move(next), std::move(events), Durability::kSynced);
  core.table().ReleaseName(written.ok() ? now->name : name, now->id());
  if (written.ok()) RenameOnHost(core, *entry->snapshot());
  return written;
}

}  // namespace

void RenameContainer(Core& core, const std::string& reference, const std::string& name,
                     DoneStatus done) {
  done = Observed(core, "rename", std::move(done));
  if (reference.empty() || name.empty()) {
    return done(absl::InvalidArgumentError("Neither old nor new names may be empty"));
  }
  const absl::StatusOr<EntryPtr> entry = core.table().Find(reference);
  if (!entry.ok()) return done(entry.status());
  absl::StatusOr<std::string> parsed = ParseContainerName(name);
  if (!parsed.ok()) return done(parsed.status());
  (*entry)->Post(
      [&core, entry = *entry, name = *std::move(parsed), reference, done = std::move(done)] {
        if (entry->removed()) {
          return done(absl::NotFoundError(absl::StrCat("No such container: ", reference)));
        }
        done(RenameNow(core, entry, name));
      });
}

}  // namespace slipway::container
