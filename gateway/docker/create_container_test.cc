#include "gateway/docker/create_container.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gateway/docker/container_json.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

absl::StatusOr<pb::ContainerSpec> Parse(const std::string& text) {
  return SpecFromJson(json::parse(text));
}

absl::StatusOr<pb::ContainerSpec> ParseHost(const std::string& host_config) {
  return Parse(absl::StrCat(R"({"Image":"i","HostConfig":)", host_config, "}"));
}

struct BadCase {
  const char* host_config;
  absl::StatusCode code;
  const char* names;
};

TEST(CreateContainerTest, RefusesAndNamesTheOption) {
  const auto invalid = absl::StatusCode::kInvalidArgument;
  const auto unsupported = absl::StatusCode::kUnimplemented;
  const BadCase cases[] = {
      {R"({"Memory":"1g"})", invalid, "HostConfig.Memory"},
      {R"({"Memory":1.5})", invalid, "HostConfig.Memory"},
      {R"({"Privileged":1})", invalid, "HostConfig.Privileged"},
      {R"({"Binds":"a:b"})", invalid, "HostConfig.Binds"},
      {R"({"Binds":["relative-target:b"]})", invalid, "relative-target:b"},
      {R"({"Binds":["/a:/b:sideways"]})", invalid, "sideways"},
      {R"({"Binds":["/a:/b:ro:x"]})", invalid, "/a:/b:ro:x"},
      {R"({"Binds":["/a:/"]})", invalid, "destination can't be '/'"},
      {R"({"Binds":["/a:/b:ro,rw"]})", invalid, "invalid mode: ro,rw"},
      {R"({"Binds":["/a:/b:z,Z"]})", invalid, "invalid mode: z,Z"},
      {R"({"Binds":["/a:/b:nocopy"]})", invalid, "field VolumeOptions must not be specified"},
      {R"({"Binds":["vol:/b:rshared"]})", invalid, "field BindOptions must not be specified"},
      {R"({"Mounts":[{"Type":"bind","Source":"","Target":"/b"}]})", invalid,
       "field Source must not be empty"},
      {R"({"Mounts":[{"Type":"volume","Target":"/b","ReadOnly":true}]})", invalid,
       "must not set ReadOnly mode when using anonymous volumes"},
      {R"({"Mounts":[{"Type":"tmpfs","Source":"x","Target":"/b"}]})", invalid,
       "field Source must not be specified"},
      {R"({"Mounts":[{"Type":"bind","Source":"a","Target":"/b"}]})", invalid, "'a'"},
      {R"({"Mounts":[{"Type":"image","Source":"a","Target":"/b"}]})", unsupported, "image"},
      {R"({"Mounts":[{"Type":"","Target":"/b"}]})", invalid, "mount type unknown"},
      {R"({"Mounts":[3]})", invalid, "HostConfig.Mounts"},
      {R"({"PortBindings":{"80/icmp":[]}})", invalid, "80/icmp"},
      {R"({"PortBindings":{"0/tcp":[]}})", invalid, "0/tcp"},
      {R"({"PortBindings":{"80/tcp":[{"HostPort":"99999"}]}})", invalid, "99999"},
      {R"({"PortBindings":{"80/tcp":[{"HostPort":"90-80"}]}})", invalid, "90-80"},
      {R"({"PortBindings":{"80/tcp":{"HostPort":"80"}}})", invalid, "PortBindings"},
      {R"({"RestartPolicy":{"Name":"sometimes"}})", invalid, "sometimes"},
      {R"({"RestartPolicy":{"Name":"always","MaximumRetryCount":3}})", invalid, "retry count"},
      {R"({"AutoRemove":true,"RestartPolicy":{"Name":"always"}})", invalid, "AutoRemove"},
      {R"({"SecurityOpt":["frobnicate=1"]})", invalid, "invalid --security-opt 2"},
      {R"({"SecurityOpt":["no-new-privileges=maybe"]})", invalid, "invalid --security-opt 2"},
      {R"({"SecurityOpt":["frobnicate"]})", invalid, "frobnicate"},
      {R"({"Devices":["/dev/kvm"]})", invalid, "HostConfig.Devices"},
      {R"({"DeviceRequests":[{"Count":-1,"Capabilities":[["gpu","utility"]]}]})", invalid,
       "could not select device driver \"\" with capabilities: [[gpu utility]]"},
      {R"({"BlkioDeviceReadBps":[{"Path":"/dev/sda","Rate":-1}]})", invalid, "Rate"},
      {R"({"CpuRealtimeRuntime":1000})", invalid, "CPU real-time scheduler"},
      {R"({"IOMaximumIOps":1})", invalid, "maximum IOPs"},
      {R"({"StorageOpt":{"size":"1G"}})", invalid, "--storage-opt"},
      {R"({"MemorySwappiness":"x"})", invalid, "HostConfig.MemorySwappiness"},
      {R"({"Runtime":"kata"})", invalid, "kata"},
      {R"({"Isolation":"hyperv"})", invalid, "hyperv"},
      {R"({"OomScoreAdj":5000})", invalid, "oom score adj"},
      {R"({"BlkioWeight":5})", invalid, "BlkioWeight"},
      {R"({"ShmSize":-1})", invalid, "ShmSize"},
      {R"({"ConsoleSize":[1]})", invalid, "ConsoleSize"},
      {R"({"Tmpfs":{"relative":""}})", invalid, "relative"},
      {R"({"Tmpfs":{"/t":"size=lots"}})", invalid, "size=lots"},
      {R"({"Tmpfs":{"/t":"size=%"}})", invalid, "size=%"},
      {R"({"Tmpfs":{"/t":"size=8e"}})", invalid, "size=8e"},
  };
  for (const BadCase& bad : cases) {
    const auto spec = ParseHost(bad.host_config);
    EXPECT_EQ(spec.status().code(), bad.code) << bad.host_config << ": " << spec.status();
    EXPECT_TRUE(absl::StrContains(spec.status().message(), bad.names))
        << bad.host_config << ": " << spec.status();
  }
}

