#include "services/build/domain/run_mounts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "base/text/ignore_file.h"
#include "services/build/dockerfile/suggestion.h"
#include "services/build/files/sha256.h"
#include "services/build/files/tar_writer.h"
#include "services/build/ports/volumes.h"

namespace slipway::build {
namespace {

constexpr size_t kMaxMountedFileBytes = 512 << 20;

absl::StatusOr<int64_t> ParseSize(const std::string& text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  int64_t value = 0;
  if (!absl::SimpleAtoi(text.substr(0, digits), &value)) {
    return absl::InvalidArgumentError(absl::StrCat("invalid size: '", text, "'"));
  }
  const std::string unit = absl::AsciiStrToLower(text.substr(digits));
  for (const auto& [name, shift] : std::vector<std::pair<std::string, int>>{{"", 0},
                                                                            {"b", 0},
                                                                            {"k", 10},
                                                                            {"kb", 10},
                                                                            {"m", 20},
                                                                            {"mb", 20},
                                                                            {"g", 30},
                                                                            {"gb", 30}}) {
    if (unit == name && value < (int64_t{1} << (62 - shift))) return value << shift;
  }
  return absl::InvalidArgumentError(absl::StrCat("invalid size: '", text, "'"));
}

absl::StatusOr<bool> ParseBool(const std::string& key, const std::string& value) {
  if (value.empty() || value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  return absl::InvalidArgumentError(absl::StrCat("invalid value for ", key, ": ", value));
}

absl::Status TakeType(const std::string& value, MountSpec& spec) {
  if (value == "bind") {
    spec.type = MountSpec::Type::kBind;
  } else if (value == "cache") {
    spec.type = MountSpec::Type::kCache;
  } else if (value == "tmpfs") {
    spec.type = MountSpec::Type::kTmpfs;
  } else if (value == "secret") {
    spec.type = MountSpec::Type::kSecret;
  } else if (value == "ssh") {
    spec.type = MountSpec::Type::kSsh;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("unsupported mount type \"", value, "\"",
                     Suggestion(value, {"bind", "cache", "tmpfs", "secret", "ssh"})));
  }
  return absl::OkStatus();
}

absl::Status TakeField(const std::string& key, const std::string& value, MountSpec& spec) {
  uint32_t number = 0;
  if (key == "type") return TakeType(value, spec);
  if (key == "id") {
    spec.id = value;
  } else if (key == "target" || key == "dst" || key == "destination") {
    spec.target = value;
  } else if (key == "source" || key == "src") {
    spec.source = value;
  } else if (key == "from") {
    spec.from = value;
  } else if (key == "env") {
    spec.env = value;
  } else if (key == "readonly" || key == "ro") {
    ASSIGN_OR_RETURN(spec.read_only, ParseBool(key, value));
  } else if (key == "readwrite" || key == "rw") {
    ASSIGN_OR_RETURN(const bool writable, ParseBool(key, value));
    spec.read_only = !writable;
  } else if (key == "required") {
    ASSIGN_OR_RETURN(const bool required, ParseBool(key, value));
    spec.required = required;
  } else if (key == "sharing") {
    if (value != "shared" && value != "private" && value != "locked") {
      return absl::InvalidArgumentError(absl::StrCat("unsupported sharing value \"", value, "\""));
    }
    // A private one of its own would begin empty: waiting is better.
    spec.locked = value != "shared";
  } else if (key == "size") {
    ASSIGN_OR_RETURN(spec.size_bytes, ParseSize(value));
  } else if (key == "mode") {
    uint32_t mode = 0;
    const bool octal = !value.empty() && value.size() <= 5 &&
                       value.find_first_not_of("01234567") == std::string::npos;
    for (const char c : value) mode = mode * 8 + static_cast<uint32_t>(c - '0');
    if (!octal) return absl::InvalidArgumentError(absl::StrCat("invalid value for mode: ", value));
    spec.mode = mode;
  } else if (key == "uid" || key == "gid") {
    if (!absl::SimpleAtoi(value, &number)) {
      return absl::InvalidArgumentError(absl::StrCat("invalid value for ", key, ": ", value));
    }
    (key == "uid" ? spec.uid : spec.gid) = number;
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        "unexpected key '", key, "' in '", key, "=", value, "'",
        Suggestion(key, {"type", "id", "target", "source", "from", "readonly", "required",
                         "sharing", "size", "mode", "uid", "gid", "env"})));
  }
  return absl::OkStatus();
}

