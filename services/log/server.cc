#include "services/log/server.h"

#include <sys/resource.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/metrics/metrics.h"
#include "base/os/directory_lock.h"
#include "base/os/file.h"
#include "base/os/unique_fd.h"
#include "base/rpc/server.h"
#include "base/status/status_macros.h"
#include "services/log/domain/outlet_runner.h"
#include "services/log/log_metrics.h"
#include "services/log/outlets/drivers.h"
#include "services/log/ports/counters.h"
#include "services/log/rpc/log_service.h"
#include "services/log/rpc/read_stream.h"
#include "services/log/store/segment_store.h"

namespace slipway::log {
namespace {

constexpr absl::Duration kGrace = absl::Seconds(1);
constexpr uint64_t kLeastSegmentBytes = 64 << 10;

// A batch of an agent's comes whole, without waiting again and again for the next 64 KiB of it to
// be allowed, and in few pieces.
void SetLimits(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 20);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 256 << 10);
  // A call takes gRPC some 20 KB from its arrival on, also one that is refused as soon as its turn
  // comes. What a client begins above this waits on its side. Readers are refused earlier.
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMostReaders + 64);
}

class RunningServer : public Server {
 public:
  ~RunningServer() override {
    if (rpc_ != nullptr) rpc_->Shutdown(kGrace);
  }

  absl::Status Run(const ServerOptions& options) {
    RETURN_IF_ERROR(MakeDirectories(options.root, 0755));
    ASSIGN_OR_RETURN(lock_, LockDirectory(options.root));
    ASSIGN_OR_RETURN(store_,
                     SegmentStore::Open(options.root,
                                        {.segment_bytes = options.max_segment_bytes,
                                         .container_bytes = options.max_container_bytes,
                                         .total_bytes = options.max_total_bytes,
                                         .age_ns = absl::ToInt64Nanoseconds(options.max_age)},
                                        counters_));
    drivers_ = std::make_unique<Drivers>(
        DriverOptions{.json_directory = absl::StrCat(options.root, "/json-file"),
                      .journald_socket = options.journald_socket});
    outlets_ = std::make_unique<OutletRunner>(*store_, *drivers_, counters_);
    service_ = std::make_unique<LogServiceRpc>(*store_, *outlets_, counters_);
    metrics_.Register(NewLogCollector(counters_));
    RETURN_IF_ERROR(metrics_.Serve(options.metrics_address));
    RpcServerOptions rpc;
    rpc.listeners.push_back(UnixListener{.path = options.socket, .mode = 0600});
    rpc.customize = SetLimits;
    ASSIGN_OR_RETURN(rpc_, RpcServer::Start(std::move(rpc), {service_.get()}, metrics_));
    return absl::OkStatus();
  }

 private:
  Counters counters_;
  Metrics metrics_;
  UniqueFd lock_;  // of the root
  std::unique_ptr<SegmentStore> store_;
  std::unique_ptr<Drivers> drivers_;
  std::unique_ptr<OutletRunner> outlets_;
  std::unique_ptr<LogServiceRpc> service_;
  std::unique_ptr<RpcServer> rpc_;
};

// A container that logs takes two descriptors; the soft limit is often 1024.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  if (options.max_segment_bytes < kLeastSegmentBytes ||
      options.max_segment_bytes > options.max_container_bytes ||
      options.max_container_bytes > options.max_total_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("limits must grow: 65536 <= max_segment_bytes (", options.max_segment_bytes,
                     ") <= max_container_bytes (", options.max_container_bytes,
                     ") <= max_total_bytes (", options.max_total_bytes, ")"));
  }
  RaiseDescriptorLimit();
  auto server = std::make_unique<RunningServer>();
  RETURN_IF_ERROR(server->Run(options));
  return server;
}

}  // namespace slipway::log
