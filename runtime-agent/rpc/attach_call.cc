#include "runtime-agent/rpc/attach_call.h"

#include <utility>

#include "base/rpc/status_conversion.h"

namespace slipway::agent {

AttachCall* AttachCall::Start(IoLoop* loop, Opener opener) {
  std::shared_ptr<AttachCall> call(new AttachCall(loop, std::move(opener)));
  call->self_ = call;
  call->reading_ = true;
  call->StartRead(&call->request_);
  return call.get();
}

void AttachCall::OnReadDone(bool ok) {
  loop_->Post([this, ok, self = self_] { OnMessage(ok); });
}

void AttachCall::OnMessage(bool ok) {
  reading_ = false;
  if (finished_) return;
  if (!ok) {
    // The client sends no more; it may well go on reading.
    input_ended_ = true;
    if (source_ == nullptr) {
      Conclude(absl::InvalidArgumentError("the first message of an attach did not come"));
    } else {
      source_->CloseInput();
    }
    return;
  }
  if (source_ == nullptr) return Open();
  switch (request_.kind_case()) {
    case v1::AttachRequest::kStdin:
      return source_->Input(std::move(*request_.mutable_stdin()));
    case v1::AttachRequest::kCloseStdin:
      return source_->CloseInput();
    case v1::AttachRequest::kResize:
      return source_->Resize(request_.resize().rows(), request_.resize().columns());
    default:
      Leave();
      return Conclude(absl::InvalidArgumentError("an attach is started once"));
  }
}

void AttachCall::Open() {
  if (request_.kind_case() != v1::AttachRequest::kStart) {
    return Conclude(absl::InvalidArgumentError("the first message of an attach is its start"));
  }
  auto source = opener_(request_.start(), shared_from_this());
  if (!source.ok()) return Conclude(source.status());
  source_ = *std::move(source);
}

void AttachCall::WantInput() {
  if (reading_ || finished_ || input_ended_) return;
  reading_ = true;
  StartRead(&request_);
}

void AttachCall::Write() {
  if (finished_ || writing_) return;
  writing_ = true;
  StartWrite(&response_);
}

void AttachCall::Ready(bool tty) {
  response_.mutable_ready()->set_tty(tty);
  Write();
}

void AttachCall::Output(uint8_t stream, std::string data) {
  response_.mutable_output()->set_stream(stream == 2 ? common::v1::STD_STREAM_STDERR
                                                     : common::v1::STD_STREAM_STDOUT);
  response_.mutable_output()->set_data(std::move(data));
  Write();
}

void AttachCall::InputDone() {
  response_.mutable_input_done();
  Write();
}

void AttachCall::End(int exit_code) {
  response_.mutable_end()->set_exit_code(exit_code);
  last_ = true;
  Write();
}

void AttachCall::Fail(absl::Status status) {
  source_ = nullptr;
  Conclude(status);
}

void AttachCall::OnWriteDone(bool ok) {
  loop_->Post([this, ok, self = self_] {
    writing_ = false;
    if (finished_) return;
    if (!ok) {
      Leave();
      return Conclude(absl::CancelledError("the client left"));
    }
    if (last_) return Conclude(absl::OkStatus());
    if (source_ != nullptr) source_->PeerReady();
  });
}

void AttachCall::OnCancel() {
  loop_->Post([this, self = self_] {
    Leave();
    Conclude(absl::CancelledError("the client left"));
  });
}

void AttachCall::Leave() {
  if (source_ != nullptr && !last_) std::exchange(source_, nullptr)->PeerGone();
}

void AttachCall::Conclude(const absl::Status& status) {
  if (finished_) return;
  finished_ = true;
  source_ = nullptr;
  Finish(ToGrpc(status));
}

void AttachCall::OnDone() {
  loop_->Post([self = std::move(self_)] {
    self->Leave();
    self->finished_ = true;
  });
}

}  // namespace slipway::agent
