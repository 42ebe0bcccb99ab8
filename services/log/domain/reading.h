#ifndef SERVICES_LOG_DOMAIN_READING_H_
#define SERVICES_LOG_DOMAIN_READING_H_

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/log/domain/entry_sink.h"
#include "services/log/domain/line_matcher.h"
#include "services/log/ports/log_store.h"

namespace slipway::log {

// How far a reader has come in one log: what lies before `streams` was given.
struct Place {
  std::string container_id;
  std::array<Position, kStreams> streams;
};

struct ReadOptions {
  std::array<bool, kStreams> streams = {true, true};
  int64_t since_unix_ns = 0;           // inclusive; zero: from the beginning
  int64_t until_unix_ns = 0;           // inclusive; zero: no end
  std::optional<uint64_t> tail_lines;  // taken from the end of the log before since and until
  bool follow = false;
  // With `follow`: go on when the container has ended, which may run again, until the log is gone.
  bool beyond_end = false;
  bool lines = false;
  // Only lines that it finds, and those around them; implies `lines`.
  std::shared_ptr<const LineMatcher> matcher;
  // Go on from here instead of looking for `tail_lines` and `since_unix_ns`.
  std::optional<Place> resume;
  std::string container_id;  // for Places
};

// A reader on its way through one log or several. Holds no memory in proportion to the logs: what
// it has not taken stays on disk. Not thread-safe.
class Reading {
 public:
  enum class Progress {
    kMore,  // the sink is full, or it is time to let others read
    kWait,  // nothing more for now; see Wait
    kDone,
  };
  virtual ~Reading() = default;

  // Fills the sink. `piece_bytes` is the longest line, or piece of one, in an entry.
  // DataLoss and Internal when the disk cannot be read.
  virtual absl::StatusOr<Progress> Fill(ReadBuffer& buffer, size_t piece_bytes,
                                        EntrySink& sink) = 0;
  // After kWait. Calls `wake` once, from any thread, when there may be more. False, and no call:
  // that is so already.
  virtual bool Wait(std::function<void()> wake) = 0;
  // Memory that it takes for what it has not given yet.
  virtual size_t held_bytes() const = 0;
  // Where to go on behind everything that was given.
  virtual std::vector<Place> Places() const = 0;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_READING_H_
