#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime-agent/supervisor/testing.h"

namespace slipway::agent {
namespace {

TEST_F(SupervisorTest, MissingProgramIsNamedAndLeavesNothing) {
  PlanBuilder builder = Builder("a", {"no-such-program"});
  auto spawned = Spawn("a", &builder);
  ASSERT_FALSE(spawned.ok());
  auto failure = GetSpawnFailure(spawned.status());
  ASSERT_TRUE(failure.has_value()) << spawned.status();
  EXPECT_EQ(failure->step, PlanStep::kExec);
  EXPECT_EQ(failure->error, ENOENT);
  EXPECT_EQ(failure->detail, "no-such-program");
  SupervisorStats stats = Stats();
  EXPECT_EQ(stats.entries, 0u);
  EXPECT_EQ(stats.open_fds, 0u);
}

TEST_F(SupervisorTest, EachBadStepIsNamed) {
  struct Case {
    PlanStep step;
    int error;
    std::function<void(PlanBuilder*)> spoil;
  };
  std::filesystem::create_directory(dir_ + "/root/plain");
  UniqueFd(open((dir_ + "/root/plain/file").c_str(), O_CREAT | O_WRONLY, 0644));
  const Case cases[] = {
      {PlanStep::kWorkingDirectory, ENOENT,
       [](PlanBuilder* builder) { builder->WorkingDirectory("/nowhere", false); }},
      {PlanStep::kWorkingDirectoryMake, ENOTDIR,
       [](PlanBuilder* builder) { builder->WorkingDirectory("/plain/file", true); }},
      {PlanStep::kMount, ENODEV,
       [](PlanBuilder* builder) {
         builder->Mount({"nofs", "nofs", "/mnt", 0, ""});
       }},
      {PlanStep::kMount, EINVAL,
       [](PlanBuilder* builder) {
         builder->Mount({"tmpfs", "tmpfs", "/mnt", 0, "size=bad"});
       }},
      {PlanStep::kSysctl, ENOENT,
       [](PlanBuilder* builder) { builder->Sysctl("net.no.such", "1"); }},
      {PlanStep::kSeccomp, EINVAL,
       [](PlanBuilder* builder) { builder->Seccomp(std::string(8, '\0'), 0); }},
      {PlanStep::kJoinCgroup, EBADF,
       [](PlanBuilder* builder) {
         builder->JoinCgroup(builder->AddFd(UniqueFd(open("/dev/null", O_RDONLY))));
       }},
      {PlanStep::kDevice, EEXIST,
       [](PlanBuilder* builder) {
         builder->Device({"/plain/file", S_IFCHR | 0600, 1, 3, 0, 0});
       }},
  };
  for (const Case& bad : cases) {
    PlanBuilder builder = ContainerBuilder("bad", {"true"});
    bad.spoil(&builder);
    auto spawned = Spawn("bad", &builder);
    ASSERT_FALSE(spawned.ok()) << PlanStepName(bad.step);
    auto failure = GetSpawnFailure(spawned.status());
    ASSERT_TRUE(failure.has_value()) << spawned.status();
    EXPECT_EQ(failure->step, bad.step) << spawned.status();
    EXPECT_EQ(failure->error, bad.error) << spawned.status();
  }
  SupervisorStats stats = Stats();
  EXPECT_EQ(stats.entries, 0u);
  EXPECT_EQ(stats.open_fds, 0u);
}

TEST_F(SupervisorTest, NotExecutableIsPermissionDenied) {
  PlanBuilder builder = Builder("a", {"/etc/passwd"});
  auto failure = GetSpawnFailure(Spawn("a", &builder).status());
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->error, EACCES);
}

TEST_F(SupervisorTest, ExitCodesAndSignals) {
  EXPECT_EQ(Run("zero", {"/bin/true"}), 0);
  EXPECT_EQ(Run("seven", {"sh", "-c", "exit 7"}), 7);
  EXPECT_EQ(Run("killed", {"sh", "-c", "kill -9 $$"}), 137);
  EXPECT_EQ(Run("term", {"sh", "-c", "kill -TERM $$"}), 143);
}

TEST_F(SupervisorTest, OutputIsExact) {
  struct Case {
    const char* command;
    size_t bytes;
  };
  for (const Case& test : {Case{"printf x", 1}, Case{"head -c 65536 /dev/zero", 65536},
                           Case{"head -c 10485760 /dev/zero", 10485760}, Case{"true", 0}}) {
    PlanBuilder builder = Builder("out", {"sh", "-c", test.command});
    ASSERT_TRUE(Spawn("out", &builder).ok());
    SpoolContent content = FinishedSpool("out");
    EXPECT_EQ(content.out.size(), test.bytes) << test.command;
    EXPECT_EQ(content.ends, 2);
    EXPECT_TRUE(client_->Forget("out", kTestTimeout).ok());
  }
}

TEST_F(SupervisorTest, StreamsStayApartAndAnUnterminatedLineIsKept) {
  PlanBuilder builder =
      Builder("mix", {"sh", "-c",
                      "i=0; while [ $i -lt 500 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done; "
                      "printf last"});
  ASSERT_TRUE(Spawn("mix", &builder).ok());
  SpoolContent content = FinishedSpool("mix");
  std::string out;
  std::string err;
  for (int i = 0; i < 500; ++i) {
    absl::StrAppend(&out, "o", i, "\n");
    absl::StrAppend(&err, "e", i, "\n");
  }
  EXPECT_EQ(content.out, out + "last");
  EXPECT_EQ(content.err, err);
}

TEST_F(SupervisorTest, ExitEventComesAfterTheBytesWrittenBefore) {
  for (int i = 0; i < 50; ++i) {
    PlanBuilder builder = Builder("quick", {"sh", "-c", "head -c 60000 /dev/zero"});
    ASSERT_TRUE(Spawn("quick", &builder).ok());
    EntryInfo entry = AwaitExit("quick");
    EXPECT_EQ(ReadSpool("quick", entry.spool_committed).out.size(), 60000u);
    ASSERT_TRUE(client_->Forget("quick", kTestTimeout).ok());
  }
}

TEST_F(SupervisorTest, StdinIsDeliveredAndClosed) {
  PlanBuilder builder = Builder("cat", {"cat"});
  builder.OpenStdin();
  auto spawned = Spawn("cat", &builder);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  ASSERT_EQ(write(spawned->fds.stdin_write.get(), "hello\n", 6), 6);
  spawned->fds.stdin_write.reset();
  ASSERT_TRUE(client_->CloseStdin("cat", kTestTimeout).ok());
  EXPECT_EQ(FinishedSpool("cat").out, "hello\n");
}

TEST_F(SupervisorTest, ContainerIsIsolated) {
  PlanBuilder builder =
      ContainerBuilder("c", {"sh", "-c",
                             "probe pid fds cwd; cat /proc/sys/kernel/hostname; ls /; "
                             "cat /proc/net/dev; cat /proc/mounts"});
  auto spawned = Spawn("c", &builder);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  SpoolContent content = FinishedSpool("c");
  EXPECT_TRUE(absl::StrContains(content.out, "testbox\n")) << content.out << content.err;
  EXPECT_TRUE(absl::StrContains(content.out, "fd 0\nfd 1\nfd 2\ncwd /\n")) << content.out;
  EXPECT_FALSE(absl::StrContains(content.out, "usr")) << content.out;
  EXPECT_TRUE(absl::StrContains(content.out, "lo:")) << content.out;
  EXPECT_FALSE(absl::StrContains(content.out, "eth")) << content.out;
}

TEST_F(SupervisorTest, FirstProcessIsPidOne) {
  PlanBuilder builder = ContainerBuilder("c", {"probe", "pid"});
  ASSERT_TRUE(Spawn("c", &builder).ok());
  EXPECT_EQ(FinishedSpool("c").out, "pid 1\n");
}

// Denies chmod with EPERM... EXDEV, to be recognised.
std::string DenyChmod() {
  const sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_chmod, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  return std::string(reinterpret_cast<const char*>(program), sizeof(program));
}

TEST_F(SupervisorTest, IdentityAsThePlanSays) {
  PlanBuilder builder = ContainerBuilder("c", {"probe", "status", "chmod=/tmp", "write=/tmp/x"});
  builder.User(1000, 1001, {1002, 1003});
  CapabilitySets sets;
  sets.bounding = sets.permitted = sets.effective = sets.inheritable = sets.ambient = 1 << 10;
  builder.Capabilities(sets);
  builder.Seccomp(DenyChmod(), 0);
  ASSERT_TRUE(Spawn("c", &builder).ok());
  SpoolContent content = FinishedSpool("c");
  const std::string& out = content.out;
  EXPECT_TRUE(absl::StrContains(out, "Uid:\t1000\t1000\t1000\t1000")) << out << content.err;
  EXPECT_TRUE(absl::StrContains(out, "Gid:\t1001\t1001\t1001\t1001")) << out;
  EXPECT_TRUE(absl::StrContains(out, "Groups:\t1002 1003")) << out;
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_TRUE(absl::StrContains(out, absl::StrCat(set, ":\t0000000000000400"))) << out;
  }
  EXPECT_TRUE(absl::StrContains(out, "NoNewPrivs:\t0")) << out;
  EXPECT_TRUE(absl::StrContains(out, "Seccomp:\t2")) << out;
  EXPECT_TRUE(absl::StrContains(out, "SigBlk:\t0000000000000000")) << out;
  EXPECT_TRUE(absl::StrContains(out, "SigIgn:\t0000000000000000")) << out;
  EXPECT_TRUE(absl::StrContains(out, "chmod: Invalid cross-device link")) << out;
}

