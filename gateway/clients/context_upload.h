#ifndef GATEWAY_CLIENTS_CONTEXT_UPLOAD_H_
#define GATEWAY_CLIENTS_CONTEXT_UPLOAD_H_

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gateway/clients/backends.h"
#include "gateway/clients/call.h"
#include "gateway/clients/context_file.h"
#include "gateway/http/coroutine.h"

namespace slipway::gateway {

using BuildStream =
    BidiStream<slipway::build::v1::BuildImageRequest, slipway::build::v1::BuildImageResponse>;

// The tar of a build's context on its way into the call, in pieces. One of more than a piece goes
// by way of a file that both services have open. Used by one coroutine.
class ContextUpload {
 public:
  static constexpr size_t kPieceBytes = 512 << 10;  // as large as a piece should be

  // `backends` outlives the upload.
  ContextUpload(Backends& backends, BuildStream stream)
      : backends_(backends), stream_(std::move(stream)) {}

  // False when the service takes no more.
  Awaitable<absl::StatusOr<bool>> Append(absl::string_view piece);

 private:
  Backends& backends_;
  BuildStream stream_;
  std::unique_ptr<ContextFile> file_;
  bool first_ = true;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_CLIENTS_CONTEXT_UPLOAD_H_
