#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/definition_check.h"

namespace slipway::agent {
namespace {

absl::StatusOr<uint64_t> ParsePropagation(absl::string_view text) {
  // Docker's default.
  if (text.empty() || text == "rprivate") return uint64_t{MS_PRIVATE | MS_REC};
  if (text == "private") return uint64_t{MS_PRIVATE};
  if (text == "rshared") return uint64_t{MS_SHARED | MS_REC};
  if (text == "shared") return uint64_t{MS_SHARED};
  if (text == "rslave") return uint64_t{MS_SLAVE | MS_REC};
  if (text == "slave") return uint64_t{MS_SLAVE};
  return absl::InvalidArgumentError(absl::StrCat("invalid propagation mode: ", text));
}

// Docker's rule: [a-zA-Z0-9][a-zA-Z0-9_.-]+
bool IsVolumeName(absl::string_view name) {
  if (name.empty() || name.size() > 255 || !absl::ascii_isalnum(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
  });
}

// Options of mount(8) that have a flag; all others go to the file system.
absl::Status ParseTmpfsOptions(const MountSpec& spec, DefinedMount* mount) {
  static constexpr struct {
    absl::string_view name;
    uint64_t set;
    uint64_t clear;
  } kFlags[] = {
      {"ro", MS_RDONLY, 0},
      {"rw", 0, MS_RDONLY},
      {"nosuid", MS_NOSUID, 0},
      {"suid", 0, MS_NOSUID},
      {"nodev", MS_NODEV, 0},
      {"dev", 0, MS_NODEV},
      {"noexec", MS_NOEXEC, 0},
      {"exec", 0, MS_NOEXEC},
      {"sync", MS_SYNCHRONOUS, 0},
      {"async", 0, MS_SYNCHRONOUS},
      {"dirsync", MS_DIRSYNC, 0},
      {"noatime", MS_NOATIME, MS_RELATIME | MS_STRICTATIME},
      {"atime", 0, MS_NOATIME},
      {"nodiratime", MS_NODIRATIME, 0},
      {"diratime", 0, MS_NODIRATIME},
      {"relatime", MS_RELATIME, MS_NOATIME | MS_STRICTATIME},
      {"norelatime", 0, MS_RELATIME},
      {"strictatime", MS_STRICTATIME, MS_NOATIME | MS_RELATIME},
      {"nostrictatime", 0, MS_STRICTATIME},
      {"mand", 0, 0},  // nothing since Linux 5.15
      {"nomand", 0, 0},
      {"defaults", 0, 0},
  };
  mount->tmpfs_flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  std::vector<std::string> data;
  for (absl::string_view option : absl::StrSplit(spec.tmpfs_options, ',', absl::SkipEmpty())) {
    const auto* flag = std::find_if(std::begin(kFlags), std::end(kFlags),
                                    [&](const auto& known) { return known.name == option; });
    if (flag != std::end(kFlags)) {
      mount->tmpfs_flags = (mount->tmpfs_flags & ~flag->clear) | flag->set;
      continue;
    }
    if (const auto propagation = ParsePropagation(option); propagation.ok()) {
      mount->propagation = *propagation;
      continue;
    }
    const absl::string_view name = option.substr(0, option.find('='));
    static constexpr absl::string_view kData[] = {"size",      "mode",      "uid",  "gid",
                                                  "nr_inodes", "nr_blocks", "huge", "mpol"};
    if (std::find(std::begin(kData), std::end(kData), name) == std::end(kData)) {
      return absl::InvalidArgumentError(absl::StrCat("invalid tmpfs option [\"", option, "\"]"));
    }
    data.push_back(std::string(option));
  }
  if (spec.tmpfs_size_bytes > 0) data.push_back(absl::StrCat("size=", spec.tmpfs_size_bytes));
  if (spec.tmpfs_mode != 0) data.push_back(absl::StrFormat("mode=%o", spec.tmpfs_mode));
  mount->tmpfs_data = absl::StrJoin(data, ",");
  return absl::OkStatus();
}

// The whole of a proc file system, as the host's own is.
bool IsProc(const DefinedMount& mount) {
  constexpr ino_t kProcRoot = 1;
  struct statfs filesystem;
  struct stat info;
  return mount.kind == DefinedMount::Kind::kBind &&
         statfs(mount.source.c_str(), &filesystem) == 0 && filesystem.f_type == PROC_SUPER_MAGIC &&
         stat(mount.source.c_str(), &info) == 0 && info.st_ino == kProcRoot;
}

// As runc: nothing but files without power over anybody may be put over what /proc says.
absl::Status CheckProc(const DefinedMount& mount) {
  static constexpr absl::string_view kAllowed[] = {
      "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo",  "/proc/stat",   "/proc/swaps",
      "/proc/uptime",  "/proc/loadavg",   "/proc/slabinfo", "/proc/net/dev"};
  const bool allowed =
      std::find(std::begin(kAllowed), std::end(kAllowed), mount.target) != std::end(kAllowed);
  const bool whole = mount.target == "/proc";
  if (whole && IsProc(mount)) return absl::OkStatus();
  if (allowed || (!whole && !absl::StartsWith(mount.target, "/proc/"))) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "error mounting \"", mount.source.empty() ? "tmpfs" : mount.source, "\" to rootfs at \"",
      mount.target, "\": \"", mount.target, "\" cannot be mounted because it is ",
      whole ? "not of type proc" : "inside /proc"));
}

