#include "runtime-agent/rpc/event_watch.h"

#include <iterator>
#include <utility>

#include "base/rpc/status_conversion.h"
#include "runtime-agent/rpc/convert.h"

namespace slipway::agent {
namespace {

constexpr size_t kBatch = 256;

}  // namespace

EventWatch* EventWatch::Start(EventLog* events, IoLoop* loop, uint64_t after) {
  std::shared_ptr<EventWatch> watch(new EventWatch(events, loop, after));
  watch->self_ = watch;
  watch->StartSendInitialMetadata();
  loop->Post([watch] {
    if (watch->ended_) return;
    watch->watch_ =
        watch->events_->Watch([watch] { watch->loop_->Post([watch] { watch->Step(); }); });
    watch->Step();
  });
  return watch.get();
}

void EventWatch::Step() {
  if (writing_ || ended_) return;
  if (pending_.empty()) {
    auto more = events_->After(after_, kBatch);
    if (!more.ok()) return End(more.status());
    pending_.assign(std::make_move_iterator(more->begin()), std::make_move_iterator(more->end()));
  }
  if (pending_.empty()) return;
  message_ = ToWire(pending_.front());
  after_ = pending_.front().sequence;
  pending_.pop_front();
  writing_ = true;
  StartWrite(&message_);
}

void EventWatch::OnWriteDone(bool ok) {
  loop_->Post([this, ok, self = self_] {
    writing_ = false;
    if (!ok) return End(absl::CancelledError("the watcher left"));
    Step();
  });
}

void EventWatch::OnCancel() {
  loop_->Post([this, self = self_] { End(absl::CancelledError("the watcher left")); });
}

void EventWatch::End(const absl::Status& status) {
  if (ended_) return;
  ended_ = true;
  if (watch_ != 0) events_->Unwatch(watch_);
  Finish(ToGrpc(status));
}

// The loop may still have tasks with a reference.
void EventWatch::OnDone() {
  loop_->Post([self = std::move(self_)] { self->ended_ = true; });
}

}  // namespace slipway::agent