TEST_F(SupervisorTest, RootWithFewCapabilitiesAndNoNewPrivileges) {
  PlanBuilder builder = ContainerBuilder("c", {"probe", "status"});
  builder.User(0, 0, {});
  CapabilitySets sets;
  sets.bounding = sets.permitted = sets.effective = 0x20;
  builder.Capabilities(sets);
  builder.NoNewPrivileges();
  builder.Seccomp(DenyChmod(), 0);
  ASSERT_TRUE(Spawn("c", &builder).ok());
  std::string out = FinishedSpool("c").out;
  EXPECT_TRUE(absl::StrContains(out, "CapPrm:\t0000000000000020")) << out;
  EXPECT_TRUE(absl::StrContains(out, "CapBnd:\t0000000000000020")) << out;
  EXPECT_TRUE(absl::StrContains(out, "NoNewPrivs:\t1")) << out;
}

TEST_F(SupervisorTest, HeldProcessWaitsForStart) {
  PlanBuilder builder = ContainerBuilder("c", {"echo", "started"});
  auto spawned = Spawn("c", &builder, EntryKind::kContainer, true);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  EXPECT_EQ(spawned->entry.state, EntryState::kCreated);
  KillSupervisor();
  auto started = client_->Start("c", kTestTimeout);
  ASSERT_TRUE(started.ok()) << started.status();
  EXPECT_EQ(FinishedSpool("c").out, "started\n");
  EXPECT_EQ(client_->Start("nope", kTestTimeout).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SupervisorTest, HeldProcessMayBeKilled) {
  PlanBuilder builder = ContainerBuilder("c", {"echo", "never"});
  auto spawned = Spawn("c", &builder, EntryKind::kContainer, true);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  kill(spawned->entry.pid, SIGKILL);
  EXPECT_EQ(AwaitExit("c").ExitCode(), 137);
  EXPECT_EQ(FinishedSpool("c").out, "");
}

TEST_F(SupervisorTest, HeldProcessReportsAMissingProgramAtStart) {
  PlanBuilder builder = ContainerBuilder("c", {"nope"});
  ASSERT_TRUE(Spawn("c", &builder, EntryKind::kContainer, true).ok());
  auto failure = GetSpawnFailure(client_->Start("c", kTestTimeout).status());
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->error, ENOENT);
  EXPECT_EQ(Stats().entries, 0u);
}

