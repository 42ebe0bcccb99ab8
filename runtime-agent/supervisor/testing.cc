#include "runtime-agent/supervisor/testing.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace slipway::agent {

namespace {

constexpr char kBinary[] = "runtime-agent/supervisor/slipway-supervisor";
constexpr char kProbe[] = "runtime-agent/supervisor/probe";

}  // namespace

bool KernelTellsExits() {
  utsname host;
  int major = 0;
  int minor = 0;
  return uname(&host) == 0 && sscanf(host.release, "%d.%d", &major, &minor) == 2 &&
         (major > 6 || (major == 6 && minor >= 15));
}

void SupervisorTest::SetUp() {
  char path[] = "/tmp/slipway-supervisor-test-XXXXXX";
  ASSERT_NE(mkdtemp(path), nullptr);
  dir_ = path;
  for (const char* name : {"/run", "/root", "/root/bin", "/root/tmp", "/root/etc"}) {
    std::filesystem::create_directory(dir_ + name);
  }
  std::filesystem::copy_file("/bin/busybox", dir_ + "/root/bin/busybox");
  std::filesystem::copy_file(kProbe, dir_ + "/root/bin/probe");
  for (const char* applet : {"sh", "cat", "echo", "true", "head", "yes", "sleep", "ls", "stty"}) {
    std::filesystem::create_symlink("busybox", absl::StrCat(dir_, "/root/bin/", applet));
  }
  ASSERT_TRUE(StartSupervisor());
  client_ = Connect();
  ASSERT_NE(client_, nullptr);
}

