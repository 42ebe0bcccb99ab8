#include "runtime-agent/domain/definition_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "absl/strings/str_cat.h"

namespace slipway::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

HostFacts Facts() {
  return {.capabilities = ~uint64_t{0},
          .hostname = "host",
          .volumes_directory = "/v",
          .container_directory = "/c/1"};
}

PrepareCommand Command() {
  return {.id = "0123456789abcdef", .name = "n", .argv = {"true"}, .layer_diff_ids = {"sha256:a"}};
}

absl::Status Define(const PrepareCommand& command) {
  return DefineContainer(command, Facts()).status();
}

TEST(Definition, ImpossibleSpecsAreRefused) {
  const auto refused = [](auto change) {
    PrepareCommand command = Command();
    change(command);
    return Define(command).code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](auto& c) { c.argv.clear(); }));
  EXPECT_TRUE(refused([](auto& c) { c.argv = {"a", std::string("b\0c", 3)}; }));
  EXPECT_TRUE(refused([](auto& c) { c.working_directory = "relative"; }));
  EXPECT_TRUE(refused([](auto& c) { c.hostname = std::string(65, 'a'); }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.shm_size_bytes = -1; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.namespaces.pid = "bogus"; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.namespaces.uts = "container:"; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.security.cap_add = {"NOPE"}; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.security.masked_paths = {{"proc"}}; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.resources.oom_score_adj = 1001; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.resources.memory_bytes = 1 << 20; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.resources.memory_swap_bytes = 1 << 30; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.resources.blkio_weight = 9; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.ulimits = {{"nofile", 10, 5}}; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.ulimits = {{"bogus", 1, 1}}; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.sysctls = {{"kernel.panic", "1"}}; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.sysctls = {{"net/../kernel/panic", "1"}}; }));
  EXPECT_TRUE(refused([](auto& c) {
    c.spec.network.mode = "host";
    c.spec.sysctls = {{"net.core.somaxconn", "1"}};
  }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.network.ports = {{.container_port = 0}}; }));
  EXPECT_TRUE(refused(
      [](auto& c) { c.spec.network.ports = {{.container_port = 80, .protocol = "icmp"}}; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.network.extra_hosts = {"x"}; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.log_options = {{"mode", "sometimes"}}; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.log_options = {{"max-buffer-size", "lots"}}; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.mounts = {{.source = "/a", .target = "b"}}; }));
  EXPECT_TRUE(refused([](auto& c) { c.spec.mounts = {{.source = "/a", .target = "/x/.."}}; }));
  EXPECT_TRUE(refused([](auto& c) {
    c.spec.mounts = {{.source = "/a", .target = "/b"}, {.source = "/c", .target = "/b/"}};
  }));
  EXPECT_TRUE(refused([](auto& c) {
    c.spec.mounts = {{.type = MountSpec::Type::kVolume, .source = "../up", .target = "/b"}};
  }));
  EXPECT_TRUE(refused([](auto& c) {
    c.spec.mounts = {{.type = MountSpec::Type::kTmpfs, .target = "/b", .tmpfs_options = "bogus=1"}};
  }));
}

TEST(Definition, DevicesAndParentsThatMakeNoSenseAreRefused) {
  const auto refused = [](auto change) {
    PrepareCommand command = Command();
    change(command);
    return Define(command).code() == absl::StatusCode::kInvalidArgument;
  };
  for (const char* rule :
       {"", "c", "c 1:3", "d 1:3 r", "c 1:3 x", "c 1 r", "c -1:3 r", "c 1:3 rwmr"}) {
    EXPECT_TRUE(refused([&](auto& c) { c.spec.device_cgroup_rules = {rule}; })) << rule;
  }
  for (const DeviceSpec& device :
       {DeviceSpec{"/nosuch", "/x", "r"}, DeviceSpec{"/etc/passwd", "/x", "r"},
        DeviceSpec{"/dev/null", "/x", ""}, DeviceSpec{"/dev/null", "/x", "z"},
        DeviceSpec{"/dev/null", "/x/..", "r"}}) {
    EXPECT_TRUE(refused([&](auto& c) { c.spec.devices = {device}; })) << device.path_on_host;
  }
  for (const char* parent : {"/", "..", "a/.b"}) {
    EXPECT_TRUE(refused([&](auto& c) { c.spec.resources.cgroup_parent = parent; })) << parent;
  }
  EXPECT_TRUE(refused([](auto& c) {
    c.spec.resources.blkio_read_bps_devices = {{"/dev/null", 1}};
  }));
  for (const char* target : {"/proc", "/proc/sys", "/x/../proc/1"}) {
    EXPECT_TRUE(refused([&](auto& c) { c.spec.mounts = {{.source = "/a", .target = target}}; }))
        << target;
  }
  HostFacts facts = Facts();
  facts.cpus = "0-1";
  PrepareCommand command = Command();
  command.spec.resources.cpuset_cpus = "1-2";
  EXPECT_THAT(std::string(DefineContainer(command, facts).status().message()),
              HasSubstr("Requested CPUs are not available - requested 1-2, available: 0-1"));
}

