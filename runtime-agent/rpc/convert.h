#ifndef RUNTIME_AGENT_RPC_CONVERT_H_
#define RUNTIME_AGENT_RPC_CONVERT_H_

#include "runtime-agent/domain/actual.h"
#include "runtime-agent/domain/spec.h"
#include "slipway/agent/v1/agent.pb.h"

// Wire messages to values of the domain and back. Thread-safe; nothing is checked here.
namespace slipway::agent {

PrepareCommand FromWire(const v1::PrepareContainerRequest& request);
ExecCommand FromWire(const v1::StartExecRequest& request);
ExecCommand FromWire(const v1::RunProbeRequest& request);
ResourceSpec FromWire(const container::v1::Resources& resources);
NetworkDefinition FromWire(const container::v1::VirtualNetwork& network);
AttachmentSpec FromWire(const v1::NetworkAttachment& attachment);
v1::ContainerActual ToWire(const ContainerReport& report);
v1::WatchAgentEventsResponse ToWire(const HostEvent& event);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_RPC_CONVERT_H_
