#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/network_files.h"
#include "runtime-agent/domain/rate.h"
#include "runtime-agent/domain/runtime.h"

// Networks of this host, and containers' places in them.
namespace slipway::agent {
namespace {

using Kind = NamespaceMode::Kind;

constexpr size_t kMaxHostsBytes = 1 << 20;

// In Docker's words.
absl::Status DescribeConnectError(const absl::Status& status, const NetworkDefinition& network,
                                  const std::string& container_name) {
  const absl::string_view text = status.message();
  if (absl::IsResourceExhausted(status) && absl::StrContains(text, "address is left")) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no available IPv4 addresses on this network's address pools: ", network.name,
                     " (", network.id, ")"));
  }
  if (absl::IsAlreadyExists(status) && absl::EndsWith(text, "is already in use")) {
    return absl::PermissionDeniedError("Address already in use");
  }
  const bool of_ports = absl::StartsWith(text, "Bind for ") || absl::StartsWith(text, "listen ") ||
                        absl::StartsWith(text, "cannot publish ");
  if (!of_ports) return status;
  // A port that is taken is an error of the server's with Docker too, not a conflict.
  const auto code = absl::IsAlreadyExists(status) ? absl::StatusCode::kInternal : status.code();
  return absl::Status(code,
                      absl::StrCat("driver failed programming external connectivity on endpoint ",
                                   container_name, ": ", text));
}

std::string FreeInterface(const std::vector<Endpoint>& endpoints) {
  for (int number = 0;; ++number) {
    std::string name = absl::StrCat("eth", number);
    const bool taken =
        std::any_of(endpoints.begin(), endpoints.end(),
                    [&](const Endpoint& endpoint) { return endpoint.interface == name; });
    if (!taken) return name;
  }
}

// The limits of the endpoint, or those of its network.
absl::Status ReadRates(const NetworkDefinition& network, const AttachmentSpec& attachment,
                       EndpointRequest& request) {
  const auto read = [&](const char* name, uint64_t& rate) -> absl::Status {
    for (const auto* options : {&attachment.driver_options, &network.options}) {
      const auto found = options->find(name);
      if (found == options->end()) continue;
      ASSIGN_OR_RETURN(rate, ParseRate(found->second));
      return absl::OkStatus();
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(read("slipway.ingress_rate", request.ingress_bytes_per_second));
  return read("slipway.egress_rate", request.egress_bytes_per_second);
}

absl::StatusOr<EndpointRequest> RequestOf(const std::string& container_id,
                                          const NetworkDefinition& network,
                                          const AttachmentSpec& attachment) {
  EndpointRequest request{.id = container_id,
                          .address = attachment.address,
                          .mac_address = attachment.mac_address,
                          .network_id = attachment.network_id,
                          .address6 = attachment.address6,
                          .default_route = false,
                          .gateway_priority = attachment.gateway_priority,
                          .names = attachment.names,
                          .links = attachment.links};
  RETURN_IF_ERROR(ReadRates(network, attachment, request));
  return request;
}

// Which of them ports are published by and packets leave by; none: the size of the list.
size_t GatewayAmong(const std::vector<AttachmentSpec>& attachments,
                    const std::vector<NetworkDefinition>& networks) {
  std::vector<Endpoint> endpoints;
  for (size_t i = 0; i < attachments.size(); ++i) {
    endpoints.push_back({.gateway = networks[i].internal ? "" : "some",
                         .network_name = networks[i].name,
                         .gateway_priority = attachments[i].gateway_priority});
  }
  const Endpoint* gateway = GatewayOf(endpoints);
  return gateway == nullptr ? attachments.size() : static_cast<size_t>(gateway - &endpoints[0]);
}

absl::Status EditText(const std::string& path,
                      const std::function<std::string(const std::string&)>& edit) {
  ASSIGN_OR_RETURN(const std::string before, ReadFile(path, kMaxHostsBytes));
  const std::string after = edit(before);
  if (after == before) return absl::OkStatus();
  // In place: the container has this very file.
  ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path, O_WRONLY | O_TRUNC | O_NOFOLLOW));
  return WriteAll(file.get(), after, path);
}

}  // namespace

