#ifndef TESTS_INTEGRATION_AGENT_HOST_H_
#define TESTS_INTEGRATION_AGENT_HOST_H_

#include <grpcpp/channel.h>
#include <sys/types.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "slipway/agent/v1/agent.grpc.pb.h"
#include "slipway/image/v1/image.grpc.pb.h"
#include "slipway/log/v1/log.grpc.pb.h"

namespace slipway::agent {

// A host of a test's own: real image and log services, agent and supervisor, with names, state and
// subnet of their own and an image of busybox. Everything is gone when it is destroyed.
class Host {
 public:
  // `agent_flags`: more of the agent's.
  explicit Host(std::vector<std::string> agent_flags = {});
  ~Host();

  void StartAgent();
  void StopAgent(int signal);
  void StartLog();
  void StopLog(int signal);
  // Every start fails at that step from now on; "" is none.
  void FailStartsAt(const std::string& step) const;
  pid_t agent_pid() const { return pids_.at("agent"); }

  // 64 hex digits.
  static std::string NewId();
  // A request for `argv` in the busybox image with network none, output to the log.
  v1::PrepareContainerRequest Request(const std::vector<std::string>& argv) const;
  grpc::Status Prepare(const v1::PrepareContainerRequest& request,
                       v1::PrepareContainerResponse* response = nullptr);
  grpc::Status Start(const std::string& id, v1::StartContainerResponse* response = nullptr);
  grpc::Status Signal(const std::string& id, int signal);
  grpc::Status Remove(const std::string& id);
  std::vector<v1::ContainerActual> List();
  // From the event stream, which goes on over restarts of the agent.
  v1::ContainerActual AwaitExit(const std::string& id);
  int ExitEvents(const std::string& id);
  void AwaitRemoved(const std::string& id);
  // Prepare, start, wait; the exit. The container stays.
  v1::ContainerActual Run(const v1::PrepareContainerRequest& request);
  // All that was logged up to now, or to the end of the last run when `follow`.
  std::string Log(const std::string& id, bool standard_out = true, bool standard_error = true,
                  bool follow = true);
  grpc::Status StartExec(const v1::StartExecRequest& request,
                         v1::StartExecResponse* response = nullptr);
  v1::GetExecResponse AwaitExec(const std::string& exec_id);

  std::unique_ptr<v1::AgentService::Stub> agent() const;
  std::unique_ptr<v1::StreamService::Stub> streams() const;

  // Mounts, cgroups, containers' directories and spools that are of this host, and its veths beyond
  // those that the network keeps ready.
  std::set<std::string> KernelObjects() const;
  std::string root() const { return dir_ + "/agent"; }
  std::string layer_directory() const { return dir_ + "/image/layers"; }
  // Of supervisor and keeper.
  std::vector<pid_t> Supervisors() const;
  // Both at the same instant; waits until they are gone.
  void KillSupervisors();
  std::string gateway() const { return gateway_; }
  const std::string& prefix() const { return prefix_; }

 private:
  pid_t Launch(const std::string& name, const std::string& binary,
               const std::vector<std::string>& arguments);
  void End(const std::string& name, int signal);
  void ImportBusybox();
  void WatchEvents();
  void AwaitReady(const std::string& socket);

  const std::vector<std::string> agent_flags_;
  std::string dir_;
  std::string prefix_;
  std::string subnet_;
  std::string gateway_;
  std::map<std::string, pid_t> pids_;
  std::vector<std::string> layers_;
  std::shared_ptr<grpc::Channel> agent_channel_;
  std::shared_ptr<grpc::Channel> image_channel_;
  std::shared_ptr<grpc::Channel> log_channel_;

  absl::Mutex mutex_;
  absl::CondVar changed_;
  bool stop_ = false;
  grpc::ClientContext* watch_ = nullptr;
  uint64_t last_sequence_ = 0;
  std::map<std::string, std::vector<v1::ContainerActual>> exits_;
  std::set<std::string> removed_;
  std::map<std::string, size_t> exits_seen_;
  std::thread watcher_;
};

}  // namespace slipway::agent

#endif  // TESTS_INTEGRATION_AGENT_HOST_H_
