#ifndef GATEWAY_GRPC_FORWARDED_CALL_H_
#define GATEWAY_GRPC_FORWARDED_CALL_H_

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <string>

namespace slipway::gateway {

// Carries one call between its client and the service behind. Deletes itself when both sides are
// done.
grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* ForwardCall(
    grpc::GenericStub& stub, const std::string& path, grpc::CallbackServerContext* context);

}  // namespace slipway::gateway

#endif  // GATEWAY_GRPC_FORWARDED_CALL_H_
