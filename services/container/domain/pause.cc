#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/container/domain/container_state.h"
#include "services/container/domain/lifecycle.h"
#include "services/container/domain/verbs.h"

namespace slipway::container {
namespace {

// The host's truth is the freezer's: it acts first, and a record that was not written is corrected
// by the next comparison.
absl::Status PauseNow(Core& core, const EntryPtr& entry) {
  const ContainerPtr now = entry->snapshot();
  RETURN_IF_ERROR(Follow(*now, Transition::kPause).status());
  RETURN_IF_ERROR(core.agent().Pause(now->id()));
  RecordPaused(core, entry, true);
  return absl::OkStatus();
}

absl::Status UnpauseNow(Core& core, const EntryPtr& entry) {
  const ContainerPtr now = entry->snapshot();
  RETURN_IF_ERROR(Follow(*now, Transition::kUnpause).status());
  RETURN_IF_ERROR(core.agent().Unpause(now->id()));
  RecordPaused(core, entry, false);
  return absl::OkStatus();
}

template <typename Operation>
void Queue(Core& core, const std::string& reference, DoneStatus done, Operation operation) {
  const absl::StatusOr<EntryPtr> entry = core.table().Find(reference);
  if (!entry.ok()) return done(entry.status());
  (*entry)->Post([&core, entry = *entry, reference, operation, done = std::move(done)] {
    if (entry->removed()) {
      return done(absl::NotFoundError(absl::StrCat("No such container: ", reference)));
    }
    done(operation(core, entry));
  });
}

}  // namespace

void RecordPaused(Core& core, const EntryPtr& entry, bool paused) {
  const ContainerPtr now = entry->snapshot();
  const auto state = Next(now->state, paused ? Transition::kPause : Transition::kUnpause);
  if (entry->removed() || !state.has_value()) return;
  auto next = std::make_shared<Container>(*now);
  next->state = *state;
  std::vector<Event> events = {core.MakeEvent(*next, paused ? "pause" : "unpause")};
  core.Record(*entry, std::move(next), std::move(events), Entry::Fire::kNothing);
  paused ? EndHealth(entry) : BeginHealth(core, entry);
}

void PauseContainer(Core& core, const std::string& reference, DoneStatus done) {
  Queue(core, reference, Observed(core, "pause", std::move(done)), PauseNow);
}

void UnpauseContainer(Core& core, const std::string& reference, DoneStatus done) {
  Queue(core, reference, Observed(core, "unpause", std::move(done)), UnpauseNow);
}

}  // namespace slipway::container
