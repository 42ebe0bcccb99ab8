#include "gateway/clients/context_upload.h"

#include <utility>

namespace slipway::gateway {

Awaitable<absl::StatusOr<bool>> ContextUpload::Append(absl::string_view piece) {
  slipway::build::v1::BuildImageRequest message;
  if (std::exchange(first_, false) && piece.size() >= kPieceBytes) {
    auto created = co_await ContextFile::Create(backends_.files(), backends_.build_door());
    if (created.ok()) {
      file_ = *std::move(created);
      message.mutable_file()->set_token(file_->token());
    }
  }
  if (file_ != nullptr) {
    CO_RETURN_IF_ERROR(co_await file_->Append(piece));
    message.mutable_file()->set_written_bytes(file_->written_bytes());
  } else {
    message.set_context(piece.data(), piece.size());
  }
  const bool taken = co_await stream_->Write(std::move(message));
  co_return taken;
}

}  // namespace slipway::gateway
