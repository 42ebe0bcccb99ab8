#ifndef SERVICES_LOG_RPC_LOG_SERVICE_H_
#define SERVICES_LOG_RPC_LOG_SERVICE_H_

#include <grpcpp/server_context.h>

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "services/log/domain/outlet_runner.h"
#include "services/log/ports/counters.h"
#include "services/log/ports/log_store.h"
#include "services/log/rpc/worker_pool.h"
#include "slipway/log/v1/log.grpc.pb.h"

namespace slipway::log {

// slipway.log.v1.LogService over a store: parses, calls, converts. Thread-safe.
class LogServiceRpc final
    : public v1::LogService::WithCallbackMethod_AppendLog<
          v1::LogService::WithCallbackMethod_ReadLog<v1::LogService::Service>> {
 public:
  // They outlive the service, and the service every call.
  LogServiceRpc(LogStore& store, const OutletRunner& outlets, Counters& counters);

  grpc::ServerBidiReactor<v1::AppendLogRequest, v1::AppendLogResponse>* AppendLog(
      grpc::CallbackServerContext* context) override;
  grpc::ServerWriteReactor<v1::ReadLogResponse>* ReadLog(
      grpc::CallbackServerContext* context, const v1::ReadLogRequest* request) override;

  grpc::Status GetLogPosition(grpc::ServerContext* context,
                              const v1::GetLogPositionRequest* request,
                              v1::GetLogPositionResponse* response) override;
  grpc::Status DeleteLog(grpc::ServerContext* context, const v1::DeleteLogRequest* request,
                         v1::DeleteLogResponse* response) override;
  grpc::Status CountLog(grpc::ServerContext* context, const v1::CountLogRequest* request,
                        v1::CountLogResponse* response) override;
  grpc::Status ListLogs(grpc::ServerContext* context, const v1::ListLogsRequest* request,
                        v1::ListLogsResponse* response) override;
  grpc::Status TruncateLog(grpc::ServerContext* context, const v1::TruncateLogRequest* request,
                           v1::TruncateLogResponse* response) override;
  grpc::Status GetLogStats(grpc::ServerContext* context, const v1::GetLogStatsRequest* request,
                           v1::GetLogStatsResponse* response) override;
  grpc::Status GetVersion(grpc::ServerContext* context,
                          const common::v1::GetVersionRequest* request,
                          common::v1::GetVersionResponse* response) override;

 private:
  absl::Status Count(const v1::CountLogRequest& request, const std::function<bool()>& cancelled,
                     v1::CountLogResponse& response);
  absl::Status FillStats(const std::string& container_id, v1::GetLogStatsResponse& response);

  LogStore& store_;
  const OutletRunner& outlets_;
  Counters& counters_;
  // Apart, so that readers never make appends wait.
  WorkerPool append_workers_{2};
  WorkerPool read_workers_{4};
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_RPC_LOG_SERVICE_H_
