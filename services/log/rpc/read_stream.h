#ifndef SERVICES_LOG_RPC_READ_STREAM_H_
#define SERVICES_LOG_RPC_READ_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include "services/log/ports/counters.h"
#include "services/log/ports/log_store.h"
#include "services/log/rpc/worker_pool.h"
#include "slipway/log/v1/log.pb.h"

namespace slipway::log {

// At once; more are refused with RESOURCE_EXHAUSTED.
inline constexpr int kMostReaders = 1024;

// One ReadLog call: the next answer is made when the last one was taken, so that a client that does
// not read costs one answer, which is the smaller the more readers there are. Deletes itself. What
// it is given outlives it.
grpc::ServerWriteReactor<v1::ReadLogResponse>* NewReadStream(const v1::ReadLogRequest& request,
                                                             LogStore& store, WorkerPool& workers,
                                                             Counters& counters);

}  // namespace slipway::log

#endif  // SERVICES_LOG_RPC_READ_STREAM_H_
