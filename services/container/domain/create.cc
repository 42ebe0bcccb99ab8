#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/container/domain/container_name.h"
#include "services/container/domain/merge.h"
#include "services/container/domain/placement.h"
#include "services/container/domain/references.h"
#include "services/container/domain/signal_name.h"
#include "services/container/domain/validate.h"
#include "services/container/domain/verbs.h"

namespace slipway::container {
namespace {

// "container:<reference>" → "container:<id>", so that a rename changes nothing. Sets `id`.
absl::Status ResolveJoin(Core& core, std::string& mode, std::string* id) {
  const absl::string_view reference = JoinedContainer(mode);
  if (reference.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const EntryPtr entry, FindReferenced(core, reference));
  const ContainerPtr joined = entry->snapshot();
  mode = absl::StrCat("container:", joined->id());
  if (id != nullptr) *id = joined->definition->sandbox_id;
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

// Takes back what a create had done so far. What cannot be taken back now keeps its intent record,
// by which a later reconciliation finds it.
void Undo(Core& core, const std::string& id, bool agent_asked) {
  if (agent_asked) {
    const absl::Status removed = core.agent().Remove(id, /*volumes=*/true);
    if (!removed.ok() && !absl::IsNotFound(removed)) {
      core.observer().Warning("undo of a create left something on the host", id, removed);
      core.KeepIntent(id);
      return;
    }
  }
  const absl::Status released = core.image().Release(id);
  if (!released.ok() && !absl::IsNotFound(released)) {
    core.observer().Warning("undo of a create did not release the image", id, released);
    core.KeepIntent(id);
    return;
  }
  StoreBatch batch;
  batch.delete_intent = id;
  core.Write(std::move(batch), {}, Durability::kSoon).IgnoreError();
}

absl::StatusOr<CreateResult> CreateNow(Core& core, CreateCommand command) {
  const HostInfo host = core.host();
  RETURN_IF_ERROR(PlaceContainer(command.host_id, host));
  RETURN_IF_ERROR(ValidateSpec(command.spec, host.cpu_count));
  Definition draft;
  draft.id = NewId();
  draft.host_id = host.host_id;
  draft.sandbox_id = draft.id;
  draft.created_unix_ns = core.clock().NowUnixNs();
  std::string joined_sandbox;
  RETURN_IF_ERROR(ResolveJoin(core, command.spec.network.mode, &joined_sandbox));
  RETURN_IF_ERROR(ResolveJoin(core, command.spec.namespaces.pid, nullptr));
  RETURN_IF_ERROR(CheckIpcDonor(core, command.spec.namespaces.ipc));
  RETURN_IF_ERROR(ResolveJoin(core, command.spec.namespaces.ipc, nullptr));
  RETURN_IF_ERROR(ResolveLinks(core, command.spec));
  RETURN_IF_ERROR(InheritVolumes(core, command.spec));
  if (!joined_sandbox.empty()) draft.sandbox_id = joined_sandbox;

  const std::string id = draft.id;
  core.table().BeginCreate(id);
  absl::Cleanup end_create = [&core, &id] { core.table().EndCreate(id); };
  ASSIGN_OR_RETURN(const std::string name, ReserveName(core, command, id));
  absl::Cleanup free_name = [&core, &id, &name] { core.table().ReleaseName(name, id); };
  StoreBatch intent;
  intent.put_intent = id;
  RETURN_IF_ERROR(core.Write(std::move(intent), {}, Durability::kSoon));
  bool agent_asked = false;
  absl::Cleanup undo = [&core, &id, &agent_asked] { Undo(core, id, agent_asked); };

  ASSIGN_OR_RETURN(const Image image, core.image().Acquire(command.spec.image, id));
  draft.spec = std::move(command.spec);
  ASSIGN_OR_RETURN(const std::shared_ptr<const Definition> definition,
                   Define(std::move(draft), image, host));
  agent_asked = true;
  CreateResult result;
  result.warnings = Warnings(definition->spec);
  ASSIGN_OR_RETURN(const std::vector<std::string> warnings,
                   core.agent().Prepare(PrepareCommand{.definition = definition.get(),
                                                       .name = name,
                                                       .join_sandbox_id = joined_sandbox,
                                                       .layer_diff_ids = image.layer_diff_ids}));
  result.warnings.insert(result.warnings.end(), warnings.begin(), warnings.end());
  auto container = std::make_shared<Container>();
  container->definition = definition;
  container->name = name;
  StoreBatch batch;
  batch.put_definition = definition;
  batch.put_container = container;
  batch.delete_intent = id;
  RETURN_IF_ERROR(
      core.Write(std::move(batch), {core.MakeEvent(*container, "create")}, Durability::kSynced));
  core.table().Add(core.NewEntry(std::move(container)));
  std::move(undo).Cancel();
  std::move(free_name).Cancel();
  result.id = id;
  return result;
}

}  // namespace

void CreateContainer(Core& core, CreateCommand command, Done<CreateResult> done) {
  core.executor().Post([&core, command = std::move(command),
                        done = Observed<CreateResult>(core, "create", std::move(done))]() mutable {
    done(CreateNow(core, std::move(command)));
  });
}

}  // namespace slipway::container
