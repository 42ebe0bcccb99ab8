#include <dirent.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/os/file.h"
#include "runtime-agent/domain/runtime.h"
#include "runtime-agent/domain/tree.h"

// What an agent that was killed half-way, or a predecessor with a fault, left on the host. Only
// what can be nobody else's is touched: groups below the instance's own cgroup, files, mounts and
// loop devices below its own directories. Interfaces and rules are the network driver's (Recover);
// namespaces and layers' mounts are held by descriptors alone and end with their last process.
namespace slipway::agent {
namespace {

constexpr int kExitLost = 255;  // what Docker says of a run whose end nobody saw

std::vector<std::string> EntriesOf(const std::string& directory) {
  std::vector<std::string> names;
  DIR* stream = opendir(directory.c_str());
  if (stream == nullptr) return names;
  while (const dirent* entry = readdir(stream)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(stream);
  return names;
}

// "\040" in /proc/self/mountinfo is a space.
std::string Unescape(absl::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      result.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                         (text[i + 3] - '0')));
      i += 3;
    } else {
      result.push_back(text[i]);
    }
  }
  return result;
}

int UnmountBelow(const std::vector<std::string>& directories) {
  const auto mountinfo = ReadFile("/proc/self/mountinfo", 64 << 20);
  if (!mountinfo.ok()) return 0;
  int unmounted = 0;
  for (const std::string& directory : directories) {
    for (const std::string& point : MountsBelow(*mountinfo, directory)) {
      if (umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) ++unmounted;
    }
  }
  return unmounted;
}

}  // namespace

std::vector<std::string> MountsBelow(absl::string_view mountinfo, absl::string_view directory) {
  std::vector<std::string> found;
  for (absl::string_view line : absl::StrSplit(mountinfo, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    if (fields.size() < 6) continue;
    std::string point = Unescape(fields[4]);
    if (absl::StartsWith(point, absl::StrCat(directory, "/"))) {
      found.insert(found.begin(), std::move(point));  // the last mounted first
    }
  }
  return found;
}

// Not the volumes: what is mounted there an administrator may have mounted. Their own go by
// ReapUnused(). Nor the stage, where this agent's own are by now.
int Runtime::ReapMounts() {
  return UnmountBelow({settings_.root + "/containers", settings_.root + "/spool"});
}

// Before anything is mounted there.
void Runtime::ClearStage() {
  const std::string stage = settings_.root + "/stage";
  UnmountBelow({stage});
  for (const std::string& name : EntriesOf(stage)) rmdir(absl::StrCat(stage, "/", name).c_str());
}

// Devices of ours free themselves with their last user; one that was attached and never mounted by
// a process that could not finish does not.
int Runtime::ReapLoopDevices() {
  int reaped = 0;
  if (settings_.layer_directory.empty()) return 0;
  for (const std::string& name : EntriesOf("/sys/block")) {
    if (!absl::StartsWith(name, "loop")) continue;
    const auto file = ReadFile(absl::StrCat("/sys/block/", name, "/loop/backing_file"), 8192);
    if (!file.ok()) continue;
    const absl::string_view backing = absl::StripSuffix(*file, "\n");
    if (!absl::StartsWith(backing, settings_.layer_directory + "/")) continue;
    const UniqueFd device(open(absl::StrCat("/dev/", name).c_str(), O_RDONLY | O_CLOEXEC));
    // One that is in use is freed after its last user.
    if (device.ok() && ioctl(device.get(), LOOP_CLR_FD, 0) == 0) ++reaped;
  }
  return reaped;
}

int Runtime::ReapGroups(const std::set<std::string>& live) {
  int reaped = 0;
  std::vector<std::string> groups;
  if (auto listed = parts_.cgroups->ListGroups(); listed.ok()) groups = *std::move(listed);
  {
    // Those with a parent that the client chose are in no list.
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, container] : containers_) {
      const std::string name = container->definition().cgroup_name();
      if (name != id && !live.contains(id)) groups.push_back(name);
    }
  }
  for (const std::string& group : groups) {
    if (live.contains(group)) continue;
    parts_.cgroups->Kill(group).IgnoreError();
    const absl::Status removed = parts_.cgroups->Remove(group);
    if (removed.ok()) {
      ++reaped;
    } else {
      Log(LogLevel::kWarning, "a leftover cgroup was not removed",
          {{"group", group}, {"error", std::string(removed.message())}});
    }
  }
  return reaped;
}

int Runtime::ReapFiles(const std::set<std::string>& known) {
  int reaped = 0;
  for (const std::string& name : EntriesOf(absl::StrCat(settings_.root, "/containers"))) {
    if (known.contains(name)) continue;
    if (RemoveTree(Directory(name)).ok()) ++reaped;
  }
  for (const std::string& name : EntriesOf(absl::StrCat(settings_.root, "/spool"))) {
    if (known.contains(name)) continue;
    if (unlink(SpoolPath(name).c_str()) == 0) ++reaped;
  }
  return reaped;
}

// What no record owns: entries, cgroups, mounts, directories, spools, loop devices; and execs that
// ended unseen.
void Runtime::ReapLeftovers(const std::vector<EntryInfo>& entries) {
  std::set<std::string> known;
  std::set<std::string> live;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, container] : containers_) known.insert(id);
  }
  for (const EntryInfo& entry : entries) {
    live.insert(entry.id);
    if (entry.kind == EntryKind::kExec || !known.contains(entry.id)) {
      if (entry.state == EntryState::kExited) OnExit(entry);
      if (entry.kind == EntryKind::kContainer) parts_.cgroups->Kill(entry.id).IgnoreError();
      const bool stray = entry.kind == EntryKind::kExec && FindExec(entry.id) == nullptr;
      if (stray && !IsDnsEntry(entry.id)) KillStray(entry);
    }
  }
  const int groups = ReapGroups(live);
  const int mounts = ReapMounts() + volumes_->ReapUnused();
  reaper_->Post([this] { volumes_->DeleteRemoved(); });
  const int files = ReapFiles(known);
  const int loops = ReapLoopDevices();
  if (groups + mounts + files + loops > 0) {
    Log(LogLevel::kWarning, "leftovers were reaped",
        {{"cgroups", absl::StrCat(groups)},
         {"mounts", absl::StrCat(mounts)},
         {"files", absl::StrCat(files)},
         {"loop_devices", absl::StrCat(loops)}});
  }
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, exec] : execs_) {
    if (exec->record().finished_ns != 0 || live.contains(id)) continue;
    exec->UpdateRecord([](ExecRecord& record) {
      record.finished_ns = absl::GetCurrentTimeNanos();
      record.exit_code = kExitLost;
    });
  }
}

}  // namespace slipway::agent
