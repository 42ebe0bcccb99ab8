#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/runtime.h"
#include "runtime-agent/domain/tree.h"
#include "runtime-agent/kernel/overlay.h"

namespace slipway::agent {
namespace {

constexpr size_t kMaxCachedUserDatabases = 64;
constexpr size_t kMaxRecentLayers = 32;

absl::Status CheckId(absl::string_view id) {
  const bool clean = !id.empty() && id.size() <= 64 &&
                     id.find_first_not_of("0123456789abcdef") == absl::string_view::npos;
  if (clean) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("not a container id: \"", id, "\""));
}

// A read-only look at an image: its only layer's mount, or an overlay of all of them.
absl::StatusOr<UniqueFd> ViewLayers(const std::vector<LayerHold>& layers,
                                    const std::string& stage) {
  if (layers.size() == 1) {
    UniqueFd copy(fcntl(layers[0].mount_fd(), F_DUPFD_CLOEXEC, 3));
    if (!copy.ok()) return ErrnoStatus(errno, "duplicate a layer's mount");
    return copy;
  }
  OverlayRequest request;
  for (const LayerHold& layer : layers) request.lower_fds.push_back(layer.mount_fd());
  request.stage = stage;
  ASSIGN_OR_RETURN(Mount view, MountOverlay(request));
  return view.Release();
}

// Docker's rule: what is to propagate must do so on the host.
absl::Status CheckPropagation(const DefinedMount& mount) {
  if ((mount.propagation & (MS_SHARED | MS_SLAVE)) == 0) return absl::OkStatus();
  struct statx info;
  if (statx(AT_FDCWD, mount.source.c_str(), 0, STATX_MNT_ID, &info) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat ", mount.source));
  }
  ASSIGN_OR_RETURN(const std::string mountinfo, ReadFile("/proc/self/mountinfo"));
  for (absl::string_view line : absl::StrSplit(mountinfo, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields =
        absl::StrSplit(line.substr(0, line.find(" - ")), ' ');
    uint64_t id = 0;
    if (fields.size() < 6 || !absl::SimpleAtoi(fields[0], &id) || id != info.stx_mnt_id) continue;
    const bool needs_shared = (mount.propagation & MS_SHARED) != 0;
    for (size_t i = 6; i < fields.size(); ++i) {
      if (absl::StartsWith(fields[i], "shared:")) return absl::OkStatus();
      if (!needs_shared && absl::StartsWith(fields[i], "master:")) return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat("path ", mount.source, " is mounted on ",
                                                   fields[4], " but it is not a shared ",
                                                   needs_shared ? "mount" : "or slave mount"));
  }
  return absl::OkStatus();
}

// As Docker: what is there must be a directory.
absl::Status CheckWorkingDirectory(int view_fd, const std::string& path) {
  const auto found = OpenBeneath(view_fd, path, O_PATH, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  struct stat info;
  if (!found.ok() || fstat(found->get(), &info) != 0 || S_ISDIR(info.st_mode)) {
    return absl::OkStatus();  // a start makes what is missing
  }
  return absl::InvalidArgumentError(absl::StrCat("Cannot mkdir: ", path, " is not a directory"));
}

absl::Status CheckBindSource(const DefinedMount& mount) {
  struct stat info;
  if (stat(mount.source.c_str(), &info) == 0) return CheckPropagation(mount);
  if (errno != ENOENT) return ErrnoStatus(errno, absl::StrCat("stat ", mount.source));
  if (mount.create_source) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "invalid mount config for type \"bind\": bind source path does not exist: ", mount.source));
}

}  // namespace

absl::StatusOr<std::vector<LayerHold>> Runtime::HoldLayers(
    const std::vector<std::string>& diff_ids) {
  const std::string key = absl::StrJoin(diff_ids, ",");
  {
    absl::MutexLock lock(&mutex_);
    if (const auto found = recent_layers_.find(key); found != recent_layers_.end()) {
      found->second.used = absl::Now();
      return found->second.holds;
    }
  }
  std::vector<LayerHold> holds;
  for (const std::string& diff_id : diff_ids) {
    ASSIGN_OR_RETURN(const std::string path, parts_.layers->LayerPath(diff_id));
    ASSIGN_OR_RETURN(LayerHold hold, parts_.layer_mounts->Acquire(diff_id, path));
    holds.push_back(std::move(hold));
  }
  RememberLayers(diff_ids, holds);
  return holds;
}

// Keeps the layers of images in use mounted between containers; Maintain lets go of old ones.
void Runtime::RememberLayers(const std::vector<std::string>& diff_ids,
                             std::vector<LayerHold> layers) {
  absl::MutexLock lock(&mutex_);
  if (recent_layers_.size() >= kMaxRecentLayers) recent_layers_.erase(recent_layers_.begin());
  recent_layers_[absl::StrJoin(diff_ids, ",")] = {std::move(layers), absl::Now()};
}

