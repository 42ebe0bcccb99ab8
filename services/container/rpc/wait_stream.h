#ifndef SERVICES_CONTAINER_RPC_WAIT_STREAM_H_
#define SERVICES_CONTAINER_RPC_WAIT_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/container/domain/entry.h"
#include "slipway/container/v1/container.pb.h"

namespace slipway::container {

// One WaitContainer call: a few hundred bytes and no thread until the container ends. Owns itself
// until gRPC is done with it.
class WaitStream : public grpc::ServerWriteReactor<v1::WaitContainerResponse>,
                   public std::enable_shared_from_this<WaitStream> {
 public:
  static WaitStream* Begin(EntryPtr entry, WaitCondition condition);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  explicit WaitStream(EntryPtr entry) : entry_(std::move(entry)) {}
  void OnOutcome(const WaitOutcome& outcome);
  // Sends what is due, when nothing is being sent.
  void Advance() ABSL_LOCKS_EXCLUDED(mu_);

  const EntryPtr entry_;
  std::shared_ptr<WaitStream> self_;
  v1::WaitContainerResponse first_;
  v1::WaitContainerResponse last_;
  absl::Mutex mu_;
  uint64_t waiter_ ABSL_GUARDED_BY(mu_) = 0;
  bool writing_ ABSL_GUARDED_BY(mu_) = true;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  bool has_outcome_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_RPC_WAIT_STREAM_H_
