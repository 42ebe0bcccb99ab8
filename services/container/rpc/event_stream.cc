#include "services/container/rpc/event_stream.h"

#include <utility>

#include "base/rpc/status_conversion.h"
#include "services/container/rpc/wire_codec.h"

namespace slipway::container {
namespace {

constexpr size_t kReadAtOnce = 64;

uint64_t FirstPosition(const EventLog& log, const v1::WatchEventsRequest& request) {
  if (request.since_unix_ns() != 0) return log.SequenceBefore(request.since_unix_ns());
  return request.only_new() ? log.last_sequence() : request.after_sequence();
}

}  // namespace

EventStream::EventStream(Core& core, const v1::WatchEventsRequest& request)
    : core_(core),
      stop_at_end_(request.stop_at_end()),
      position_(FirstPosition(core.events(), request)) {
  message_.set_registered(true);
  core_.observer().WatcherCount(1);
}

EventStream* EventStream::Begin(Core& core, const v1::WatchEventsRequest& request) {
  std::shared_ptr<EventStream> stream(new EventStream(core, request));
  stream->self_ = stream;
  stream->StartWrite(&stream->message_);
  return stream.get();
}

void EventStream::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mu_);
    writing_ = false;
    if (!ok) cancelled_ = true;
  }
  Advance();
}

void EventStream::OnCancel() {
  {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
  }
  Advance();
}

bool EventStream::Fill(grpc::Status* end) {
  while (next_.empty()) {
    absl::StatusOr<std::vector<EventPtr>> events = core_.events().Read(position_, kReadAtOnce);
    if (!events.ok()) {
      *end = ToGrpc(events.status());
      finished_ = true;
      return false;
    }
    next_.assign(events->begin(), events->end());
    if (!next_.empty()) break;
    if (stop_at_end_) {
      finished_ = true;
      return false;
    }
    const bool waits = core_.events().NotifyAfter(
        position_, [self = shared_from_this()] { self->Advance(); }, &wake_);
    if (waits) return true;
  }
  position_ = next_.front()->sequence;
  message_.Clear();
  PutEvent(*next_.front(), message_.mutable_event());
  next_.pop_front();
  writing_ = true;
  return false;
}

void EventStream::Advance() {
  grpc::Status end;
  bool write = false;
  {
    absl::MutexLock lock(&mu_);
    if (writing_ || finished_) return;
    if (cancelled_) {
      finished_ = true;
      end = grpc::Status(grpc::StatusCode::CANCELLED, "the client left");
    } else if (Fill(&end)) {
      return;
    }
    write = writing_;
  }
  if (write) {
    StartWrite(&message_);
  } else {
    Finish(end);
  }
}

void EventStream::OnDone() {
  uint64_t wake = 0;
  {
    absl::MutexLock lock(&mu_);
    finished_ = true;
    wake = wake_;
  }
  if (wake != 0) core_.events().Cancel(wake);
  core_.observer().WatcherCount(-1);
  const std::shared_ptr<EventStream> last = std::move(self_);
}

}  // namespace slipway::container