absl::StatusOr<MountSpec> ParseMount(const std::string& text) {
  MountSpec spec;
  bool writes = false;
  for (const absl::string_view field : absl::StrSplit(text, ',')) {
    const std::vector<std::string> pair = absl::StrSplit(field, absl::MaxSplits('=', 1));
    const std::string key = absl::AsciiStrToLower(pair[0]);
    writes = writes || key == "rw" || key == "readwrite";
    RETURN_IF_ERROR(TakeField(key, pair.size() == 2 ? pair[1] : "", spec));
  }
  using Type = MountSpec::Type;
  if (spec.type == Type::kBind && !writes) spec.read_only = true;
  if (spec.type == Type::kSecret) {
    if (spec.id.empty()) {
      const std::string& from = spec.source.empty() ? spec.target : spec.source;
      spec.id = from.substr(from.rfind('/') + 1);
    }
    if (spec.id.empty()) return absl::InvalidArgumentError("a secret mount needs an id");
    if (spec.target.empty() && spec.env.empty()) spec.target = "/run/secrets/" + spec.id;
  } else if (spec.type == Type::kSsh) {
    if (spec.id.empty()) spec.id = "default";
  } else if (spec.target.empty()) {
    return absl::InvalidArgumentError("target is required of a mount");
  }
  if (spec.type == Type::kCache && (!spec.from.empty() || !spec.source.empty())) {
    return absl::UnimplementedError("a cache mount that begins with other files is not supported");
  }
  return spec;
}

}  // namespace

absl::StatusOr<std::vector<MountSpec>> ParseMounts(const Instruction& instruction) {
  std::vector<MountSpec> specs;
  for (const std::string& text : instruction.Flags("mount")) {
    ASSIGN_OR_RETURN(MountSpec spec, ParseMount(text));
    specs.push_back(std::move(spec));
  }
  return specs;
}

struct RunMounts::Impl {
  explicit Impl(Stage& owner) : stage(owner) {}
  ~Impl() {
    for (const std::string& name : locked) stage.parts().volume_locks.Unlock(name);
    for (const std::string& file : files) unlink(file.c_str());
    if (!filler.empty()) stage.parts().containers.RemoveSoon(filler);
  }

  struct Mount {
    MountSpec spec;
    std::optional<CopyLayer> layer;           // of a bind of a directory
    std::shared_ptr<const FileSet> file_set;  // of a bind of one file
    std::string file;                         // in it
  };

  Stage& stage;
  std::vector<Mount> mounts;
  std::string digest;
  std::vector<std::string> locked;
  std::vector<std::string> files;  // on the host
  std::string filler;              // the container through which volumes were filled
  std::vector<std::unique_ptr<SshAgents::Socket>> sockets;

  absl::Status ResolveBind(Mount& mount, Sha256& sha) {
    MountSpec& spec = mount.spec;
    ASSIGN_OR_RETURN(mount.file_set,
                     stage.Files(spec.from, spec.source.empty() ? "/" : spec.source));
    const std::string clean = CleanPath(absl::StrCat("/", spec.source)).substr(1);
    const std::optional<std::string> path = mount.file_set->Resolve(clean);
    if (!path.has_value()) {
      return absl::NotFoundError(
          absl::StrCat("failed to compute cache key: \"/", clean, "\" not found"));
    }
    const FileSet::File* file = mount.file_set->Find(*path);
    sha.AppendField(spec.target);
    if (file != nullptr && S_ISREG(file->info.mode)) {
      mount.file = *path;
      sha.AppendField(file->digest);
      sha.AppendNumber(file->info.mode);
      return absl::OkStatus();
    }
    PathInfo root;
    root.path = "";
    ASSIGN_OR_RETURN(mount.layer, CopyLayer::Plan({{mount.file_set, clean.empty() ? "." : clean}},
                                                  root, {.verb = "RUN"}));
    sha.AppendField(mount.layer->digest());
    return absl::OkStatus();
  }

