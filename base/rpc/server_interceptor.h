#ifndef BASE_RPC_SERVER_INTERCEPTOR_H_
#define BASE_RPC_SERVER_INTERCEPTOR_H_

#include <grpcpp/support/server_interceptor.h>
#include <prometheus/registry.h>

#include <memory>

namespace slipway {

// Counts, times and logs every call of a server, under go-grpc-prometheus' names:
// grpc_server_started_total, grpc_server_handled_total{grpc_code}, grpc_server_msg_received_total,
// grpc_server_msg_sent_total, grpc_server_handling_seconds, each with {grpc_type, grpc_service,
// grpc_method}. Failed calls are logged with their request id: at error level for INTERNAL, UNKNOWN
// and DATA_LOSS, at debug level otherwise. The factory is thread-safe.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> NewServerInterceptorFactory(
    std::shared_ptr<prometheus::Registry> registry);

}  // namespace slipway

#endif  // BASE_RPC_SERVER_INTERCEPTOR_H_