// A v2 group to be cloned into, a v1 group to be joined.
TEST_F(SupervisorTest, JoinsCgroups) {
  std::string name = absl::StrCat("slipway-supervisor-test-", getpid());
  std::vector<std::string> groups;
  PlanBuilder builder = ContainerBuilder("c", {"cat", "/proc/self/cgroup"});
  for (const char* root : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"}) {
    if (!std::filesystem::exists(absl::StrCat(root, "/cgroup.procs"))) continue;
    groups.push_back(absl::StrCat(root, "/", name));
    std::filesystem::create_directory(groups.back());
    builder.CloneIntoCgroup(
        builder.AddFd(UniqueFd(open(groups.back().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC))));
    break;
  }
  if (std::filesystem::exists("/sys/fs/cgroup/pids/cgroup.procs")) {
    groups.push_back(absl::StrCat("/sys/fs/cgroup/pids/", name));
    std::filesystem::create_directory(groups.back());
    builder.JoinCgroup(builder.AddFd(
        UniqueFd(open((groups.back() + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC))));
  }
  ASSERT_FALSE(groups.empty());
  auto spawned = Spawn("c", &builder, EntryKind::kContainer, true);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  for (const std::string& group : groups) {
    UniqueFd procs(open((group + "/cgroup.procs").c_str(), O_RDONLY | O_CLOEXEC));
    char text[64] = {};
    EXPECT_GT(read(procs.get(), text, sizeof(text) - 1), 0) << group;
    EXPECT_EQ(std::string(text), absl::StrCat(spawned->entry.pid, "\n"));
  }
  ASSERT_TRUE(client_->Start("c", kTestTimeout).ok());
  std::string out = FinishedSpool("c").out;
  // Seen from inside its cgroup namespace it sits at the top.
  EXPECT_TRUE(absl::StrContains(out, ":/\n")) << out;
  EXPECT_FALSE(absl::StrContains(out, name)) << out;
  for (const std::string& group : groups) EXPECT_EQ(rmdir(group.c_str()), 0) << group;
}

TEST_F(SupervisorTest, JoinsTheNamespacesOfAnotherContainer) {
  PlanBuilder first = ContainerBuilder("first", {"sleep", "1000"});
  auto spawned = Spawn("first", &first);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  // Its own mounts, the pid and net namespaces of the other.
  PlanBuilder joined;
  joined.Spool(joined.AddFd(OpenSpool("second")), {});
  joined.NewNamespaces(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
  for (auto [kind, flag] : {std::pair{"pid", CLONE_NEWPID}, std::pair{"net", CLONE_NEWNET}}) {
    std::string path = absl::StrCat("/proc/", spawned->entry.pid, "/ns/", kind);
    joined.JoinNamespace(joined.AddFd(UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC))), flag);
  }
  joined.Root(joined.AddFd(CloneTree(dir_ + "/root")));
  joined.Mount({"proc", "proc", "/proc", 0, ""});
  joined.Environment({"PATH=/bin"});
  joined.Arguments({"sh", "-c", "probe pid; head -c 5 /proc/1/cmdline; exit 8"});
  auto result = Spawn("second", &joined);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(AwaitExit("second").ExitCode(), 8);
  std::string out = FinishedSpool("second").out;
  EXPECT_TRUE(absl::StrContains(out, "pid ")) << out;
  EXPECT_FALSE(absl::StrContains(out, "pid 1\n")) << out;
  EXPECT_TRUE(absl::StrContains(out, "sleep")) << out;
}

