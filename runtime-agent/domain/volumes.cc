#include "runtime-agent/domain/volumes.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/logging/logging.h"
#include "base/os/file.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/tree.h"
#include "runtime-agent/kernel/ext4_image.h"
#include "runtime-agent/kernel/mount_source.h"
#include "runtime-agent/kernel/project_quota.h"

namespace slipway::agent {
namespace {

constexpr absl::Duration kReleaseWait = absl::Seconds(5);
constexpr char kData[] = "/_data";
constexpr char kOptions[] = "/options";
constexpr char kImage[] = "/image";
constexpr char kFilling[] = "/filling";

// Docker's rule: [a-zA-Z0-9][a-zA-Z0-9_.-]+
bool IsName(absl::string_view name) {
  return !name.empty() && name.size() <= 255 &&
         absl::ascii_isalnum(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
         });
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

absl::Status MakeDirectory(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("mkdir ", path));
}

absl::Status SyncDirectory(const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd directory, OpenFile(path, O_RDONLY | O_DIRECTORY));
  if (fsync(directory.get()) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("sync ", path));
}

std::vector<std::string> EntriesOf(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
  if (directory == nullptr) return names;
  while (const dirent* entry = readdir(directory.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string EncodeSource(const VolumeSource& source) {
  return absl::StrCat("type=", source.type, "\ndevice=", source.device,
                      "\no=", source.mount_options, "\nsize=", source.size_bytes, "\n");
}

VolumeSource DecodeSource(absl::string_view text) {
  VolumeSource source;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, std::string> pair =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (pair.first == "type") source.type = pair.second;
    if (pair.first == "device") source.device = pair.second;
    if (pair.first == "o") source.mount_options = pair.second;
    if (pair.first == "size") (void)absl::SimpleAtoi(pair.second, &source.size_bytes);
  }
  return source;
}

// With its quota, where it has one: what is in `.removed` belongs to nobody.
void DeleteOne(const std::string& directory, const std::string& path) {
  uint32_t project = 0;
  {
    const auto data = OpenFile(path + kData, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (data.ok() && Exists(path + kOptions)) project = ProjectOf(data->get()).value_or(0);
  }
  const absl::Status removed = RemoveTree(path);
  if (!removed.ok()) {
    Log(LogLevel::kWarning, "a removed volume's files were not all deleted",
        {{"path", path}, {"error", std::string(removed.message())}});
    return;
  }
  if (project == 0) return;
  const auto root = OpenFile(directory, O_RDONLY | O_DIRECTORY);
  if (root.ok()) LiftLimit(root->get(), project).IgnoreError();
}

}  // namespace

// The right to change one volume.
class Volumes::Turn {
 public:
  Turn(Volumes& volumes, const std::string& name) : volumes_(volumes), name_(name) {
    absl::MutexLock lock(&volumes_.mutex_);
    const auto free = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(volumes_.mutex_) {
      return !volumes_.turns_.contains(name_);
    };
    volumes_.mutex_.Await(absl::Condition(&free));
    volumes_.turns_.insert(name_);
  }
  ~Turn() {
    absl::MutexLock lock(&volumes_.mutex_);
    volumes_.turns_.erase(name_);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Volumes& volumes_;
  const std::string name_;
};

absl::StatusOr<std::unique_ptr<Volumes>> Volumes::Open(std::string directory) {
  RETURN_IF_ERROR(MakeDirectories(directory, 0711));
  RETURN_IF_ERROR(MakeDirectories(absl::StrCat(directory, "/.removed"), 0700));
  return std::unique_ptr<Volumes>(new Volumes(std::move(directory)));
}

std::string Volumes::PathOf(const std::string& name, absl::string_view what) const {
  return absl::StrCat(directory_, "/", name, what);
}

std::string Volumes::NameOf(absl::string_view data_directory) const {
  if (!absl::ConsumePrefix(&data_directory, directory_) ||
      !absl::ConsumePrefix(&data_directory, "/") || !absl::ConsumeSuffix(&data_directory, kData)) {
    return "";
  }
  return std::string(data_directory);
}

absl::StatusOr<VolumeSource> Volumes::SourceOf(const std::string& name) const {
  const auto text = ReadFile(PathOf(name, kOptions), 64 << 10);
  if (absl::IsNotFound(text.status())) return VolumeSource{};
  RETURN_IF_ERROR(text.status());
  return DecodeSource(*text);
}

absl::Status Volumes::Create(const std::string& name, const VolumeSource& source) {
  if (!IsName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", name, "\" includes invalid characters for a local volume name"));
  }
  const Turn turn(*this, name);
  if (Exists(PathOf(name, kData))) return absl::OkStatus();
  const absl::Status made = CreateInTurn(name, source);
  if (!made.ok() && !Exists(PathOf(name, kOptions))) {
    RemoveTree(PathOf(name, "")).IgnoreError();
  }
  return made;
}

// The data directory comes last, and the options when what they tell of is there: a volume that has
// none of the two is not there yet.
absl::Status Volumes::CreateInTurn(const std::string& name, const VolumeSource& source) {
  const bool has_options = Exists(PathOf(name, kOptions));
  if (!has_options) RETURN_IF_ERROR(RemoveTree(PathOf(name, "")));
  RETURN_IF_ERROR(MakeDirectory(PathOf(name, ""), 0711));
  const std::string data = PathOf(name, kData);
  const std::string made = PathOf(name, "/making");
  RETURN_IF_ERROR(MakeDirectory(made, 0755));
  if (source.size_bytes > 0 && !Exists(PathOf(name, kImage))) {
    ASSIGN_OR_RETURN(const UniqueFd directory, OpenFile(made, O_RDONLY | O_DIRECTORY));
    if (EnforcesProjectQuota(directory.get())) {
      RETURN_IF_ERROR(
          LimitDirectory(directory.get(), static_cast<uint64_t>(source.size_bytes)).status());
    } else {
      RETURN_IF_ERROR(MakeExt4Image(PathOf(name, kImage), source.size_bytes));
    }
  }
  if (!has_options && (source.size_bytes > 0 || !source.type.empty())) {
    RETURN_IF_ERROR(WriteFileAtomically(PathOf(name, kOptions), EncodeSource(source), 0600));
  }
  if (rename(made.c_str(), data.c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("rename ", made));
  }
  RETURN_IF_ERROR(SyncDirectory(PathOf(name, "")));
  return SyncDirectory(directory_);
}

bool Volumes::IsUsed(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  const auto free = [this, &name]()
                        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !users_.contains(name); };
  return !mutex_.AwaitWithTimeout(absl::Condition(&free), kReleaseWait);
}