absl::Status Runtime::PutNetwork(const NetworkDefinition& network, bool refuse_overlap) {
  const absl::StatusOr<NetworkDefinition> present = parts_.network->FindNetwork(network.id);
  if (present.ok() && *present != network) {
    return absl::AlreadyExistsError(
        absl::StrCat("network ", network.id, " is there, with other settings"));
  }
  // Saved first: what is made and not saved would be taken for a leftover, and what is saved and
  // not made is made at the next start, or removed by the container service.
  RETURN_IF_ERROR(parts_.store->Save({.network = &network}));
  const absl::Status put = parts_.network->PutNetwork(network, refuse_overlap);
  if (put.ok()) return put;
  if (!present.ok()) parts_.store->Save({.remove_network_id = network.id}).IgnoreError();
  // An interface of the bridge's name that is none: an error of the server's with Docker.
  return absl::IsFailedPrecondition(put) ? absl::InternalError(put.message()) : put;
}

absl::Status Runtime::RemoveNetwork(const std::string& network_id) {
  RETURN_IF_ERROR(parts_.network->RemoveNetwork(network_id));
  return parts_.store->Save({.remove_network_id = network_id});
}

absl::StatusOr<ConnectedSandbox> Runtime::ConnectSandbox(
    const Definition& definition, const std::vector<AttachmentSpec>& attachments) {
  std::vector<NetworkDefinition> networks;
  for (const AttachmentSpec& attachment : attachments) {
    ASSIGN_OR_RETURN(NetworkDefinition network, parts_.network->FindNetwork(attachment.network_id));
    networks.push_back(std::move(network));
  }
  const size_t gateway = GatewayAmong(attachments, networks);
  ConnectedSandbox sandbox;
  std::vector<Endpoint> connected;
  for (size_t i = 0; i < attachments.size(); ++i) {
    ASSIGN_OR_RETURN(EndpointRequest request,
                     RequestOf(definition.id, networks[i], attachments[i]));
    if (i == gateway) request.ports = definition.ports;
    request.interface = absl::StrCat("eth", i);
    request.default_route = i == gateway;
    absl::Status failed;
    if (i == 0) {
      auto first = parts_.network->CreateConnectedNamespace(request);
      failed = first.status();
      if (first.ok()) {
        sandbox.network_namespace = std::move(first->network_namespace);
        sandbox.leases.push_back(std::move(first->lease));
      }
    } else {
      auto more = parts_.network->Connect(request, sandbox.network_namespace.fd());
      failed = more.status();
      if (more.ok()) sandbox.leases.push_back(*std::move(more));
    }
    if (!failed.ok()) return DescribeConnectError(failed, networks[i], definition.name);
  }
  if (attachments.empty()) {
    ASSIGN_OR_RETURN(sandbox.network_namespace, parts_.network->CreateIsolatedNamespace());
  }
  return sandbox;
}

absl::StatusOr<UniqueFd> Runtime::NetworkNamespaceOf(const Container& container) const {
  const Actual actual = container.actual();
  const auto handles = container.handles();
  if (actual.state != ContainerState::kRunning || actual.pid == 0 || handles == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("Container ", container.id(), " is not running"));
  }
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(absl::StrCat("/proc/", actual.pid, "/ns/net"), O_RDONLY));
  // The number is still that of the container's process.
  if (syscall(SYS_pidfd_send_signal, handles->pidfd.get(), 0, nullptr, 0) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("Container ", container.id(), " is not running"));
  }
  return fd;
}

// Published ports and default routes follow the gateway. Changes `endpoints`.
absl::Status Runtime::FollowGateway(const Container& container, int netns_fd,
                                    std::vector<Endpoint>& endpoints) {
  const Endpoint* gateway = GatewayOf(endpoints);
  std::vector<PublishedPort> ports = container.definition().ports;
  bool published = false;
  for (Endpoint& endpoint : endpoints) {
    if (&endpoint == gateway) {
      published = !endpoint.ports.empty();
      continue;
    }
    if (endpoint.ports.empty()) continue;
    // Under the numbers that they had.
    for (PublishedPort& port : ports) {
      for (const PublishedPort& bound : endpoint.ports) {
        if (bound.container_port == port.container_port && bound.protocol == port.protocol) {
          port.host_port = bound.host_port;
          port.host_port_last = 0;
        }
      }
    }
    ASSIGN_OR_RETURN(endpoint, parts_.network->Publish(endpoint.network_id, endpoint.id, {}));
  }
  if (gateway != nullptr && !published && !ports.empty()) {
    auto& endpoint = endpoints[static_cast<size_t>(gateway - endpoints.data())];
    ASSIGN_OR_RETURN(endpoint, parts_.network->Publish(endpoint.network_id, endpoint.id, ports));
  }
  return parts_.network->Arrange(netns_fd, endpoints);
}

