#include "services/log/domain/search_sink.h"

namespace slipway::log {

void SearchSink::Add(const Entry& entry) {
  if (entry.dropped_bytes != 0) {
    target_->Add(entry);
    return;
  }
  if (matcher_->Matches(entry.data)) {
    for (Held& held : before_) {
      held.entry.data = held.data;
      held.entry.context = true;
      target_->Add(held.entry);
    }
    before_.clear();
    held_bytes_ = 0;
    after_ = matcher_->options().lines_after;
    target_->Add(entry);
  } else if (after_ > 0) {
    --after_;
    Entry context = entry;
    context.context = true;
    target_->Add(context);
  } else if (matcher_->options().lines_before > 0) {
    Hold(entry);
  }
}

void SearchSink::Hold(const Entry& entry) {
  before_.push_back({entry, std::string(entry.data)});
  held_bytes_ += entry.data.size();
  while (before_.size() > matcher_->options().lines_before || held_bytes_ > kMostHeldBytes) {
    held_bytes_ -= before_.front().data.size();
    before_.pop_front();
  }
}

}  // namespace slipway::log