absl::StatusOr<UserDatabase> Runtime::ImageUsers(const std::vector<std::string>& diff_ids,
                                                 const std::vector<LayerHold>& layers) {
  if (layers.empty()) return UserDatabase{};
  const std::string key = absl::StrJoin(diff_ids, ",");
  {
    absl::MutexLock lock(&mutex_);
    if (const auto found = users_.find(key); found != users_.end()) return found->second;
  }
  ASSIGN_OR_RETURN(const UniqueFd view, ViewLayers(layers, settings_.root + "/stage"));
  ASSIGN_OR_RETURN(UserDatabase users, ReadUserDatabase(view.get()));
  absl::MutexLock lock(&mutex_);
  if (users_.size() >= kMaxCachedUserDatabases) users_.clear();
  return users_.emplace(key, std::move(users)).first->second;
}

absl::StatusOr<std::shared_ptr<const UniqueFd>> Runtime::SkeletonOf(
    const std::vector<std::string>& diff_ids, const std::vector<LayerHold>& layers) {
  const std::string key = absl::StrJoin(diff_ids, ",");
  if (auto found = skeletons_->Find(key); found.ok()) return found;
  UniqueFd view;
  if (!layers.empty()) {
    ASSIGN_OR_RETURN(view, ViewLayers(layers, settings_.root + "/stage"));
  }
  return skeletons_->Make(key, view.get());
}

absl::Status Runtime::MakeMountSources(const Definition& definition,
                                       const std::vector<LayerHold>& layers) {
  // What is wrong with one of them is told before anything is made for another.
  for (const DefinedMount& mount : definition.mounts) {
    if (mount.kind == DefinedMount::Kind::kBind) RETURN_IF_ERROR(CheckBindSource(mount));
  }
  UniqueFd view;
  for (const DefinedMount& mount : definition.mounts) {
    if (mount.kind == DefinedMount::Kind::kTmpfs) continue;
    const std::string volume = VolumeOf(mount);
    struct stat info;
    if (!volume.empty()) {
      RETURN_IF_ERROR(volumes_->Ensure(volume));
    } else if (stat(mount.source.c_str(), &info) != 0) {
      RETURN_IF_ERROR(MakeDirectories(mount.source));
    }
    if (mount.kind != DefinedMount::Kind::kVolume) {
      RETURN_IF_ERROR(CheckPropagation(mount));  // of one that was made just now too
      continue;
    }
    if (layers.empty() || mount.no_copy || !mount.subpath.empty()) continue;
    if (!view.ok()) {
      ASSIGN_OR_RETURN(view, ViewLayers(layers, settings_.root + "/stage"));
    }
    RETURN_IF_ERROR(volume.empty() ? FillEmptyDirectory(view.get(), mount.target, mount.source)
                                   : volumes_->Fill(volume, view.get(), mount.target));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Runtime::Prepare(const PrepareCommand& command) {
  RETURN_IF_ERROR(CheckId(command.id));
  {
    absl::MutexLock lock(&mutex_);
    const auto found = containers_.find(command.id);
    if (found != containers_.end()) {
      if (found->second->actual().state != ContainerState::kRemoving) {
        return std::vector<std::string>();
      }
      return absl::FailedPreconditionError(
          absl::StrCat("container ", command.id, " is being removed"));
    }
  }
  HostFacts facts = facts_;
  facts.container_directory = Directory(command.id);
  ASSIGN_OR_RETURN(DefinitionResult result, DefineContainer(command, facts));
  Definition& definition = result.definition;
  ASSIGN_OR_RETURN(std::vector<LayerHold> layers, HoldLayers(definition.layer_diff_ids));
  ASSIGN_OR_RETURN(const UserDatabase users, ImageUsers(definition.layer_diff_ids, layers));
  ASSIGN_OR_RETURN(definition.user,
                   LookUpUser(users, definition.user_text, definition.additional_groups));
  if (definition.working_directory != "/" && !layers.empty()) {
    ASSIGN_OR_RETURN(const UniqueFd view, ViewLayers(layers, settings_.root + "/stage"));
    RETURN_IF_ERROR(CheckWorkingDirectory(view.get(), definition.working_directory));
  }
  RETURN_IF_ERROR(SkeletonOf(definition.layer_diff_ids, layers).status());
  RETURN_IF_ERROR(
      parts_.seccomp->Compile(definition.seccomp_profile, definition.capabilities).status());

  std::shared_ptr<Container> container;
  absl::Cleanup undo = [this, &command] {
    RemoveTree(Directory(command.id)).IgnoreError();
    unlink(SpoolPath(command.id).c_str());
  };
  for (const auto& [name, mode] : {std::pair("", 0711), {"/upper", 0755}, {"/work", 0700}}) {
    const std::string path = Directory(command.id) + name;
    if (mkdir(path.c_str(), static_cast<mode_t>(mode)) != 0 && errno != EEXIST) {
      return ErrnoStatus(errno, absl::StrCat("mkdir ", path));
    }
  }
  RETURN_IF_ERROR(MakeMountSources(definition, layers));

  container = std::make_shared<Container>(std::move(definition), Actual{});
  container->SetLayers(std::move(layers));
  RETURN_IF_ERROR(OpenOutput(*container));
  const Actual actual = container->actual();
  RETURN_IF_ERROR(parts_.store->Save(
      {.definition = &container->definition(), .id = container->id(), .actual = &actual}));
  std::move(undo).Cancel();
  {
    absl::MutexLock lock(&mutex_);
    containers_.emplace(command.id, container);
  }
  MakeReadySoon(*container);
  return result.warnings;
}

}  // namespace slipway::agent