TEST_F(SupervisorTest, TerminalSession) {
  PlanBuilder builder = ContainerBuilder("t", {"sh"});
  TerminalOptions terminal;
  terminal.rows = 30;
  terminal.columns = 90;
  terminal.console = true;
  builder.Terminal(terminal);
  auto spawned = Spawn("t", &builder);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  ASSERT_TRUE(spawned->fds.pty_master.ok());
  const char kInput[] = "stty size; ls /dev/console; exit 3\n";
  ASSERT_EQ(write(spawned->fds.pty_master.get(), kInput, sizeof(kInput) - 1),
            static_cast<ssize_t>(sizeof(kInput) - 1));
  EXPECT_EQ(AwaitExit("t").ExitCode(), 3);
  SpoolContent content = FinishedSpool("t");
  EXPECT_TRUE(absl::StrContains(content.out, "30 90\r\n")) << content.out;
  EXPECT_TRUE(absl::StrContains(content.out, "/dev/console\r\n")) << content.out;
}

class ExecTest : public SupervisorTest {
 protected:
  // A container that sleeps; its pidfd.
  UniqueFd Container() {
    PlanBuilder builder = ContainerBuilder("c", {"sleep", "1000"});
    auto spawned = Spawn("c", &builder);
    EXPECT_TRUE(spawned.ok()) << spawned.status();
    return spawned.ok() ? std::move(spawned->fds.pidfd) : UniqueFd();
  }
  PlanBuilder Exec(UniqueFd pidfd, const std::vector<std::string>& args) {
    PlanBuilder builder;
    builder.JoinProcess(builder.AddFd(std::move(pidfd)), CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                                                             CLONE_NEWIPC | CLONE_NEWUTS |
                                                             CLONE_NEWCGROUP);
    builder.Environment({"PATH=/bin"});
    builder.Arguments(args);
    return builder;
  }
};

