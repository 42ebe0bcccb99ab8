#include "runtime-agent/kernel/mount_source.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/os/file.h"
#include "base/os/unique_fd.h"
#include "base/status/status_macros.h"
#include "runtime-agent/kernel/loop_device.h"

namespace slipway::agent {
namespace {

// The options of mount(8) that are of the mount, not of the file system.
struct Flag {
  absl::string_view name;
  uint64_t set;
  uint64_t clear;
};
constexpr Flag kFlags[] = {
    {"defaults", 0, 0},
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    {"relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
};

struct ParsedOptions {
  uint64_t attributes = 0;  // MOUNT_ATTR_*
  bool bind = false;
  bool recursive = false;
  std::vector<std::pair<std::string, std::string>> data;  // an empty value: a flag
};

absl::StatusOr<std::string> AddressOf(const std::string& host) {
  in6_addr ignored;
  if (inet_pton(AF_INET, host.c_str(), &ignored) == 1 ||
      inet_pton(AF_INET6, host.c_str(), &ignored) == 1) {
    return host;
  }
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), nullptr, nullptr, &found);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, freeaddrinfo);
  char text[NI_MAXHOST];
  if (error != 0 || getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), nullptr, 0,
                                NI_NUMERICHOST) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("error resolving passed in network volume address: lookup ", host, ": ",
                     error == 0 ? "no address" : gai_strerror(error)));
  }
  return std::string(text);
}

absl::StatusOr<ParsedOptions> ParseOptions(const std::string& options) {
  ParsedOptions parsed;
  for (const absl::string_view option : absl::StrSplit(options, ',', absl::SkipEmpty())) {
    const Flag* flag = std::find_if(std::begin(kFlags), std::end(kFlags),
                                    [option](const Flag& known) { return known.name == option; });
    if (flag != std::end(kFlags)) {
      parsed.attributes = (parsed.attributes & ~flag->clear) | flag->set;
      continue;
    }
    if (option == "bind" || option == "rbind") {
      parsed.bind = true;
      parsed.recursive = option == "rbind";
      continue;
    }
    std::pair<std::string, std::string> pair = absl::StrSplit(option, absl::MaxSplits('=', 1));
    if (pair.first == "addr" && !pair.second.empty()) {
      ASSIGN_OR_RETURN(pair.second, AddressOf(pair.second));
    }
    parsed.data.push_back(std::move(pair));
  }
  return parsed;
}

}  // namespace

absl::StatusOr<Mount> MountDetached(const MountSource& source) {
  ASSIGN_OR_RETURN(const ParsedOptions options, ParseOptions(source.options));
  if (options.bind) {
    ASSIGN_OR_RETURN(Mount tree, CloneTree(AT_FDCWD, source.device, options.recursive));
    if (options.attributes != 0) {
      RETURN_IF_ERROR(SetMountAttributes(
          tree.fd(), "",
          {.set = options.attributes,
           .clear =
               (options.attributes & MOUNT_ATTR__ATIME) != 0 ? uint64_t{MOUNT_ATTR__ATIME} : 0},
          options.recursive));
    }
    return tree;
  }
  ASSIGN_OR_RETURN(FileSystemContext context, FileSystemContext::Open(source.type));
  if (!source.device.empty()) RETURN_IF_ERROR(context.SetString("source", source.device));
  if ((options.attributes & MOUNT_ATTR_RDONLY) != 0) RETURN_IF_ERROR(context.SetFlag("ro"));
  for (const auto& [key, value] : options.data) {
    RETURN_IF_ERROR(value.empty() ? context.SetFlag(key.c_str())
                                  : context.SetString(key.c_str(), value));
  }
  return context.CreateMount(options.attributes);
}

absl::StatusOr<Mount> MountExt4Image(const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path, O_RDWR | O_NOFOLLOW));
  absl::StatusOr<LoopDevice> loop = FindLoopDevice(file.get());
  if (absl::IsNotFound(loop.status())) loop = AttachLoopDevice(file.get(), {.direct_io = true});
  RETURN_IF_ERROR(loop.status());
  return MountDetached({.type = "ext4", .device = loop->path});
}

bool IsMountPoint(const std::string& path) {
  struct statx info;
  return statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, 0, &info) == 0 &&
         (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

}  // namespace slipway::agent
