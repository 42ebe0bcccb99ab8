#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "base/text/platform.h"
#include "services/container/domain/attachments.h"
#include "services/container/domain/container_name.h"
#include "services/container/domain/lifecycle.h"
#include "services/container/domain/merge.h"
#include "services/container/domain/placement.h"
#include "services/container/domain/references.h"
#include "services/container/domain/signal_name.h"
#include "services/container/domain/validate.h"
#include "services/container/domain/verbs.h"
#include "services/container/domain/volumes.h"

namespace slipway::container {
namespace {

// "container:<reference>" → "container:<id>", so that a rename changes nothing. The container that
// is joined; null: none.
absl::StatusOr<ContainerPtr> ResolveJoin(Core& core, std::string& mode) {
  const absl::string_view reference = JoinedContainer(mode);
  if (reference.empty()) return nullptr;
  ASSIGN_OR_RETURN(const EntryPtr entry, FindReferenced(core, reference));
  ContainerPtr joined = entry->snapshot();
  mode = absl::StrCat("container:", joined->id());
  return joined;
}

// Who joins a network has the name that its addresses have, as with Docker.
absl::Status ResolveNetworkJoin(Core& core, ContainerSpec& spec, std::string& sandbox_id) {
  ASSIGN_OR_RETURN(const ContainerPtr joined, ResolveJoin(core, spec.network.mode));
  if (joined == nullptr) return absl::OkStatus();
  sandbox_id = joined->definition->sandbox_id;
  if (spec.namespaces.uts != "host") {
    spec.hostname = joined->definition->hostname;
    spec.domainname = joined->definition->spec.domainname;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReserveName(Core& core, const CreateCommand& command,
                                        const std::string& id) {
  if (!command.name.empty()) {
    ASSIGN_OR_RETURN(std::string name, ParseContainerName(command.name));
    RETURN_IF_ERROR(core.table().ReserveName(name, id));
    return name;
  }
  constexpr int kAttempts = 20;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::string name = MakeUpName(attempt);
    if (core.table().ReserveName(name, id).ok()) return name;
  }
  return absl::ResourceExhaustedError("no free name found");
}

PlatformName NameOf(const Platform& platform) {
  return {platform.os, platform.architecture, platform.variant};
}

// NotFound, by which clients know that they may pull the other one.
absl::Status CheckPlatform(const ContainerSpec& spec, const Image& image) {
  if (Serves(NameOf(image.platform), NameOf(spec.platform))) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("image with reference ", spec.image,
                   " was found but does not match the specified platform: wanted ",
                   Format(NameOf(spec.platform)), ", actual: ", Format(NameOf(image.platform))));
}

std::string HostnameOf(const ContainerSpec& spec, const HostInfo& host, const std::string& id) {
  if (!spec.hostname.empty()) return spec.hostname;
  if (spec.network.mode == "host") return host.hostname;
  return id.substr(0, 12);
}

absl::StatusOr<std::shared_ptr<const Definition>> Define(Definition definition, const Image& image,
                                                         const HostInfo& host) {
  ASSIGN_OR_RETURN(MergedConfig merged, MergeConfig(definition.spec, image.config));
  definition.image_id = image.id;
  definition.effective = std::move(merged.effective);
  definition.path = std::move(merged.path);
  definition.args = std::move(merged.args);
  CompleteMounts(definition.effective.volumes, host.volumes_directory, definition.spec);
  definition.hostname = HostnameOf(definition.spec, host, definition.id);
  definition.process_env =
      ProcessEnv(definition.effective.env, definition.hostname, definition.spec.tty);
  if (!definition.effective.stop_signal.empty()) {
    RETURN_IF_ERROR(ParseSignal(definition.effective.stop_signal).status());
  }
  return std::make_shared<const Definition>(std::move(definition));
}

std::function<absl::StatusOr<std::vector<std::string>>()> BeginPrepare(Core& core,
                                                                       const Container& container,
                                                                       const Image& image) {
  const Definition& definition = *container.definition;
  const bool joins = definition.sandbox_id != definition.id;
  return core.agent().BeginPrepare(
      PrepareCommand{.definition = &definition,
                     .name = container.name,
                     .join_sandbox_id = joins ? definition.sandbox_id : "",
                     .layer_diff_ids = image.layer_diff_ids});
}

// Lets go of host and image. What cannot be let go now keeps its intent record, by which a later
// reconciliation finds it.
bool FreeOrKeepIntent(Core& core, const std::string& id, bool agent_asked) {
  absl::Status freed;
  if (agent_asked) freed = core.agent().Remove(id);
  if (freed.ok() || absl::IsNotFound(freed)) freed = core.image().Release(id);
  if (freed.ok() || absl::IsNotFound(freed)) return true;
  core.observer().Warning("undo of a create left something behind", id, freed);
  core.KeepIntent(id);
  return false;
}

// The image of a create: by the last answer for its reference, where there is one, so that the host
// can prepare while the image service is asked.
class Claim {
 public:
  Claim(Core& core, const std::string& reference, const std::string& owner, bool may_guess)
      : core_(core), reference_(reference), asked_(core.image().BeginAcquire(reference, owner)) {
    if (may_guess) guess_ = core.images().Find(reference);
  }
  ~Claim() { Answer().IgnoreError(); }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