TEST(CreateContainerTest, RefusesBodiesThatAreNoConfig) {
  for (const char* body :
       {"null", "[]", "3", "{}", R"({"Image":""})", R"({"Image":7})", R"({"Image":"i","Cmd":[1]})",
        R"({"Image":"i","Env":{"a":"b"}})", R"({"Image":"i","StopTimeout":99999999999})",
        R"({"Image":"i","ExposedPorts":{"x":{}}})", R"({"Image":"i","HostConfig":[]})"}) {
    EXPECT_EQ(Parse(body).status().code(), absl::StatusCode::kInvalidArgument) << body;
  }
}

TEST(CreateContainerTest, RefusesEndpointOptions) {
  const auto spec = Parse(
      R"({"Image":"i","NetworkingConfig":{"EndpointsConfig":{"bridge":
          {"IPAMConfig":{"LinkLocalIPs":["169.254.1.9"]}}}}})");
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_TRUE(absl::StrContains(spec.status().message(), "bridge.IPAMConfig"));
}

TEST(CreateContainerTest, TakesSeveralNetworks) {
  const auto spec = Parse(
      R"({"Image":"i","HostConfig":{"NetworkMode":"front","PortBindings":{"80/tcp":[{"HostPort":"8000-8010"}]}},
          "NetworkingConfig":{"EndpointsConfig":{"front":{"Aliases":["web"],"GwPriority":3},
          "back":{"IPAMConfig":{"IPv4Address":"10.0.0.9"}}}}})");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->network().mode(), "front");
  ASSERT_EQ(spec->network().attachments_size(), 2);
  EXPECT_EQ(spec->network().attachments(0).aliases(0), "web");
  EXPECT_EQ(spec->network().attachments(1).network(), "back");
  EXPECT_EQ(spec->network().attachments(1).address(), "10.0.0.9");
  EXPECT_EQ(spec->network().ports(0).host_port_last(), 8010u);
}