TEST(Definition, DevicesBecomeNodesAndRules) {
  PrepareCommand command = Command();
  command.spec.devices = {{"/dev/null", "mine", "rm"}};
  command.spec.device_cgroup_rules = {"b 8:* r", "a *:* rwm"};
  command.spec.resources.cgroup_parent = "../batch//jobs/";
  command.spec.init = true;
  const Definition definition = DefineContainer(command, Facts()).value().definition;
  ASSERT_EQ(definition.host_devices.size(), 1u);
  EXPECT_EQ(definition.host_devices[0].path, "/mine");
  EXPECT_EQ(definition.host_devices[0].minor, 3u);
  ASSERT_EQ(definition.limits.devices.size(), 3u);
  EXPECT_EQ(definition.limits.devices[0], (DeviceRule{'c', 1, 3, {"rm"}}));
  EXPECT_EQ(definition.limits.devices[1], (DeviceRule{'b', 8, -1, {"r"}}));
  EXPECT_EQ(definition.limits.devices[2], (DeviceRule{'a', -1, -1, {"rwm"}}));
  EXPECT_EQ(definition.cgroup_name(), "/batch/jobs/" + definition.id);
  EXPECT_TRUE(definition.init);
}

TEST(Definition, WhatIsNotOfferedIsNamed) {
  const auto message = [](auto change) {
    PrepareCommand command = Command();
    change(command);
    const absl::Status status = Define(command);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    return std::string(status.message());
  };
  EXPECT_THAT(message([](auto& c) { c.spec.namespaces.user = "1000"; }), HasSubstr("userns"));
  EXPECT_THAT(message([](auto& c) { c.sandbox_id = "other"; }), HasSubstr("sandbox"));
}

TEST(Definition, Defaults) {
  const DefinitionResult result = DefineContainer(Command(), Facts()).value();
  const Definition& definition = result.definition;
  EXPECT_EQ(definition.hostname, "0123456789ab");
  EXPECT_EQ(definition.working_directory, "/");
  EXPECT_EQ(definition.shm_size_bytes, 64 << 20);
  EXPECT_EQ(definition.masked_paths.size(), 12u);
  EXPECT_EQ(definition.read_only_paths.size(), 5u);
  EXPECT_EQ(definition.network.kind, NamespaceMode::Kind::kBridge);
  EXPECT_TRUE(definition.ship_log);
  EXPECT_TRUE(result.warnings.empty());
}

TEST(Definition, OfALayerThatIsThereTwiceTheUpperOneStays) {
  EXPECT_THAT(WithoutRepeats({"a", "b", "a", "c", "b", "b"}), ElementsAre("a", "c", "b"));
  EXPECT_THAT(WithoutRepeats({}), ElementsAre());
}

