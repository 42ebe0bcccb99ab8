#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "runtime-agent/supervisor/testing.h"
#include "runtime-agent/supervisor/wire.h"

// What must survive the death of the supervisor, of the keeper, or an upgrade.
namespace slipway::agent {
namespace {

constexpr char kCount[] =
    "i=0; while [ $i -lt 60000 ]; do echo line $i; i=$((i+1)); done; printf end; exit 42";

std::string CountedLines() {
  std::string text;
  for (int i = 0; i < 60000; ++i) absl::StrAppend(&text, "line ", i, "\n");
  return text + "end";
}

class FaultsTest : public SupervisorTest {
 protected:
  void StartCounting() {
    PlanBuilder builder = Builder("count", {"sh", "-c", kCount});
    auto spawned = Spawn("count", &builder);
    ASSERT_TRUE(spawned.ok()) << spawned.status();
  }
  bool Ended() {
    absl::MutexLock lock(&mutex_);
    return exits_.count("count") > 0;
  }
  // `code_may_be_lost`: the process was orphaned on a kernel that does not tell exits.
  void ExpectAllCounted(bool code_may_be_lost = false) {
    const EntryInfo entry = AwaitExit("count");
    const bool lost = (entry.flags & kEntryStatusLost) != 0;
    EXPECT_EQ(entry.ExitCode(), lost && code_may_be_lost ? 255 : 42);
    SpoolContent content = FinishedSpool("count");
    EXPECT_TRUE(content.out == CountedLines()) << content.out.size() << " bytes";
    EXPECT_EQ(content.ends, 2);
    EXPECT_TRUE(client_->Forget("count", kTestTimeout).ok());
  }
};

TEST_F(FaultsTest, SupervisorKilledWhileCounting) {
  StartCounting();
  KillSupervisor();
  EXPECT_FALSE(Ended());
  ExpectAllCounted();
  EXPECT_EQ(Stats().supervisor_starts, 2u);
}

TEST_F(FaultsTest, KeeperKilledWhileCounting) {
  StartCounting();
  int supervisor = Stats().supervisor_pid;
  KillKeeper();
  EXPECT_EQ(Stats().keeper_pid, supervisor);
  ExpectAllCounted();
}

TEST_F(FaultsTest, ExitWhileTheSupervisorIsDead) {
  for (int round = 0; round < 10; ++round) {
    PlanBuilder builder = Builder("brief", {"sh", "-c", "read x; printf got$x; exit 9"});
    builder.OpenStdin();
    auto spawned = Spawn("brief", &builder);
    ASSERT_TRUE(spawned.ok()) << spawned.status();
    kill(Stats().supervisor_pid, SIGKILL);
    ASSERT_EQ(write(spawned->fds.stdin_write.get(), "7\n", 2), 2);
    EXPECT_EQ(AwaitExit("brief").ExitCode(), 9);
    EXPECT_EQ(FinishedSpool("brief").out, "got7");
    ASSERT_TRUE(client_->Forget("brief", kTestTimeout).ok());
  }
}

// After supervisor and then keeper were killed the container is a child of neither.
TEST_F(FaultsTest, ExitCodeSurvivesBothOneAfterTheOther) {
  if (!KernelTellsExits()) GTEST_SKIP() << "needs the exit information of pidfds, Linux 6.15";
  PlanBuilder builder = Builder("orphan", {"sh", "-c", "read x; exit 33"});
  builder.OpenStdin();
  auto spawned = Spawn("orphan", &builder);
  ASSERT_TRUE(spawned.ok());
  KillSupervisor();
  KillKeeper();
  KillSupervisor();
  ASSERT_EQ(write(spawned->fds.stdin_write.get(), "\n", 1), 1);
  EntryInfo entry = AwaitExit("orphan");
  EXPECT_EQ(entry.flags & kEntryStatusLost, 0u);
  EXPECT_EQ(entry.ExitCode(), 33);
}

TEST_F(FaultsTest, RandomAlternatingKills) {
  std::mt19937 random(20240817);
  StartCounting();
  int kills = 0;
  while (kills < 20) {
    if (Ended()) {
      ExpectAllCounted(!KernelTellsExits());
      StartCounting();
    }
    if (random() % 2 == 0) {
      KillSupervisor();
    } else {
      KillKeeper();
    }
    ++kills;
    absl::SleepFor(absl::Microseconds(random() % 20000));
  }
  ExpectAllCounted(!KernelTellsExits());
}

TEST_F(FaultsTest, SpawnsGoOnThroughKills) {
  std::atomic<bool> stop = false;
  std::thread killer([&] {
    std::mt19937 random(7);
    while (!stop) {
      if (random() % 2 == 0) {
        KillSupervisor();
      } else {
        KillKeeper();
      }
      absl::SleepFor(absl::Microseconds(random() % 3000));
    }
  });
  int wrong = 0;
  for (int i = 0; i < 100; ++i) {
    std::string id = absl::StrCat("s", i);
    PlanBuilder builder = Builder(id, {"sh", "-c", "printf out; exit 3"});
    auto spawned = Spawn(id, &builder);
    EXPECT_TRUE(spawned.ok()) << spawned.status();
    if (!spawned.ok()) continue;
    const EntryInfo entry = AwaitExit(id);
    const bool lost = (entry.flags & kEntryStatusLost) != 0 && !KernelTellsExits();
    if ((entry.ExitCode() != 3 && !lost) || FinishedSpool(id).out != "out") ++wrong;
    EXPECT_TRUE(client_->Forget(id, kTestTimeout).ok());
  }
  stop = true;
  killer.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(Stats().entries, 0u);
  EXPECT_EQ(Stats().open_fds, 0u);
}

TEST_F(FaultsTest, TerminalOutputSurvivesKills) {
  PlanBuilder builder =
      ContainerBuilder("t", {"sh", "-c",
                             "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); "
                             "done; exit 6"});
  builder.Terminal({24, 80, true});
  ASSERT_TRUE(Spawn("t", &builder).ok());
  for (int i = 0; i < 4; ++i) {
    KillSupervisor();
    KillKeeper();
  }
  const EntryInfo ended = AwaitExit("t");
  if (KernelTellsExits()) {
    EXPECT_EQ(ended.ExitCode(), 6);
  }
  std::string expected;
  for (int i = 0; i < 20000; ++i) absl::StrAppend(&expected, i, "\r\n");
  EXPECT_TRUE(FinishedSpool("t").out == expected);
}

TEST_F(FaultsTest, UpgradeUnderLoad) {
  StartCounting();
  for (int i = 0; i < 5; ++i) {
    SupervisorStats before = Stats();
    ASSERT_TRUE(client_->Upgrade("runtime-agent/supervisor/slipway-supervisor", kTestTimeout).ok());
    SupervisorStats after = Stats();
    EXPECT_EQ(after.supervisor_pid, before.supervisor_pid);
    EXPECT_EQ(after.keeper_pid, before.keeper_pid);
    EXPECT_EQ(after.supervisor_starts, before.supervisor_starts + 1);
  }
  ExpectAllCounted();
}

TEST_F(FaultsTest, UpgradeToSomethingElseIsRefused) {
  EXPECT_FALSE(client_->Upgrade("/bin/false", kTestTimeout).ok());
  EXPECT_FALSE(client_->Upgrade("/etc/passwd", kTestTimeout).ok());
  EXPECT_EQ(Stats().supervisor_starts, 1u);
}

int RawConnection(const std::string& path) {
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

// Any packet is answered or ends its own connection; others, and the containers, do not notice.
TEST_F(FaultsTest, MalformedPacketsCloseOnlyTheirConnection) {
  std::mt19937 random(99);
  int starts = static_cast<int>(Stats().supervisor_starts);
  for (int round = 0; round < 3000; ++round) {
    int fd = RawConnection(dir_ + "/run/supervisor.sock");
    WireRequest request;
    auto* bytes = reinterpret_cast<unsigned char*>(&request);
    for (size_t i = 0; i < sizeof(request); ++i) {
      bytes[i] = static_cast<unsigned char>(random() % 4 == 0 ? random() : 0);
    }
    size_t size = random() % 8 == 0 ? 1 + random() % sizeof(request) : sizeof(request);
    if (random() % 8 != 0) {
      request.magic = kWireMagic;
      request.version = kWireVersion;
      // All but UPGRADE and SHUTDOWN, which do what they are told.
      request.op = static_cast<uint16_t>(random() % 14);
      if (random() % 2 == 0) request.id[kIdCapacity - 1] = '\0';
    }
    int plan = random() % 2 == 0 ? memfd_create("fuzz", MFD_ALLOW_SEALING | MFD_CLOEXEC)
                                 : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (write(plan, bytes, sizeof(request)) > 0) {
      fcntl(plan, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE);
    }
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec vector = {bytes, size};
    msghdr message = {};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    if (random() % 2 == 0) {
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      memcpy(CMSG_DATA(header), &plan, sizeof(int));
    }
    sendmsg(fd, &message, MSG_NOSIGNAL);
    close(plan);
    close(fd);
  }
  SupervisorStats stats = Stats();
  EXPECT_EQ(stats.supervisor_starts, static_cast<uint64_t>(starts));
  EXPECT_EQ(stats.entries, 0u);
  // STORE_PUT with a random name is a valid request: only those descriptors may stay.
  EXPECT_EQ(stats.open_fds, stats.stored_fds);
  auto count = [](int pid) {
    std::error_code error;
    auto directory = std::filesystem::directory_iterator(absl::StrCat("/proc/", pid, "/fd"), error);
    return std::distance(begin(directory), end(directory));
  };
  EXPECT_LT(count(stats.supervisor_pid), static_cast<long>(stats.stored_fds) + 24);
  EXPECT_LT(count(stats.keeper_pid), static_cast<long>(stats.stored_fds) + 24);
}

}  // namespace
}  // namespace slipway::agent
