#include "gateway/grpc/proxy_service.h"

#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/rpc_service_method.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "gateway/grpc/forwarded_call.h"

namespace slipway::gateway {
namespace {

using grpc::ByteBuffer;
using Reactor = grpc::ServerBidiReactor<ByteBuffer, ByteBuffer>;
using Handler = grpc::internal::CallbackBidiHandler<ByteBuffer, ByteBuffer>;

class DeniedCall : public Reactor {
 public:
  explicit DeniedCall(const std::string& path) {
    Finish(grpc::Status(grpc::StatusCode::PERMISSION_DENIED,
                        absl::StrCat(path, " is internal to the platform")));
  }
  void OnDone() override { delete this; }
};

}  // namespace

ProxyService::ProxyService(const google::protobuf::ServiceDescriptor& service,
                           const std::shared_ptr<grpc::Channel>& channel,
                           const std::vector<std::string>& internal_methods)
    : stub_(channel) {
  for (int i = 0; i < service.method_count(); ++i) {
    const std::string& name = service.method(i)->name();
    const bool is_internal =
        std::find(internal_methods.begin(), internal_methods.end(), name) != internal_methods.end();
    paths_.push_back(absl::StrCat("/", service.full_name(), "/", name));
    // The library keeps the pointer to the name, and deletes method and handler.
    const std::string& path = paths_.back();
    AddMethod(new grpc::internal::RpcServiceMethod(
        path.c_str(), grpc::internal::RpcMethod::BIDI_STREAMING, nullptr));
    MarkMethodRawCallback(
        i,
        new Handler([this, &path, is_internal](grpc::CallbackServerContext* context) -> Reactor* {
          if (is_internal) return new DeniedCall(path);
          return ForwardCall(stub_, path, context);
        }));
  }
}

}  // namespace slipway::gateway