absl::Status Volumes::Remove(const std::string& name) {
  if (!IsName(name)) return absl::InvalidArgumentError("not the name of a volume");
  if (IsUsed(name)) return absl::FailedPreconditionError("volume is in use");
  const Turn turn(*this, name);
  const std::string data = PathOf(name, kData);
  if (!UnmountInTurn(name) && IsMountPoint(data)) {
    return absl::FailedPreconditionError(
        absl::StrCat("a file system that is not the volume's own is mounted at ", data));
  }
  {
    absl::MutexLock lock(&mutex_);
    if (users_.contains(name)) return absl::FailedPreconditionError("volume is in use");
  }
  uint64_t number = 0;
  if (getrandom(&number, sizeof(number), 0) != sizeof(number)) {
    return absl::InternalError("no random bytes");
  }
  const std::string removed =
      absl::StrCat(directory_, "/.removed/", absl::Hex(number), "-", name.substr(0, 200));
  if (rename(PathOf(name, "").c_str(), removed.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("rename ", PathOf(name, "")));
  }
  return absl::OkStatus();
}

void Volumes::DeleteRemoved() {
  const std::string removed = absl::StrCat(directory_, "/.removed");
  for (const std::string& name : EntriesOf(removed)) {
    DeleteOne(directory_, absl::StrCat(removed, "/", name));
  }
}

std::vector<std::string> Volumes::List() const {
  std::vector<std::string> names;
  for (std::string& name : EntriesOf(directory_)) {
    if (Exists(PathOf(name, kData))) names.push_back(std::move(name));
  }
  return names;
}

bool Volumes::IsPlain(const std::string& name) const { return !Exists(PathOf(name, kOptions)); }

int64_t Volumes::Measure(const std::string& name) {
  const auto source = SourceOf(name);
  const std::string data = PathOf(name, kData);
  if (!IsName(name) || !source.ok() || (!source->type.empty() && source->type != "tmpfs")) {
    return -1;
  }
  struct stat image;
  if (!IsMountPoint(data) && stat(PathOf(name, kImage).c_str(), &image) == 0) {
    return image.st_blocks * 512;
  }
  return TreeSize(data).value_or(-1);
}

