#ifndef SERVICES_LOG_DOMAIN_TAIL_H_
#define SERVICES_LOG_DOMAIN_TAIL_H_

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "services/log/ports/log_store.h"

namespace slipway::log {

// Where each stream begins for a reader. A stream that is not read has none; the positions of the
// two differ when lines are interleaved.
struct StartPositions {
  Position begin;
  std::array<Position, kStreams> streams;
};

// Where the last `lines` lines of the streams in `wanted` begin, counted in the order in which they
// end; an unterminated last line counts. Reads the index backward and at most some blocks of
// records. Thread-safe.
absl::StatusOr<StartPositions> FindTail(const ReadableLog& log, const LogState& state,
                                        uint64_t lines, const std::array<bool, kStreams>& wanted,
                                        ReadBuffer& buffer);

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_TAIL_H_