// An address in a network that has none is for the container service to refuse.
TEST(CreateContainerTest, KeepsAnAddressInTheHostsNetwork) {
  const auto parse = [](const std::string& endpoint) {
    return Parse(absl::StrCat(R"({"Image":"i","HostConfig":{"NetworkMode":"host"},
        "NetworkingConfig":{"EndpointsConfig":{"host":)",
                              endpoint, "}}}"));
  };
  const auto spec = parse(R"({"IPAMConfig":{"IPv4Address":"1.2.3.4"}})");
  ASSERT_TRUE(spec.ok()) << spec.status();
  ASSERT_EQ(spec->network().attachments_size(), 1);
  EXPECT_EQ(spec->network().attachments(0).network(), "host");
  EXPECT_EQ(spec->network().attachments(0).address(), "1.2.3.4");
  EXPECT_EQ(parse("{}")->network().attachments_size(), 0);
}

// What the CLI sends for `docker run image true`: nothing of it asks for anything.
TEST(CreateContainerTest, TakesTheDefaultsOfTheCli) {
  const auto spec = Parse(R"({"Hostname":"","Domainname":"","User":"","AttachStdin":false,
    "AttachStdout":true,"AttachStderr":true,"Tty":false,"OpenStdin":false,"StdinOnce":false,
    "Env":null,"Cmd":["true"],"Image":"i","Volumes":{},"WorkingDir":"","Entrypoint":null,
    "OnBuild":null,"Labels":{},"HostConfig":{"Binds":null,"ContainerIDFile":"",
    "LogConfig":{"Type":"","Config":{}},"NetworkMode":"default","PortBindings":{},
    "RestartPolicy":{"Name":"no","MaximumRetryCount":0},"AutoRemove":false,"VolumeDriver":"",
    "VolumesFrom":null,"ConsoleSize":[24,80],"CapAdd":null,"CapDrop":null,"CgroupnsMode":"",
    "Dns":[],"DnsOptions":[],"DnsSearch":[],"ExtraHosts":null,"GroupAdd":null,"IpcMode":"",
    "Cgroup":"","Links":null,"OomScoreAdj":0,"PidMode":"","Privileged":false,
    "PublishAllPorts":false,"ReadonlyRootfs":false,"SecurityOpt":null,"UTSMode":"","UsernsMode":"",
    "ShmSize":0,"Isolation":"","CpuShares":0,"Memory":0,"NanoCpus":0,"CgroupParent":"",
    "BlkioWeight":0,"BlkioWeightDevice":[],"BlkioDeviceReadBps":[],"BlkioDeviceWriteBps":[],
    "BlkioDeviceReadIOps":[],"BlkioDeviceWriteIOps":[],"CpuPeriod":0,"CpuQuota":0,
    "CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"CpusetCpus":"","CpusetMems":"","Devices":[],
    "DeviceCgroupRules":null,"DeviceRequests":null,"MemoryReservation":0,"MemorySwap":0,
    "MemorySwappiness":-1,"OomKillDisable":false,"PidsLimit":0,"Ulimits":[],"CpuCount":0,
    "CpuPercent":0,"IOMaximumIOps":0,"IOMaximumBandwidth":0,"MaskedPaths":null,
    "ReadonlyPaths":null},"NetworkingConfig":{"EndpointsConfig":{"default":{"IPAMConfig":null,
    "Links":null,"Aliases":null,"MacAddress":"","DriverOpts":null,"GwPriority":0,"NetworkID":"",
    "EndpointID":"","Gateway":"","IPAddress":"","IPPrefixLen":0,"IPv6Gateway":"",
    "GlobalIPv6Address":"","GlobalIPv6PrefixLen":0,"DNSNames":null}}}})");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->command(0), "true");
  EXPECT_FALSE(spec->has_entrypoint());
  EXPECT_EQ(spec->network().mode(), "default");
  EXPECT_FALSE(spec->security().has_masked_paths());
  EXPECT_LT(spec->client_data().size(), 300u);
}

TEST(CreateContainerTest, TmpfsOptions) {
  struct Case {
    const char* options;
    int64_t size_bytes;
    const char* rest;
    bool read_only = false;
  };
  const Case cases[] = {
      {"size=10%", 0, "size=10%"},
      {"size=1m,size=50%", 0, "size=50%"},
      {"size=0", 0, "size=0"},
      {"size=2t", int64_t{2} << 40, ""},
      {"size=1P", int64_t{1} << 50, ""},
      {"size=1e", int64_t{1} << 60, ""},
      {"ro,rw", 0, ""},
      {"rw,ro", 0, "", true},
      {"defaults,strictatime,rslave", 0, "defaults,strictatime,rslave"},
  };
  for (const Case& test : cases) {
    const auto spec = ParseHost(absl::StrCat(R"({"Tmpfs":{"/t":")", test.options, R"("}})"));
    ASSERT_TRUE(spec.ok()) << test.options << ": " << spec.status();
    EXPECT_EQ(spec->mounts(0).tmpfs_size_bytes(), test.size_bytes) << test.options;
    EXPECT_EQ(spec->mounts(0).tmpfs_options(), test.rest) << test.options;
    EXPECT_EQ(spec->mounts(0).read_only(), test.read_only) << test.options;
  }
}

