#ifndef SERVICES_LOG_DOMAIN_COUNT_H_
#define SERVICES_LOG_DOMAIN_COUNT_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "services/log/domain/reading.h"
#include "services/log/ports/log_store.h"

namespace slipway::log {

struct LineCount {
  uint64_t lines = 0;
  uint64_t bytes = 0;
  uint64_t dropped_bytes = 0;
};

// What a reader with `options` would get. Cancelled as soon as `cancelled` says so.
absl::StatusOr<LineCount> CountEntries(std::shared_ptr<ReadableLog> log, const ReadOptions& options,
                                       const std::function<bool()>& cancelled, ReadBuffer& buffer);

// How many lines of each stream are kept, by the index alone; an unterminated last line counts.
absl::StatusOr<std::array<uint64_t, kStreams>> CountKeptLines(const ReadableLog& log);

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_COUNT_H_