TEST_F(ExecTest, RunsInTheContainerWithPassedStreams) {
  PlanBuilder builder =
      Exec(Container(), {"sh", "-c", "probe pid fds; ls /proc/1/ -d; cat; exit 5"});
  int out[2];
  int in[2];
  ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
  ASSERT_EQ(pipe2(in, O_CLOEXEC), 0);
  builder.PassStdio(builder.AddFd(UniqueFd(in[0])), builder.AddFd(UniqueFd(out[1])), kNoPlanFd);
  auto spawned = Spawn("e", &builder, EntryKind::kExec);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  ASSERT_EQ(write(in[1], "end\n", 4), 4);
  close(in[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t size; (size = read(out[0], buffer, sizeof(buffer))) > 0;) text.append(buffer, size);
  close(out[0]);
  EXPECT_TRUE(absl::StrContains(text, "fd 0\nfd 1\nfd 2\n/proc/1/\nend\n")) << text;
  EXPECT_EQ(AwaitExit("e").ExitCode(), 5);
}

// The process may be gone before the one that made it is seen to be: its failure is told all the
// same.
TEST_F(ExecTest, AFailureBeforeTheExecIsAlwaysTold) {
  const UniqueFd container = Container();
  for (int i = 0; i < 500; ++i) {
    PlanBuilder builder = Exec(UniqueFd(fcntl(container.get(), F_DUPFD_CLOEXEC, 3)), {"true"});
    builder.WorkingDirectory("/nowhere", false);
    const auto failure = GetSpawnFailure(Spawn("e", &builder, EntryKind::kExec).status());
    ASSERT_TRUE(failure.has_value()) << "exec " << i;
    ASSERT_EQ(failure->step, PlanStep::kWorkingDirectory);
  }
}

TEST_F(ExecTest, MissingProgramIsNamed) {
  PlanBuilder builder = Exec(Container(), {"nope"});
  builder.PassStdio(kNoPlanFd, kNoPlanFd, kNoPlanFd);
  auto failure = GetSpawnFailure(Spawn("e", &builder, EntryKind::kExec).status());
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->step, PlanStep::kExec);
  EXPECT_EQ(failure->error, ENOENT);
}

TEST_F(ExecTest, TerminalOfItsOwn) {
  PlanBuilder builder = Exec(Container(), {"sh", "-c", "stty size; exit 4"});
  TerminalOptions terminal;
  terminal.rows = 11;
  terminal.columns = 22;
  builder.Terminal(terminal);
  auto spawned = Spawn("e", &builder, EntryKind::kExec);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  EXPECT_EQ(AwaitExit("e").ExitCode(), 4);
  char buffer[256] = {};
  EXPECT_GT(read(spawned->fds.pty_master.get(), buffer, sizeof(buffer) - 1), 0);
  EXPECT_STREQ(buffer, "11 22\r\n");
}