absl::StatusOr<ContainerReport> Runtime::ConnectNetwork(const std::string& id,
                                                        const AttachmentSpec& attachment) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(id));
  const Container::Turn turn(*container);
  ASSIGN_OR_RETURN(const UniqueFd netns, NetworkNamespaceOf(*container));
  ASSIGN_OR_RETURN(const NetworkDefinition network,
                   parts_.network->FindNetwork(attachment.network_id));
  std::vector<Endpoint> endpoints = container->actual().endpoints;
  const auto same = std::find_if(endpoints.begin(), endpoints.end(),
                                 [&](const Endpoint& one) { return one.network_id == network.id; });
  ASSIGN_OR_RETURN(EndpointRequest request, RequestOf(id, network, attachment));
  request.interface = FreeInterface(endpoints);
  absl::StatusOr<EndpointLease> lease = parts_.network->Connect(request, netns.get());
  if (!lease.ok()) {
    return DescribeConnectError(lease.status(), network, container->definition().name);
  }
  if (same != endpoints.end()) {
    // Connected before: only what it is called has changed.
    *same = lease->Release();
    container->Update([&](Actual& now) { now.endpoints = endpoints; });
    RETURN_IF_ERROR(SaveActual(*container));
    RETURN_IF_ERROR(TellDns(container->definition(), endpoints, netns.get()));
    return container->Report();
  }
  RETURN_IF_ERROR(InjectedFailure("connect:wire"));
  const std::vector<Endpoint> before = endpoints;
  endpoints.push_back(lease->endpoint());
  absl::Status status = FollowGateway(*container, netns.get(), endpoints);
  if (status.ok()) status = InjectedFailure("connect:routes");
  const bool had_names = dns_->HasSandbox(id);
  if (status.ok()) status = TellDns(container->definition(), endpoints, netns.get());
  container->Update([&](Actual& now) { now.endpoints = endpoints; });
  if (status.ok()) status = SaveActual(*container);
  if (!status.ok()) {
    // As it was: the lease ends the new connection.
    std::vector<Endpoint> restored = before;
    *lease = EndpointLease();
    dns_->RemoveEndpoint(network.id, id);
    FollowGateway(*container, netns.get(), restored).IgnoreError();
    container->Update([&](Actual& now) { now.endpoints = restored; });
    return status;
  }
  AddToHosts(*container, lease->Release());
  if (!had_names && dns_->HasSandbox(id)) UseEmbeddedDns(*container);
  RETURN_IF_ERROR(InjectedFailure("connect:saved"));
  return container->Report();
}

absl::StatusOr<ContainerReport> Runtime::DisconnectNetwork(const std::string& id,
                                                           const std::string& network_id) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(id));
  const Container::Turn turn(*container);
  std::vector<Endpoint> endpoints = container->actual().endpoints;
  const auto found = std::find_if(endpoints.begin(), endpoints.end(), [&](const Endpoint& one) {
    return one.network_id == network_id;
  });
  if (found == endpoints.end()) return container->Report();
  ASSIGN_OR_RETURN(const UniqueFd netns, NetworkNamespaceOf(*container));
  const Endpoint gone = *found;
  endpoints.erase(found);
  // Saved first: an interface that belongs to no record is removed by the next start.
  container->Update([&](Actual& now) { now.endpoints = endpoints; });
  RETURN_IF_ERROR(SaveActual(*container));
  RETURN_IF_ERROR(InjectedFailure("disconnect:saved"));
  RETURN_IF_ERROR(parts_.network->DisconnectFrom(network_id, id, netns.get()));
  RETURN_IF_ERROR(InjectedFailure("disconnect:wire"));
  RemoveFromHosts(*container, gone);
  dns_->RemoveEndpoint(network_id, id);
  RETURN_IF_ERROR(TellDns(container->definition(), endpoints, netns.get()));
  RETURN_IF_ERROR(FollowGateway(*container, netns.get(), endpoints));
  RETURN_IF_ERROR(InjectedFailure("disconnect:routes"));
  container->Update([&](Actual& now) { now.endpoints = endpoints; });
  RETURN_IF_ERROR(SaveActual(*container));
  return container->Report();
}

