#ifndef SERVICES_LOG_RPC_APPEND_STREAM_H_
#define SERVICES_LOG_RPC_APPEND_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include "services/log/ports/counters.h"
#include "services/log/ports/log_store.h"
#include "services/log/rpc/worker_pool.h"
#include "slipway/log/v1/log.pb.h"

namespace slipway::log {

// One AppendLog call: a request is read, stored and acknowledged before the next one is read, so
// that a stream holds one request. Deletes itself. What it is given outlives it.
grpc::ServerBidiReactor<v1::AppendLogRequest, v1::AppendLogResponse>* NewAppendStream(
    LogStore& store, WorkerPool& workers, Counters& counters);

}  // namespace slipway::log

#endif  // SERVICES_LOG_RPC_APPEND_STREAM_H_