  // Waits only where there is nothing to guess by.
  absl::StatusOr<std::shared_ptr<const Image>> Take() {
    if (guess_ != nullptr) return guess_;
    RETURN_IF_ERROR(Answer());
    return image_;
  }
  // Waits for the image service. Whether Take() gave what the reference no longer means.
  bool GuessedWrong() {
    const absl::Status answer = Answer();
    return guess_ != nullptr && (!answer.ok() || guess_->id != image_->id);
  }

 private:
  absl::Status Answer() {
    if (asked_ == nullptr) return status_;
    auto answer = std::exchange(asked_, nullptr)();
    if (answer.ok()) {
      image_ = std::make_shared<const Image>(*std::move(answer));
      core_.images().Put(reference_, image_);
    } else {
      status_ = answer.status();
      core_.images().Forget(reference_);
    }
    return status_;
  }

  Core& core_;
  const std::string reference_;
  std::function<absl::StatusOr<Image>()> asked_;  // null once answered
  std::shared_ptr<const Image> guess_;
  std::shared_ptr<const Image> image_;
  absl::Status status_;
};

// What a create has done so far.
struct Begun {
  bool agent_asked = false;
  std::vector<std::string> volumes;  // that were not there before
};

// Takes it back. `definition` is null until there is one.
void Undo(Core& core, const std::string& id, const Definition* definition, const Begun& begun) {
  StoreBatch batch;
  batch.delete_container = id;
  if (FreeOrKeepIntent(core, id, begun.agent_asked)) batch.delete_intent = id;
  if (definition != nullptr) UndoVolumes(core, *definition, begun.volumes);
  core.Write(std::move(batch), {}, Durability::kSoon).IgnoreError();
}

// The host prepares while the disk takes the record: of a power cut in between, reconciliation
// makes up for either half (PrepareAgain(), or the removal of what has no record).
absl::StatusOr<std::vector<std::string>> PrepareAndSync(Core& core, const ContainerPtr& container,
                                                        const Image& image) {
  StoreBatch batch;
  batch.put_definition = container->definition;
  batch.put_container = container;
  const auto finish = BeginPrepare(core, *container, image);
  const absl::Status written = core.Write(std::move(batch), {}, Durability::kSynced);
  auto prepared = finish();
  RETURN_IF_ERROR(written);
  return prepared;
}

// `guess_wrong`: null where the image may not be guessed. Set when it was, and wrongly: what came
// of that is an error, whichever, and not what the caller should hear.
absl::StatusOr<CreateResult> Attempt(Core& core, CreateCommand command, bool* guess_wrong) {
  const HostInfo host = core.host();
  RETURN_IF_ERROR(PlaceContainer(command.host_id, host));
  RETURN_IF_ERROR(ValidateSpec(command.spec, host.cpu_count));
  Definition draft;
  draft.id = NewId();
  draft.host_id = host.host_id;
  draft.sandbox_id = draft.id;
  draft.created_unix_ns = core.clock().NowUnixNs();
  RETURN_IF_ERROR(ResolveNetworkJoin(core, command.spec, draft.sandbox_id));
  RETURN_IF_ERROR(ResolveJoin(core, command.spec.namespaces.pid).status());
  RETURN_IF_ERROR(CheckIpcDonor(core, command.spec.namespaces.ipc));
  RETURN_IF_ERROR(ResolveJoin(core, command.spec.namespaces.ipc).status());
  RETURN_IF_ERROR(ResolveLinks(core, command.spec));
  RETURN_IF_ERROR(ResolveAttachments(core, command.spec));
  RETURN_IF_ERROR(InheritVolumes(core, command.spec));

  const std::string id = draft.id;
  core.table().BeginCreate(id);
  absl::Cleanup end_create = [&core, &id] { core.table().EndCreate(id); };
  ASSIGN_OR_RETURN(const std::string name, ReserveName(core, command, id));
  absl::Cleanup free_name = [&core, &id, &name] { core.table().ReleaseName(name, id); };
  StoreBatch intent;
  intent.put_intent = id;
  RETURN_IF_ERROR(core.Write(std::move(intent), {}, Durability::kSoon));
  auto container = std::make_shared<Container>();
  Begun begun;
  Claim claim(core, command.spec.image, id, guess_wrong != nullptr);
  absl::Cleanup undo = [&core, &id, &container, &begun, &claim, guess_wrong] {
    // Asked first: a release must not overtake the acquisition that it undoes.
    if (claim.GuessedWrong()) *guess_wrong = true;
    Undo(core, id, container->definition.get(), begun);
  };

  ASSIGN_OR_RETURN(const std::shared_ptr<const Image> image, claim.Take());
  RETURN_IF_ERROR(CheckPlatform(command.spec, *image));
  draft.spec = std::move(command.spec);
  ASSIGN_OR_RETURN(container->definition, Define(std::move(draft), *image, host));
  container->name = name;
  RETURN_IF_ERROR(TakeVolumes(core, *container->definition, begun.volumes));
  begun.agent_asked = true;
  CreateResult result;
  result.warnings = Warnings(container->definition->spec);
  ASSIGN_OR_RETURN(const std::vector<std::string> warnings,
                   PrepareAndSync(core, container, *image));
  if (claim.GuessedWrong()) {
    return absl::AbortedError(
        absl::StrCat(container->definition->spec.image, " is another image by now"));
  }
  result.warnings.insert(result.warnings.end(), warnings.begin(), warnings.end());
  StoreBatch batch;
  batch.delete_intent = id;
  RETURN_IF_ERROR(
      core.Write(std::move(batch), {core.MakeEvent(*container, "create")}, Durability::kSoon));
  core.table().Add(core.NewEntry(std::move(container)));
  std::move(undo).Cancel();
  std::move(free_name).Cancel();
  result.id = id;
  return result;
}

absl::StatusOr<CreateResult> CreateNow(Core& core, CreateCommand command) {
  bool guess_wrong = false;
  absl::StatusOr<CreateResult> result = Attempt(core, command, &guess_wrong);
  return guess_wrong ? Attempt(core, std::move(command), nullptr) : result;
}

}  // namespace

absl::Status PrepareAgain(Core& core, const Container& container) {
  ASSIGN_OR_RETURN(const Image image,
                   core.image().Acquire(container.definition->image_id, container.id()));
  return BeginPrepare(core, container, image)().status();
}

void CreateContainer(Core& core, CreateCommand command, Done<CreateResult> done) {
  core.executor().Post([&core, command = std::move(command),
                        done = Observed<CreateResult>(core, "create", std::move(done))]() mutable {
    done(CreateNow(core, std::move(command)));
  });
}

}  // namespace slipway::container
