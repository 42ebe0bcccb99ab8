#include "runtime-agent/clients/log_client.h"

#include <grpcpp/client_context.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/logging/logging.h"
#include "base/rpc/status_conversion.h"
#include "slipway/log/v1/log.grpc.pb.h"

namespace slipway::agent {
namespace {

using log::v1::AppendLogRequest;
using log::v1::AppendLogResponse;
using log::v1::LogService;

std::string Hostname() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

void Describe(const LoggedContainer& from, log::v1::LogDescription* to) {
  static const std::string* const hostname = new std::string(Hostname());
  to->set_name(from.name);
  to->set_image(from.image);
  to->set_image_id(from.image_id);
  for (const auto& [key, value] : from.labels) (*to->mutable_labels())[key] = value;
  for (const std::string& variable : from.env) to->add_env(variable);
  for (const std::string& argument : from.argv) to->add_argv(argument);
  to->set_tty(from.tty);
  to->set_driver(from.driver);
  for (const auto& [key, value] : from.options) (*to->mutable_options())[key] = value;
  to->set_created_unix_ns(from.created_unix_ns);
  to->set_hostname(*hostname);
}

class GrpcLogStream : public LogStream {
 public:
  GrpcLogStream(const std::shared_ptr<grpc::Channel>& channel, std::string host_id,
                std::function<void(const std::string&, uint64_t)> on_acknowledged,
                std::function<void()> on_broken)
      : host_id_(std::move(host_id)),
        stub_(LogService::NewStub(channel)),
        stream_(stub_->AppendLog(&context_)),
        reader_(
            [this, on_acknowledged = std::move(on_acknowledged), on_broken = std::move(on_broken)] {
              AppendLogResponse response;
              while (stream_->Read(&response)) {
                on_acknowledged(response.container_id(), response.acknowledged_offset_bytes());
              }
              broken_ = true;
              on_broken();
            }) {}

  ~GrpcLogStream() override {
    context_.TryCancel();
    reader_.join();
    stream_->Finish();
  }

  bool Write(ShippedBatch batch) override {
    AppendLogRequest request;
    request.set_container_id(std::move(batch.container_id));
    request.set_host_id(host_id_);
    request.set_begin_offset_bytes(batch.begin_offset);
    request.set_end_offset_bytes(batch.end_offset);
    if (batch.container != nullptr) Describe(*batch.container, request.mutable_description());
    for (ShippedRecord& record : batch.records) {
      log::v1::LogRecord* added = request.add_records();
      added->set_time_unix_ns(record.time_unix_ns);
      const auto stream =
          record.stream == 2 ? common::v1::STD_STREAM_STDERR : common::v1::STD_STREAM_STDOUT;
      switch (record.kind) {
        case ShippedRecord::Kind::kChunk:
          added->mutable_chunk()->set_stream(stream);
          added->mutable_chunk()->set_data(std::move(record.data));
          break;
        case ShippedRecord::Kind::kGap:
          added->mutable_gap()->set_stream(stream);
          added->mutable_gap()->set_dropped_bytes(record.dropped_bytes);
          break;
        case ShippedRecord::Kind::kEnd:
          added->mutable_end();
          break;
      }
    }
    return !broken_ && stream_->Write(request);
  }

  void Cancel() override { context_.TryCancel(); }
  bool broken() const override { return broken_; }

 private:
  const std::string host_id_;
  grpc::ClientContext context_;
  std::unique_ptr<LogService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<AppendLogRequest, AppendLogResponse>> stream_;
  std::atomic<bool> broken_{false};
  std::thread reader_;
};

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogStream>> LogClient::OpenStream(
    std::function<void(const std::string& container_id, uint64_t offset)> on_acknowledged,
    std::function<void()> on_broken) {
  return std::make_unique<GrpcLogStream>(channel_, host_id_(), std::move(on_acknowledged),
                                         std::move(on_broken));
}

absl::StatusOr<uint64_t> LogClient::Position(const std::string& container_id) {
  grpc::ClientContext context;
  SetDeadline(context);
  log::v1::GetLogPositionRequest request;
  request.set_container_id(container_id);
  log::v1::GetLogPositionResponse response;
  const grpc::Status status =
      LogService::NewStub(channel_)->GetLogPosition(&context, request, &response);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return 0;
  if (!status.ok()) return FromGrpc(status);
  return response.acknowledged_offset_bytes();
}

absl::Status LogClient::Delete(const std::string& container_id) {
  grpc::ClientContext context;
  SetDeadline(context);
  log::v1::DeleteLogRequest request;
  request.set_container_id(container_id);
  log::v1::DeleteLogResponse response;
  const grpc::Status status =
      LogService::NewStub(channel_)->DeleteLog(&context, request, &response);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return absl::OkStatus();
  return FromGrpc(status);
}

}  // namespace slipway::agent
