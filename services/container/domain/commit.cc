#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status/status_macros.h"
#include "services/container/domain/lifecycle.h"
#include "services/container/domain/verbs.h"

namespace slipway::container {
namespace {

absl::Status CheckCommittable(const Container& container) {
  if (container.state == State::kDead) {
    return absl::FailedPreconditionError(
        absl::StrCat("You cannot commit container ", container.id(), " which is Dead"));
  }
  if (container.state == State::kRemoving) {
    return absl::FailedPreconditionError(
        absl::StrCat("You cannot commit container ", container.id(), " which is being removed"));
  }
  return absl::OkStatus();
}

// Frozen while its files are read, so that they belong together.
class Freeze {
 public:
  Freeze(AgentPort& agent, const Container& container) : agent_(agent), id_(container.id()) {}
  absl::Status Begin() {
    RETURN_IF_ERROR(agent_.Pause(id_));
    frozen_ = true;
    return absl::OkStatus();
  }
  ~Freeze() {
    if (frozen_) agent_.Unpause(id_).IgnoreError();
  }

 private:
  AgentPort& agent_;
  const std::string id_;
  bool frozen_ = false;
};

absl::StatusOr<std::string> CommitNow(Core& core, const Entry& entry,
                                      const CommitCommand& command) {
  const ContainerPtr container = entry.snapshot();
  RETURN_IF_ERROR(CheckCommittable(*container));
  const Definition& definition = *container->definition;
  NewImage image{.parent = definition.image_id,
                 .reference = command.image_reference,
                 .config = command.config.value_or(definition.effective),
                 .author = command.author,
                 .message = command.message,
                 .created_by = command.created_by.empty()
                                   ? absl::StrJoin(definition.effective.command, " ")
                                   : command.created_by,
                 .container_id = container->id(),
                 .created_unix_ns = command.created_unix_ns,
                 .latest_mtime_unix_s = command.latest_mtime_unix_s};
  Freeze freeze(core.agent(), *container);
  if (command.pause && container->state == State::kRunning) RETURN_IF_ERROR(freeze.Begin());
  ASSIGN_OR_RETURN(std::string id, core.image().Commit(image, [&](const TarSink& sink) {
    return core.agent().ExportChanges(container->id(), sink);
  }));
  core.Write({},
             {core.MakeEvent(*container, "commit",
                             {{"comment", command.message},
                              {"imageID", id},
                              {"imageRef", command.image_reference}})},
             Durability::kSoon)
      .IgnoreError();
  return id;
}

}  // namespace

void CommitContainer(Core& core, CommitCommand command, Done<std::string> done) {
  done = Observed<std::string>(core, "commit", std::move(done));
  const absl::StatusOr<EntryPtr> entry = core.table().Find(command.reference);
  if (!entry.ok()) return done(entry.status());
  // In the queue of the container: it is neither removed nor thawed meanwhile.
  (*entry)->Post([&core, entry = *entry, command = std::move(command), done = std::move(done)] {
    if (entry->removed()) {
      return done(absl::NotFoundError(absl::StrCat("No such container: ", command.reference)));
    }
    done(CommitNow(core, *entry, command));
  });
}

}  // namespace slipway::container
