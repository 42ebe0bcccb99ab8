#include "runtime-agent/oci/mount_options.h"

#include <linux/mount.h>
#include <sys/mount.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace slipway::agent {
namespace {

struct Word {
  absl::string_view text;
  uint64_t flag;       // MS_*
  uint64_t attribute;  // MOUNT_ATTR_*
  bool off;
};

constexpr Word kWords[] = {
    {"ro", MS_RDONLY, MOUNT_ATTR_RDONLY, false},
    {"rw", MS_RDONLY, MOUNT_ATTR_RDONLY, true},
    {"nosuid", MS_NOSUID, MOUNT_ATTR_NOSUID, false},
    {"suid", MS_NOSUID, MOUNT_ATTR_NOSUID, true},
    {"nodev", MS_NODEV, MOUNT_ATTR_NODEV, false},
    {"dev", MS_NODEV, MOUNT_ATTR_NODEV, true},
    {"noexec", MS_NOEXEC, MOUNT_ATTR_NOEXEC, false},
    {"exec", MS_NOEXEC, MOUNT_ATTR_NOEXEC, true},
    {"nodiratime", MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, false},
    {"diratime", MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, true},
    {"sync", MS_SYNCHRONOUS, 0, false},
    {"async", MS_SYNCHRONOUS, 0, true},
    {"dirsync", MS_DIRSYNC, 0, false},
    {"mand", MS_MANDLOCK, 0, false},
    {"nomand", MS_MANDLOCK, 0, true},
    {"silent", MS_SILENT, 0, false},
    {"loud", MS_SILENT, 0, true},
    {"defaults", 0, 0, false},
};

// Access times are one of three in the new interface, bits in the old one.
struct Time {
  absl::string_view text;
  uint64_t flag;
  uint64_t attribute;
};
constexpr Time kTimes[] = {{"noatime", MS_NOATIME, MOUNT_ATTR_NOATIME},
                           {"relatime", MS_RELATIME, MOUNT_ATTR_RELATIME},
                           {"strictatime", MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
                           {"atime", 0, MOUNT_ATTR_RELATIME},
                           {"norelatime", 0, MOUNT_ATTR_RELATIME},
                           {"nostrictatime", 0, MOUNT_ATTR_RELATIME}};

struct Propagation {
  absl::string_view text;
  uint64_t flags;
};
constexpr Propagation kPropagations[] = {
    {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
    {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
    {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
    {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC}};

void Apply(const Word& word, MountWords& words) {
  if (word.off) {
    words.flags &= ~word.flag;
    words.set &= ~word.attribute;
    words.clear |= word.attribute;
  } else {
    words.flags |= word.flag;
    words.set |= word.attribute;
    words.clear &= ~word.attribute;
  }
}

bool ApplyKnown(absl::string_view option, MountWords& words) {
  for (const Word& word : kWords) {
    if (word.text == option) return Apply(word, words), true;
    // "rro": the same for every mount below.
    if (option.size() > 1 && option[0] == 'r' && option.substr(1) == word.text &&
        word.attribute != 0) {
      words.recursive_attributes = true;
      return Apply(word, words), true;
    }
  }
  for (const Time& time : kTimes) {
    if (time.text != option) continue;
    words.flags |= time.flag;
    words.set = (words.set & ~uint64_t{MOUNT_ATTR__ATIME}) | time.attribute;
    words.clear |= MOUNT_ATTR__ATIME;
    return true;
  }
  for (const Propagation& propagation : kPropagations) {
    if (propagation.text != option) continue;
    words.propagation = propagation.flags;
    return true;
  }
  return false;
}

}  // namespace

MountWords ParseMountOptions(const std::vector<std::string>& options) {
  MountWords words;
  for (const std::string& option : options) {
    if (option == "bind" || option == "rbind") {
      words.bind = true;
      words.recursive = option == "rbind";
    } else if (option == "tmpcopyup") {
      words.copy_up = true;
    } else if (!ApplyKnown(option, words)) {
      absl::StrAppend(&words.data, words.data.empty() ? "" : ",", option);
    }
  }
  return words;
}

}  // namespace slipway::agent
