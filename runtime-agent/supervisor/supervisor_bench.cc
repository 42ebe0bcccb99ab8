#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime-agent/supervisor/testing.h"

// Measures and prints; run by hand or by tests/bench.
namespace slipway::agent {
namespace {

constexpr uint64_t kSixNamespaces =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

class Bench : public SupervisorTest {
 protected:
  static void Print(const char* what, std::vector<double> values, const char* unit) {
    std::sort(values.begin(), values.end());
    printf("%-46s median %9.1f  p90 %9.1f  min %9.1f %s\n", what, values[values.size() / 2],
           values[values.size() * 9 / 10], values[0], unit);
  }

  UniqueFd Overlay() {
    std::string upper = dir_ + "/upper";
    std::string work = dir_ + "/work";
    std::filesystem::create_directory(upper);
    std::filesystem::create_directory(work);
    UniqueFd context(fsopen("overlay", FSOPEN_CLOEXEC));
    std::string lower = dir_ + "/root";
    fsconfig(context.get(), FSCONFIG_SET_STRING, "lowerdir", lower.c_str(), 0);
    fsconfig(context.get(), FSCONFIG_SET_STRING, "upperdir", upper.c_str(), 0);
    fsconfig(context.get(), FSCONFIG_SET_STRING, "workdir", work.c_str(), 0);
    EXPECT_EQ(fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), 0);
    return UniqueFd(fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  }

  double SpawnAndExitMicroseconds(PlanBuilder* builder) {
    absl::Time start = absl::Now();
    auto spawned = Spawn("b", builder);
    EXPECT_TRUE(spawned.ok()) << spawned.status();
    AwaitExit("b");
    double us = absl::ToDoubleMicroseconds(absl::Now() - start);
    EXPECT_TRUE(client_->Forget("b", kTestTimeout).ok());
    return us;
  }

  static double PssKib(int pid) {
    std::ifstream file(absl::StrCat("/proc/", pid, "/smaps_rollup"));
    std::string line;
    while (std::getline(file, line)) {
      if (absl::StartsWith(line, "Pss:")) return std::stod(line.substr(4));
    }
    return 0;
  }

  void PrintMemory(const char* what) {
    SupervisorStats stats = Stats();
    printf("%-46s PSS supervisor %.0f KiB, keeper %.0f KiB\n", what, PssKib(stats.supervisor_pid),
           PssKib(stats.keeper_pid));
  }
};

TEST_F(Bench, SpawnLatency) {
  std::vector<double> plain;
  std::vector<double> namespaces;
  std::vector<double> full;
  std::vector<double> overlays;
  for (int i = 0; i < 300; ++i) {
    PlanBuilder builder = Builder("b", {"/bin/true"});
    plain.push_back(SpawnAndExitMicroseconds(&builder));
    PlanBuilder six = Builder("b", {"/bin/true"});
    six.NewNamespaces(kSixNamespaces);
    namespaces.push_back(SpawnAndExitMicroseconds(&six));
    PlanBuilder container = ContainerBuilder("b", {"/bin/true"});
    full.push_back(SpawnAndExitMicroseconds(&container));
    absl::Time start = absl::Now();
    PlanBuilder overlay;
    overlay.Spool(overlay.AddFd(OpenSpool("b")), {});
    overlay.NewNamespaces(kSixNamespaces);
    overlay.Root(overlay.AddFd(Overlay()));
    overlay.Mount({"proc", "proc", "/proc", MS_NOSUID, ""});
    overlay.Mount({"tmpfs", "tmpfs", "/dev", MS_NOSUID, "mode=755"});
    overlay.DefaultDevices();
    overlay.LoopbackUp();
    overlay.Hostname("b");
    overlay.Environment({"PATH=/bin"});
    overlay.Arguments({"true"});
    SpawnAndExitMicroseconds(&overlay);
    overlays.push_back(absl::ToDoubleMicroseconds(absl::Now() - start));
  }
  Print("spawn+exit of true, no namespaces", plain, "us");
  Print("the same, 6 namespaces", namespaces, "us");
  Print("the same, 6 namespaces, root, proc, dev, devpts", full, "us");
  Print("the same with making the overlay", overlays, "us");
}

TEST_F(Bench, Memory) {
  PrintMemory("idle");
  for (int i = 0; i < 100; ++i) {
    std::string id = absl::StrCat("m", i);
    PlanBuilder builder = Builder(id, {"sleep", "1000"});
    ASSERT_TRUE(Spawn(id, &builder).ok());
  }
  PrintMemory("100 containers");
  for (int i = 100; i < 1000; ++i) {
    std::string id = absl::StrCat("m", i);
    PlanBuilder builder = Builder(id, {"sleep", "1000"});
    ASSERT_TRUE(Spawn(id, &builder).ok());
  }
  PrintMemory("1000 containers");
  std::vector<double> plain;
  for (int i = 0; i < 50; ++i) {
    PlanBuilder builder = Builder("b", {"/bin/true"});
    plain.push_back(SpawnAndExitMicroseconds(&builder));
  }
  Print("spawn+exit of true beside 1000 containers", plain, "us");
}

constexpr char kProducer[] = "yes 'a line of a log as a program may write it' | head -c 211000000";
constexpr char kDirect[] = "head -c 211000000 /dev/zero";
// 4 KiB writes, as of a program with an ordinary stdio buffer.
constexpr char kSmall[] = "dd if=/dev/zero bs=4096 count=51514 status=none";

TEST_F(Bench, LogThroughput) {
  for (const char* command : {kProducer, kDirect, kSmall}) {
    std::vector<double> alone_null;
    std::vector<double> alone_file;
    std::vector<double> logged;
    int records = 0;
    for (int i = 0; i < 7; ++i) {
      auto run = [&](const std::string& target) {
        absl::Time start = absl::Now();
        std::string full = absl::StrCat(command, " > ", target);
        pid_t pid = fork();
        if (pid == 0) {
          execl("/bin/sh", "sh", "-c", full.c_str(), nullptr);
          _exit(1);
        }
        waitpid(pid, nullptr, 0);
        return absl::ToDoubleMilliseconds(absl::Now() - start);
      };
      alone_null.push_back(run("/dev/null"));
      // Through a pipe into a file, as a shell would log it.
      alone_file.push_back(run(absl::StrCat(dir_, "/alone")));
      std::filesystem::remove(dir_ + "/alone");
      SpoolOptions options;
      options.capacity_bytes = 1 << 30;
      PlanBuilder builder = Builder("b", {"sh", "-c", command}, options);
      absl::Time start = absl::Now();
      auto spawned = Spawn("b", &builder);
      ASSERT_TRUE(spawned.ok());
      EntryInfo entry = AwaitExit("b");
      logged.push_back(absl::ToDoubleMilliseconds(absl::Now() - start));
      if (i == 0) {
        SpoolContent content = ReadSpool("b", entry.spool_committed);
        EXPECT_GE(content.out.size(), 211000000u);
        records = content.records;
      }
      EXPECT_TRUE(client_->Forget("b", kTestTimeout).ok());
      std::filesystem::remove(dir_ + "/b.spool");
    }
    printf("%s: %d records\n", command, records);
    Print("  211 MB > /dev/null", alone_null, "ms");
    Print("  211 MB > file", alone_file, "ms");
    Print("  211 MB into the spool", logged, "ms");
  }
}

}  // namespace
}  // namespace slipway::agent