TEST(Definition, MountsParentsFirst) {
  PrepareCommand command = Command();
  command.spec.mounts = {{.source = "/s", .target = "/a/b/c", .read_only = true},
                         {.source = "/s", .target = "//a/./b/", .propagation = "rslave"},
                         {.type = MountSpec::Type::kVolume, .source = "data", .target = "/z"}};
  command.spec.volumes = {"/z", "/a", "/q/r"};
  const auto mounts = DefineContainer(command, Facts()).value().definition.mounts;
  std::vector<std::string> targets;
  for (const DefinedMount& mount : mounts) targets.push_back(mount.target);
  EXPECT_THAT(targets, ElementsAre("/z", "/a", "/a/b", "/q/r", "/a/b/c"));
  EXPECT_EQ(mounts[0].source, "/v/data/_data");
  EXPECT_EQ(mounts[1].source, "/c/1/volumes/3/_data");
  EXPECT_EQ(mounts[0].propagation, uint64_t{MS_SLAVE | MS_REC});
  EXPECT_EQ(mounts[2].propagation, uint64_t{MS_SLAVE | MS_REC});
  EXPECT_TRUE(mounts[4].read_only);
  EXPECT_EQ(mounts[4].propagation, uint64_t{MS_PRIVATE | MS_REC});
}

TEST(Definition, TmpfsOptionsBecomeFlagsAndData) {
  PrepareCommand command = Command();
  command.spec.mounts = {{.type = MountSpec::Type::kTmpfs,
                          .target = "/t",
                          .tmpfs_size_bytes = 4096,
                          .tmpfs_mode = 01777,
                          .tmpfs_options = "rw,exec,uid=5"}};
  const auto mounts = DefineContainer(command, Facts()).value().definition.mounts;
  EXPECT_EQ(mounts[0].tmpfs_flags, uint64_t{MS_NOSUID | MS_NODEV});
  EXPECT_EQ(mounts[0].tmpfs_data, "uid=5,size=4096,mode=1777");
}

TEST(Definition, OfTmpfsOptionsTheLastOneWins) {
  const auto defined = [](const char* options) {
    PrepareCommand command = Command();
    command.spec.mounts = {
        {.type = MountSpec::Type::kTmpfs, .target = "/t", .tmpfs_options = options}};
    return DefineContainer(command, Facts()).value().definition.mounts[0];
  };
  const uint64_t quiet = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  EXPECT_EQ(defined("defaults,ro,rw").tmpfs_flags, quiet);
  EXPECT_EQ(defined("sync,dirsync").tmpfs_flags, quiet | MS_SYNCHRONOUS | MS_DIRSYNC);
  EXPECT_EQ(defined("noatime,strictatime").tmpfs_flags, quiet | MS_STRICTATIME);
  EXPECT_EQ(defined("relatime,norelatime").tmpfs_flags, quiet);
  EXPECT_EQ(defined("size=10%").tmpfs_data, "size=10%");
  EXPECT_EQ(defined("rslave,shared").propagation, uint64_t{MS_SHARED});
  EXPECT_EQ(defined("rslave,shared").tmpfs_data, "");
}

TEST(Definition, OfDevicesWithOnePathTheFirstStays) {
  PrepareCommand command = Command();
  command.spec.devices = {{"/dev/null", "/dev/a", "rwm"}, {"/dev/zero", "/dev/a", "rwm"}};
  const Definition definition = DefineContainer(command, Facts()).value().definition;
  ASSERT_EQ(definition.host_devices.size(), 1u);
  EXPECT_EQ(definition.host_devices[0].minor, 3u);
  EXPECT_EQ(definition.limits.devices.size(), 2u);
}

TEST(Definition, MoreMountsThanAPlanHoldsAreRefused) {
  PrepareCommand command = Command();
  for (size_t i = 0; i < kMaxBoundMounts; ++i) {
    command.spec.mounts.push_back({.source = "/s", .target = absl::StrCat("/m", i)});
  }
  command.spec.mounts.push_back({.type = MountSpec::Type::kTmpfs, .target = "/t"});
  EXPECT_TRUE(Define(command).ok());
  command.spec.volumes = {"/v"};
  const absl::Status refused = Define(command);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refused.message(), "too many mounts: 201, at most 200");
}

TEST(Definition, OnlyProcGoesOverProc) {
  const auto define = [](const char* source) {
    PrepareCommand command = Command();
    command.spec.mounts = {{.source = source, .target = "/proc"}};
    return Define(command);
  };
  EXPECT_TRUE(define("/proc").ok());
  for (const char* source : {"/tmp", "/nosuch", "/proc/self", "/proc/sys"}) {
    EXPECT_THAT(std::string(define(source).message()), HasSubstr("not of type proc")) << source;
  }
}