absl::Status Runtime::AdoptNetworks(const std::vector<EntryInfo>& entries,
                                    const std::vector<Endpoint>& live) {
  RETURN_IF_ERROR(parts_.network->Recover(networks_, live));
  AdoptDns(entries);
  std::vector<std::shared_ptr<Container>> containers;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, container] : containers_) containers.push_back(container);
  }
  for (const auto& container : containers) SettleNetworks(*container);
  return absl::OkStatus();
}

// What an earlier agent had begun with a container's networks.
void Runtime::SettleNetworks(Container& container) {
  std::vector<Endpoint> endpoints = container.actual().endpoints;
  const bool only_default = endpoints.size() == 1 && endpoints[0].network_id == kDefaultNetworkId;
  const Kind kind = container.definition().network.kind;
  const bool connected = kind == Kind::kBridge || (kind == Kind::kNone && !endpoints.empty());
  if (!connected || only_default) return;
  const auto netns = NetworkNamespaceOf(container);
  if (!netns.ok()) return;  // it has just ended
  const absl::Status settled = FollowGateway(container, netns->get(), endpoints);
  if (!settled.ok()) {
    Log(LogLevel::kWarning, "the networks of a container were not all settled",
        {{"container", container.id()}, {"error", std::string(settled.message())}});
  }
  if (endpoints == container.actual().endpoints) return;
  container.Update([&](Actual& now) { now.endpoints = endpoints; });
  SaveActual(container).IgnoreError();
}

// Of a container that had no network with names when it started; where it has not written the file
// itself.
void Runtime::UseEmbeddedDns(const Container& container) {
  const Definition& definition = container.definition();
  const auto host_text = ReadFile("/etc/resolv.conf", kMaxHostsBytes);
  ResolvRequest request{.servers = definition.dns_servers,
                        .search = definition.dns_search,
                        .options = definition.dns_options};
  const std::string host = host_text.ok() ? *host_text : "";
  const std::string before = ResolvFile(host, request);
  request.embedded = true;
  EditText(absl::StrCat(Directory(definition.id), "/resolv.conf"), [&](const std::string& text) {
    return text == before ? ResolvFile(host, request) : text;
  }).IgnoreError();
}

// Best effort: the container may have made of the file what it likes.
void Runtime::AddToHosts(const Container& container, const Endpoint& endpoint) {
  const Definition& definition = container.definition();
  EditText(absl::StrCat(Directory(definition.id), "/hosts"), [&](const std::string& text) {
    return absl::StrCat(
        text, OwnHostLines(AddressesOf({endpoint}), definition.hostname, definition.domainname));
  }).IgnoreError();
}

void Runtime::RemoveFromHosts(const Container& container, const Endpoint& endpoint) {
  EditText(absl::StrCat(Directory(container.id()), "/hosts"), [&](const std::string& text) {
    return WithoutHostLines(text, AddressesOf({endpoint}));
  }).IgnoreError();
}

std::vector<Endpoint> Runtime::NamedEndpoints() const {
  std::vector<std::shared_ptr<Container>> containers;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, container] : containers_) containers.push_back(container);
  }
  std::vector<Endpoint> named;
  for (const auto& container : containers) {
    for (const Endpoint& endpoint : container->actual().endpoints) {
      if (!endpoint.names.empty()) named.push_back(endpoint);
    }
  }
  return named;
}

absl::Status Runtime::UpdateHosts(const std::string& id,
                                  const std::vector<std::string>& extra_hosts) {
  for (const std::string& entry : extra_hosts) RETURN_IF_ERROR(CheckLinkedHost(entry));
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(id));
  const Container::Turn turn(*container);
  // The next start writes the file anew.
  if (container->actual().state != ContainerState::kRunning) return absl::OkStatus();
  return EditText(absl::StrCat(Directory(id), "/hosts"),
                  [&](const std::string& text) { return WithHostAddresses(text, extra_hosts); });
}

}  // namespace slipway::agent
