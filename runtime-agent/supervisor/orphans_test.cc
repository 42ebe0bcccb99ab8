#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/os/file.h"
#include "runtime-agent/supervisor/testing.h"

// Supervisor and keeper are killed at the same instant.
namespace slipway::agent {
namespace {

constexpr char kCount[] =
    "i=0; while [ $i -lt 40000 ]; do echo line $i; i=$((i+1)); done; printf end; exit 42";

std::string CountedLines() {
  std::string text;
  for (int i = 0; i < 40000; ++i) absl::StrAppend(&text, "line ", i, "\n");
  return text + "end";
}

class OrphansTest : public SupervisorTest {
 protected:
  // Both, and waits for their successors, which the client starts.
  void KillBoth() {
    const SupervisorStats before = Stats();
    kill(before.keeper_pid, SIGSTOP);  // it must not see the other go first
    kill(before.supervisor_pid, SIGKILL);
    kill(before.keeper_pid, SIGKILL);
    while (Stats().keeper_pid == before.keeper_pid) absl::SleepFor(absl::Milliseconds(1));
  }

  EntryInfo Entry(const std::string& id) {
    auto entries = client_->List(kTestTimeout);
    EXPECT_TRUE(entries.ok());
    for (const EntryInfo& entry : *entries) {
      if (entry.id == id) return entry;
    }
    return EntryInfo();
  }

  void Restore(const std::string& id, EntryFds fds) {
    EXPECT_NE(Entry(id).flags & kEntryOrphaned, 0u);
    fds.spool = OpenSpool(id);
    EXPECT_TRUE(client_->Restore(id, std::move(fds), kTestTimeout).ok());
  }

  // Where the kernel does not tell exits of other people's children, "unknown" will do.
  void ExpectCode(const EntryInfo& entry, int code) {
    if (!KernelTellsExits() && (entry.flags & kEntryStatusLost) != 0) code = 255;
    EXPECT_EQ(entry.ExitCode(), code);
  }