TEST_F(SupervisorTest, FullSpoolBlocksUntilAcknowledged) {
  SpoolOptions options;
  options.capacity_bytes = 128 << 10;
  PlanBuilder builder =
      Builder("b", {"sh", "-c", "head -c 3000000 /dev/zero; echo done >&2"}, options);
  auto spawned = Spawn("b", &builder);
  ASSERT_TRUE(spawned.ok());
  uint64_t acked = 0;
  bool blocked = false;
  for (;;) {
    auto slot = client_->GetSlot(spawned->entry.slot, spawned->entry.incarnation);
    ASSERT_TRUE(slot.ok());
    if (slot->state == EntryState::kExited) break;
    if (slot->spool_committed - slot->spool_acked > options.capacity_bytes) {
      // Only what was in the pipes at the exit may go in past the capacity.
      slot = client_->GetSlot(spawned->entry.slot, spawned->entry.incarnation);
      ASSERT_NE(slot->flags & kEntryExitCollected, 0u);
    }
    if ((slot->flags & kEntrySpoolBlocked) != 0) {
      blocked = true;
      acked = slot->spool_committed;
      ASSERT_TRUE(client_->Ack("b", acked).ok());
    }
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_TRUE(blocked);
  EXPECT_GT(acked, 1000000u);
  auto slot = client_->GetSlot(spawned->entry.slot, spawned->entry.incarnation);
  client_->Ack("b", slot->spool_committed).IgnoreError();
  SpoolContent content = FinishedSpool("b");
  EXPECT_EQ(content.out.size(), 3000000u);
  EXPECT_EQ(content.err, "done\n");
}

TEST_F(SupervisorTest, FullSpoolDropsAndCounts) {
  SpoolOptions options;
  options.capacity_bytes = 256 << 10;
  options.policy = SpoolFullPolicy::kDrop;
  PlanBuilder builder =
      Builder("d", {"sh", "-c", "head -c 3000000 /dev/zero; sleep 0.2; echo end"}, options);
  ASSERT_TRUE(Spawn("d", &builder).ok());
  SpoolContent content = FinishedSpool("d");
  EXPECT_GT(content.dropped_bytes, 1000000u);
  EXPECT_EQ(content.out.size() + content.dropped_bytes, 3000004u);
}

TEST_F(SupervisorTest, DescendantsMayGoOnWriting) {
  PlanBuilder builder = Builder("f", {"sh", "-c", "(sleep 0.3; echo late) & echo early"});
  ASSERT_TRUE(Spawn("f", &builder).ok());
  EntryInfo entry = AwaitExit("f");
  EXPECT_EQ(ReadSpool("f", entry.spool_committed).out, "early\n");
  EXPECT_EQ(FinishedSpool("f").out, "early\nlate\n");
}

TEST_F(SupervisorTest, StoreOutlivesSupervisorAndKeeper) {
  UniqueFd fd(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(client_->StorePut("net", fd.get(), kTestTimeout).ok());
  KillSupervisor();
  KillKeeper();
  auto names = client_->StoreList(kTestTimeout);
  ASSERT_TRUE(names.ok());
  EXPECT_EQ(*names, std::vector<std::string>{"net"});
  auto stored = client_->StoreGet("net", kTestTimeout);
  ASSERT_TRUE(stored.ok()) << stored.status();
  struct stat left;
  struct stat right;
  ASSERT_EQ(fstat(fd.get(), &left), 0);
  ASSERT_EQ(fstat(stored->get(), &right), 0);
  EXPECT_EQ(left.st_ino, right.st_ino);
  EXPECT_TRUE(client_->StoreDrop("net", kTestTimeout).ok());
  EXPECT_EQ(client_->StoreGet("net", kTestTimeout).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SupervisorTest, ShutdownEndsWhatServesContainers) {
  PlanBuilder builder = ContainerBuilder("helper", {"sleep", "1000"});
  auto spawned = Spawn("helper", &builder, EntryKind::kExec);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  EXPECT_TRUE(client_->Shutdown(kTestTimeout).ok());
  pollfd ended = {spawned->fds.pidfd.get(), POLLIN, 0};
  EXPECT_EQ(poll(&ended, 1, 10'000), 1);
  client_.reset();
}

TEST_F(SupervisorTest, SecondStartSaysSoAndShutdownWaitsForContainers) {
  SupervisorStats before = Stats();
  EXPECT_TRUE(StartSupervisor());
  EXPECT_EQ(Stats().supervisor_pid, before.supervisor_pid);
  PlanBuilder builder = Builder("s", {"sleep", "1000"});
  auto spawned = Spawn("s", &builder);
  ASSERT_TRUE(spawned.ok());
  EXPECT_EQ(client_->Shutdown(kTestTimeout).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(client_->Forget("s", kTestTimeout).code(), absl::StatusCode::kFailedPrecondition);
  PlanBuilder again = Builder("s", {"true"});
  EXPECT_EQ(Spawn("s", &again).status().code(), absl::StatusCode::kAlreadyExists);
}

}  // namespace
}  // namespace slipway::agent
