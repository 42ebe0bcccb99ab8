#ifndef SERVICES_BUILD_CLIENTS_CONTAINER_CLIENT_H_
#define SERVICES_BUILD_CLIENTS_CONTAINER_CLIENT_H_

#include <grpcpp/channel.h>

#include <deque>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/build/ports/cancellation.h"
#include "services/build/ports/containers.h"
#include "slipway/agent/v1/agent.grpc.pb.h"
#include "slipway/container/v1/container.grpc.pb.h"

namespace slipway::build {

// On the containers of RUN steps that do not outlive their step.
inline constexpr char kStepLabel[] = "slipway.build-step";

// Removes the containers of steps whose build died with an earlier process of this service. Waits
// for the container service, but not longer than 10 s.
absl::Status RemoveLeftContainers(const std::shared_ptr<grpc::Channel>& containers);

// Containers of one build, through the container service; their output comes from the agent's
// streams, as attached clients get it. Thread-safe.
class ContainerClient : public Containers {
 public:
  // `defaults` are what all containers of the build have. `cancellation` outlives it.
  ContainerClient(const std::shared_ptr<grpc::Channel>& containers,
                  const std::shared_ptr<grpc::Channel>& agent, Cancellation& cancellation,
                  container::v1::ContainerSpec defaults);
  // Waits for removals.
  ~ContainerClient() override;

  absl::StatusOr<std::string> Create(const RunSpec& spec) override;
  absl::StatusOr<int> Run(
      const std::string& container,
      const std::function<void(bool is_stderr, absl::string_view data)>& output) override;
  absl::Status Unpack(const std::string& container, const std::string& directory,
                      const std::function<absl::Status(const TarSink&)>& produce) override;
  absl::StatusOr<std::string> Commit(const ContainerCommit& commit) override;
  void RemoveSoon(const std::string& container) override;

 private:
  struct Removal;
  void RemoveFirst() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (container::v1::ContainerService::Stub::*method)(
                                    grpc::ClientContext*, const Request&, Response*),
                                const Request& request, bool cancellable = true);

  const std::unique_ptr<container::v1::ContainerService::Stub> containers_;
  const std::unique_ptr<agent::v1::StreamService::Stub> streams_;
  Cancellation& cancellation_;
  const container::v1::ContainerSpec defaults_;
  absl::Mutex mu_;
  std::deque<std::string> to_remove_ ABSL_GUARDED_BY(mu_);  // the first is being so
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_CLIENTS_CONTAINER_CLIENT_H_
