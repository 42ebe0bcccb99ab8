#ifndef SERVICES_CONTAINER_RPC_EVENT_STREAM_H_
#define SERVICES_CONTAINER_RPC_EVENT_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/container/domain/core.h"
#include "slipway/container/v1/container.pb.h"

namespace slipway::container {

// One WatchEvents call: a position in the event log and one event on its way. A client that is
// slower than the log forgets ends with DATA_LOSS, which names the first event that is kept. Owns
// itself until gRPC is done with it.
class EventStream : public grpc::ServerWriteReactor<v1::WatchEventsResponse>,
                    public std::enable_shared_from_this<EventStream> {
 public:
  static EventStream* Begin(Core& core, const v1::WatchEventsRequest& request);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  EventStream(Core& core, const v1::WatchEventsRequest& request);
  // Sends the next event, waits for one, or ends the stream.
  void Advance() ABSL_LOCKS_EXCLUDED(mu_);
  // What there is to do: true when it was told to be woken.
  bool Fill(grpc::Status* end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Core& core_;
  const bool stop_at_end_;
  std::shared_ptr<EventStream> self_;
  v1::WatchEventsResponse message_;
  absl::Mutex mu_;
  uint64_t position_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<EventPtr> next_ ABSL_GUARDED_BY(mu_);
  uint64_t wake_ ABSL_GUARDED_BY(mu_) = 0;
  bool writing_ ABSL_GUARDED_BY(mu_) = true;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_RPC_EVENT_STREAM_H_
