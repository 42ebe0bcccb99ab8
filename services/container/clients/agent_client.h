#ifndef SERVICES_CONTAINER_CLIENTS_AGENT_CLIENT_H_
#define SERVICES_CONTAINER_CLIENTS_AGENT_CLIENT_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/container/ports/agent_port.h"
#include "slipway/agent/v1/agent.grpc.pb.h"
#include "slipway/agent/v1/name.grpc.pb.h"

namespace slipway::container {

// The agent behind a socket. A call waits up to 5 s for a connection and, since calls may be
// repeated, is made again when the connection broke under it. Thread-safe.
class AgentClient : public AgentPort {
 public:
  explicit AgentClient(absl::string_view address);

  absl::StatusOr<HostInfo> GetHost() override;
  std::function<absl::StatusOr<std::vector<std::string>>()> BeginPrepare(
      const PrepareCommand& command) override;
  absl::StatusOr<StartResult> Start(const std::string& container_id,
                                    const StartExtras& extras) override;
  absl::StatusOr<bool> Signal(const std::string& container_id, int signal) override;
  absl::Status Remove(const std::string& container_id) override;
  absl::Status Pause(const std::string& container_id) override;
  absl::Status Unpause(const std::string& container_id) override;
  absl::StatusOr<std::vector<std::string>> Update(const std::string& container_id,
                                                  const Resources& resources) override;
  absl::StatusOr<int64_t> Measure(const std::string& container_id) override;
  absl::Status CreateVolume(const std::string& name, const VolumeSource& source) override;
  absl::Status RemoveVolume(const std::string& name) override;
  absl::StatusOr<std::vector<std::string>> ListVolumes() override;
  absl::StatusOr<std::vector<int64_t>> MeasureVolumes(
      const std::vector<std::string>& names) override;
  void RunProbe(const ProbeCommand& command,
                std::function<void(absl::StatusOr<ProbeResult>)> done) override;
  absl::StatusOr<ActualList> List() override;
  absl::Status PutNetwork(const VirtualNetwork& network, bool refuse_overlap) override;
  absl::Status RemoveNetwork(const std::string& network_id) override;
  absl::StatusOr<std::vector<std::string>> ListNetworks() override;
  absl::StatusOr<std::vector<Endpoint>> Connect(const std::string& container_id,
                                                const HostAttachment& attachment) override;
  absl::StatusOr<std::vector<Endpoint>> Disconnect(const std::string& container_id,
                                                   const std::string& network_id) override;
  absl::Status UpdateHosts(const std::string& container_id,
                           const std::vector<std::string>& extra_hosts) override;
  absl::StatusOr<int64_t> StartExec(const ExecCommand& command) override;
  absl::StatusOr<ExecStatus> GetExec(const std::string& exec_id) override;
  absl::Status ExportChanges(const std::string& container_id, const TarSink& sink) override;
  absl::Status Watch(uint64_t after_sequence,
                     const std::function<void(const AgentEvent&)>& on_event) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void CancelWatch() override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Status WaitForConnection();
  void AddNames(ActualList& list);
  template <typename Async, typename Request, typename Response>
  absl::StatusOr<Response> Call(void (Async::*method)(grpc::ClientContext*, const Request*,
                                                      Response*, std::function<void(grpc::Status)>),
                                const Request& request);

  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<agent::v1::AgentService::Stub> stub_;
  // On a connection of its own: the events of a start would keep its answer waiting.
  const std::unique_ptr<agent::v1::AgentService::Stub> watch_stub_;
  const std::unique_ptr<agent::v1::StreamService::Stub> streams_;
  const std::unique_ptr<agent::v1::NameService::Stub> names_;
  absl::Mutex mu_;
  grpc::ClientContext* watch_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::atomic<bool> cancelled_{false};
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_CLIENTS_AGENT_CLIENT_H_
