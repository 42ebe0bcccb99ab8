#ifndef IMAGE_SERVICE_LAYER_GZIP_STREAM_H_
#define IMAGE_SERVICE_LAYER_GZIP_STREAM_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace slipway::image {

// Compresses with igzip at its level 1, for layers that are made here: the same bytes give the same
// stream. One thread at a time.
class GzipStream {
 public:
  // Gets what comes out, in pieces.
  using Output = std::function<absl::Status(absl::string_view)>;

  explicit GzipStream(Output output);
  ~GzipStream();

  // Stops at the first error of the output.
  absl::Status Append(absl::string_view bytes);
  absl::Status Finish();

 private:
  struct State;
  absl::Status Run(absl::string_view bytes, bool end);

  const Output output_;
  const std::unique_ptr<State> state_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_GZIP_STREAM_H_
