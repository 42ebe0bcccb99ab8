#include "services/container/domain/references.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"
#include "services/container/domain/attachments.h"
#include "services/container/domain/clean_path.h"
#include "services/container/domain/container_name.h"
#include "services/container/domain/container_state.h"
#include "services/container/domain/validate.h"

namespace slipway::container {
namespace {

absl::StatusOr<std::pair<std::string, std::string>> ParseLink(absl::string_view link) {
  if (link.empty()) return absl::InvalidArgumentError("empty string specified for links");
  std::vector<std::string> parts = absl::StrSplit(link, ':');
  if (parts.size() > 2 || parts[0].empty() || parts.back().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("bad format for links: ", link));
  }
  std::string alias = parts.back();
  // As inspect gives it: "/name:/container/alias".
  if (absl::StartsWith(parts[0], "/")) alias = alias.substr(alias.rfind('/') + 1);
  return std::pair(std::string(absl::StripPrefix(parts[0], "/")), std::move(alias));
}

// "container", "container:ro", "container:rw,z". True: read-only.
absl::StatusOr<std::pair<std::string, bool>> ParseVolumesFrom(absl::string_view text) {
  if (text.empty()) {
    return absl::InvalidArgumentError("volumes-from specification cannot be an empty string");
  }
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  bool read_only = false;
  for (const absl::string_view mode : absl::StrSplit(parts.second, ',', absl::SkipEmpty())) {
    if (mode != "ro" && mode != "rw" && mode != "z" && mode != "Z") {
      return absl::InvalidArgumentError(absl::StrCat("invalid mode: ", parts.second));
    }
    read_only = read_only || mode == "ro";
  }
  return std::pair(parts.first, read_only);
}

const Endpoint* BridgeEndpoint(const Container& container) {
  for (const Endpoint& endpoint : container.endpoints) {
    if (endpoint.network_id == kBridgeNetworkId && !endpoint.address.empty()) return &endpoint;
  }
  return nullptr;
}

// Alias, hostname and name, as Docker has them in a line of /etc/hosts.
std::string LinkLine(const std::string& alias, const Container& child, const Endpoint& endpoint) {
  std::string names = absl::StrCat(alias, " ", child.definition->hostname);
  if (alias != child.name) absl::StrAppend(&names, " ", child.name);
  return absl::StrCat(names, ":", endpoint.address);
}

}  // namespace

absl::StatusOr<EntryPtr> FindReferenced(Core& core, absl::string_view reference) {
  absl::StatusOr<EntryPtr> found = core.table().Find(reference);
  if (found.ok()) return found;
  return absl::InvalidArgumentError(found.status().message());
}

absl::Status CheckIpcDonor(Core& core, absl::string_view ipc_mode) {
  const absl::string_view reference = JoinedContainer(ipc_mode);
  if (reference.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const EntryPtr entry, FindReferenced(core, reference));
  const ContainerPtr donor = entry->snapshot();
  const std::string& mode = donor->definition->spec.namespaces.ipc;
  if (mode == "shareable" || mode == "host") return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("can't join IPC of container ", donor->id(),
                   ": non-shareable IPC (hint: use IpcMode:shareable for the donor container)"));
}

absl::Status ResolveLinks(Core& core, ContainerSpec& spec) {
  if (spec.network.links.empty()) return absl::OkStatus();
  const std::string& mode = spec.network.mode;
  if (mode == "host" || !JoinedContainer(mode).empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("conflicting options: ", mode == "host" ? "host" : "container",
                     " type networking can't be used with links. This would result in undefined "
                     "behavior"));
  }
  for (std::string& link : spec.network.links) {
    ASSIGN_OR_RETURN(const auto parsed, ParseLink(link));
    const auto entry = FindReferenced(core, parsed.first);
    if (!entry.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("could not get container for ", parsed.first,
                                                     ": ", entry.status().message()));
    }
    link = absl::StrCat((*entry)->snapshot()->id(), ":", parsed.second);
  }
  return absl::OkStatus();
}