  // The path of a new file that only this service and root can reach by its name.
  std::string NewPath() {
    files.push_back(absl::StrCat(stage.parts().secret_directory, "/",
                                 absl::Hex(absl::GetCurrentTimeNanos()), "-",
                                 reinterpret_cast<uintptr_t>(this) & 0xffffff, "-", files.size()));
    return files.back();
  }

  absl::StatusOr<std::string> WriteFile(absl::string_view content, uint32_t mode) {
    const std::string path = NewPath();
    ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_CREAT | O_EXCL | O_WRONLY, 0600));
    RETURN_IF_ERROR(WriteAll(fd.get(), content, path));
    if (fchmod(fd.get(), mode & 0777) != 0) return ErrnoStatus(errno, "chmod of a mounted file");
    return path;
  }

  std::string NewVolume() const {
    return absl::StrCat("build-", absl::Hex(absl::GetCurrentTimeNanos()), "-",
                        reinterpret_cast<uintptr_t>(this) & 0xffffff, "-", mounts.size());
  }

  absl::Status FillBind(Mount& mount, RunSpec& run, RunSpec& fill,
                        std::vector<const Mount*>& to_fill) {
    if (!mount.file.empty()) {
      const FileSet::File* file = mount.file_set->Find(mount.file);
      ASSIGN_OR_RETURN(const std::string content,
                       mount.file_set->ReadAll(*file, kMaxMountedFileBytes));
      ASSIGN_OR_RETURN(const std::string path, WriteFile(content, file->info.mode | 0444));
      run.mounts.push_back({.type = RunMount::Type::kFile,
                            .source = path,
                            .target = mount.spec.target,
                            .read_only = mount.spec.read_only});
      return absl::OkStatus();
    }
    const std::string volume = absl::StrCat(NewVolume(), "-", to_fill.size());
    // Whichever of the two containers goes last takes the volume along.
    fill.mounts.push_back(
        {.source = volume, .target = mount.spec.target, .remove_with_container = true});
    run.mounts.push_back({.source = volume,
                          .target = mount.spec.target,
                          .read_only = mount.spec.read_only,
                          .remove_with_container = true});
    to_fill.push_back(&mount);
    return absl::OkStatus();
  }

  absl::Status FillSecret(const MountSpec& spec, RunSpec& run) {
    const auto& secrets = stage.parts().request.secrets;
    const auto found = secrets.find(spec.id);
    if (found == secrets.end()) {
      if (!spec.required.value_or(false)) return absl::OkStatus();
      return absl::InvalidArgumentError(absl::StrCat("secret ", spec.id, " not found"));
    }
    if (!spec.env.empty()) run.env.push_back(absl::StrCat(spec.env, "=", found->second));
    if (spec.target.empty()) return absl::OkStatus();
    // Another user than root could not read a file of this service's: the directory guards it.
    const uint32_t mode = spec.mode.value_or(spec.uid == 0 ? 0400 : 0444);
    ASSIGN_OR_RETURN(const std::string path, WriteFile(found->second, mode));
    run.mounts.push_back(
        {.type = RunMount::Type::kFile, .source = path, .target = spec.target, .read_only = true});
    return absl::OkStatus();
  }

  // Whether an agent is there is known only now, and is no part of the step's key.
  absl::Status FillSsh(const MountSpec& spec, RunSpec& run) {
    SshAgents* const agents = stage.parts().ssh;
    if (agents == nullptr || !agents->Has(spec.id)) {
      if (spec.required.has_value() && !*spec.required) return absl::OkStatus();
      return absl::InvalidArgumentError(
          absl::StrCat("RUN --mount=type=ssh: the client gives no SSH agent \"", spec.id,
                       "\": build with `slipway build --ssh ", spec.id,
                       "` (the Docker API has no way to give one), or say required=false"));
    }
    // Of a user that is not root, as of secrets: the directory guards it.
    const uint32_t mode = spec.mode.value_or(spec.uid == 0 ? 0600 : 0666);
    const std::string path = NewPath();
    ASSIGN_OR_RETURN(sockets.emplace_back(), agents->Listen(spec.id, path, mode));
    const std::string target = spec.target.empty()
                                   ? absl::StrCat("/run/buildkit/ssh_agent.", sockets.size() - 1)
                                   : spec.target;
    if (sockets.size() == 1) run.env.push_back(absl::StrCat("SSH_AUTH_SOCK=", target));
    run.mounts.push_back({.type = RunMount::Type::kFile, .source = path, .target = target});
    return absl::OkStatus();
  }

  void FillCache(const MountSpec& spec, RunSpec& run) {
    const std::string& id = spec.id.empty() ? spec.target : spec.id;
    const std::string volume = absl::StrCat(kCacheVolumePrefix, Sha256Of(id).substr(0, 24));
    if (spec.locked && std::find(locked.begin(), locked.end(), volume) == locked.end()) {
      stage.parts().volume_locks.Lock(volume);
      locked.push_back(volume);
    }
    run.mounts.push_back({.source = volume, .target = spec.target, .read_only = spec.read_only});
  }

  // Through a container that never runs: a volume is filled where one has it mounted.
  absl::Status FillVolumes(const RunSpec& fill, const std::vector<const Mount*>& to_fill) {
    if (to_fill.empty()) return absl::OkStatus();
    Containers& containers = stage.parts().containers;
    ASSIGN_OR_RETURN(filler, containers.Create(fill));
    for (const Mount* mount : to_fill) {
      RETURN_IF_ERROR(containers.Unpack(filler, mount->spec.target, [mount](const TarSink& sink) {
        return mount->layer->Write(sink);
      }));
    }
    return absl::OkStatus();
  }
};

