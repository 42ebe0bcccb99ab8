#include "gateway/buildkit/tar_sink.h"

#include <sys/stat.h>

#include <utility>

namespace slipway::gateway {
namespace {

constexpr size_t kPieceBytes = 512 << 10;

}  // namespace

Awaitable<absl::Status> TarSink::Begin(const fsutil::types::Stat& stat, uint64_t size) {
  // A tar has no sockets.
  skips_ = S_ISSOCK(ModeOfGo(stat.mode()));
  if (skips_) co_return absl::OkStatus();
  CO_RETURN_IF_ERROR(tar_.Begin(stat, size));
  co_return co_await SendFrom(kPieceBytes);
}

Awaitable<absl::Status> TarSink::Append(absl::string_view content) {
  if (skips_) co_return absl::OkStatus();
  CO_RETURN_IF_ERROR(tar_.Append(content));
  co_return co_await SendFrom(kPieceBytes);
}

Awaitable<absl::Status> TarSink::Finish() {
  CO_RETURN_IF_ERROR(tar_.Finish());
  co_return co_await SendFrom(1);
}

Awaitable<absl::Status> TarSink::SendFrom(size_t least_bytes) {
  if (tar_.text().size() < least_bytes) co_return absl::OkStatus();
  std::string piece = std::exchange(tar_.text(), std::string());
  co_return co_await send_(std::move(piece));
}

}  // namespace slipway::gateway
