#include "gateway/endpoints/route_table.h"

#include "gateway/endpoints/build_session.h"

namespace slipway::gateway {
namespace {

constexpr Route Yes(absl::string_view method, absl::string_view pattern, Handler handler) {
  return Route{.method = method, .pattern = PathPattern(pattern), .handler = handler};
}

constexpr Route NotYet(absl::string_view method, absl::string_view pattern,
                       absl::string_view verb) {
  return Route{.method = method, .pattern = PathPattern(pattern), .verb = verb};
}

// The first that fits counts: fixed paths stand before those with a variable.
constexpr Route kRoutes[] = {
    Yes("GET", "/_ping", Ping),
    Yes("HEAD", "/_ping", Ping),
    Yes("GET", "/version", Version),
    Yes("GET", "/info", Info),
    Yes("GET", "/events", SystemEvents),
    Yes("POST", "/auth", SystemAuth),
    Yes("GET", "/system/df", SystemDataUsage),

    Yes("GET", "/containers/json", ContainerList),
    Yes("POST", "/containers/create", ContainerCreate),
    Yes("POST", "/containers/prune", ContainerPrune),
    Yes("GET", "/containers/{name}/json", ContainerInspect),
    Yes("POST", "/containers/{name}/start", ContainerStart),
    Yes("POST", "/containers/{name}/stop", ContainerStop),
    Yes("POST", "/containers/{name}/restart", ContainerRestart),
    Yes("POST", "/containers/{name}/kill", ContainerKill),
    Yes("POST", "/containers/{name}/rename", ContainerRename),
    Yes("POST", "/containers/{name}/wait", ContainerWait),
    Yes("POST", "/containers/{name}/resize", ContainerResize),
    Yes("POST", "/containers/{name}/attach", ContainerAttach),
    Yes("GET", "/containers/{name}/logs", ContainerLogs),
    Yes("POST", "/containers/{name}/exec", ContainerExec),
    NotYet("GET", "/containers/{name}/attach/ws", "container attach by WebSocket"),
    Yes("GET", "/containers/{name}/top", ContainerTop),
    Yes("GET", "/containers/{name}/stats", ContainerStats),
    Yes("GET", "/containers/{name}/changes", ContainerChanges),
    Yes("GET", "/containers/{name}/export", ContainerExport),
    Yes("POST", "/containers/{name}/pause", ContainerPause),
    Yes("POST", "/containers/{name}/unpause", ContainerUnpause),
    Yes("POST", "/containers/{name}/update", ContainerUpdate),
    Yes("HEAD", "/containers/{name}/archive", ArchiveStat),
    Yes("GET", "/containers/{name}/archive", ArchiveRead),
    Yes("PUT", "/containers/{name}/archive", ArchiveWrite),
    Yes("DELETE", "/containers/{name}", ContainerDelete),

    Yes("POST", "/exec/{id}/start", ExecStart),
    Yes("POST", "/exec/{id}/resize", ExecResize),
    Yes("GET", "/exec/{id}/json", ExecInspect),

    Yes("GET", "/images/json", ImageList),
    Yes("POST", "/images/create", ImageCreate),
    Yes("POST", "/images/load", ImageLoad),
    Yes("POST", "/images/prune", ImagePrune),
    Yes("GET", "/images/search", ImageSearch),
    Yes("GET", "/images/get", ImagesSave),
    Yes("GET", "/images/{name...}/json", ImageInspect),
    Yes("GET", "/images/{name...}/history", ImageHistory),
    Yes("POST", "/images/{name...}/tag", ImageTag),
    Yes("GET", "/images/{name...}/get", ImageSave),
    Yes("POST", "/images/{name...}/push", ImagePush),
    Yes("DELETE", "/images/{name...}", ImageDelete),
    Yes("GET", "/distribution/{name...}/json", DistributionInspect),
    Yes("POST", "/commit", ImageCommit),
    Yes("POST", "/build", BuildByProtocol),
    Yes("POST", "/build/prune", BuildPrune),
    Yes("POST", "/build/cancel", BuildCancel),
    Yes("POST", "/session", BuildSessionOpen),
    Yes("POST", "/grpc", BuildGrpc),

    Yes("GET", "/networks", NetworkList),
    Yes("GET", "/networks/", NetworkList),
    Yes("GET", "/networks/{name}", NetworkInspect),
    Yes("POST", "/networks/create", NetworkCreate),
    Yes("POST", "/networks/prune", NetworkPrune),
    Yes("POST", "/networks/{name}/connect", NetworkConnect),
    Yes("POST", "/networks/{name}/disconnect", NetworkDisconnect),
    Yes("DELETE", "/networks/{name}", NetworkDelete),

    Yes("GET", "/volumes", VolumeList),
    Yes("POST", "/volumes/create", VolumeCreate),
    Yes("POST", "/volumes/prune", VolumePrune),
    Yes("GET", "/volumes/{name}", VolumeInspect),
    NotYet("PUT", "/volumes/{name}", "update of a cluster's volume"),
    Yes("DELETE", "/volumes/{name}", VolumeDelete),

    Yes("GET", "/plugins", PluginList),
    NotYet("GET", "/swarm", "swarm mode"),
    NotYet("POST", "/swarm/{verb}", "swarm mode"),
    NotYet("GET", "/nodes", "swarm mode"),
    NotYet("GET", "/services", "swarm mode"),
    NotYet("GET", "/tasks", "swarm mode"),
    NotYet("GET", "/secrets", "swarm mode"),
    NotYet("GET", "/configs", "swarm mode"),
};

}  // namespace

RouteMatch FindRoute(absl::string_view method, absl::string_view path) {
  for (const Route& route : kRoutes) {
    if (route.method != method) continue;
    if (const auto variable = route.pattern.Match(path)) {
      return {.route = &route, .variable = *variable};
    }
  }
  return {};
}

}  // namespace slipway::gateway