RunMounts::RunMounts(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RunMounts::RunMounts(RunMounts&&) noexcept = default;
RunMounts::~RunMounts() = default;

const std::string& RunMounts::digest() const { return impl_->digest; }

absl::StatusOr<RunMounts> RunMounts::Resolve(std::vector<MountSpec> specs, Stage& stage) {
  auto impl = std::make_unique<Impl>(stage);
  Sha256 sha;
  for (MountSpec& spec : specs) {
    ASSIGN_OR_RETURN(spec.target, stage.Expand(spec.target));
    ASSIGN_OR_RETURN(spec.source, stage.Expand(spec.source));
    ASSIGN_OR_RETURN(spec.id, stage.Expand(spec.id));
    if (!spec.target.empty() && !absl::StartsWith(spec.target, "/")) {
      spec.target = absl::StrCat(stage.working_directory(), "/", spec.target);
    }
    if (!spec.target.empty()) spec.target = CleanPath(absl::StrCat("/", spec.target));
    if (spec.target == "/") return absl::InvalidArgumentError("invalid mount target: /");
    Impl::Mount& mount = impl->mounts.emplace_back();
    mount.spec = std::move(spec);
    if (mount.spec.type == MountSpec::Type::kBind) RETURN_IF_ERROR(impl->ResolveBind(mount, sha));
  }
  if (!impl->mounts.empty()) impl->digest = sha.Finish();
  return RunMounts(std::move(impl));
}

absl::Status RunMounts::Fill(RunSpec& spec) {
  RunSpec fill = spec;
  std::vector<const Impl::Mount*> to_fill;
  for (Impl::Mount& mount : impl_->mounts) {
    switch (mount.spec.type) {
      case MountSpec::Type::kBind:
        RETURN_IF_ERROR(impl_->FillBind(mount, spec, fill, to_fill));
        break;
      case MountSpec::Type::kCache:
        impl_->FillCache(mount.spec, spec);
        break;
      case MountSpec::Type::kTmpfs:
        spec.mounts.push_back({.type = RunMount::Type::kTmpfs,
                               .target = mount.spec.target,
                               .size_bytes = mount.spec.size_bytes});
        break;
      case MountSpec::Type::kSecret:
        RETURN_IF_ERROR(impl_->FillSecret(mount.spec, spec));
        break;
      case MountSpec::Type::kSsh:
        RETURN_IF_ERROR(impl_->FillSsh(mount.spec, spec));
        break;
    }
  }
  return impl_->FillVolumes(fill, to_fill);
}

}  // namespace slipway::build
