#ifndef SERVICES_LOG_DOMAIN_ENTRY_SINK_H_
#define SERVICES_LOG_DOMAIN_ENTRY_SINK_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "services/log/ports/log_store.h"
#include "services/log/ports/record.h"

namespace slipway::log {

struct Entry {
  int64_t time_unix_ns = 0;
  StdStream stream = StdStream::kNone;
  absl::string_view data;
  uint64_t dropped_bytes = 0;
  bool continued = false;          // the line goes on in a later entry of the stream
  Position end;                    // behind its last byte
  bool context = false;            // given for the sake of a match nearby
  absl::string_view container_id;  // set where several logs are read
};

// Where entries for a reader go. Not thread-safe.
class EntrySink {
 public:
  virtual ~EntrySink() = default;
  // Copies what it needs.
  virtual void Add(const Entry& entry) = 0;
  // There is enough for one answer.
  virtual bool Full() const = 0;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_ENTRY_SINK_H_
