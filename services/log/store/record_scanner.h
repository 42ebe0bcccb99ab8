#ifndef SERVICES_LOG_STORE_RECORD_SCANNER_H_
#define SERVICES_LOG_STORE_RECORD_SCANNER_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/log/ports/log_store.h"
#include "services/log/store/segment_bytes.h"
#include "services/log/store/segment_format.h"

namespace slipway::log {

// Reads records one after the other from a segment, whatever bytes it has. Not thread-safe. The
// file outlives it.
class RecordScanner {
 public:
  enum class Found {
    kRecord,
    kDamagedData,  // the header is good, the data is not
    kDamaged,      // no record up to the next good header, or up to the end
    kTorn,         // a record that goes on behind the end: the write of it was cut
    kEnd,
  };

  RecordScanner(const SegmentFile& file, uint64_t begin, uint64_t end);

  // An error is one of read(2), or a file that is shorter than it should be.
  absl::StatusOr<Found> Next(ReadBuffer& buffer);

  // Of the last record found.
  const RecordHeader& header() const { return header_; }
  absl::string_view data() const { return data_; }
  // Of what was found last, and of what comes next.
  uint64_t found_offset() const { return found_; }
  uint64_t offset() const { return next_; }

  void SeekTo(uint64_t offset) { next_ = offset; }
  // The file has grown.
  void set_end(uint64_t end) { end_ = end; }
  uint64_t end() const { return end_; }
  // What lies in other frames is not asked for from now on.
  void set_choice(FrameChoice choice) { choice_ = std::move(choice); }

 private:
  absl::StatusOr<absl::string_view> Fetch(ReadBuffer& buffer, uint64_t at, size_t wanted);
  absl::StatusOr<Found> Resynchronise(ReadBuffer& buffer);

  const SegmentFile* file_;
  uint64_t id_;
  uint64_t next_;
  uint64_t end_;
  FrameChoice choice_;
  uint64_t found_ = 0;
  RecordHeader header_;
  absl::string_view data_;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_RECORD_SCANNER_H_
