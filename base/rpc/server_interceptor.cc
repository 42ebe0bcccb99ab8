#include "base/rpc/server_interceptor.h"

#include <grpcpp/support/interceptor.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include <array>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/node_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/logging/logging.h"
#include "base/rpc/request_id.h"

namespace slipway {
namespace {

using Clock = std::chrono::steady_clock;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::ServerRpcInfo;
using Labels = std::map<std::string, std::string>;

constexpr int kCodeCount = 17;
constexpr std::array<const char*, kCodeCount> kCodeNames = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

const char* TypeName(ServerRpcInfo::Type type) {
  switch (type) {
    case ServerRpcInfo::Type::UNARY:
      return "unary";
    case ServerRpcInfo::Type::CLIENT_STREAMING:
      return "client_stream";
    case ServerRpcInfo::Type::SERVER_STREAMING:
      return "server_stream";
    case ServerRpcInfo::Type::BIDI_STREAMING:
      return "bidi_stream";
  }
  return "unary";
}

// The figures of one method, looked up once.
struct MethodMetrics {
  prometheus::Counter* started;
  prometheus::Counter* received;
  prometheus::Counter* sent;
  prometheus::Histogram* seconds;
  Labels labels;
  absl::Mutex mu;
  std::array<prometheus::Counter*, kCodeCount> handled ABSL_GUARDED_BY(mu) = {};
};

class RpcMetrics {
 public:
  explicit RpcMetrics(std::shared_ptr<prometheus::Registry> registry)
      : registry_(std::move(registry)),
        started_(prometheus::BuildCounter()
                     .Name("grpc_server_started_total")
                     .Help("RPCs started on the server.")
                     .Register(*registry_)),
        handled_(prometheus::BuildCounter()
                     .Name("grpc_server_handled_total")
                     .Help("RPCs completed on the server, whatever the outcome.")
                     .Register(*registry_)),
        received_(prometheus::BuildCounter()
                      .Name("grpc_server_msg_received_total")
                      .Help("Messages received by the server.")
                      .Register(*registry_)),
        sent_(prometheus::BuildCounter()
                  .Name("grpc_server_msg_sent_total")
                  .Help("Messages sent by the server.")
                  .Register(*registry_)),
        seconds_(prometheus::BuildHistogram()
                     .Name("grpc_server_handling_seconds")
                     .Help("Time from the start of an RPC to its status, in seconds.")
                     .Register(*registry_)) {}

  // Methods are few: names that no service has answer with one shared entry, so that a hostile
  // client cannot make this grow.
  MethodMetrics* Of(const char* method, ServerRpcInfo::Type type) {
    absl::string_view path = method == nullptr ? "" : method;
    absl::MutexLock lock(&mu_);
    auto found = methods_.find(path);
    if (found != methods_.end()) return &found->second;
    if (methods_.size() >= 512) path = "/other/other";
    found = methods_.find(path);
    if (found != methods_.end()) return &found->second;
    MethodMetrics& entry = methods_[std::string(path)];
    const absl::string_view trimmed = path.substr(path.empty() ? 0 : 1);
    const size_t slash = trimmed.rfind('/');
    entry.labels = {
        {"grpc_type", TypeName(type)},
        {"grpc_service", std::string(trimmed.substr(0, slash))},
        {"grpc_method",
         slash == absl::string_view::npos ? "" : std::string(trimmed.substr(slash + 1))}};
    entry.started = &started_.Add(entry.labels);
    entry.received = &received_.Add(entry.labels);
    entry.sent = &sent_.Add(entry.labels);
    entry.seconds = &seconds_.Add(
        entry.labels, prometheus::Histogram::BucketBoundaries{.0005, .001, .0025, .005, .01, .025,
                                                              .05, .1, .25, .5, 1, 2.5, 5, 10});
    return &entry;
  }

  void Handled(MethodMetrics* method, int code) {
    if (code < 0 || code >= kCodeCount) code = 2;
    absl::MutexLock lock(&method->mu);
    prometheus::Counter*& counter = method->handled[static_cast<size_t>(code)];
    if (counter == nullptr) {
      Labels labels = method->labels;
      labels["grpc_code"] = kCodeNames[static_cast<size_t>(code)];
      counter = &handled_.Add(labels);
    }
    counter->Increment();
  }

 private:
  const std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Counter>& started_;
  prometheus::Family<prometheus::Counter>& handled_;
  prometheus::Family<prometheus::Counter>& received_;
  prometheus::Family<prometheus::Counter>& sent_;
  prometheus::Family<prometheus::Histogram>& seconds_;
  absl::Mutex mu_;
  absl::node_hash_map<std::string, MethodMetrics> methods_ ABSL_GUARDED_BY(mu_);
};

class CallInterceptor : public grpc::experimental::Interceptor {
 public:
  CallInterceptor(RpcMetrics* metrics, ServerRpcInfo* info)
      : metrics_(metrics),
        info_(info),
        method_(metrics->Of(info->method(), info->type())),
        begin_(Clock::now()) {
    method_->started->Increment();
  }

  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE) &&
        batch->GetRecvMessage() != nullptr) {
      method_->received->Increment();
    }
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE)) {
      method_->sent->Increment();
    }
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      Finish(batch->GetSendStatus());
    }
    batch->Proceed();
  }

 private:
  void Finish(const grpc::Status& status) {
    const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    method_->seconds->Observe(seconds);
    metrics_->Handled(method_, static_cast<int>(status.error_code()));
    if (status.ok()) return;
    const bool ours = status.error_code() == grpc::StatusCode::INTERNAL ||
                      status.error_code() == grpc::StatusCode::UNKNOWN ||
                      status.error_code() == grpc::StatusCode::DATA_LOSS;
    const LogLevel level = ours ? LogLevel::kError : LogLevel::kDebug;
    if (!LogEnabled(level)) return;
    const int code = static_cast<int>(status.error_code());
    Log(level, status.error_message(),
        {{"method", info_->method()},
         {"code", code < kCodeCount ? kCodeNames[static_cast<size_t>(code)] : "Unknown"},
         {"request_id",
          info_->server_context() == nullptr ? "" : RequestIdOf(*info_->server_context())},
         {"seconds", absl::StrCat(seconds)}});
  }

  RpcMetrics* const metrics_;
  ServerRpcInfo* const info_;
  MethodMetrics* const method_;
  const Clock::time_point begin_;
};

class Factory : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(std::shared_ptr<prometheus::Registry> registry)
      : metrics_(std::move(registry)) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    return new CallInterceptor(&metrics_, info);
  }

 private:
  RpcMetrics metrics_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> NewServerInterceptorFactory(
    std::shared_ptr<prometheus::Registry> registry) {
  return std::make_unique<Factory>(std::move(registry));
}

}  // namespace slipway