TEST(CreateContainerTest, MapsEverything) {
  const auto spec = Parse(R"({"Image":"i","Entrypoint":[""],"Cmd":"one","Env":["A=b","C"],
    "User":"u:g","Hostname":"h","Tty":true,"OpenStdin":true,"StdinOnce":true,
    "Labels":{"k":"v"},"StopSignal":"SIGINT","StopTimeout":3,"ExposedPorts":{"80/tcp":{}},
    "Volumes":{"/data":{}},"WorkingDir":"/w","Healthcheck":{"Test":["NONE"],"Retries":2},
    "HostConfig":{"Binds":["/a:/b:ro","vol:/c:z","/anonymous"],"Tmpfs":{"/t":"size=64m,mode=1770,noexec"},
    "Mounts":[{"Type":"bind","Source":"/s","Target":"/d","BindOptions":{"Propagation":"rslave"}},
              {"Type":"tmpfs","Target":"/u","TmpfsOptions":{"SizeBytes":5,"Mode":448}}],
    "PortBindings":{"90/udp":[{"HostIp":"127.0.0.1","HostPort":"9090"}],"91/tcp":[]},
    "RestartPolicy":{"Name":"on-failure","MaximumRetryCount":4},"CapAdd":["NET_ADMIN"],
    "CapDrop":"ALL","SecurityOpt":["no-new-privileges","seccomp=unconfined"],"MaskedPaths":[],
    "Memory":1000000000,"NanoCpus":1500000000,"PidsLimit":-1,"OomScoreAdj":-5,"Init":true,
    "Ulimits":[{"Name":"nofile","Soft":10,"Hard":20}],"ExtraHosts":["a:1.2.3.4"],
    "Sysctls":{"net.core.somaxconn":"9"},"LogConfig":{"Type":"json-file","Config":{"max-size":"1m"}},
    "IpcMode":"host","ShmSize":1024,"ReadonlyRootfs":true,"GroupAdd":["7"],"ConsoleSize":[24,80]},
    "MacAddress":"02:00:00:00:00:01"})");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_TRUE(spec->has_entrypoint());
  EXPECT_EQ(spec->entrypoint().values_size(), 0);
  EXPECT_EQ(spec->command(0), "one");
  EXPECT_EQ(spec->user(), "u:g");
  EXPECT_EQ(spec->stop_timeout_seconds(), 3);
  ASSERT_EQ(spec->mounts_size(), 6);
  EXPECT_TRUE(spec->mounts(0).read_only() && spec->mounts(0).create_source());
  EXPECT_EQ(spec->mounts(1).type(), pb::Mount::TYPE_VOLUME);
  EXPECT_EQ(spec->mounts(1).source(), "vol");
  EXPECT_EQ(spec->mounts(2).source(), "");
  EXPECT_EQ(spec->mounts(3).tmpfs_size_bytes(), 64 << 20);
  EXPECT_EQ(spec->mounts(3).tmpfs_mode(), 01770u);
  EXPECT_EQ(spec->mounts(3).tmpfs_options(), "noexec");
  EXPECT_FALSE(spec->mounts(4).create_source());
  EXPECT_EQ(spec->mounts(4).propagation(), "rslave");
  EXPECT_EQ(spec->mounts(5).tmpfs_mode(), 0700u);
  ASSERT_EQ(spec->network().ports_size(), 2);
  EXPECT_EQ(spec->network().ports(0).host_port(), 9090u);
  EXPECT_EQ(spec->network().ports(1).host_port(), 0u);
  EXPECT_EQ(spec->exposed_ports_size(), 3);
  EXPECT_EQ(spec->restart_policy().maximum_retries(), 4);
  EXPECT_EQ(spec->security().cap_drop(0), "ALL");
  EXPECT_TRUE(spec->security().no_new_privileges());
  EXPECT_EQ(spec->security().seccomp_profile(), "unconfined");
  EXPECT_TRUE(spec->security().has_masked_paths());
  EXPECT_EQ(spec->resources().pids_limit(), 0);
  EXPECT_EQ(spec->resources().nano_cpus(), 1'500'000'000);
  EXPECT_EQ(spec->terminal_size().rows(), 24u);
  EXPECT_EQ(spec->network().mac_address(), "02:00:00:00:00:01");
  EXPECT_EQ(spec->healthcheck().retries(), 2);
}

