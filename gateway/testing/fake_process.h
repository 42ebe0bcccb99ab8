#ifndef GATEWAY_TESTING_FAKE_PROCESS_H_
#define GATEWAY_TESTING_FAKE_PROCESS_H_

#include <grpcpp/server_context.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "slipway/common/v1/common.pb.h"

namespace slipway::gateway {

// The process of a container or exec of FakePlatform: a thread that acts as its command says.
struct FakeProcess {
  absl::Mutex mu;
  std::vector<std::pair<slipway::common::v1::StdStream, std::string>> output ABSL_GUARDED_BY(mu);
  std::vector<int64_t> times ABSL_GUARDED_BY(mu);
  std::string input ABSL_GUARDED_BY(mu);
  bool input_closed ABSL_GUARDED_BY(mu) = false;
  bool started ABSL_GUARDED_BY(mu) = false;
  bool ended ABSL_GUARDED_BY(mu) = false;
  int signal ABSL_GUARDED_BY(mu) = 0;
  int exit_code ABSL_GUARDED_BY(mu) = 0;
  std::thread thread;
};

void LaunchFakeProcess(const std::shared_ptr<FakeProcess>& process,
                       std::vector<std::string> command);

// Blocks until `ready` or the call is over.
template <typename Ready>
bool Await(absl::Mutex& mu, grpc::ServerContext* context, const std::atomic<bool>& stopping,
           Ready ready) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  while (!ready()) {
    if (context->IsCancelled() || stopping.load()) return false;
    mu.AwaitWithTimeout(absl::Condition(&ready), absl::Milliseconds(20));
  }
  return true;
}

}  // namespace slipway::gateway

#endif  // GATEWAY_TESTING_FAKE_PROCESS_H_
