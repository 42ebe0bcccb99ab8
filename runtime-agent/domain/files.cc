#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/archiver.h"
#include "runtime-agent/domain/confined_process.h"
#include "runtime-agent/domain/runtime.h"
#include "runtime-agent/kernel/mount.h"
#include "runtime-agent/kernel/visit.h"

// Files of a container, as archives: each time a process of its own sees to it (archiver.h).
namespace slipway::agent {
namespace {

constexpr absl::Duration kSpawnTimeout = absl::Seconds(60);
constexpr int kMaxArchivers = 64;
constexpr int kPipeBytes = 1 << 20;
constexpr uint64_t kQuiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

absl::StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "make a pipe");
  fcntl(ends[0], F_SETPIPE_SZ, kPipeBytes);  // smaller where that is not allowed
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace

// What stays mounted until the archive is closed.
struct Runtime::HeldForFiles {
  std::string id;  // of the archiver
  std::shared_ptr<const UniqueFd> overlay;
  std::vector<std::string> volumes;
};

// The binds and volumes of a container that does not run.
absl::Status Runtime::AddMounts(const Definition& definition, ArchiverBindings& bindings,
                                HeldForFiles& held) {
  for (const DefinedMount& mount : definition.mounts) {
    if (const std::string volume = VolumeOf(mount); !volume.empty()) {
      RETURN_IF_ERROR(volumes_->Use(volume, held.id));
      held.volumes.push_back(volume);
    }
    struct stat info;
    // What a start would make, or complain of, is not there yet.
    if (mount.kind == DefinedMount::Kind::kTmpfs || stat(mount.source.c_str(), &info) != 0)
      continue;
    ASSIGN_OR_RETURN(Mount tree, CloneTree(AT_FDCWD, mount.source, mount.recursive));
    bindings.mounts.push_back({.tree = tree.Release(),
                               .target = mount.target,
                               .is_file = !S_ISDIR(info.st_mode),
                               .read_only = mount.read_only});
  }
  return absl::OkStatus();
}

absl::Status Runtime::BindFilesView(Container& container, ArchiveView view,
                                    ArchiverBindings& bindings, HeldForFiles& held) {
  const Definition& definition = container.definition();
  const Container::Turn turn(container);
  const Actual actual = container.actual();
  if (actual.state == ContainerState::kRemoving) {
    return absl::NotFoundError(absl::StrCat("No such container: ", container.id()));
  }
  if (view == ArchiveView::kChanges) {
    ASSIGN_OR_RETURN(bindings.root, EmptyRoot());
    ASSIGN_OR_RETURN(Mount upper,
                     CloneTree(AT_FDCWD, absl::StrCat(Directory(container.id()), "/upper"), false));
    ASSIGN_OR_RETURN(UniqueFd lower, MountImage(container));
    bindings.mounts.push_back({upper.Release(), kChangedDirectory, false, true});
    bindings.mounts.push_back({std::move(lower), kImageDirectory, false, true});
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(bindings.user_namespace, UserNamespaceOf(definition));
  bindings.first_uid = definition.first_uid;
  bindings.first_gid = definition.first_gid;
  const bool whole = view == ArchiveView::kFiles;
  if (actual.state == ContainerState::kRunning && actual.pid != 0) {
    auto seen = CloneMountOf(static_cast<int>(actual.pid), "/", whole);
    if (seen.ok()) {
      bindings.root = *std::move(seen);
      return SetMountAttributes(bindings.root.get(), "", {.set = kQuiet}, /*recursive=*/true);
    }
    // Its process has just ended, which only this turn keeps from being recorded.
  }
  ASSIGN_OR_RETURN(held.overlay, OverlayOf(container, /*skip_sync=*/false));
  ASSIGN_OR_RETURN(bindings.root, CopyOverlay(*held.overlay));
  RETURN_IF_ERROR(SetMountAttributes(bindings.root.get(), "", {.set = kQuiet}, false));
  if (!whole) return absl::OkStatus();
  bindings.read_only_root = definition.read_only_root;
  return AddMounts(definition, bindings, held);
}

absl::StatusOr<std::unique_ptr<Archiver>> Runtime::OpenArchiver(const std::string& id,
                                                                ArchiveCommand command) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(id));
  if (archivers_.fetch_add(1) >= kMaxArchivers) {
    --archivers_;
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", kMaxArchivers, " archives are being read or written"));
  }
  auto count = std::shared_ptr<void>(nullptr, [this](void*) { --archivers_; });
  {
    const Container::Turn turn(*container);
    DropReady(id);
  }
  ArchiverBindings bindings;
  HeldForFiles taken;
  ASSIGN_OR_RETURN(taken.id, NewEntryId("archive-"));
  std::string archiver_id = taken.id;
  std::shared_ptr<HeldForFiles> held(new HeldForFiles(std::move(taken)),
                                     [this, container](HeldForFiles* last) {
                                       for (const std::string& volume : last->volumes)
                                         volumes_->Release(volume, last->id);
                                       LetGoOfOverlayLater(container, std::move(last->overlay));
                                       delete last;
                                     });
  RETURN_IF_ERROR(BindFilesView(*container, command.view, bindings, *held));
  ASSIGN_OR_RETURN(bindings.program, MountProgram(settings_.archiver));
  bindings.capabilities = ArchiverCapabilities(command) & facts_.capabilities;
  ASSIGN_OR_RETURN(const auto seccomp,
                   parts_.seccomp->Compile(ArchiverSeccompProfile(), bindings.capabilities));
  bindings.seccomp = *seccomp;
  ASSIGN_OR_RETURN(Pipe in, MakePipe());
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe replies, MakePipe());
  bindings.input = std::move(in.read);
  bindings.output = std::move(out.write);
  bindings.replies = std::move(replies.write);
  bindings.arguments = std::move(command.arguments);
  ASSIGN_OR_RETURN(Plan plan, CompileArchiverPlan(std::move(bindings)));
  RETURN_IF_ERROR(
      supervisor_
          ->Spawn({.id = std::move(archiver_id), .kind = EntryKind::kExec, .plan = std::move(plan)},
                  kSpawnTimeout)
          .status());
  return std::make_unique<Archiver>(std::move(in.write), std::move(out.read),
                                    std::move(replies.read),
                                    [count, held = std::move(held)]() mutable { held.reset(); });
}

// The last unmount syncs the file system: what comes at once is spared it.
void Runtime::LetGoOfOverlayLater(std::shared_ptr<Container> container,
                                  std::shared_ptr<const UniqueFd> overlay) {
  if (overlay == nullptr) return;
  reaper_->After(absl::Seconds(1), [container = std::move(container),
                                    overlay = std::move(overlay)]() mutable { overlay.reset(); });
}

absl::StatusOr<std::string> Runtime::OwnerForCopies(const std::string& id) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(id));
  const Definition& definition = container->definition();
  if (definition.user_text.empty()) return "-";
  return absl::StrCat(definition.user.uid, ":", definition.user.gid);
}

}  // namespace slipway::agent