absl::Status InheritVolumes(Core& core, ContainerSpec& spec) {
  std::vector<Mount> inherited;
  absl::flat_hash_set<std::string> targets;
  for (const Mount& mount : spec.mounts) targets.insert(CleanTarget(mount.target));
  for (const std::string& text : spec.volumes_from) {
    ASSIGN_OR_RETURN(const auto parsed, ParseVolumesFrom(text));
    ASSIGN_OR_RETURN(const EntryPtr entry, FindReferenced(core, parsed.first));
    for (Mount mount : entry->snapshot()->definition->spec.mounts) {
      if (mount.type == Mount::Type::kTmpfs || targets.contains(mount.target)) continue;
      mount.read_only = mount.read_only || parsed.second;
      mount.volume_no_copy = true;
      mount.mode.clear();
      const auto same = std::find_if(inherited.begin(), inherited.end(), [&](const Mount& other) {
        return other.target == mount.target;
      });
      // Of several that have something there the last wins.
      if (same != inherited.end()) {
        *same = std::move(mount);
      } else {
        inherited.push_back(std::move(mount));
      }
    }
  }
  spec.mounts.insert(spec.mounts.begin(), inherited.begin(), inherited.end());
  return absl::OkStatus();
}

void CompleteMounts(const std::vector<std::string>& volume_paths,
                    const std::string& volumes_directory, ContainerSpec& spec) {
  absl::flat_hash_set<std::string> targets;
  for (Mount& mount : spec.mounts) {
    mount.target = CleanTarget(mount.target);
    targets.insert(mount.target);
  }
  for (const std::string& path : volume_paths) {
    std::string target = CleanTarget(path);
    if (!targets.insert(target).second) continue;
    spec.mounts.push_back({.type = Mount::Type::kVolume, .target = std::move(target)});
  }
  for (Mount& mount : spec.mounts) {
    if (mount.type != Mount::Type::kVolume) continue;
    if (mount.source.empty()) {
      mount.source = NewId();
      mount.anonymous = true;
    }
    mount.host_path = absl::StrCat(volumes_directory, "/", mount.source, "/_data");
  }
}

absl::StatusOr<StartExtras> LinkExtras(Core& core, const Container& container) {
  StartExtras extras;
  // Elsewhere links are names that the network resolves.
  if (!IsDefaultBridge(container.definition->spec.network.mode)) return extras;
  for (const std::string& link : container.definition->spec.network.links) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(link, ':');
    const EntryPtr entry = core.table().FindById(parts.first);
    if (entry == nullptr) continue;  // removed: Docker forgets the link with the container
    const ContainerPtr child = entry->snapshot();
    const Endpoint* endpoint = BridgeEndpoint(*child);
    if (child->pid == 0) {
      return absl::FailedPreconditionError(absl::StrCat("Cannot link to a non running container: /",
                                                        child->name, " AS /", container.name, "/",
                                                        parts.second));
    }
    if (endpoint == nullptr) {
      return absl::FailedPreconditionError(absl::StrCat(
          "Cannot link to /", child->name, ", as it does not belong to the default network"));
    }
    extras.extra_hosts.push_back(LinkLine(parts.second, *child, *endpoint));
    for (std::string& variable :
         LinkEnvironment(container.name, parts.second, *child, endpoint->address)) {
      extras.env.push_back(std::move(variable));
    }
  }
  return extras;
}

void UpdateLinkedHosts(Core& core, const Container& linker) {
  if (!IsDefaultBridge(linker.definition->spec.network.mode)) return;
  std::vector<std::string> lines;
  for (const std::string& link : linker.definition->spec.network.links) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(link, ':');
    const EntryPtr entry = core.table().FindById(parts.first);
    if (entry == nullptr) continue;
    const ContainerPtr child = entry->snapshot();
    const Endpoint* endpoint = BridgeEndpoint(*child);
    if (child->pid == 0 || endpoint == nullptr) continue;
    lines.push_back(LinkLine(parts.second, *child, *endpoint));
  }
  if (lines.empty()) return;
  const absl::Status told = core.agent().UpdateHosts(linker.id(), lines);
  if (!told.ok()) core.observer().Warning("hosts of a linking container", linker.id(), told);
}

void UpdateLinkersOf(Core& core, const std::string& id) {
  for (const EntryPtr& entry : core.table().LinkersOf(id)) {
    const ContainerPtr linker = entry->snapshot();
    if (HasProcess(linker->state)) UpdateLinkedHosts(core, *linker);
  }
}

}  // namespace slipway::container
