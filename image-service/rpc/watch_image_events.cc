#include <memory>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "image-service/rpc/image_service.h"
#include "image-service/rpc/message_conversion.h"

namespace slipway::image {
namespace {

// One WatchImageEvents call: woken by the event log, writes one event at a time. Ends when the
// client or the server goes. Deletes itself.
class WatchReactor : public grpc::ServerWriteReactor<v1::WatchImageEventsResponse> {
 public:
  WatchReactor(EventLog& events, const v1::WatchImageEventsRequest& request)
      : events_(events),
        cursor_(request.only_new() ? events.last_sequence() : request.after_sequence()) {}

  void Begin() {
    // The client learns from the headers that it misses nothing from now on.
    StartSendInitialMetadata();
    watcher_ = events_.Watch([this] { SendNext(); });
    SendNext();
  }

  void OnWriteDone(bool ok) override {
    {
      absl::MutexLock lock(&mu_);
      writing_ = false;
      if (!ok) ended_ = true;
    }
    SendNext();
    MaybeFinish();
  }
  void OnCancel() override {
    {
      absl::MutexLock lock(&mu_);
      ended_ = true;
    }
    MaybeFinish();
  }
  void OnDone() override {
    events_.Unwatch(watcher_);
    delete this;
  }

 private:
  void SendNext() {
    absl::MutexLock lock(&mu_);
    if (writing_ || ended_) return;
    const std::vector<ImageEvent> next = events_.After(cursor_, 1);
    if (next.empty()) return;
    cursor_ = next[0].sequence;
    *response_.mutable_event() = ToMessage(next[0]);
    writing_ = true;
    StartWrite(&response_);
  }

  void MaybeFinish() {
    {
      absl::MutexLock lock(&mu_);
      if (!ended_ || writing_ || finished_) return;
      finished_ = true;
    }
    Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the watch was cancelled"));
  }

  EventLog& events_;
  int watcher_ = 0;
  absl::Mutex mu_;
  uint64_t cursor_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  v1::WatchImageEventsResponse response_;
};

}  // namespace

grpc::ServerWriteReactor<v1::WatchImageEventsResponse>* ImageServiceImpl::WatchImageEvents(
    grpc::CallbackServerContext*, const v1::WatchImageEventsRequest* request) {
  auto* reactor = new WatchReactor(parts_.catalog.events(), *request);
  reactor->Begin();
  return reactor;
}

}  // namespace slipway::image