absl::StatusOr<DefinedMount> DefineMount(const MountSpec& spec, const HostFacts& facts,
                                         size_t index) {
  DefinedMount mount;
  ASSIGN_OR_RETURN(mount.target, CleanPath(spec.target, "mount target"));
  if (mount.target == "/") {
    return absl::InvalidArgumentError("invalid mount target: destination can't be '/'");
  }
  mount.read_only = spec.read_only;
  ASSIGN_OR_RETURN(mount.propagation, ParsePropagation(spec.propagation));
  mount.create_source = spec.create_source;
  mount.recursive = !spec.non_recursive;
  if (spec.read_only_non_recursive) mount.read_only_recursion = DefinedMount::Recursion::kTop;
  switch (spec.type) {
    case MountSpec::Type::kBind: {
      mount.kind = DefinedMount::Kind::kBind;
      ASSIGN_OR_RETURN(mount.source, CleanPath(spec.source, "mount source"));
      return mount;
    }
    case MountSpec::Type::kVolume:
      mount.kind = DefinedMount::Kind::kVolume;
      if (spec.propagation.empty()) mount.propagation = MS_SLAVE | MS_REC;  // as Docker
      mount.subpath = spec.volume_subpath;
      mount.no_copy = spec.volume_no_copy;
      if (spec.source.empty()) {
        mount.source = absl::StrCat(facts.container_directory, "/volumes/", index, "/_data");
      } else if (IsVolumeName(spec.source)) {
        mount.source = absl::StrCat(facts.volumes_directory, "/", spec.source, "/_data");
      } else {
        return absl::InvalidArgumentError(absl::StrCat(
            "\"", spec.source, "\" includes invalid characters for a local volume name"));
      }
      return mount;
    case MountSpec::Type::kTmpfs:
      mount.kind = DefinedMount::Kind::kTmpfs;
      RETURN_IF_ERROR(ParseTmpfsOptions(spec, &mount));
      if (spec.read_only) mount.tmpfs_flags |= MS_RDONLY;
      return mount;
  }
  return absl::InvalidArgumentError("unknown mount type");
}

}  // namespace

absl::StatusOr<std::vector<DefinedMount>> DefineMounts(const PrepareCommand& command,
                                                       const HostFacts& facts) {
  std::vector<DefinedMount> mounts;
  absl::flat_hash_set<std::string> targets;
  for (const MountSpec& spec : command.spec.mounts) {
    ASSIGN_OR_RETURN(DefinedMount mount, DefineMount(spec, facts, mounts.size()));
    RETURN_IF_ERROR(CheckProc(mount));
    if (!targets.insert(mount.target).second) {
      return absl::InvalidArgumentError(absl::StrCat("Duplicate mount point: ", mount.target));
    }
    mounts.push_back(std::move(mount));
  }
  // Anonymous volumes of the image give way to mounts at the same place.
  for (const std::string& path : command.spec.volumes) {
    MountSpec spec{.type = MountSpec::Type::kVolume, .target = path};
    ASSIGN_OR_RETURN(DefinedMount mount, DefineMount(spec, facts, mounts.size()));
    if (targets.insert(mount.target).second) mounts.push_back(std::move(mount));
  }
  const auto trees = static_cast<size_t>(std::count_if(
      mounts.begin(), mounts.end(),
      [](const DefinedMount& mount) { return mount.kind != DefinedMount::Kind::kTmpfs; }));
  if (trees > kMaxBoundMounts) {
    return absl::InvalidArgumentError(
        absl::StrCat("too many mounts: ", trees, ", at most ", kMaxBoundMounts));
  }
  std::stable_sort(mounts.begin(), mounts.end(), [](const auto& left, const auto& right) {
    return std::count(left.target.begin(), left.target.end(), '/') <
           std::count(right.target.begin(), right.target.end(), '/');
  });
  return mounts;
}

}  // namespace slipway::agent
