#ifndef GATEWAY_ENDPOINTS_HANDLERS_H_
#define GATEWAY_ENDPOINTS_HANDLERS_H_

#include "gateway/endpoints/api_request.h"

// The endpoints of the Docker Engine API, named after its operations. Each in the file of its verb
// or noun.
namespace slipway::gateway {

// ping.cc, version.cc, info.cc
Awaitable<absl::Status> Ping(ApiRequest& request);
Awaitable<absl::Status> Version(ApiRequest& request);
// None: what plugins do in Docker is built in, or not there.
Awaitable<absl::Status> PluginList(ApiRequest& request);
Awaitable<absl::Status> Info(ApiRequest& request);

// images.cc
Awaitable<absl::Status> ImageList(ApiRequest& request);
Awaitable<absl::Status> ImageInspect(ApiRequest& request);
Awaitable<absl::Status> ImageHistory(ApiRequest& request);
Awaitable<absl::Status> ImageTag(ApiRequest& request);
Awaitable<absl::Status> ImageDelete(ApiRequest& request);
// create_image.cc (pull), import_image.cc, load_image.cc
Awaitable<absl::Status> ImageCreate(ApiRequest& request);
Awaitable<absl::Status> ImageImport(ApiRequest& request);
Awaitable<absl::Status> ImageLoad(ApiRequest& request);
// push_image.cc, save_image.cc, commit.cc
Awaitable<absl::Status> ImagePush(ApiRequest& request);
Awaitable<absl::Status> ImageSave(ApiRequest& request);
Awaitable<absl::Status> ImagesSave(ApiRequest& request);
Awaitable<absl::Status> ImageCommit(ApiRequest& request);
// build.cc
Awaitable<absl::Status> ImageBuild(ApiRequest& request);
Awaitable<absl::Status> BuildPrune(ApiRequest& request);
Awaitable<absl::Status> BuildCancel(ApiRequest& request);
// prune_images.cc, disk_usage.cc, registry.cc
Awaitable<absl::Status> ImagePrune(ApiRequest& request);
Awaitable<absl::Status> SystemDataUsage(ApiRequest& request);
Awaitable<absl::Status> SystemAuth(ApiRequest& request);
Awaitable<absl::Status> ImageSearch(ApiRequest& request);
Awaitable<absl::Status> DistributionInspect(ApiRequest& request);

// create_container.cc, list_containers.cc
Awaitable<absl::Status> ContainerCreate(ApiRequest& request);
Awaitable<absl::Status> ContainerList(ApiRequest& request);
// container_lifecycle.cc
Awaitable<absl::Status> ContainerInspect(ApiRequest& request);
Awaitable<absl::Status> ContainerStart(ApiRequest& request);
Awaitable<absl::Status> ContainerStop(ApiRequest& request);
Awaitable<absl::Status> ContainerRestart(ApiRequest& request);
Awaitable<absl::Status> ContainerKill(ApiRequest& request);
Awaitable<absl::Status> ContainerRename(ApiRequest& request);
Awaitable<absl::Status> ContainerDelete(ApiRequest& request);
Awaitable<absl::Status> ContainerResize(ApiRequest& request);
// container_upkeep.cc
Awaitable<absl::Status> ContainerPause(ApiRequest& request);
Awaitable<absl::Status> ContainerUnpause(ApiRequest& request);
Awaitable<absl::Status> ContainerUpdate(ApiRequest& request);
Awaitable<absl::Status> ContainerPrune(ApiRequest& request);
// container_stats.cc
Awaitable<absl::Status> ContainerStats(ApiRequest& request);
Awaitable<absl::Status> ContainerTop(ApiRequest& request);
// container_files.cc
Awaitable<absl::Status> ContainerChanges(ApiRequest& request);
Awaitable<absl::Status> ContainerExport(ApiRequest& request);
Awaitable<absl::Status> ArchiveStat(ApiRequest& request);
Awaitable<absl::Status> ArchiveRead(ApiRequest& request);
Awaitable<absl::Status> ArchiveWrite(ApiRequest& request);
// wait_container.cc, attach_container.cc, container_logs.cc
Awaitable<absl::Status> ContainerWait(ApiRequest& request);
Awaitable<absl::Status> ContainerAttach(ApiRequest& request);
Awaitable<absl::Status> ContainerLogs(ApiRequest& request);

// exec.cc
Awaitable<absl::Status> ContainerExec(ApiRequest& request);
Awaitable<absl::Status> ExecStart(ApiRequest& request);
Awaitable<absl::Status> ExecResize(ApiRequest& request);
Awaitable<absl::Status> ExecInspect(ApiRequest& request);

// events.cc, networks.cc
Awaitable<absl::Status> SystemEvents(ApiRequest& request);
Awaitable<absl::Status> NetworkList(ApiRequest& request);
Awaitable<absl::Status> NetworkInspect(ApiRequest& request);
Awaitable<absl::Status> NetworkCreate(ApiRequest& request);
Awaitable<absl::Status> NetworkDelete(ApiRequest& request);
Awaitable<absl::Status> NetworkPrune(ApiRequest& request);
Awaitable<absl::Status> NetworkConnect(ApiRequest& request);
Awaitable<absl::Status> NetworkDisconnect(ApiRequest& request);
// volumes.cc
Awaitable<absl::Status> VolumeList(ApiRequest& request);
Awaitable<absl::Status> VolumeCreate(ApiRequest& request);
Awaitable<absl::Status> VolumeInspect(ApiRequest& request);
Awaitable<absl::Status> VolumeDelete(ApiRequest& request);
Awaitable<absl::Status> VolumePrune(ApiRequest& request);

}  // namespace slipway::gateway

#endif  // GATEWAY_ENDPOINTS_HANDLERS_H_
