#ifndef SERVICES_LOG_DOMAIN_SEARCH_SINK_H_
#define SERVICES_LOG_DOMAIN_SEARCH_SINK_H_

#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "services/log/domain/entry_sink.h"
#include "services/log/domain/line_matcher.h"

namespace slipway::log {

// Lets lines through that a search finds, and as many before and after them as it asks for. What
// tells of dropped bytes always goes through. Of a line that comes in pieces each is looked at by
// itself. Keeps the lines before, at most kMostHeldBytes of them. Not thread-safe.
class SearchSink : public EntrySink {
 public:
  static constexpr size_t kMostHeldBytes = 256 << 10;

  explicit SearchSink(std::shared_ptr<const LineMatcher> matcher) : matcher_(std::move(matcher)) {}

  // Where lines go from now on.
  void SetTarget(EntrySink* target) { target_ = target; }
  void Add(const Entry& entry) override;
  bool Full() const override { return target_->Full(); }
  size_t held_bytes() const { return held_bytes_; }

 private:
  struct Held {
    Entry entry;
    std::string data;
  };
  void Hold(const Entry& entry);

  const std::shared_ptr<const LineMatcher> matcher_;
  EntrySink* target_ = nullptr;
  std::deque<Held> before_;
  size_t held_bytes_ = 0;
  uint32_t after_ = 0;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_SEARCH_SINK_H_