absl::Status Volumes::Use(const std::string& name, const std::string& user) {
  const Turn turn(*this, name);
  RETURN_IF_ERROR(EnsureInTurn(name));
  RETURN_IF_ERROR(MountInTurn(name));
  // From here on what is in it is its user's.
  unlink(PathOf(name, kFilling).c_str());
  absl::MutexLock lock(&mutex_);
  users_[name].insert(user);
  return absl::OkStatus();
}

absl::Status Volumes::MountInTurn(const std::string& name) {
  ASSIGN_OR_RETURN(const VolumeSource source, SourceOf(name));
  const std::string data = PathOf(name, kData);
  const std::string image = PathOf(name, kImage);
  if (source.type.empty() && (source.size_bytes == 0 || !Exists(image))) return absl::OkStatus();
  if (IsMountPoint(data)) return absl::OkStatus();
  const auto mount = source.type.empty()
                         ? MountExt4Image(image)
                         : MountDetached({source.type, source.device, source.mount_options});
  absl::Status status = mount.status();
  if (status.ok()) status = mount->AttachAt(AT_FDCWD, data);
  if (status.ok()) return status;
  // Whatever is missing, it is not the container or its image.
  return absl::InternalError(
      absl::StrCat("error while mounting volume '", data, "': failed to mount local volume: mount ",
                   source.type.empty() ? image : source.device, ":", data, ": ", status.message()));
}

bool Volumes::UnmountInTurn(const std::string& name) {
  const std::string data = PathOf(name, kData);
  if (!Exists(PathOf(name, kOptions)) || !IsMountPoint(data)) return false;
  if (umount2(data.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) return true;
  Log(LogLevel::kWarning, "a volume was not unmounted",
      {{"path", data}, {"error", std::string(ErrnoStatus(errno, "umount").message())}});
  return false;
}

void Volumes::Release(const std::string& name, const std::string& user) {
  const Turn turn(*this, name);
  {
    absl::MutexLock lock(&mutex_);
    const auto found = users_.find(name);
    if (found == users_.end() || found->second.erase(user) == 0) return;
    if (!found->second.empty()) return;
  }
  UnmountInTurn(name);
  absl::MutexLock lock(&mutex_);
  users_.erase(name);
}

void Volumes::Adopt(const std::string& name, const std::string& user) {
  absl::MutexLock lock(&mutex_);
  users_[name].insert(user);
}

int Volumes::ReapUnused() {
  int reaped = 0;
  for (const std::string& name : EntriesOf(directory_)) {
    const Turn turn(*this, name);
    {
      absl::MutexLock lock(&mutex_);
      if (users_.contains(name)) continue;
    }
    reaped += UnmountInTurn(name) ? 1 : 0;
  }
  return reaped;
}

absl::Status Volumes::EnsureInTurn(const std::string& name) {
  if (Exists(PathOf(name, kData))) return absl::OkStatus();
  RETURN_IF_ERROR(MakeDirectory(PathOf(name, ""), 0711));
  return MakeDirectory(PathOf(name, kData), 0755);
}

absl::Status Volumes::Ensure(const std::string& name) {
  const Turn turn(*this, name);
  return EnsureInTurn(name);
}

absl::Status Volumes::Fill(const std::string& name, int root, const std::string& inside) {
  const Turn turn(*this, name);
  RETURN_IF_ERROR(EnsureInTurn(name));
  if (!HasDirectory(root, inside)) return absl::OkStatus();
  RETURN_IF_ERROR(MountInTurn(name));
  const absl::Cleanup unmount = [this, &name] {
    absl::ReleasableMutexLock lock(&mutex_);
    const bool used = users_.contains(name);
    lock.Release();
    if (!used) UnmountInTurn(name);
  };
  const std::string data = PathOf(name, kData);
  const std::string filling = PathOf(name, kFilling);
  // Half of a copy is no content.
  if (Exists(filling)) RETURN_IF_ERROR(EmptyDirectory(data));
  ASSIGN_OR_RETURN(const bool empty, IsEmptyDirectory(data));
  if (!empty) return absl::OkStatus();
  RETURN_IF_ERROR(OpenFile(filling, O_WRONLY | O_CREAT, 0600).status());
  RETURN_IF_ERROR(FillEmptyDirectory(root, inside, data));
  unlink(filling.c_str());
  return absl::OkStatus();
}

}  // namespace slipway::agent
