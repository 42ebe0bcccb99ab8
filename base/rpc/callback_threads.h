#ifndef BASE_RPC_CALLBACK_THREADS_H_
#define BASE_RPC_CALLBACK_THREADS_H_

#include <grpcpp/generic/generic_stub.h>

#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace slipway {

// While there is one, the threads that gRPC's callback API has in this process answer at once.
// Those of gRPC 1.51 (completion_queue_cc.cc, "nexting_thread") sleep for 100 ms, all of them
// together, whenever nothing happened for a second: what arrives then waits for so long. A call
// that fails in this process, twice a second, keeps one of them awake.
class CallbackThreadsAwake {
 public:
  CallbackThreadsAwake();
  ~CallbackThreadsAwake();
  CallbackThreadsAwake(const CallbackThreadsAwake&) = delete;
  CallbackThreadsAwake& operator=(const CallbackThreadsAwake&) = delete;

 private:
  void Run();
  void Call();

  grpc::GenericStub stub_;
  absl::Mutex mu_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  bool under_way_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace slipway

#endif  // BASE_RPC_CALLBACK_THREADS_H_
