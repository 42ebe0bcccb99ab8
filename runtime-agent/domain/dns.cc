#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/confined_process.h"
#include "runtime-agent/domain/network_files.h"
#include "runtime-agent/domain/runtime.h"

// Names in networks: what slipway-dns is told of containers, and that there is one.
namespace slipway::agent {
namespace {

constexpr absl::Duration kSpawnTimeout = absl::Seconds(60);
constexpr absl::Duration kSupervisorTimeout = absl::Seconds(10);
constexpr absl::Duration kFirstPause = absl::Milliseconds(10);
constexpr absl::Duration kLastPause = absl::Seconds(5);
// One that ran so long has not failed at once.
constexpr absl::Duration kSettled = absl::Seconds(10);
constexpr absl::string_view kIdPrefix = "dns-";

bool IsNamed(const Endpoint& endpoint) { return endpoint.network_id != kDefaultNetworkId; }

std::string BytesOf(const std::string& address) {
  if (absl::StrContains(address, ':')) {
    const auto parsed = ParseIpv6(address);
    return parsed.ok() ? std::string(parsed->begin(), parsed->end()) : "";
  }
  const auto parsed = ParseIpv4(address);
  if (!parsed.ok()) return "";
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(*parsed >> shift));
  return bytes;
}

dns::EndpointRecord RecordOf(const Endpoint& endpoint) {
  return {.network_id = endpoint.network_id,
          .network_name = endpoint.network_name,
          .container_id = endpoint.id,
          .names = endpoint.names,
          .address = BytesOf(endpoint.address),
          .address6 = BytesOf(endpoint.address6)};
}

}  // namespace

bool Runtime::IsDnsEntry(const std::string& id) { return absl::StartsWith(id, kIdPrefix); }

absl::Status Runtime::SpawnDns(UniqueFd control) {
  DnsBindings bindings{.control = std::move(control)};
  ASSIGN_OR_RETURN(bindings.program, MountProgram(settings_.dns));
  ASSIGN_OR_RETURN(bindings.root, EmptyRoot());
  ASSIGN_OR_RETURN(const auto seccomp, parts_.seccomp->Compile(DnsSeccompProfile(), 0));
  bindings.seccomp = *seccomp;
  ASSIGN_OR_RETURN(Plan plan, CompileDnsPlan(std::move(bindings)));
  ASSIGN_OR_RETURN(std::string id, NewEntryId(kIdPrefix));
  {
    absl::MutexLock lock(&mutex_);
    dns_entry_ = id;
    dns_started_ = absl::Now();
  }
  return supervisor_
      ->Spawn({.id = std::move(id), .kind = EntryKind::kExec, .plan = std::move(plan)},
              kSpawnTimeout)
      .status();
}

// The one that ran has ended.
void Runtime::DnsExited(const std::string& id) {
  absl::Duration pause;
  {
    absl::MutexLock lock(&mutex_);
    if (id != dns_entry_) return;
    const bool settled = absl::Now() - dns_started_ > kSettled;
    dns_pause_ =
        settled ? kFirstPause : std::min(kLastPause, std::max(kFirstPause, dns_pause_ * 2));
    pause = dns_pause_;
  }
  Log(LogLevel::kWarning, "slipway-dns has ended; another one follows");
  executor_->After(pause, [this] { RestartDns(); });
}

void Runtime::RestartDns() {
  const absl::Status restarted = dns_->Restart();
  if (restarted.ok()) return;
  Log(LogLevel::kError, "slipway-dns does not start",
      {{"error", std::string(restarted.message())}});
  executor_->After(kLastPause, [this] { RestartDns(); });
}

std::vector<std::string> Runtime::UpstreamsOf(const Definition& definition,
                                              const std::vector<Endpoint>& endpoints) const {
  // What leads nowhere must not lead out by names either.
  if (GatewayOf(endpoints) == nullptr) return {};
  if (!definition.dns_servers.empty()) return definition.dns_servers;
  const auto text = ReadFile("/etc/resolv.conf", 64 << 10);
  return NameServersOf(text.ok() ? *text : "");
}

// Before the container's process asks for anything. No sandbox where no network has names.
absl::Status Runtime::TellDns(const Definition& definition, const std::vector<Endpoint>& endpoints,
                              int netns_fd) {
  dns::SandboxRecord sandbox{.id = definition.id, .upstreams = UpstreamsOf(definition, endpoints)};
  for (const Endpoint& endpoint : endpoints) {
    if (!IsNamed(endpoint)) continue;
    sandbox.network_ids.push_back(endpoint.network_id);
    for (const auto& [name, id] : endpoint.links) sandbox.links[absl::AsciiStrToLower(name)] = id;
    dns_->PutEndpoint(RecordOf(endpoint));
  }
  const bool has_sandbox = dns_->HasSandbox(definition.id);
  if (sandbox.network_ids.empty() && !has_sandbox) return absl::OkStatus();
  ResolverSockets sockets;
  if (!has_sandbox) {
    ASSIGN_OR_RETURN(sockets, parts_.network->OpenResolver(netns_fd));
  }
  dns_->PutSandbox(std::move(sandbox), std::move(sockets));
  return absl::OkStatus();
}

void Runtime::ForgetDns(const std::string& id) {
  dns_->RemoveEndpoints(id);
  dns_->RemoveSandbox(id);
}

// After a start of the agent: whoever answered until now goes on until another one has his sockets.
void Runtime::AdoptDns(const std::vector<EntryInfo>& entries) {
  std::map<uint64_t, ResolverSockets> sockets;
  for (const EntryInfo& entry : entries) {
    if (!IsDnsEntry(entry.id) || entry.state != EntryState::kRunning) continue;
    for (auto& [home, taken] : TakeOverResolverSockets(entry.pid)) sockets[home] = std::move(taken);
  }
  std::vector<std::shared_ptr<Container>> containers;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, container] : containers_) containers.push_back(container);
  }
  for (const auto& container : containers) {
    const std::vector<Endpoint> endpoints = container->actual().endpoints;
    if (std::none_of(endpoints.begin(), endpoints.end(), IsNamed)) continue;
    const auto netns = NetworkNamespaceOf(*container);
    struct stat info = {};
    if (!netns.ok() || fstat(netns->get(), &info) != 0) continue;
    const auto found = sockets.find(info.st_ino);
    if (found != sockets.end()) {
      dns_->PutSandbox({.id = container->id()}, std::move(found->second));
    }
    const absl::Status told = TellDns(container->definition(), endpoints, netns->get());
    if (!told.ok()) Log(LogLevel::kError, told.message(), {{"container", container->id()}});
  }
  for (const EntryInfo& entry : entries) {
    if (!IsDnsEntry(entry.id)) continue;
    if (entry.state == EntryState::kRunning) KillStray(entry);
    if (entry.state == EntryState::kExited) Forget(entry.id);
  }
}

}  // namespace slipway::agent