// Go matches names of members without regard to case, and so do clients' habits.
TEST(CreateContainerTest, NamesMatchWithoutCase) {
  const auto spec = Parse(R"({"image":"i","cmd":["x"],"hostConfig":{"memory":7}})");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->image(), "i");
  EXPECT_EQ(spec->resources().memory_bytes(), 7);
}

TEST(CreateContainerTest, InspectGivesTheHostConfigBack) {
  const auto spec = ParseHost(
      R"({"Binds":["/a:/b:ro"],"CapAdd":["NET_ADMIN"],"SecurityOpt":["label=disable"],
          "NetworkMode":"none","Memory":123456789})");
  ASSERT_TRUE(spec.ok()) << spec.status();
  pb::Container container;
  container.set_id(std::string(64, 'a'));
  container.set_name("n");
  *container.mutable_spec() = *spec;
  const json::object out = ContainerToJson(container, kMaxApiVersion);
  const json::object& host_config = out.at("HostConfig").as_object();
  EXPECT_EQ(host_config.at("Binds"), json::value({"/a:/b:ro"}));
  EXPECT_EQ(host_config.at("SecurityOpt"), json::value({"label=disable"}));
  EXPECT_EQ(host_config.at("NetworkMode"), "none");
  EXPECT_EQ(host_config.at("Memory"), 123456789);
  EXPECT_EQ(host_config.at("MemorySwap"), 246913578);
  EXPECT_EQ(host_config.at("ShmSize"), 67108864);
  EXPECT_EQ(out.at("Name"), "/n");
  EXPECT_EQ(out.at("State").as_object().at("StartedAt"), "0001-01-01T00:00:00Z");
  EXPECT_TRUE(out.at("NetworkSettings").as_object().at("Networks").as_object().contains("none"));
}

TEST(CreateContainerTest, InspectGivesBackWhatOnlyDockersApiHas) {
  const auto inspect = [](const char* body) {
    pb::Container container;
    container.set_id(std::string(64, 'a'));
    const auto spec = Parse(body);
    EXPECT_TRUE(spec.ok()) << spec.status();
    if (spec.ok()) *container.mutable_spec() = *spec;
    return ContainerToJson(container, kMaxApiVersion);
  };
  const json::object given = inspect(R"({"Image":"i","NetworkDisabled":true,"ArgsEscaped":true,
    "Shell":["/bin/ash","-c"],"OnBuild":["RUN true"],"HostConfig":{"Init":false}})");
  EXPECT_EQ(given.at("HostConfig").at("Init"), json::value(false));
  const json::object& config = given.at("Config").as_object();
  EXPECT_EQ(config.at("NetworkDisabled"), json::value(true));
  EXPECT_EQ(config.at("ArgsEscaped"), json::value(true));
  EXPECT_EQ(config.at("Shell").as_array(), (json::array{"/bin/ash", "-c"}));
  EXPECT_EQ(config.at("OnBuild").as_array(), (json::array{"RUN true"}));
  const json::object plain = inspect(R"({"Image":"i","NetworkDisabled":false,"Shell":null})");
  EXPECT_FALSE(plain.at("HostConfig").as_object().contains("Init"));
  EXPECT_TRUE(plain.at("Config").at("OnBuild").is_null());
  for (const char* name : {"NetworkDisabled", "ArgsEscaped", "Shell"}) {
    EXPECT_FALSE(plain.at("Config").as_object().contains(name)) << name;
  }
}

TEST(CreateContainerTest, ClientDataAreBounded) {
  const std::string profile(70 << 10, 'x');
  const auto spec = ParseHost(absl::StrCat(R"({"SecurityOpt":["seccomp=)", profile, R"("]})"));
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace slipway::gateway
