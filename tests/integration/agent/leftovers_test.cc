// What a killed agent left on the host is found and reaped at its next start; what is somebody
// else's is not touched.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/loop.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/os/unique_fd.h"
#include "tests/integration/agent/host.h"

namespace slipway::agent {
namespace {

namespace fs = std::filesystem;

// Where the groups of an instance are, in each hierarchy.
std::vector<std::string> Groups(const std::string& prefix) {
  std::vector<std::string> found;
  std::error_code ignored;
  if (fs::exists("/sys/fs/cgroup/" + prefix)) found.push_back("/sys/fs/cgroup/" + prefix);
  for (const auto& entry : fs::directory_iterator("/sys/fs/cgroup", ignored)) {
    const fs::path group = entry.path() / prefix;
    if (!fs::is_symlink(entry.path()) && fs::exists(group, ignored)) found.push_back(group);
  }
  return found;
}

void Write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

// A loop device over a file; its number. Without LO_FLAGS_AUTOCLEAR, as after a kill between
// configuring and mounting on a kernel that lost the flag.
int AttachLoop(const std::string& file) {
  Write(file, std::string(4096, 'x'));
  const UniqueFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  const UniqueFd backing(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  for (int attempt = 0; attempt < 20; ++attempt) {
    const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return -1;
    const std::string path = absl::StrCat("/dev/loop", number);
    if (!fs::exists(path)) mknod(path.c_str(), S_IFBLK | 0600, makedev(7, number));
    const UniqueFd device(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    loop_config config = {};
    config.fd = static_cast<uint32_t>(backing.get());
    config.info.lo_flags = LO_FLAGS_READ_ONLY;
    if (ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) return number;
  }
  return -1;
}

bool IsAttached(int loop) { return fs::exists(absl::StrCat("/sys/block/loop", loop, "/loop")); }

void Shell(const std::string& command) { EXPECT_EQ(system(command.c_str()), 0) << command; }

TEST(LeftoversTest, EachKindIsReapedAndForeignOnesStay) {
  Host host;
  host.List();  // answers when it has made what an agent makes at its start
  host.StopAgent(SIGKILL);
  const std::string id = Host::NewId();
  const std::string root = host.root();
  const std::string foreign = root + "-foreign";
  const std::string other_prefix = "x" + host.prefix();

  // Directories and spools of containers that no record knows.
  fs::create_directories(absl::StrCat(root, "/containers/", id, "/upper/etc"));
  Write(absl::StrCat(root, "/containers/", id, "/upper/etc/passwd"), "x");
  Write(absl::StrCat(root, "/spool/", id), "x");
  fs::create_directories(foreign + "/containers/" + id);

  // Mounts: of an overlay that was being made, and one inside a container's directory.
  fs::create_directories(root + "/stage/slipway-overlay-abc");
  ASSERT_EQ(mount("tmpfs", (root + "/stage/slipway-overlay-abc").c_str(), "tmpfs", 0, ""), 0);
  ASSERT_EQ(
      mount("tmpfs", absl::StrCat(root, "/containers/", id, "/upper").c_str(), "tmpfs", 0, ""), 0);
  fs::create_directories(root + "/volumes/mine");
  ASSERT_EQ(mount("tmpfs", (root + "/volumes/mine").c_str(), "tmpfs", 0, ""), 0);
  ASSERT_EQ(mount("tmpfs", foreign.c_str(), "tmpfs", 0, ""), 0);

  // A cgroup with a process in it, and a group of that group.
  const std::vector<std::string> parents = Groups(host.prefix());
  ASSERT_FALSE(parents.empty());
  const pid_t pid = fork();
  if (pid == 0) {
    execl("/bin/sleep", "sleep", "1000", nullptr);
    _exit(1);
  }
  std::vector<std::string> others;
  for (const std::string& parent : parents) {
    fs::create_directories(parent + "/" + id + "/below");
    if (!absl::StrContains(parent, "cpuset")) {
      Write(parent + "/" + id + "/cgroup.procs", absl::StrCat(pid));
    }
    others.push_back(fs::path(parent).parent_path() / other_prefix);
    fs::create_directory(others.back());
  }

  // Half of a veth pair in the bridge.
  const std::string veth = host.prefix().substr(0, 5) + "deadbeef";
  Shell(absl::StrCat("ip link add ", veth, " type veth peer name ", veth, "p && ip link set ", veth,
                     " master ", host.prefix(), "0"));
  const std::string other_veth = "zz" + host.prefix().substr(2);
  Shell(absl::StrCat("ip link add ", other_veth, " type veth peer name ", other_veth, "p"));

  const int loop = AttachLoop(absl::StrCat(host.layer_directory(), "/leak"));
  const int other_loop = AttachLoop(foreign + "/file");
  ASSERT_GE(loop, 0);
  ASSERT_GE(other_loop, 0);

  host.StartAgent();
  host.List();  // answers when it has taken stock
  EXPECT_THAT(host.KernelObjects(),
              testing::UnorderedElementsAre(testing::HasSubstr("/volumes/mine"),
                                            testing::HasSubstr("/agent-foreign")));
  EXPECT_FALSE(fs::exists(absl::StrCat(root, "/containers/", id)));
  EXPECT_FALSE(fs::exists(absl::StrCat(root, "/spool/", id)));
  EXPECT_FALSE(fs::exists(root + "/stage/slipway-overlay-abc"));
  for (const std::string& parent : parents) EXPECT_FALSE(fs::exists(parent + "/" + id)) << parent;
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(if_nametoindex(veth.c_str()), 0u);
  EXPECT_FALSE(IsAttached(loop));

  EXPECT_TRUE(fs::exists(foreign));
  EXPECT_NE(if_nametoindex(other_veth.c_str()), 0u);
  EXPECT_TRUE(IsAttached(other_loop));
  for (const std::string& other : others) EXPECT_EQ(rmdir(other.c_str()), 0) << other;
  Shell("ip link del " + other_veth);
  {
    const UniqueFd device(open(absl::StrCat("/dev/loop", other_loop).c_str(), O_RDONLY));
    EXPECT_EQ(ioctl(device.get(), LOOP_CLR_FD, 0), 0);
  }
  EXPECT_EQ(umount2((root + "/volumes/mine").c_str(), MNT_DETACH), 0);
  EXPECT_EQ(umount2(foreign.c_str(), MNT_DETACH), 0);
  fs::remove_all(foreign);
}

}  // namespace
}  // namespace slipway::agent
