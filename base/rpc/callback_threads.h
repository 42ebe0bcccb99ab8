#ifndef BASE_RPC_CALLBACK_THREADS_H_
#define BASE_RPC_CALLBACK_THREADS_H_

#include <grpcpp/generic/generic_stub.h>

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace slipway {

// Looks after the threads that gRPC's callback API has in this process, while there is one.
//
// They answer at once: those of gRPC 1.51 (completion_queue_cc.cc, "nexting_thread") sleep for
// 100 ms, all of them together, whenever nothing happened for a second. A call that fails in this
// process, twice a second, keeps them awake.
//
// Where gRPC has two, one rests: with every event the thread that polled wakes the other to poll in
// its place (ev_epoll1_linux.cc, end_worker), which few processors feel (docs/adr/0030). It comes
// back when the one at work has not answered for half a second, until it does again.
class CallbackThreads {
 public:
  CallbackThreads();
  ~CallbackThreads();
  CallbackThreads(const CallbackThreads&) = delete;
  CallbackThreads& operator=(const CallbackThreads&) = delete;

 private:
  void Run();
  void Tick();
  void Rest();
  void Call(std::function<void()> done);

  grpc::GenericStub stub_;
  absl::Mutex mu_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  bool under_way_ ABSL_GUARDED_BY(mu_) = false;  // a tick
  bool rest_ ABSL_GUARDED_BY(mu_) = false;
  int calls_ ABSL_GUARDED_BY(mu_) = 0;
  std::thread thread_;  // last: it uses the others
};

}  // namespace slipway

#endif  // BASE_RPC_CALLBACK_THREADS_H_
