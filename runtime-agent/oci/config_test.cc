#include "runtime-agent/oci/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace slipway::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kConfig[] = R"({
  "ociVersion": "1.0.2",
  "process": {
    "terminal": false,
    "user": {"uid": 7, "gid": 8, "additionalGids": [9, 10], "umask": 18},
    "args": ["sh", "-c", "true"], "env": ["PATH=/bin"], "cwd": "/",
    "capabilities": {"bounding": ["CAP_KILL", "CAP_FROM_THE_FUTURE"], "effective": ["CAP_CHOWN"]},
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 18446744073709551615, "soft": 1024}],
    "noNewPrivileges": true, "oomScoreAdj": -5
  },
  "root": {"path": "rootfs", "readonly": true},
  "hostname": "box",
  "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]}],
  "hooks": {"prestart": [{"path": "/bin/hook", "args": ["hook", "x"], "timeout": 3}]},
  "annotations": {"a": "b"},
  "linux": {
    "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "uts"},
                   {"type": "network", "path": "/run/netns/x"}],
    "resources": {"memory": {"limit": 1048576, "swap": 2097152}, "pids": {"limit": 0},
                  "cpu": {"shares": 512},
                  "devices": [{"allow": false, "access": "rwm"}]},
    "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}],
    "cgroupsPath": "/a/b", "sysctl": {"net.core.somaxconn": "256"},
    "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"},
    "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"]
  }
})";

std::string With(const std::string& from, const std::string& to) {
  return absl::StrReplaceAll(kConfig, {{from, to}});
}

TEST(OciConfigTest, SaysWhichMemberIsWrong) {
  struct Case {
    const char* from;
    const char* to;
    const char* words;
  };
  for (const Case& bad : {
           Case{R"(["sh", "-c", "true"])", "[]", "process.args is empty"},
           Case{R"(["sh", "-c", "true"])", "[1]", "process.args is not a list of texts"},
           Case{R"("-c")", R"("-\u0000c")", "process.args is not a list of texts"},
           Case{R"("cwd": "/")", R"("cwd": "x")", "process.cwd is not an absolute path"},
           Case{R"("uid": 7)", R"("uid": -1)", "process.user.uid is not an id"},
           Case{R"("uid": 7)", R"("uid": 1.5)", "process.user.uid is not a whole number"},
           Case{"RLIMIT_NOFILE", "RLIMIT_SMILES", "process.rlimits[0].type"},
           Case{R"("ociVersion": "1.0.2")", R"("ociVersion": "2.0")", "ociVersion"},
           Case{R"("path": "rootfs", )", "", "root.path is missing"},
           Case{R"("type": "pid")", R"("type": "mount")", "is there twice"},
           Case{R"("type": "pid")", R"("type": "soul")", "linux.namespaces[1].type"},
           Case{R"({"type": "uts"},)", "", "hostname cannot be set without"},
           Case{R"("path": "/bin/hook")", R"("path": "hook")", "hooks.prestart[0].path"},
           Case{R"("timeout": 3)", R"("timeout": 0)", "hooks.prestart[0].timeout"},
           Case{R"("type": "c")", R"("type": "x")", "linux.devices[0].type"},
           Case{R"("terminal": false)", R"("terminal": 0)", "process.terminal is neither"},
       }) {
    const auto config = ParseOciConfig(With(bad.from, bad.to));
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << bad.to;
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(bad.words));
  }
  EXPECT_FALSE(ParseOciConfig("").ok());
  EXPECT_FALSE(ParseOciConfig("[]").ok());
  EXPECT_FALSE(ParseOciConfig(std::string(5 << 20, ' ')).ok());
  EXPECT_FALSE(ParseOciConfig(std::string(100000, '[')).ok());
}

TEST(OciConfigTest, RefusesWhatItDoesNotDo) {
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {R"("type": "pid")", R"("type": "user")"},
           {R"("type": "pid")", R"("type": "time")"},
           {R"({"type": "mount"}, )", ""},
           {R"("noNewPrivileges")", R"("apparmorProfile": "x", "noNewPrivileges")"},
           {R"("cgroupsPath")", R"("intelRdt": {}, "cgroupsPath")"},
           {R"("cgroupsPath")", R"("uidMappings": [{}], "cgroupsPath")"}}) {
    EXPECT_EQ(ParseOciConfig(With(from, to)).status().code(), absl::StatusCode::kUnimplemented)
        << to;
  }
}

TEST(OciConfigTest, ReadsAll) {
  const auto config = ParseOciConfig(kConfig);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->process.args, ElementsAre("sh", "-c", "true"));
  EXPECT_EQ(config->process.uid, 7u);
  EXPECT_THAT(config->process.groups, ElementsAre(9, 10));
  EXPECT_EQ(config->process.umask, 18u);
  EXPECT_EQ(config->process.capabilities.bounding, 1u << 5);
  EXPECT_EQ(config->process.capabilities.effective, 1u);
  ASSERT_EQ(config->process.rlimits.size(), 1u);
  EXPECT_EQ(config->process.rlimits[0].hard, RLIM_INFINITY);
  EXPECT_TRUE(config->process.no_new_privileges);
  EXPECT_EQ(config->process.oom_score_adj, -5);
  EXPECT_EQ(config->root, "rootfs");
  EXPECT_TRUE(config->read_only_root);
  ASSERT_EQ(config->hooks.at("prestart").size(), 1u);
  EXPECT_THAT(config->hooks.at("prestart")[0].args, ElementsAre("hook", "x"));
  EXPECT_EQ(config->hooks.at("prestart")[0].timeout_s, 3);
  EXPECT_EQ(config->Namespace(CLONE_NEWNET)->path, "/run/netns/x");
  EXPECT_EQ(config->limits.memory_bytes, 1048576);
  EXPECT_EQ(config->limits.pids_limit, -1);
  EXPECT_FALSE(config->limits.all_devices);
  ASSERT_EQ(config->devices.size(), 1u);
  EXPECT_EQ(config->devices[0].mode, static_cast<uint32_t>(S_IFCHR | 0666));
  EXPECT_EQ(config->seccomp, R"({"defaultAction":"SCMP_ACT_ALLOW"})");
  EXPECT_EQ(config->annotations.at("a"), "b");
}

TEST(OciConfigTest, EveryDeviceIsAllowedByTheLastRuleAboutAll) {
  const auto config = ParseOciConfig(
      With(R"({"allow": false, "access": "rwm"})",
           R"({"allow": false, "access": "rwm"}, {"allow": true, "type": "a", "access": "rwm"})"));
  ASSERT_TRUE(config.ok());
  EXPECT_TRUE(config->limits.all_devices);
}

}  // namespace
}  // namespace slipway::agent