TEST(Definition, LimitsAboveTheAgentsOwnAreLoweredWithAWarning) {
  rlimit own{};
  getrlimit(RLIMIT_NOFILE, &own);
  PrepareCommand command = Command();
  command.spec.ulimits = {{"nofile", -1, -1}};
  command.spec.resources.oom_score_adj = -500;
  const DefinitionResult result = DefineContainer(command, Facts()).value();
  EXPECT_EQ(result.definition.oom_score_adj, 0);
  EXPECT_EQ(result.definition.rlimits[0].hard, own.rlim_max);
  EXPECT_THAT(result.warnings, testing::Contains(HasSubstr("oom-score-adj")));
}

TEST(Definition, PublishedPorts) {
  PrepareCommand command = Command();
  command.spec.network.publish_all_ports = true;
  command.spec.exposed_ports = {"80/tcp", "53/udp", "90-91"};
  command.spec.network.ports = {
      {.container_port = 80, .protocol = "tcp", .host_address = "0.0.0.0", .host_port = 8080},
      {.container_port = 80, .protocol = "tcp", .host_address = "::", .host_port = 8080}};
  const auto ports = DefineContainer(command, Facts()).value().definition.ports;
  ASSERT_EQ(ports.size(), 5u);
  EXPECT_EQ(ports[0].host_port, 8080);
  EXPECT_EQ(ports[0].host_address, "0.0.0.0");
  EXPECT_EQ(ports[1].host_address, "::");
  EXPECT_EQ(ports[2].protocol, PortProtocol::kUdp);
  EXPECT_EQ(ports[4].container_port, 91);
}

TEST(Definition, RangesOfHostPorts) {
  PrepareCommand command = Command();
  command.spec.network.ports = {{.container_port = 80, .host_port = 9000, .host_port_last = 8000}};
  EXPECT_TRUE(absl::IsInvalidArgument(DefineContainer(command, Facts()).status()));
  command.spec.network.ports[0].host_port_last = 9010;
  const auto ports = DefineContainer(command, Facts()).value().definition.ports;
  EXPECT_EQ(ports[0].host_port_last, 9010);
}

TEST(Definition, LogPolicy) {
  PrepareCommand command = Command();
  command.spec.log_driver = "json-file";
  command.spec.log_options = {
      {"max-buffer-size", "2m"}, {"max-size", "10m"}, {"mode", "non-blocking"}};
  const DefinitionResult result = DefineContainer(command, Facts()).value();
  EXPECT_TRUE(result.definition.drop_when_full);
  EXPECT_EQ(result.definition.spool_capacity_bytes, 2u << 20);
  EXPECT_EQ(result.definition.logged.driver, "json-file");
  EXPECT_EQ(result.definition.logged.options, command.spec.log_options);
  command.spec.log_driver = "none";
  EXPECT_FALSE(DefineContainer(command, Facts()).value().definition.ship_log);
  EXPECT_EQ(LoggedOf(DefineContainer(command, Facts()).value().definition), nullptr);
}

TEST(Definition, OnlyVariablesThatTheLogOptionsNameAreTold) {
  PrepareCommand command = Command();
  command.env = {"SECRET=1", "ZONE=a", "ZONES=b", "EMPTY="};
  const auto told = [&command] {
    return DefineContainer(command, Facts()).value().definition.logged.env;
  };
  EXPECT_THAT(told(), ElementsAre());
  command.spec.log_options = {{"env", "ZONE,EMPTY,NONE"}};
  EXPECT_THAT(told(), ElementsAre("ZONE=a", "EMPTY="));
  command.spec.log_options = {{"env-regex", "^Z"}};
  EXPECT_EQ(told().size(), 4u);
}

TEST(Definition, CleanPath) {
  EXPECT_EQ(CleanPath("/../a/./b/..//c/", "x").value(), "/a/c");
  EXPECT_EQ(CleanPath("/", "x").value(), "/");
  EXPECT_FALSE(CleanPath("", "x").ok());
  EXPECT_FALSE(CleanPath(absl::string_view("/a\0b", 4), "x").ok());
}

}  // namespace
}  // namespace slipway::agent
