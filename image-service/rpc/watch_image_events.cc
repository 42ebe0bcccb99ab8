#include <memory>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "image-service/rpc/image_service.h"
#include "image-service/rpc/message_conversion.h"

namespace slipway::image {
namespace {

// One WatchImageEvents call: woken by the event log, writes one event at a time. Ends when the
// client or the server goes, or at the log's end when that was asked for. Deletes itself.
class WatchReactor : public grpc::ServerWriteReactor<v1::WatchImageEventsResponse> {
 public:
  WatchReactor(EventLog& events, const v1::WatchImageEventsRequest& request)
      : events_(events),
        stop_at_end_(request.stop_at_end()),
        cursor_(request.only_new() ? events.last_sequence() : request.after_sequence()) {}

  void Begin() {
    // The client learns from the headers that it misses nothing from now on.
    StartSendInitialMetadata();
    watcher_ = events_.Watch([this] { SendNext(); });
    SendNext();
    MaybeFinish();
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
    if (next.empty()) {
      at_end_ = stop_at_end_;
      ended_ = at_end_;
      return;
    }
    cursor_ = next[0].sequence;
    *response_.mutable_event() = ToMessage(next[0]);
    writing_ = true;
    StartWrite(&response_);
  }

  void MaybeFinish() {
    grpc::Status outcome;
    {
      absl::MutexLock lock(&mu_);
      if (!ended_ || writing_ || finished_) return;
      finished_ = true;
      if (!at_end_) outcome = {grpc::StatusCode::CANCELLED, "the watch was cancelled"};
    }
    Finish(outcome);
  }

  EventLog& events_;
  const bool stop_at_end_;
  int watcher_ = 0;
  absl::Mutex mu_;
  uint64_t cursor_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool at_end_ ABSL_GUARDED_BY(mu_) = false;
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
