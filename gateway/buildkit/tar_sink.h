#ifndef GATEWAY_BUILDKIT_TAR_SINK_H_
#define GATEWAY_BUILDKIT_TAR_SINK_H_

#include <functional>
#include <string>

#include "gateway/buildkit/file_sync.h"
#include "gateway/buildkit/tar_text.h"

namespace slipway::gateway {

// Files into a tar, and that in pieces to somebody else. Used by one coroutine.
class TarSink : public FileSink {
 public:
  using Send = std::function<Awaitable<absl::Status>(std::string piece)>;

  explicit TarSink(Send send) : send_(std::move(send)) {}

  Awaitable<absl::Status> Begin(const fsutil::types::Stat& stat, uint64_t size) override;
  Awaitable<absl::Status> Append(absl::string_view content) override;
  // After the last file.
  Awaitable<absl::Status> Finish();

 private:
  Awaitable<absl::Status> SendFrom(size_t least_bytes);

  const Send send_;
  TarText tar_;
  bool skips_ = false;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_TAR_SINK_H_
