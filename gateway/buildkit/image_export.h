#ifndef GATEWAY_BUILDKIT_IMAGE_EXPORT_H_
#define GATEWAY_BUILDKIT_IMAGE_EXPORT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "gateway/buildkit/cancel_hook.h"
#include "gateway/buildkit/sessions.h"
#include "gateway/clients/backends.h"
#include "gateway/http/coroutine.h"

namespace slipway::gateway {

// `docker build --output`: what an image has, into a file or a directory of the client's.
struct ImageExport {
  Backends& backends;
  BuildSessionPtr session;
  std::string image_id;
  CancelHook& cancel;
  CallOptions options;
  std::function<void(uint64_t bytes)> count;  // sent so far
  std::optional<int64_t> mtime_s = {};        // of all files, in place of their own
};

// One tar. FailedPrecondition where the session takes no output, also below.
Awaitable<absl::Status> SendImageTar(ImageExport what);

// File by file (copy_sink.h).
Awaitable<absl::Status> SendImageFiles(ImageExport what);

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_IMAGE_EXPORT_H_
