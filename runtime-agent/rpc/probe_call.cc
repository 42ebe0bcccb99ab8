#include "runtime-agent/rpc/probe_call.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/rpc/status_conversion.h"
#include "runtime-agent/rpc/convert.h"
#include "runtime-agent/streams/exec_streams.h"

namespace slipway::agent {
namespace {

constexpr int64_t kMaximumOutputBytes = 64 << 10;
// What a killed process gets to end.
constexpr absl::Duration kEndPatience = absl::Seconds(5);
constexpr int kNotRun = -1;

}  // namespace

ProbeCall::ProbeCall(Runtime* runtime, const v1::RunProbeRequest& request,
                     v1::RunProbeResponse* response)
    : runtime_(runtime),
      command_(FromWire(request)),
      timeout_ns_(std::max<int64_t>(request.timeout_ns(), 1'000'000)),
      limit_bytes_(static_cast<size_t>(
          std::clamp<int64_t>(request.output_limit_bytes(), 0, kMaximumOutputBytes))),
      response_(response) {}

ProbeCall* ProbeCall::Start(Runtime* runtime, const v1::RunProbeRequest& request,
                            v1::RunProbeResponse* response) {
  std::shared_ptr<ProbeCall> call(new ProbeCall(runtime, request, response));
  call->self_ = call;
  runtime->Post([call] { call->Run(); });
  return call.get();
}

void ProbeCall::Run() {
  response_->set_started_unix_ns(absl::GetCurrentTimeNanos());
  const absl::StatusOr<int64_t> pid = runtime_->StartExec(command_);
  runtime_->loop().Post([this, self = self_, status = pid.status()] {
    if (status.ok()) return Attach(timeout_ns_);
    // A command that cannot be run is an answer too.
    if (!absl::IsInvalidArgument(status)) return Conclude(status);
    output_ = std::string(status.message());
    End(kNotRun);
  });
}

void ProbeCall::Attach(int64_t timeout_ns) {
  const std::shared_ptr<Exec> exec = runtime_->FindExec(command_.exec_id);
  const std::shared_ptr<ExecStreams> streams = exec == nullptr ? nullptr : exec->streams();
  if (streams == nullptr) {
    return Conclude(absl::UnavailableError("the probe's streams are gone"));
  }
  source_ = streams;
  streams->Attach(shared_from_this(), {.standard_out = true, .standard_error = true});
  runtime_->loop().After(absl::Nanoseconds(timeout_ns), [this, self = self_] { TimeOut(); });
}

void ProbeCall::TimeOut() {
  if (finished_) return;
  timed_out_ = true;
  runtime_->KillExec(command_.exec_id);
  runtime_->loop().After(kEndPatience, [this, self = self_] { End(kNotRun); });
}

void ProbeCall::TakeMore() {
  // Not from within the source's own call.
  runtime_->loop().Post([this, self = shared_from_this()] {
    if (source_ != nullptr && !finished_) source_->PeerReady();
  });
}

void ProbeCall::Ready(bool) { TakeMore(); }

void ProbeCall::Output(uint8_t, std::string data) {
  const size_t room = limit_bytes_ - std::min(limit_bytes_, output_.size());
  if (data.size() > room) response_->set_truncated(true);
  output_.append(data, 0, room);
  TakeMore();
}

void ProbeCall::End(int exit_code) {
  if (finished_) return;
  response_->set_exit_code(exit_code);
  response_->set_output(std::move(output_));
  response_->set_timed_out(timed_out_);
  response_->set_finished_unix_ns(absl::GetCurrentTimeNanos());
  Conclude(absl::OkStatus());
}

void ProbeCall::Fail(absl::Status status) { Conclude(status); }

void ProbeCall::Conclude(const absl::Status& status) {
  if (finished_) return;
  finished_ = true;
  if (source_ != nullptr) std::exchange(source_, nullptr)->PeerGone();
  runtime_->DropExec(command_.exec_id);
  Finish(ToGrpc(status));
}

void ProbeCall::OnDone() {
  runtime_->loop().Post([this, self = std::move(self_)] {
    if (finished_) return;
    // The client left.
    finished_ = true;
    runtime_->KillExec(command_.exec_id);
    if (source_ != nullptr) std::exchange(source_, nullptr)->PeerGone();
    runtime_->DropExec(command_.exec_id);
  });
}

}  // namespace slipway::agent
