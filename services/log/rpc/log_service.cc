#include "services/log/rpc/log_service.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/rpc/status_conversion.h"
#include "base/service/service.h"
#include "base/status/status_macros.h"
#include "services/log/rpc/append_stream.h"
#include "services/log/rpc/read_stream.h"

namespace slipway::log {

LogServiceRpc::LogServiceRpc(LogStore& store, Counters& counters)
    : store_(store), counters_(counters) {}

grpc::ServerBidiReactor<v1::AppendLogRequest, v1::AppendLogResponse>* LogServiceRpc::AppendLog(
    grpc::CallbackServerContext*) {
  return NewAppendStream(store_, append_workers_, counters_);
}

grpc::ServerWriteReactor<v1::ReadLogResponse>* LogServiceRpc::ReadLog(
    grpc::CallbackServerContext*, const v1::ReadLogRequest* request) {
  return NewReadStream(*request, store_, read_workers_, counters_);
}

grpc::Status LogServiceRpc::GetLogPosition(grpc::ServerContext*,
                                           const v1::GetLogPositionRequest* request,
                                           v1::GetLogPositionResponse* response) {
  const auto position = [&]() -> absl::StatusOr<uint64_t> {
    ASSIGN_OR_RETURN(const ContainerId id, ContainerId::Parse(request->container_id()));
    return store_.AcknowledgedOffset(id);
  }();
  if (position.ok()) response->set_acknowledged_offset_bytes(*position);
  return ToGrpc(position.status());
}

grpc::Status LogServiceRpc::DeleteLog(grpc::ServerContext*, const v1::DeleteLogRequest* request,
                                      v1::DeleteLogResponse*) {
  const auto id = ContainerId::Parse(request->container_id());
  if (!id.ok()) return ToGrpc(id.status());
  return ToGrpc(store_.Delete(*id));
}

grpc::Status LogServiceRpc::GetLogStats(grpc::ServerContext*, const v1::GetLogStatsRequest* request,
                                        v1::GetLogStatsResponse* response) {
  const auto stats = [&]() -> absl::StatusOr<LogStats> {
    ASSIGN_OR_RETURN(const ContainerId id, ContainerId::Parse(request->container_id()));
    return store_.Stats(id);
  }();
  if (!stats.ok()) return ToGrpc(stats.status());
  response->set_stdout_bytes(stats->stdout_bytes);
  response->set_stderr_bytes(stats->stderr_bytes);
  response->set_records(stats->records);
  response->set_dropped_bytes(stats->dropped_bytes);
  response->set_stored_bytes(stats->stored_bytes);
  return grpc::Status::OK;
}

grpc::Status LogServiceRpc::GetVersion(grpc::ServerContext*, const common::v1::GetVersionRequest*,
                                       common::v1::GetVersionResponse* response) {
  response->mutable_version()->set_version(std::string(Version()));
  return grpc::Status::OK;
}

}  // namespace slipway::log