void SupervisorTest::TearDown() {
  if (client_ != nullptr) {
    auto entries = client_->List(kTestTimeout);
    if (entries.ok()) {
      for (const EntryInfo& entry : *entries) {
        if (entry.state != EntryState::kExited && entry.pid > 0) {
          kill(entry.pid, SIGKILL);
          AwaitExit(entry.id);
        }
      }
    }
    EXPECT_TRUE(client_->Shutdown(kTestTimeout).ok());
    client_.reset();
  }
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

bool SupervisorTest::StartSupervisor() {
  pid_t pid = fork();
  if (pid == 0) {
    execl(kBinary, kBinary, "--run-dir", (dir_ + "/run").c_str(), "--root", dir_.c_str(), nullptr);
    _exit(99);
  }
  int status = 0;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::unique_ptr<SupervisorClient> SupervisorTest::Connect() {
  SupervisorClient::Options options;
  options.socket_path = dir_ + "/run/supervisor.sock";
  options.on_exit = [this](const EntryInfo& entry) {
    absl::MutexLock lock(&mutex_);
    exits_[entry.id] = entry;
  };
  options.on_resync = [this](const std::vector<EntryInfo>& entries) {
    absl::MutexLock lock(&mutex_);
    for (const EntryInfo& entry : entries) {
      if (entry.state == EntryState::kExited) exits_[entry.id] = entry;
    }
  };
  options.revive = [this] {
    if (may_revive_) {
      EXPECT_TRUE(StartSupervisor());
    }
  };
  auto client = SupervisorClient::Connect(std::move(options));
  EXPECT_TRUE(client.ok()) << client.status();
  return client.ok() ? *std::move(client) : nullptr;
}

UniqueFd SupervisorTest::OpenSpool(const std::string& id) {
  return UniqueFd(
      open(absl::StrCat(dir_, "/", id, ".spool").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

UniqueFd SupervisorTest::CloneTree(const std::string& path) {
  return UniqueFd(
      open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
}

PlanBuilder SupervisorTest::Builder(const std::string& id, const std::vector<std::string>& args,
                                    SpoolOptions options) {
  PlanBuilder builder;
  builder.Spool(builder.AddFd(OpenSpool(id)), options);
  builder.Environment({"PATH=/usr/bin:/bin"});
  builder.Arguments(args);
  return builder;
}

PlanBuilder SupervisorTest::ContainerBuilder(const std::string& id,
                                             const std::vector<std::string>& args,
                                             SpoolOptions options, bool spool) {
  PlanBuilder builder;
  if (spool) builder.Spool(builder.AddFd(OpenSpool(id)), options);
  builder.NewNamespaces(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                        CLONE_NEWCGROUP);
  builder.Root(builder.AddFd(CloneTree(dir_ + "/root")));
  builder.Mount({"proc", "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""});
  builder.Mount({"tmpfs", "tmpfs", "/dev", MS_NOSUID, "mode=755,size=65536k"});
  builder.Mount({"devpts", "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC,
                 "newinstance,ptmxmode=0666,mode=0620"});
  builder.DefaultDevices();
  builder.LoopbackUp();
  builder.Hostname("testbox");
  builder.Environment({"PATH=/bin"});
  builder.Arguments(args);
  return builder;
}

absl::StatusOr<SpawnResult> SupervisorTest::Spawn(const std::string& id, PlanBuilder* builder,
                                                  EntryKind kind, bool hold) {
  auto plan = builder->Build();
  if (!plan.ok()) return plan.status();
  {
    absl::MutexLock lock(&mutex_);
    exits_.erase(id);
  }
  return client_->Spawn({id, kind, hold, *std::move(plan)}, kTestTimeout);
}

EntryInfo SupervisorTest::AwaitExit(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  auto exited = [this, &id] { return exits_.count(id) > 0; };
  bool seen = mutex_.AwaitWithTimeout(absl::Condition(&exited), kTestTimeout * 3);
  EXPECT_TRUE(seen) << id << " did not end";
  return seen ? exits_[id] : EntryInfo();
}

int SupervisorTest::Run(const std::string& id, const std::vector<std::string>& args) {
  PlanBuilder builder = Builder(id, args);
  auto spawned = Spawn(id, &builder);
  EXPECT_TRUE(spawned.ok()) << spawned.status();
  if (!spawned.ok()) return -1;
  int code = AwaitExit(id).ExitCode();
  EXPECT_TRUE(client_->Forget(id, kTestTimeout).ok());
  return code;
}

bool SupervisorTest::AwaitEnd(const EntryInfo& entry) {
  constexpr uint32_t kEnded = kEntryStdoutEnded | kEntryStderrEnded;
  for (int i = 0; i < 2000; ++i) {
    auto slot = client_->GetSlot(entry.slot, entry.incarnation);
    if (!slot.ok()) return false;
    if ((slot->flags & kEnded) == kEnded) return true;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return false;
}

SpoolContent SupervisorTest::ReadSpool(const std::string& id, uint64_t committed) {
  SpoolContent content;
  UniqueFd fd = OpenSpool(id);
  SpoolReader reader(fd.get(), 0);
  for (;;) {
    auto record = reader.Next(committed);
    EXPECT_TRUE(record.ok()) << record.status();
    if (!record.ok() || !record->has_value()) return content;
    ++content.records;
    if ((*record)->type == SpoolRecordType::kEnd) ++content.ends;
    content.dropped_bytes += (*record)->gap.dropped_bytes;
    ((*record)->stream == 1 ? content.out : content.err) += (*record)->data;
  }
}

SpoolContent SupervisorTest::FinishedSpool(const std::string& id) {
  EntryInfo entry = AwaitExit(id);
  EXPECT_TRUE(AwaitEnd(entry));
  auto slot = client_->GetSlot(entry.slot, entry.incarnation);
  EXPECT_TRUE(slot.ok());
  return slot.ok() ? ReadSpool(id, slot->spool_committed) : SpoolContent();
}

SupervisorStats SupervisorTest::Stats() {
  auto stats = client_->Stats(kTestTimeout);
  EXPECT_TRUE(stats.ok()) << stats.status();
  return stats.ok() ? *stats : SupervisorStats();
}

void SupervisorTest::KillSupervisor() {
  int before = Stats().supervisor_pid;
  kill(before, SIGKILL);
  while (Stats().supervisor_pid == before) absl::SleepFor(absl::Milliseconds(1));
}

void SupervisorTest::KillKeeper() {
  int before = Stats().keeper_pid;
  kill(before, SIGKILL);
  while (Stats().keeper_pid == before) absl::SleepFor(absl::Milliseconds(1));
}

}  // namespace slipway::agent
