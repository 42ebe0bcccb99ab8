#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "absl/time/clock.h"
#include "base/service/service.h"
#include "gateway/docker/times.h"
#include "gateway/endpoints/handlers.h"
#include "gateway/endpoints/host_facts.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

void AddCounts(const pb::ListContainersResponse& containers, json::object& out) {
  int running = 0;
  int paused = 0;
  for (const pb::Container& container : containers.containers()) {
    if (container.state().status() == pb::CONTAINER_STATUS_RUNNING) ++running;
    if (container.state().status() == pb::CONTAINER_STATUS_PAUSED) ++paused;
  }
  out["Containers"] = containers.containers_size();
  out["ContainersRunning"] = running;
  out["ContainersPaused"] = paused;
  out["ContainersStopped"] = containers.containers_size() - running - paused;
}

json::object Swarm() {
  return {{"NodeID", ""},
          {"NodeAddr", ""},
          {"LocalNodeState", "inactive"},
          {"ControlAvailable", false},
          {"Error", ""},
          {"RemoteManagers", nullptr}};
}

json::object Plugins() {
  return {{"Volume", json::array{"local"}},
          {"Network", json::array{"bridge", "host", "null"}},
          {"Authorization", nullptr},
          {"Log", json::array{"fluentd", "journald", "json-file", "local", "loki", "none", "otlp",
                              "syslog"}}};
}

json::object Commit() { return {{"ID", ""}, {"Expected", ""}}; }

void AddHost(json::object& out) {
  const HostFacts& host = LocalHost();
  out["KernelVersion"] = host.kernel_version;
  out["OperatingSystem"] = host.operating_system;
  out["OSVersion"] = host.os_version;
  out["OSType"] = "linux";
  out["Architecture"] = host.architecture;
  out["NCPU"] = host.cpus;
  out["MemTotal"] = host.memory_bytes;
  out["Name"] = host.hostname;
  out["CgroupDriver"] = "cgroupfs";
  out["CgroupVersion"] = host.cgroup_version;
}

void AddAbilities(json::object& out) {
  for (const char* name : {"MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares",
                           "CPUSet", "PidsLimit", "IPv4Forwarding", "OomKillDisable"}) {
    out[name] = true;
  }
  out["BridgeNfIptables"] = false;
  out["BridgeNfIp6tables"] = false;
  out["Debug"] = false;
  out["NFd"] = 0;
  out["NGoroutines"] = 0;
  out["SystemTime"] = Rfc3339Nano(absl::ToUnixNanos(absl::Now()));
  out["LoggingDriver"] = "json-file";
  out["NEventsListener"] = 0;
}

void AddConstants(json::object& out) {
  out["IndexServerAddress"] = "https://index.docker.io/v1/";
  out["RegistryConfig"] = json::object{{"AllowNondistributableArtifactsCIDRs", nullptr},
                                       {"AllowNondistributableArtifactsHostnames", nullptr},
                                       {"InsecureRegistryCIDRs", json::array{"127.0.0.0/8"}},
                                       {"IndexConfigs", json::object()},
                                       {"Mirrors", nullptr}};
  out["GenericResources"] = nullptr;
  out["DockerRootDir"] = "/var/lib/slipway";
  out["HttpProxy"] = "";
  out["HttpsProxy"] = "";
  out["NoProxy"] = "";
  out["Labels"] = json::array();
  out["ExperimentalBuild"] = false;
  const absl::string_view version = slipway::Version();
  out["ServerVersion"] = json::string(version.data(), version.size());
  out["Runtimes"] = json::object{{"slipway", json::object{{"path", "slipway-supervisor"}}}};
  out["DefaultRuntime"] = "slipway";
  out["Swarm"] = Swarm();
  out["LiveRestoreEnabled"] = true;
  out["Isolation"] = "";
  out["InitBinary"] = "";
  out["ContainerdCommit"] = Commit();
  out["RuncCommit"] = Commit();
  out["InitCommit"] = Commit();
  out["SecurityOptions"] = json::array{"name=seccomp,profile=default"};
  out["Warnings"] = nullptr;
}

}  // namespace

Awaitable<absl::Status> Info(ApiRequest& request) {
  pb::ListContainersRequest all;
  all.set_all(true);
  CO_ASSIGN_OR_RETURN(
      const auto containers,
      co_await request.backends.Call(request.backends.container(), &ContainerCalls::ListContainers,
                                     all, request.options()));
  slipway::image::v1::ListImagesRequest list;
  CO_ASSIGN_OR_RETURN(const auto images, co_await request.backends.Call(request.backends.image(),
                                                                        &ImageCalls::ListImages,
                                                                        list, request.options()));
  json::object out;
  out["ID"] = LocalHost().hostname;
  AddCounts(containers, out);
  out["Images"] = images.images_size();
  out["Driver"] = "overlayfs";
  out["DriverStatus"] = json::array{json::array{"Layers", "EROFS"}};
  out["Plugins"] = Plugins();
  AddAbilities(out);
  AddHost(out);
  AddConstants(out);
  co_return co_await request.http.SendJson(200, out);
}

}  // namespace slipway::gateway
