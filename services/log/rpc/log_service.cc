#include "services/log/rpc/log_service.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/rpc/status_conversion.h"
#include "base/service/service.h"
#include "base/status/status_macros.h"
#include "services/log/domain/count.h"
#include "services/log/domain/selection.h"
#include "services/log/rpc/append_stream.h"
#include "services/log/rpc/convert.h"
#include "services/log/rpc/read_stream.h"

namespace slipway::log {

LogServiceRpc::LogServiceRpc(LogStore& store, const OutletRunner& outlets, Counters& counters)
    : store_(store), outlets_(outlets), counters_(counters) {}

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

absl::Status LogServiceRpc::Count(const v1::CountLogRequest& request,
                                  const std::function<bool()>& cancelled,
                                  v1::CountLogResponse& response) {
  ASSIGN_OR_RETURN(const auto logs, Select(store_.List(), ParseSelector(request.selector())));
  v1::ReadLogRequest read;
  read.set_stdout(request.stdout());
  read.set_stderr(request.stderr());
  read.set_since_unix_ns(request.since_unix_ns());
  read.set_until_unix_ns(request.until_unix_ns());
  read.set_tail_lines(-1);
  if (request.has_search()) *read.mutable_search() = request.search();
  ASSIGN_OR_RETURN(const ReadOptions options, ParseReadOptions(read));
  ReadBuffer buffer;
  for (const DescribedLog& log : logs) {
    ASSIGN_OR_RETURN(const ContainerId id, ContainerId::Parse(log.container_id));
    auto opened = store_.Open(id);
    if (absl::IsNotFound(opened.status())) continue;
    RETURN_IF_ERROR(opened.status());
    ASSIGN_OR_RETURN(const LineCount count,
                     CountEntries(*std::move(opened), options, cancelled, buffer));
    if (count.lines == 0 && count.dropped_bytes == 0) continue;
    v1::CountLogResponse::Count* added = response.add_counts();
    added->set_container_id(log.container_id);
    added->set_lines(count.lines);
    added->set_bytes(count.bytes);
    added->set_dropped_bytes(count.dropped_bytes);
  }
  return absl::OkStatus();
}

grpc::Status LogServiceRpc::CountLog(grpc::ServerContext* context,
                                     const v1::CountLogRequest* request,
                                     v1::CountLogResponse* response) {
  return ToGrpc(Count(
      *request, [context] { return context->IsCancelled(); }, *response));
}

grpc::Status LogServiceRpc::ListLogs(grpc::ServerContext*, const v1::ListLogsRequest* request,
                                     v1::ListLogsResponse* response) {
  const auto logs = Select(store_.List(), ParseSelector(request->selector()));
  if (!logs.ok()) return ToGrpc(logs.status());
  for (const DescribedLog& log : *logs) {
    v1::ListLogsResponse::Log* added = response->add_logs();
    added->set_container_id(log.container_id);
    FillDescription(*log.description, *added->mutable_description());
  }
  return grpc::Status::OK;
}

grpc::Status LogServiceRpc::TruncateLog(grpc::ServerContext*, const v1::TruncateLogRequest* request,
                                        v1::TruncateLogResponse* response) {
  const auto logs = Select(store_.List(), ParseSelector(request->selector()));
  if (!logs.ok()) return ToGrpc(logs.status());
  uint64_t bytes = 0;
  for (const DescribedLog& log : *logs) {
    const auto id = ContainerId::Parse(log.container_id);
    if (!id.ok()) return ToGrpc(id.status());
    const auto freed = store_.Truncate(*id);
    if (absl::IsNotFound(freed.status())) continue;
    if (!freed.ok()) return ToGrpc(freed.status());
    bytes += *freed;
  }
  response->set_deleted_bytes(bytes);
  return grpc::Status::OK;
}

absl::Status LogServiceRpc::FillStats(const std::string& container_id,
                                      v1::GetLogStatsResponse& response) {
  ASSIGN_OR_RETURN(const ContainerId id, ContainerId::Parse(container_id));
  ASSIGN_OR_RETURN(const LogStats stats, store_.Stats(id));
  ASSIGN_OR_RETURN(const std::shared_ptr<ReadableLog> log, store_.Open(id));
  ASSIGN_OR_RETURN(const auto lines, CountKeptLines(*log));
  response.set_stdout_bytes(stats.stdout_bytes);
  response.set_stderr_bytes(stats.stderr_bytes);
  response.set_records(stats.records);
  response.set_dropped_bytes(stats.dropped_bytes);
  response.set_stored_bytes(stats.stored_bytes);
  response.set_last_unix_ns(stats.last_unix_ns);
  for (size_t stream = 0; stream < kStreams; ++stream) {
    v1::LogStreamStats* added = response.add_streams();
    added->set_stream(stream == 0 ? common::v1::STD_STREAM_STDOUT : common::v1::STD_STREAM_STDERR);
    added->set_bytes(stream == 0 ? stats.stdout_bytes : stats.stderr_bytes);
    added->set_lines(lines[stream]);
  }
  if (const auto outlet = outlets_.Stats(container_id)) {
    v1::LogOutletStats* to = response.mutable_outlet();
    to->set_driver(outlet->driver);
    to->set_sent_entries(outlet->sent_entries);
    to->set_sent_bytes(outlet->sent_bytes);
    to->set_dropped_bytes(outlet->dropped_bytes);
    const uint64_t written = stats.stdout_bytes + stats.stderr_bytes;
    const uint64_t done = outlet->sent_bytes + outlet->dropped_bytes;
    to->set_lag_bytes(written > done ? written - done : 0);
    to->set_failures(outlet->failures);
    to->set_last_error(outlet->last_error);
    to->set_path(outlet->path);
  }
  return absl::OkStatus();
}

grpc::Status LogServiceRpc::GetLogStats(grpc::ServerContext*, const v1::GetLogStatsRequest* request,
                                        v1::GetLogStatsResponse* response) {
  return ToGrpc(FillStats(request->container_id(), *response));
}

grpc::Status LogServiceRpc::GetVersion(grpc::ServerContext*, const common::v1::GetVersionRequest*,
                                       common::v1::GetVersionResponse* response) {
  response->mutable_version()->set_version(std::string(Version()));
  return grpc::Status::OK;
}

}  // namespace slipway::log
