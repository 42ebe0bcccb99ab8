#include "runtime-agent/oci/container_record.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/oci/json_reader.h"

namespace slipway::agent {
namespace {

namespace json = boost::json;

constexpr size_t kMaxRecordBytes = 4 << 20;
constexpr char kSocket[] = "/start.sock";

// A socket's path is limited to 107 bytes: a longer one is reached through its directory.
absl::StatusOr<sockaddr_un> AddressIn(const UniqueFd& directory) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string path = absl::StrCat("/proc/self/fd/", directory.get(), kSocket);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

json::object AnnotationsOf(const OciRecord& record) {
  json::object annotations;
  for (const auto& [key, value] : record.annotations) annotations[key] = value;
  return annotations;
}

}  // namespace

const char* OciStatusName(OciStatus status) {
  switch (status) {
    case OciStatus::kCreating:
      return "creating";
    case OciStatus::kCreated:
      return "created";
    case OciStatus::kRunning:
      return "running";
    case OciStatus::kPaused:
      return "paused";
    case OciStatus::kStopped:
      return "stopped";
  }
  return "unknown";
}

uint64_t StartTicksOf(pid_t pid) {
  const auto text = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!text.ok()) return 0;
  const size_t name_end = text->rfind(')');  // a name may contain anything
  if (name_end == std::string::npos) return 0;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(*text).substr(name_end + 1), ' ', absl::SkipEmpty());
  uint64_t ticks = 0;
  if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X") return 0;
  return absl::SimpleAtoi(fields[19], &ticks) ? ticks : 0;
}

absl::StatusOr<OciDirectory> OciDirectory::At(const std::string& root, const std::string& id) {
  const bool clean = !id.empty() && id.size() <= 200 && id[0] != '.' &&
                     std::all_of(id.begin(), id.end(), [](unsigned char c) {
                       return isalnum(c) || c == '_' || c == '+' || c == '-' || c == '.';
                     });
  if (!clean) return absl::InvalidArgumentError(absl::StrCat("invalid container id \"", id, "\""));
  return OciDirectory(absl::StrCat(root, "/", id), id);
}

absl::Status OciDirectory::Make() const {
  RETURN_IF_ERROR(MakeDirectories(path_.substr(0, path_.rfind('/')), 0711));
  if (mkdir(path_.c_str(), 0700) != 0) {
    if (errno == EEXIST) {
      return absl::AlreadyExistsError(absl::StrCat("container with id exists already: ", id_));
    }
    return ErrnoStatus(errno, absl::StrCat("mkdir ", path_));
  }
  if (mkdir(stage().c_str(), 0700) != 0) return ErrnoStatus(errno, absl::StrCat("mkdir ", stage()));
  return absl::OkStatus();
}

absl::Status OciDirectory::Remove() const {
  for (const char* name : {"/start.sock", "/config.json", "/state.json"}) {
    unlink((path_ + name).c_str());
  }
  rmdir(stage().c_str());
  if (rmdir(path_.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("rmdir ", path_));
}

absl::Status OciDirectory::Save(const OciRecord& record) const {
  json::object object;
  object["ociVersion"] = record.version;
  object["id"] = record.id;
  object["bundle"] = record.bundle;
  object["pid"] = record.pid;
  object["startTicks"] = record.start_ticks;
  object["created"] = record.created;
  object["cgroupParent"] = record.cgroup_parent;
  object["cgroupName"] = record.cgroup_name;
  object["paused"] = record.paused;
  object["annotations"] = AnnotationsOf(record);
  return WriteFileAtomically(path_ + "/state.json", json::serialize(object), 0600);
}

absl::StatusOr<OciRecord> OciDirectory::Load() const {
  const auto text = ReadFile(path_ + "/state.json", kMaxRecordBytes);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(absl::StrCat("container \"", id_, "\" does not exist"));
  }
  RETURN_IF_ERROR(text.status());
  ASSIGN_OR_RETURN(const json::value document, ParseJson(*text, kMaxRecordBytes));
  absl::Status error;
  const JsonReader reader(&document, "", &error);
  OciRecord record{.version = reader.Text("ociVersion"),
                   .id = reader.Text("id"),
                   .bundle = reader.Text("bundle"),
                   .pid = static_cast<pid_t>(reader.Number("pid")),
                   .start_ticks = static_cast<uint64_t>(reader.Number("startTicks")),
                   .created = reader.Text("created"),
                   .cgroup_parent = reader.Text("cgroupParent"),
                   .cgroup_name = reader.Text("cgroupName"),
                   .paused = reader.Flag("paused")};
  for (auto& [key, value] : reader.TextMap("annotations")) record.annotations[key] = value;
  if (!error.ok()) return error;
  return record;
}

absl::Status OciDirectory::SaveConfig(const std::string& text) const {
  return WriteFileAtomically(path_ + "/config.json", text, 0600);
}

absl::StatusOr<std::string> OciDirectory::LoadConfig() const {
  return ReadFile(path_ + "/config.json", kMaxRecordBytes);
}

OciStatus OciDirectory::StatusOf(const OciRecord& record) const {
  if (record.pid == 0) return OciStatus::kCreating;
  if (StartTicksOf(record.pid) != record.start_ticks) return OciStatus::kStopped;
  if (access((path_ + kSocket).c_str(), F_OK) == 0) return OciStatus::kCreated;
  return record.paused ? OciStatus::kPaused : OciStatus::kRunning;
}

absl::StatusOr<UniqueFd> OciDirectory::OpenProcess(const OciRecord& record) const {
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, record.pid, 0)));
  // After the open: while the pidfd is there the number belongs to this process.
  if (!pidfd.ok() || StartTicksOf(record.pid) != record.start_ticks) {
    return absl::NotFoundError("container not running");
  }
  return pidfd;
}

absl::StatusOr<UniqueFd> OciDirectory::Listen() const {
  ASSIGN_OR_RETURN(const UniqueFd directory, OpenFile(path_, O_PATH | O_DIRECTORY));
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressIn(directory));
  UniqueFd socket_fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket_fd.ok() ||
      bind(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(socket_fd.get(), 1) != 0) {
    return ErrnoStatus(errno, absl::StrCat("listen on ", path_, kSocket));
  }
  return socket_fd;
}

absl::StatusOr<UniqueFd> OciDirectory::ConnectToHeld() const {
  ASSIGN_OR_RETURN(const UniqueFd directory, OpenFile(path_, O_PATH | O_DIRECTORY));
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressIn(directory));
  UniqueFd socket_fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket_fd.ok() ||
      connect(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("connect to ", path_, kSocket));
  }
  return socket_fd;
}

void OciDirectory::RemoveSocket() const { unlink((path_ + kSocket).c_str()); }

std::vector<std::string> ListOciContainers(const std::string& root) {
  std::vector<std::string> ids;
  DIR* stream = opendir(root.c_str());
  if (stream == nullptr) return ids;
  while (const dirent* entry = readdir(stream)) {
    if (entry->d_name[0] != '.') ids.emplace_back(entry->d_name);
  }
  closedir(stream);
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::string StateJson(const OciRecord& record, OciStatus status) {
  json::object object;
  object["ociVersion"] = record.version;
  object["id"] = record.id;
  object["status"] = OciStatusName(status);
  object["pid"] = status == OciStatus::kStopped ? 0 : record.pid;
  object["bundle"] = record.bundle;
  object["created"] = record.created;
  object["annotations"] = AnnotationsOf(record);
  return json::serialize(object);
}

}  // namespace slipway::agent
