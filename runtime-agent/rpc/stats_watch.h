#ifndef RUNTIME_AGENT_RPC_STATS_WATCH_H_
#define RUNTIME_AGENT_RPC_STATS_WATCH_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "runtime-agent/domain/stats_sampler.h"
#include "slipway/agent/v1/agent.grpc.pb.h"

namespace slipway::agent {

// One watcher of resource usage. A client that is slower than the samples misses some. Thread-safe.
class StatsWatch : public grpc::ServerWriteReactor<v1::WatchStatsResponse>,
                   public std::enable_shared_from_this<StatsWatch> {
 public:
  // `sampler` outlives the watch.
  static StatsWatch* Start(StatsSampler* sampler, const v1::WatchStatsRequest& request,
                           std::string cgroup_version);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  StatsWatch(std::string cgroup_version, bool once)
      : cgroup_version_(std::move(cgroup_version)), once_(once) {}
  // From the sampler. False: no more.
  bool Send(const std::vector<SamplePair>& samples);
  void End(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string cgroup_version_;
  const bool once_;
  absl::Mutex mutex_;
  std::shared_ptr<StatsWatch> self_ ABSL_GUARDED_BY(mutex_);
  v1::WatchStatsResponse message_;  // the write's while one is under way
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_RPC_STATS_WATCH_H_
