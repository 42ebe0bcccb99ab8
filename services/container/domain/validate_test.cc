#include "services/container/domain/validate.h"

#include <gtest/gtest.h>

#include <functional>

namespace slipway::container {
namespace {

using Change = std::function<void(ContainerSpec&)>;

TEST(ValidateTest, RefusesInDockersWords) {
  const struct {
    const char* message;
    Change change;
  } cases[] = {
      {"no image specified", [](auto& s) { s.image = ""; }},
      {"Minimum memory limit allowed is 6MB", [](auto& s) { s.resources.memory_bytes = 1000; }},
      {"You should always set the Memory limit when using Memoryswap limit, see usage",
       [](auto& s) { s.resources.memory_swap_bytes = 1 << 30; }},
      {"Minimum memoryswap limit should be larger than memory limit, see usage",
       [](auto& s) {
         s.resources.memory_bytes = 1 << 30;
         s.resources.memory_swap_bytes = 1 << 29;
       }},
      {"Minimum memory limit can not be less than memory reservation limit, see usage",
       [](auto& s) {
         s.resources.memory_bytes = 10 << 20;
         s.resources.memory_reservation_bytes = 20 << 20;
       }},
      {"Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
       [](auto& s) { s.resources.nano_cpus = 3'000'000'000; }},
      {"Conflicting options: Nano CPUs and CPU Period cannot both be set",
       [](auto& s) {
         s.resources.nano_cpus = 1'000'000'000;
         s.resources.cpu_period_us = 100000;
       }},
      {"CPU cfs quota can not be less than 1ms (i.e. 1000)",
       [](auto& s) { s.resources.cpu_quota_us = 10; }},
      {"Invalid value 3-1 for cpuset cpus: invalid format: 3-1",
       [](auto& s) { s.resources.cpuset_cpus = "3-1"; }},
      {"Invalid value a for cpuset mems: invalid format: a",
       [](auto& s) { s.resources.cpuset_mems = "a"; }},
      {"Invalid value 1001, range for oom score adj is [-1000, 1000]",
       [](auto& s) { s.resources.oom_score_adj = 1001; }},
      {"SHM size can not be less than 0", [](auto& s) { s.shm_size_bytes = -1; }},
      {"invalid ulimit type: files",
       [](auto& s) {
         s.ulimits = {{"files", 1, 2}};
       }},
      {"ulimit soft limit must be less than or equal to hard limit: 3 > 2",
       [](auto& s) {
         s.ulimits = {{"nofile", 3, 2}};
       }},
      {"can't create 'AutoRemove' container with restart policy",
       [](auto& s) {
         s.auto_remove = true;
         s.restart_policy.mode = RestartPolicy::Mode::kAlways;
       }},
      {"maximum retry count cannot be used with restart policy 'always'",
       [](auto& s) {
         s.restart_policy = {RestartPolicy::Mode::kAlways, 1};
       }},
      {"maximum retry count cannot be negative",
       [](auto& s) {
         s.restart_policy = {RestartPolicy::Mode::kOnFailure, -1};
       }},
      {"invalid restart policy '9'",
       [](auto& s) { s.restart_policy.mode = static_cast<RestartPolicy::Mode>(9); }},
      {"invalid environment variable: =x", [](auto& s) { s.env = {"=x"}; }},
      {"the working directory 'x' is invalid, it needs to be an absolute path",
       [](auto& s) { s.working_directory = "x"; }},
      {"Invalid signal: FOO", [](auto& s) { s.stop_signal = "FOO"; }},
      {"invalid hostname format: a b", [](auto& s) { s.hostname = "a b"; }},
      {"Unknown type \"RUN\" in healthcheck",
       [](auto& s) { s.healthcheck = Healthcheck{.test = {"RUN"}}; }},
      {"Interval in Healthcheck cannot be less than 1ms",
       [](auto& s) { s.healthcheck = Healthcheck{.interval_ns = 5}; }},
      {"error looking up logging plugin nosuch: plugin \"nosuch\" not found",
       [](auto& s) { s.log.driver = "nosuch"; }},
      {"invalid port specification: \"80a\"", [](auto& s) { s.exposed_ports = {"80a"}; }},
      {"invalid port specification: \"0\"", [](auto& s) { s.exposed_ports = {"0"}; }},
      {"invalid port specification: \"90-80/tcp\"",
       [](auto& s) { s.exposed_ports = {"90-80/tcp"}; }},
      {"invalid proto: icmp", [](auto& s) { s.exposed_ports = {"80/icmp"}; }},
      {"invalid port specification: \"70000\"",
       [](auto& s) {
         s.network.ports = {{80, "tcp", "", 70000}};
       }},
      {"invalid IP address: 1.2.3",
       [](auto& s) {
         s.network.ports = {{80, "tcp", "1.2.3", 0}};
       }},
      {"invalid IP address: dns", [](auto& s) { s.network.dns_servers = {"dns"}; }},
      {"bad format for add-host: \"x\"", [](auto& s) { s.network.extra_hosts = {"x"}; }},
      {"invalid MAC address: 1:2", [](auto& s) { s.network.mac_address = "1:2"; }},
      {"invalid container format container:<name|id>",
       [](auto& s) { s.network.mode = "container:"; }},
      {"conflicting options: port publishing and the container type network mode",
       [](auto& s) {
         s.network.mode = "container:x";
         s.network.publish_all_ports = true;
       }},
      {"conflicting options: hostname and the network mode",
       [](auto& s) {
         s.network.mode = "container:x";
         s.hostname = "h";
       }},
      {"invalid PID mode: foo", [](auto& s) { s.namespaces.pid = "foo"; }},
      {"invalid mount path: 'data' mount path must be absolute",
       [](auto& s) {
         s.mounts = {{Mount::Type::kTmpfs, "", "data"}};
       }},
      {"invalid specification: destination can't be '/'",
       [](auto& s) {
         s.mounts = {{Mount::Type::kTmpfs, "", "/a/.."}};
       }},
      {"Duplicate mount point: /b/../a",
       [](auto& s) {
         s.mounts = {{Mount::Type::kTmpfs, "", "/a"}, {Mount::Type::kTmpfs, "", "/b/../a"}};
       }},
      {"create v: volume name is too short, names should be at least two alphanumeric characters",
       [](auto& s) {
         s.mounts = {{Mount::Type::kVolume, "v", "/a"}};
       }},
      {"create vol: error looking up volume plugin nfs: plugin \"nfs\" not found",
       [](ContainerSpec& s) {
         s.mounts = {{.type = Mount::Type::kVolume,
                      .source = "vol",
                      .target = "/a",
                      .volume_driver = "nfs"}};
       }},
      {"create vol: invalid option: \"foo\"",
       [](ContainerSpec& s) {
         s.mounts = {{.type = Mount::Type::kVolume,
                      .source = "vol",
                      .target = "/a",
                      .volume_options = {{"foo", "bar"}}}};
       }},
      {"create -v: \"-v\" includes invalid characters for a local volume name, only "
       "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use "
       "absolute path",
       [](auto& s) {
         s.mounts = {{Mount::Type::kVolume, "-v", "/a"}};
       }},
      {"invalid mount config for type \"volume\": subpath must be a relative path within the "
       "volume",
       [](auto& s) {
         s.mounts = {{.type = Mount::Type::kVolume,
                      .source = "vol",
                      .target = "/a",
                      .volume_subpath = "a/../../b"}};
       }},
      {"Invalid value: 101, valid memory swappiness range is 0-100",
       [](auto& s) { s.resources.memory_swappiness = 101; }},
      {"invalid CapAdd: unknown capability: \"CAP_ALL\"",
       [](auto& s) {
         s.security.cap_add = {"ALL", "cap_all"};
       }},
      {"invalid CapDrop: unknown capability: \"CAP_ALL\"",
       [](auto& s) { s.security.cap_drop = {"CAP_ALL"}; }},
      {"Minimum kernel memory limit allowed is 6MB",
       [](auto& s) { s.resources.kernel_memory_bytes = 5; }},
      {"invalid CPU shares (1): the minimum allowed cpu-shares is 2",
       [](auto& s) { s.resources.cpu_shares = 1; }},
      {"Invalid value 0-9000 for cpuset cpus: value of out range, maximum is 8192",
       [](auto& s) { s.resources.cpuset_cpus = "0-9000"; }},
      {"conflicting options: domainname and the UTS mode",
       [](auto& s) {
         s.namespaces.uts = "host";
         s.domainname = "d";
       }},
      {"invalid IP address in add-host: \"b\"", [](auto& s) { s.network.extra_hosts = {"a:b"}; }},
      {"invalid specification: destination can't be '/'",
       [](auto& s) {
         s.mounts = {{Mount::Type::kTmpfs, "", "//"}};
       }},
      {"Duplicate mount point: /a/",
       [](auto& s) {
         s.mounts = {{Mount::Type::kTmpfs, "", "/a"}, {Mount::Type::kTmpfs, "", "/a/"}};
       }},
      {"invalid mount config for type \"bind\": invalid mount path: 'x' mount path must be "
       "absolute",
       [](auto& s) {
         s.mounts = {{Mount::Type::kBind, "x", "/a"}};
       }},
      {"mount type unknown",
       [](auto& s) {
         s.mounts = {{Mount::Type::kUnspecified, "", "/a"}};
       }},
      {"client data of 65537 bytes is longer than 65536",
       [](auto& s) { s.client_data = std::string(65537, 'x'); }},
  };
  for (const auto& test : cases) {
    ContainerSpec spec;
    spec.image = "i";
    test.change(spec);
    EXPECT_EQ(ValidateSpec(spec, 2), absl::InvalidArgumentError(test.message)) << test.message;
  }
}

TEST(ValidateTest, TakesWhatMakesSense) {
  ContainerSpec spec;
  spec.image = "i";
  spec.resources = {.nano_cpus = 1'500'000'000,
                    .cpuset_cpus = "0-1,3",
                    .memory_bytes = 6 << 20,
                    .memory_swap_bytes = -1,
                    .pids_limit = -1};
  spec.ulimits = {{"nofile", 1024, -1}};
  spec.restart_policy = {RestartPolicy::Mode::kOnFailure, 3};
  spec.exposed_ports = {"80", "53/udp", "8000-8010/tcp"};
  spec.network.ports = {{80, "", "::1", 0}, {53, "udp", "127.0.0.1", 53}};
  spec.network.extra_hosts = {"a:1.2.3.4", "b:::1", "c:host-gateway"};
  spec.mounts = {{Mount::Type::kBind, "/src", "/a"}, {Mount::Type::kVolume, "vol", "/b"}};
  spec.hostname = "web-1";
  spec.stop_timeout_seconds = -1;
  EXPECT_EQ(ValidateSpec(spec, 2), absl::OkStatus());
  EXPECT_EQ(ValidateExecSpec({}), absl::InvalidArgumentError("No exec command specified"));
}

}  // namespace
}  // namespace slipway::container