  bool Exited(const std::string& id) {
    absl::MutexLock lock(&mutex_);
    return exits_.contains(id);
  }
};

TEST_F(OrphansTest, NothingIsLostThatTheClientHas) {
  PlanBuilder builder = Builder("count", {"sh", "-c", kCount});
  auto spawned = Spawn("count", &builder);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  KillBoth();
  EXPECT_FALSE(Exited("count"));
  Restore("count", std::move(spawned->fds));
  ExpectCode(AwaitExit("count"), 42);
  const SpoolContent content = FinishedSpool("count");
  EXPECT_TRUE(content.out == CountedLines()) << content.out.size() << " bytes";
  EXPECT_EQ(content.ends, 2);
  EXPECT_TRUE(client_->Forget("count", kTestTimeout).ok());
  EXPECT_EQ(Stats().open_fds, 0u);
}

TEST_F(OrphansTest, AgainAndAgain) {
  PlanBuilder builder = Builder("count", {"sh", "-c", kCount});
  auto spawned = Spawn("count", &builder);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  EntryFds fds = std::move(spawned->fds);
  for (int i = 0; i < 5; ++i) {
    auto held = client_->GetFds("count", kTestTimeout);
    ASSERT_TRUE(held.ok()) << held.status();
    KillBoth();
    Restore("count", *std::move(held));
    KillSupervisor();
  }
  ExpectCode(AwaitExit("count"), 42);
  EXPECT_TRUE(FinishedSpool("count").out == CountedLines());
}

TEST_F(OrphansTest, AnEndThatNobodySawIsLearnedFromTheClientsDescriptors) {
  PlanBuilder builder = Builder("brief", {"sh", "-c", "read x; printf last$x; exit 9"});
  builder.OpenStdin();
  auto spawned = Spawn("brief", &builder);
  ASSERT_TRUE(spawned.ok());
  const SupervisorStats before = Stats();
  kill(before.keeper_pid, SIGSTOP);
  kill(before.supervisor_pid, SIGKILL);
  kill(before.keeper_pid, SIGKILL);
  ASSERT_EQ(write(spawned->fds.stdin_write.get(), "7\n", 2), 2);
  while (std::filesystem::exists(absl::StrCat("/proc/", spawned->entry.pid))) usleep(1000);
  while (Stats().keeper_pid == before.keeper_pid) usleep(1000);
  EXPECT_FALSE(Exited("brief"));
  Restore("brief", std::move(spawned->fds));
  const EntryInfo entry = AwaitExit("brief");
  ExpectCode(entry, 9);
  EXPECT_EQ(FinishedSpool("brief").out, "last7");
}

// The client died too: what runs has its own pipes open for reading.
TEST_F(OrphansTest, RunningProcessesKeepTheirOutputByThemselves) {
  PlanBuilder builder = Builder("count", {"sh", "-c", kCount});
  auto spawned = Spawn("count", &builder);
  ASSERT_TRUE(spawned.ok());
  spawned->fds = EntryFds();
  KillBoth();
  const std::string proc = absl::StrCat("/proc/", spawned->entry.pid, "/fd/");
  ASSERT_TRUE(std::filesystem::exists(proc));
  const EntryInfo entry = Entry("count");
  const auto slot = client_->GetSlot(entry.slot, entry.incarnation);
  ASSERT_TRUE(slot.ok());
  EntryFds fds;
  fds.stdout_read = UniqueFd(open((proc + "1").c_str(), O_RDONLY | O_CLOEXEC));
  fds.stderr_read = UniqueFd(open((proc + "2").c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  ASSERT_EQ(fstat(fds.stdout_read.get(), &info), 0);
  EXPECT_EQ(slot->pipe_inode[0], info.st_ino);
  ASSERT_EQ(fstat(fds.stderr_read.get(), &info), 0);
  EXPECT_EQ(slot->pipe_inode[1], info.st_ino);
  Restore("count", std::move(fds));
  ExpectCode(AwaitExit("count"), 42);
  EXPECT_TRUE(FinishedSpool("count").out == CountedLines());
}

TEST_F(OrphansTest, AnEndThatNobodyCanKnowIsSaidToBeUnknown) {
  PlanBuilder builder = Builder("gone", {"sh", "-c", "read x; exit 3"});
  builder.OpenStdin();
  auto spawned = Spawn("gone", &builder);
  ASSERT_TRUE(spawned.ok());
  const SupervisorStats before = Stats();
  may_revive_ = false;
  kill(before.keeper_pid, SIGSTOP);
  kill(before.supervisor_pid, SIGKILL);
  kill(before.keeper_pid, SIGKILL);
  spawned->fds = EntryFds();  // ends stdin, and with it the process
  // Until its new parent has reaped it.
  while (std::filesystem::exists(absl::StrCat("/proc/", spawned->entry.pid))) usleep(1000);
  may_revive_ = true;
  while (Stats().keeper_pid == before.keeper_pid) usleep(1000);
  Restore("gone", EntryFds());
  const EntryInfo entry = AwaitExit("gone");
  EXPECT_NE(entry.flags & kEntryStatusLost, 0u);
  EXPECT_EQ(entry.ExitCode(), 255);
  EXPECT_EQ(FinishedSpool("gone").ends, 2);
}

TEST_F(OrphansTest, WhatHadNotComeToItsExecEnds) {
  PlanBuilder builder = Builder("held", {"true"});
  auto spawned = Spawn("held", &builder, EntryKind::kContainer, /*hold=*/true);
  ASSERT_TRUE(spawned.ok());
  KillBoth();
  EXPECT_EQ(Entry("held").state, EntryState::kFree);
  for (int i = 0; i < 2000; ++i) {
    if (!std::filesystem::exists(absl::StrCat("/proc/", spawned->entry.pid))) break;
    usleep(1000);
  }
  EXPECT_FALSE(std::filesystem::exists(absl::StrCat("/proc/", spawned->entry.pid)));
}

TEST_F(OrphansTest, AnExitThatWasNotForgottenYetIsStillThere) {
  PlanBuilder builder = Builder("e", {"sh", "-c", "exit 4"});
  ASSERT_TRUE(Spawn("e", &builder).ok());
  AwaitExit("e");
  FinishedSpool("e");
  KillBoth();
  const EntryInfo entry = Entry("e");
  EXPECT_EQ(entry.state, EntryState::kExited);
  EXPECT_EQ(entry.ExitCode(), 4);
  EXPECT_TRUE(client_->Forget("e", kTestTimeout).ok());
  EXPECT_EQ(Run("next", {"true"}), 0);
}

TEST_F(OrphansTest, TheStateOfAnotherBootIsNotBelieved) {
  PlanBuilder builder = Builder("e", {"sh", "-c", "exit 4"});
  ASSERT_TRUE(Spawn("e", &builder).ok());
  FinishedSpool("e");
  const SupervisorStats before = Stats();
  kill(before.keeper_pid, SIGSTOP);
  kill(before.supervisor_pid, SIGSTOP);
  const std::string page = dir_ + "/run/supervisor.status";
  {
    const UniqueFd file(open(page.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(pwrite(file.get(), "x", 1, offsetof(StatusPage, boot_id)), 1);
  }
  kill(before.supervisor_pid, SIGKILL);
  kill(before.keeper_pid, SIGKILL);
  while (Stats().keeper_pid == before.keeper_pid) usleep(1000);
  EXPECT_EQ(Stats().entries, 0u);
  EXPECT_EQ(Stats().supervisor_starts, 1u);
}

TEST_F(OrphansTest, RestoreChangesNothingElse) {
  PlanBuilder builder = Builder("r", {"sh", "-c", "read x; exit 5"});
  builder.OpenStdin();
  auto spawned = Spawn("r", &builder);
  ASSERT_TRUE(spawned.ok());
  EntryFds strange;
  strange.stdout_read = UniqueFd(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(client_->Restore("r", std::move(strange), kTestTimeout).ok());
  EXPECT_TRUE(absl::IsNotFound(client_->Restore("nobody", EntryFds(), kTestTimeout)));
  ASSERT_EQ(write(spawned->fds.stdin_write.get(), "\n", 1), 1);
  ExpectCode(AwaitExit("r"), 5);
  EXPECT_EQ(FinishedSpool("r").out, "");
}

TEST_F(OrphansTest, TerminalsGoOn) {
  PlanBuilder builder = ContainerBuilder(
      "t", {"sh", "-c", "i=0; while [ $i -lt 10000 ]; do echo $i; i=$((i+1)); done; exit 6"});
  builder.Terminal({24, 80, true});
  auto spawned = Spawn("t", &builder);
  ASSERT_TRUE(spawned.ok());
  KillBoth();
  Restore("t", std::move(spawned->fds));
  ExpectCode(AwaitExit("t"), 6);
  std::string expected;
  for (int i = 0; i < 10000; ++i) absl::StrAppend(&expected, i, "\r\n");
  EXPECT_TRUE(FinishedSpool("t").out == expected);
}

}  // namespace
}  // namespace slipway::agent
