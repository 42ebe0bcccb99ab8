#ifndef IMAGE_SERVICE_LAYER_TIME_CLAMP_H_
#define IMAGE_SERVICE_LAYER_TIME_CLAMP_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace slipway::image {

// Passes a tar on with no file's time later than a given one: in the headers and in pax records,
// in place, so that nothing moves. What is no tar goes through as it is: the reader behind says so.
// One thread at a time.
class TimeClamp {
 public:
  using Sink = std::function<absl::Status(absl::string_view)>;

  TimeClamp(int64_t latest_s, Sink sink) : latest_s_(latest_s), sink_(std::move(sink)) {}

  absl::Status Append(absl::string_view bytes);

 private:
  enum class Part { kHeader, kPaxBody, kBody };

  absl::Status TakeHeader();
  absl::Status TakePaxBody();
  absl::Status Emit();

  const int64_t latest_s_;
  const Sink sink_;
  Part part_ = Part::kHeader;
  std::string block_;       // what is gathered of a header or a pax body
  uint64_t wanted_ = 512;   // bytes of it
  uint64_t body_left_ = 0;  // of what goes through, padding included
  int64_t pax_size_ = -1;   // of the next entry, from its pax records
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_TIME_CLAMP_H_
