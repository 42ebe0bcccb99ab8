// slipway-archive: reads and writes archives of a container's files. Started by the supervisor with
// the container's root as its own, few capabilities and a narrow system call filter, because what
// it parses comes from outside. Statically linked: nothing in the container's root is loaded.

#include <langinfo.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"
#include "runtime-agent/archive/changes.h"
#include "runtime-agent/archive/container_path.h"
#include "runtime-agent/archive/reply.h"
#include "runtime-agent/archive/tar_writer.h"
#include "runtime-agent/archive/tree_archive.h"
#include "runtime-agent/archive/unpack.h"

// libarchive asks for the character set of names. There is no locale to be found in a container's
// root, and names are bytes that mostly are UTF-8. Linked with --wrap=nl_langinfo.
extern "C" char* __wrap_nl_langinfo(nl_item) {
  static char utf8[] = "UTF-8";
  return utf8;
}

namespace slipway::agent {
namespace {

constexpr int kInput = 0;
constexpr int kOutput = 1;
constexpr int kReplies = 2;

void Reply(ArchiveReplyHead head, absl::string_view name, absl::string_view text) {
  name = name.substr(0, kMaxArchiveTextBytes);
  text = text.substr(0, kMaxArchiveTextBytes);
  head.name_bytes = static_cast<uint32_t>(name.size());
  head.text_bytes = static_cast<uint32_t>(text.size());
  const std::string bytes = absl::StrCat(
      absl::string_view(reinterpret_cast<const char*>(&head), sizeof(head)), name, text);
  // Without a listener there is nobody to tell.
  WriteAll(kReplies, bytes, "a reply").IgnoreError();
}

void ReplyStat(const ContainerPathStat& stat) {
  Reply({.kind = static_cast<uint32_t>(ArchiveReplyKind::kStat),
         .mode = stat.info.st_mode,
         .size_bytes = stat.info.st_size,
         .modified_ns = stat.info.st_mtim.tv_sec * 1'000'000'000 + stat.info.st_mtim.tv_nsec},
        stat.name, stat.link_target);
}

absl::Status Read(absl::string_view path) {
  ASSIGN_OR_RETURN(const ContainerPathStat stat, StatContainerPath(path));
  ReplyStat(stat);
  TarWriter tar(kOutput);
  RETURN_IF_ERROR(ArchiveTree(stat.path, stat.name, {}, tar));
  return tar.Finish();
}

absl::Status Export() {
  TarWriter tar(kOutput);
  RETURN_IF_ERROR(ArchiveTree("/", "", {.one_mount = true}, tar));
  return tar.Finish();
}

absl::Status Changes() {
  TarWriter tar(kOutput);
  RETURN_IF_ERROR(ArchiveTree(kChangedDirectory, "", {.one_mount = true, .whiteouts = true}, tar));
  return tar.Finish();
}

absl::Status Diff() {
  std::string out;
  RETURN_IF_ERROR(
      FindChanges(kChangedDirectory, kImageDirectory, [&out](char kind, const std::string& path) {
        out.push_back(kind);
        out.append(path.c_str(), path.size() + 1);
        if (out.size() < (64 << 10)) return absl::OkStatus();
        const absl::Status written = WriteAll(kOutput, out, "changes");
        out.clear();
        return written;
      }));
  return WriteAll(kOutput, out, "changes");
}

absl::StatusOr<UnpackOptions> ParseOptions(absl::string_view kinds, absl::string_view owner) {
  UnpackOptions options{.keep_kinds = kinds == "k"};
  if (owner == "-") return options;
  const std::pair<absl::string_view, absl::string_view> ids =
      absl::StrSplit(owner, absl::MaxSplits(':', 1));
  options.owner.emplace();
  if (!absl::SimpleAtoi(ids.first, &options.owner->first) ||
      !absl::SimpleAtoi(ids.second, &options.owner->second)) {
    return absl::InvalidArgumentError(absl::StrCat("not an owner: ", owner));
  }
  return options;
}

absl::Status CheckWritable(const std::string& path) {
  struct statvfs info;
  struct stat here;
  struct stat root;
  if (statvfs(path.c_str(), &info) != 0 || (info.f_flag & ST_RDONLY) == 0) return absl::OkStatus();
  const bool in_root =
      stat(path.c_str(), &here) == 0 && stat("/", &root) == 0 && here.st_dev == root.st_dev;
  return absl::PermissionDeniedError(in_root ? "container rootfs is marked read-only"
                                             : "mounted volume is marked read-only");
}

absl::Status Write(absl::string_view path, absl::string_view kinds, absl::string_view owner) {
  ASSIGN_OR_RETURN(const UnpackOptions options, ParseOptions(kinds, owner));
  ASSIGN_OR_RETURN(const std::string destination, EvaluateLinks(CleanContainerPath(path)));
  struct stat info;
  if (lstat(destination.c_str(), &info) != 0) {
    return absl::NotFoundError(absl::StrCat("Could not find the file ", path));
  }
  if (!S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError("extraction point is not a directory");
  }
  RETURN_IF_ERROR(CheckWritable(destination));
  return Unpack(kInput, destination, options);
}

absl::Status Run(const std::vector<std::string>& arguments) {
  const absl::string_view command = arguments.empty() ? "" : arguments[0];
  if (command == "stat" && arguments.size() == 2) {
    ASSIGN_OR_RETURN(const ContainerPathStat stat, StatContainerPath(arguments[1]));
    ReplyStat(stat);
    return absl::OkStatus();
  }
  if (command == "read" && arguments.size() == 2) return Read(arguments[1]);
  if (command == "write" && arguments.size() == 4) {
    return Write(arguments[1], arguments[2], arguments[3]);
  }
  if (command == "export") return Export();
  if (command == "changes") return Changes();
  if (command == "diff") return Diff();
  return absl::InvalidArgumentError("slipway-archive: unknown command");
}

}  // namespace
}  // namespace slipway::agent

int main(int argc, char** argv) {
  using slipway::agent::ArchiveReplyKind;
  signal(SIGPIPE, SIG_IGN);
  umask(0);
  const absl::Status status =
      slipway::agent::Run(std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
  if (status.ok()) {
    slipway::agent::Reply({.kind = static_cast<uint32_t>(ArchiveReplyKind::kDone)}, "", "");
    return 0;
  }
  slipway::agent::Reply({.kind = static_cast<uint32_t>(ArchiveReplyKind::kError),
                         .code = static_cast<uint32_t>(status.code())},
                        "", status.message());
  return 1;
}
