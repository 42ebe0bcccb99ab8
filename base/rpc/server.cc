#include "base/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_posix.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/rpc/server_interceptor.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway {
namespace {

absl::Status SetAccess(const UnixListener& listener) {
  if (chown(listener.path.c_str(), listener.owner, listener.group) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chown ", listener.path));
  }
  if (chmod(listener.path.c_str(), listener.mode) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chmod ", listener.path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(
    RpcServerOptions options, const std::vector<grpc::Service*>& services, Metrics& metrics) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(NewServerInterceptorFactory(metrics.registry()));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 4);
  grpc::ResourceQuota quota("server");
  quota.SetMaxThreads(options.max_threads);
  builder.SetResourceQuota(quota);
  for (grpc::Service* service : services) builder.RegisterService(service);
  for (const UnixListener& listener : options.listeners) {
    // sockaddr_un(7): sun_path has 108 bytes with its NUL.
    if (listener.path.size() > 107) {
      return absl::InvalidArgumentError(
          absl::StrCat("socket path is longer than 107 bytes: ", listener.path));
    }
    builder.AddListeningPort(absl::StrCat("unix:", listener.path),
                             grpc::InsecureServerCredentials());
  }
  if (options.customize) options.customize(builder);
  // Nobody else may connect in the moment before SetAccess.
  const mode_t old_mask = umask(0177);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  umask(old_mask);
  if (server == nullptr) {
    return absl::UnavailableError(absl::StrCat(
        "listen on ", options.listeners.empty() ? "(no socket)" : options.listeners[0].path));
  }
  std::unique_ptr<RpcServer> started(new RpcServer(std::move(server)));
  for (const UnixListener& listener : options.listeners) RETURN_IF_ERROR(SetAccess(listener));
  return started;
}

void RpcServer::Adopt(UniqueFd socket) {
  absl::MutexLock lock(&mu_);
  if (server_ != nullptr) grpc::AddInsecureChannelFromFd(server_.get(), socket.release());
}

RpcServer::~RpcServer() { Shutdown(absl::ZeroDuration()); }

void RpcServer::Shutdown(absl::Duration grace) {
  std::unique_ptr<grpc::Server> server;
  {
    absl::MutexLock lock(&mu_);
    server = std::move(server_);
  }
  if (server != nullptr) server->Shutdown(absl::ToChronoTime(absl::Now() + grace));
}

}  // namespace slipway
