#include "gateway/buildkit/control.h"

#include <google/protobuf/util/time_util.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/rpc/request_id.h"
#include "base/service/service.h"
#include "base/status/status_macros.h"
#include "buildkit/control.grpc.pb.h"
#include "buildkit/llb_bridge.grpc.pb.h"
#include "gateway/buildkit/build_run.h"
#include "gateway/buildkit/error_source.h"
#include "gateway/buildkit/solves.h"

namespace slipway::gateway {
namespace {

namespace bk = moby::buildkit::v1;
using google::protobuf::util::TimeUtil;
namespace fe = moby::buildkit::v1::frontend;
namespace pb = slipway::build::v1;
using Context = grpc::CallbackServerContext;

constexpr std::chrono::seconds kPatience{5};  // for Control.Solve, of calls that come before it
constexpr size_t kMaxUsageRecords = 100'000;

// A unary call whose answer a coroutine makes. Deletes itself.
class UnaryCall : public grpc::ServerUnaryReactor {
 public:
  // `cancelled` is called in a thread of gRPC's when the client has left.
  explicit UnaryCall(std::function<void()> cancelled = nullptr)
      : cancelled_(std::move(cancelled)) {}
  void OnCancel() override {
    if (cancelled_) cancelled_();
  }
  void OnDone() override { delete this; }

 private:
  const std::function<void()> cancelled_;
};

// Runs `work`, whose status is the call's.
void Answer(UnaryCall* call, const asio::any_io_executor& executor, Awaitable<absl::Status> work) {
  asio::co_spawn(executor, std::move(work), [call](std::exception_ptr thrown, absl::Status status) {
    if (thrown) status = absl::InternalError("the call broke off");
    call->Finish(ToGrpcWithSource(status));
  });
}

UnaryCall* Finished(const absl::Status& status) {
  auto* const call = new UnaryCall();
  call->Finish(ToGrpc(status));
  return call;
}

std::map<std::string, std::string> ToMap(
    const google::protobuf::Map<std::string, std::string>& map) {
  return {map.begin(), map.end()};
}

absl::StatusOr<BuildKitBuild> BuildOf(const bk::SolveRequest& request, const std::string& frontend,
                                      const std::map<std::string, std::string>& attributes) {
  // A `# syntax=` of a Dockerfile, and what asks for one by an argument, gets the frontend that is
  // here.
  if (frontend != "dockerfile.v0" && frontend != "gateway.v0") {
    return absl::UnimplementedError(
        absl::StrCat("frontend \"", frontend, "\" is not supported: dockerfile.v0 is"));
  }
  ASSIGN_OR_RETURN(BuildKitBuild build, ReadBuildAttributes(attributes));
  build.session = request.session();
  if (request.exporters_size() > 1) {
    return absl::UnimplementedError("several outputs of one build are not supported");
  }
  if (request.exporters_size() == 1) {
    RETURN_IF_ERROR(
        ReadExporter(request.exporters(0).type(), ToMap(request.exporters(0).attrs()), build));
  } else {
    RETURN_IF_ERROR(ReadExporter(request.exporter(), ToMap(request.exporterattrs()), build));
  }
  return build;
}

struct Parts {
  Backends& backends;
  BuildSessions& sessions;
  Solves solves;
};

Awaitable<absl::Status> DoBuild(Parts& parts, SolvePtr solve, std::string frontend,
                                std::map<std::string, std::string> attributes) {
  CO_ASSIGN_OR_RETURN(BuildKitBuild build, BuildOf(solve->request, frontend, attributes));
  BuildProgress progress(
      [solve](bk::StatusResponse status) { solve->progress.Push(std::move(status)); });
  const CallOptions options{.request_id = NewRequestId()};
  CO_ASSIGN_OR_RETURN(solve->image_id,
                      co_await RunBuildKitBuild(parts.backends, parts.sessions, std::move(build),
                                                progress, solve->cancel, options));
  co_return absl::OkStatus();
}

// Of a client that is its own frontend: it has called LLBBridge.Solve, or not, when it returns.
Awaitable<absl::Status> AwaitReturn(SolvePtr solve) {
  while (!solve->returned.has_value() && !solve->cancel.cancelled()) co_await solve->changed.Wait();
  if (!solve->returned.has_value()) co_return absl::CancelledError("context canceled");
  co_return *solve->returned;
}

Awaitable<absl::Status> DoSolve(Parts& parts, SolvePtr solve, bk::SolveResponse* response) {
  if (solve->begun) {
    co_return absl::AlreadyExistsError(
        absl::StrCat("build ", solve->request.ref(), " is there already"));
  }
  solve->begun = true;
  solve->changed.Notify();
  const std::string& frontend = solve->request.frontend();
  absl::Status status;
  if (frontend.empty()) {
    status = co_await AwaitReturn(solve);
  } else {
    auto attributes = ToMap(solve->request.frontendattrs());
    status = co_await DoBuild(parts, solve, frontend, std::move(attributes));
  }
  if (status.ok() && !solve->image_id.empty()) {
    auto& facts = *response->mutable_exporterresponse();
    facts["containerimage.config.digest"] = solve->image_id;
    facts["containerimage.digest"] = solve->image_id;
  }
  // What a client's own frontend has begun ends with it.
  solve->cancel.Cancel();
  solve->over = true;
  solve->request.Clear();
  solve->progress.Close();
  solve->changed.Notify();
  co_return status;
}

// A call that ends its build when its client leaves.
UnaryCall* NewCallOf(const SolvePtr& solve) {
  return new UnaryCall([solve] {
    asio::post(solve->executor, [solve] {
      solve->cancel.Cancel();
      solve->changed.Notify();
    });
  });
}

// Sends what a build tells of its progress, until it is over.
class StatusCall : public grpc::ServerWriteReactor<bk::StatusResponse>,
                   public std::enable_shared_from_this<StatusCall> {
 public:
  static StatusCall* Begin(SolvePtr solve) {
    const std::shared_ptr<StatusCall> call(new StatusCall(std::move(solve)));
    call->self_ = call;
    asio::co_spawn(call->solve_->executor, AwaitSolve(call), asio::detached);
    return call.get();
  }

  void OnWriteDone(bool ok) override {
    Post([ok](StatusCall& call) {
      call.writing_ = false;
      call.cancelled_ = call.cancelled_ || !ok;
      call.Advance();
    });
  }
  void OnCancel() override {
    Post([](StatusCall& call) {
      call.cancelled_ = true;
      call.solve_->changed.Notify();
      call.Advance();
    });
  }
  void OnDone() override { const std::shared_ptr<StatusCall> last = std::move(self_); }

 private:
  explicit StatusCall(SolvePtr solve) : solve_(std::move(solve)) {}

  template <typename Work>
  void Post(Work work) {
    asio::post(solve_->executor, [self = shared_from_this(), work] { work(*self); });
  }

  static Awaitable<void> AwaitSolve(std::shared_ptr<StatusCall> call) {
    Solve& solve = *call->solve_;
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!solve.begun && !call->cancelled_ && std::chrono::steady_clock::now() < until) {
      co_await solve.changed.Wait(until);
    }
    call->missing_ = !solve.begun || std::exchange(solve.watched, true);
    call->ready_ = true;
    call->Advance();
  }

  void Advance() {
    if (!ready_ || writing_ || finished_) return;
    grpc::Status end;
    if (missing_) {
      end = ToGrpc(absl::NotFoundError("no such job, or its status is being read already"));
    } else if (cancelled_) {
      end = grpc::Status(grpc::StatusCode::CANCELLED, "the client left");
    } else if (auto status = solve_->progress.Take()) {
      message_ = *std::move(status);
      writing_ = true;
      StartWrite(&message_);
      return;
    } else if (!solve_->progress.closed()) {
      solve_->progress.OnChange([self = shared_from_this()] { self->Advance(); });
      return;
    }
    finished_ = true;
    Finish(end);
  }

  std::shared_ptr<StatusCall> self_;  // until gRPC is done with it
  const SolvePtr solve_;
  bk::StatusResponse message_;  // gRPC's while writing_
  bool ready_ = false;
  bool missing_ = false;
  bool writing_ = false;
  bool cancelled_ = false;
  bool finished_ = false;
};

bk::UsageRecord RecordOf(const pb::BuildCacheEntry& entry) {
  bk::UsageRecord record;
  record.set_id(entry.id());
  record.set_inuse(entry.in_use());
  record.set_size(entry.size_bytes());
  record.set_shared(entry.shared());
  record.set_description(entry.description());
  record.set_recordtype(entry.type());
  record.set_usagecount(entry.use_count());
  if (!entry.parent().empty()) record.add_parents(entry.parent());
  *record.mutable_createdat() = TimeUtil::NanosecondsToTimestamp(entry.created_unix_ns());
  if (entry.last_used_unix_ns() != 0) {
    *record.mutable_lastusedat() = TimeUtil::NanosecondsToTimestamp(entry.last_used_unix_ns());
  }
  return record;
}

bk::WorkerRecord ThisWorker() {
  bk::WorkerRecord worker;
  worker.set_id("slipway");
  (*worker.mutable_labels())["org.mobyproject.buildkit.worker.executor"] = "slipway";
  auto& platform = *worker.add_platforms();
  platform.set_os("linux");
#if defined(__x86_64__)
  platform.set_architecture("amd64");
#elif defined(__aarch64__)
  platform.set_architecture("arm64");
#else
#error "which architecture is this?"
#endif
  worker.mutable_buildkitversion()->set_package("slipway");
  worker.mutable_buildkitversion()->set_version(std::string(slipway::Version()));
  return worker;
}

// Removes what the build cache can do without, and tells of each part.
class PruneCall : public grpc::ServerWriteReactor<bk::UsageRecord> {
 public:
  PruneCall(Backends& backends, const asio::any_io_executor& executor,
            const bk::PruneRequest* request) {
    asio::co_spawn(executor, Do(backends, request),
                   [this](std::exception_ptr, absl::Status status) {
                     status_ = std::move(status);
                     WriteNext();
                   });
  }
  void OnWriteDone(bool ok) override {
    if (!ok) next_ = removed_.size();
    WriteNext();
  }
  void OnDone() override { delete this; }

 private:
  Awaitable<absl::Status> Do(Backends& backends, const bk::PruneRequest* request) {
    const CallOptions options;
    CO_ASSIGN_OR_RETURN(const pb::ListBuildCacheResponse listed,
                        co_await backends.Call(backends.build(), &BuildCalls::ListBuildCache,
                                               pb::ListBuildCacheRequest(), options));
    pb::PruneBuildCacheRequest prune;
    prune.set_all(request->all());
    prune.set_keep_bytes(request->keepbytes());
    if (request->keepduration() > 0) {
      prune.set_until_unix_ns(absl::GetCurrentTimeNanos() - request->keepduration());
    }
    for (const std::string& filter : request->filter()) {
      if (filter.empty()) continue;
      absl::string_view text = filter;
      if (absl::ConsumePrefix(&text, "type==")) {
        prune.add_types(std::string(text));
      } else if (absl::ConsumePrefix(&text, "id==") || absl::ConsumePrefix(&text, "id~=")) {
        prune.add_ids(std::string(text));
      } else {
        co_return absl::InvalidArgumentError(absl::StrCat("unknown filter: ", filter));
      }
    }
    // Not made in the call: GCC 12 destroys it twice there.
    const CallOptions endless{.timeout = absl::InfiniteDuration()};
    CO_ASSIGN_OR_RETURN(
        const pb::PruneBuildCacheResponse pruned,
        co_await backends.Call(backends.build(), &BuildCalls::PruneBuildCache, prune, endless));
    const std::set<std::string> ids(pruned.ids().begin(), pruned.ids().end());
    for (const pb::BuildCacheEntry& entry : listed.entries()) {
      if (ids.contains(entry.id())) removed_.push_back(RecordOf(entry));
    }
    co_return absl::OkStatus();
  }

  void WriteNext() {
    if (next_ < removed_.size()) {
      StartWrite(&removed_[next_++]);
    } else {
      Finish(ToGrpc(status_));
    }
  }

  absl::Status status_;
  std::vector<bk::UsageRecord> removed_;
  size_t next_ = 0;
};

class ControlService : public bk::Control::CallbackService {
 public:
  explicit ControlService(Parts& parts, IoThreads& threads) : parts_(parts), threads_(threads) {}

  grpc::ServerUnaryReactor* Solve(Context*, const bk::SolveRequest* request,
                                  bk::SolveResponse* response) override {
    absl::StatusOr<SolvePtr> found = parts_.solves.Get(request->ref());
    if (!found.ok()) return Finished(found.status());
    SolvePtr solve = *found;
    auto* const call = NewCallOf(solve);
    Answer(call, solve->executor, Begin(parts_, solve, request, response));
    return call;
  }

  grpc::ServerWriteReactor<bk::StatusResponse>* Status(Context*,
                                                       const bk::StatusRequest* request) override {
    absl::StatusOr<SolvePtr> solve = parts_.solves.Get(request->ref());
    if (solve.ok()) return StatusCall::Begin(*solve);
    class Refused : public grpc::ServerWriteReactor<bk::StatusResponse> {
      void OnDone() override { delete this; }
    };
    auto* const refused = new Refused();
    refused->Finish(ToGrpc(solve.status()));
    return refused;
  }

  grpc::ServerUnaryReactor* ListWorkers(Context*, const bk::ListWorkersRequest*,
                                        bk::ListWorkersResponse* response) override {
    *response->add_record() = ThisWorker();
    return Finished(absl::OkStatus());
  }

  grpc::ServerUnaryReactor* Info(Context*, const bk::InfoRequest*,
                                 bk::InfoResponse* response) override {
    *response->mutable_buildkitversion() = ThisWorker().buildkitversion();
    return Finished(absl::OkStatus());
  }

  grpc::ServerUnaryReactor* DiskUsage(Context*, const bk::DiskUsageRequest*,
                                      bk::DiskUsageResponse* response) override {
    auto* const call = new UnaryCall();
    Answer(call, threads_.Next().get_executor(), List(parts_, response));
    return call;
  }

  grpc::ServerWriteReactor<bk::UsageRecord>* Prune(Context*,
                                                   const bk::PruneRequest* request) override {
    return new PruneCall(parts_.backends, threads_.Next().get_executor(), request);
  }

 private:
  // The request is read when nobody else reads it.
  static Awaitable<absl::Status> Begin(Parts& parts, SolvePtr solve,
                                       const bk::SolveRequest* request,
                                       bk::SolveResponse* response) {
    if (!solve->begun) solve->request = *request;
    co_return co_await DoSolve(parts, solve, response);
  }

  static Awaitable<absl::Status> List(Parts& parts, bk::DiskUsageResponse* response) {
    const CallOptions options;
    CO_ASSIGN_OR_RETURN(
        const pb::ListBuildCacheResponse listed,
        co_await parts.backends.Call(parts.backends.build(), &BuildCalls::ListBuildCache,
                                     pb::ListBuildCacheRequest(), options));
    for (const pb::BuildCacheEntry& entry : listed.entries()) {
      if (static_cast<size_t>(response->record_size()) >= kMaxUsageRecords) break;
      *response->add_record() = RecordOf(entry);
    }
    co_return absl::OkStatus();
  }

  Parts& parts_;
  IoThreads& threads_;
};

// What a client's own frontend may ask for. "return": it ends by Return(), and not by a last
// Solve().
constexpr const char* kFrontendCaps[] = {
    "solve.base",    "solve.inlinereturn",    "return", "proto.refarray", "reference.output",
    "frontend.caps", "gateway.solve.metadata"};
constexpr const char* kLlbCaps[] = {"source.local", "source.image", "source.git", "source.http",
                                    "exec.meta.base"};

class BridgeService : public fe::LLBBridge::CallbackService {
 public:
  explicit BridgeService(Parts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* Ping(Context*, const fe::PingRequest*,
                                 fe::PongResponse* response) override {
    const auto add = [](const char* id, auto& caps) {
      auto& cap = *caps.Add();
      cap.set_id(id);
      cap.set_enabled(true);
    };
    for (const char* id : kFrontendCaps) add(id, *response->mutable_frontendapicaps());
    for (const char* id : kLlbCaps) add(id, *response->mutable_llbcaps());
    response->add_workers()->set_id("slipway");
    return Finished(absl::OkStatus());
  }

  grpc::ServerUnaryReactor* Solve(Context* context, const fe::SolveRequest* request,
                                  fe::SolveResponse* response) override {
    absl::StatusOr<SolvePtr> solve = Find(context);
    if (!solve.ok()) return Finished(solve.status());
    auto* const call = NewCallOf(*solve);
    Answer(call, (*solve)->executor, DoSolve(parts_, *solve, request, response));
    return call;
  }

  grpc::ServerUnaryReactor* Return(Context* context, const fe::ReturnRequest* request,
                                   fe::ReturnResponse*) override {
    absl::StatusOr<SolvePtr> found = Find(context);
    if (!found.ok()) return Finished(found.status());
    absl::Status status = FromReturn(request->error());
    asio::post((*found)->executor, [solve = *found, status = std::move(status)] {
      solve->returned = status;
      solve->changed.Notify();
    });
    return Finished(absl::OkStatus());
  }

  grpc::ServerUnaryReactor* Inputs(Context*, const fe::InputsRequest*,
                                   fe::InputsResponse*) override {
    return Finished(absl::OkStatus());
  }

 private:
  absl::StatusOr<SolvePtr> Find(Context* context) {
    const auto [first, last] =
        context->client_metadata().equal_range("buildkit-controlapi-buildid");
    if (first == last) return absl::InvalidArgumentError("no buildid found in context");
    return parts_.solves.Get(std::string(first->second.data(), first->second.size()));
  }

  static Awaitable<absl::Status> DoSolve(Parts& parts, SolvePtr solve,
                                         const fe::SolveRequest* request,
                                         fe::SolveResponse* response) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!solve->begun && !solve->cancel.cancelled() &&
           std::chrono::steady_clock::now() < until) {
      co_await solve->changed.Wait(until);
    }
    if (!solve->begun || solve->over) co_return absl::NotFoundError("no such job");
    if (solve->building) {
      co_return absl::UnimplementedError("several results of one build are not supported");
    }
    if (request->frontend().empty()) {
      co_return absl::UnimplementedError(
          "a build definition (LLB) is not supported: the frontend dockerfile.v0 is");
    }
    solve->building = true;
    auto attributes = ToMap(request->frontendopt());
    CO_RETURN_IF_ERROR(co_await DoBuild(parts, solve, request->frontend(), std::move(attributes)));
    response->mutable_result()->mutable_ref()->set_id(solve->image_id);
    co_return absl::OkStatus();
  }

  Parts& parts_;
};

}  // namespace

struct BuildKitControl::Impl {
  Impl(Backends& backends, BuildSessions& sessions, IoThreads& threads)
      : parts{backends, sessions, Solves(threads)}, control(parts, threads), bridge(parts) {}

  Parts parts;
  ControlService control;
  BridgeService bridge;
};

BuildKitControl::BuildKitControl(Backends& backends, BuildSessions& sessions, IoThreads& threads)
    : impl_(std::make_unique<Impl>(backends, sessions, threads)) {}

BuildKitControl::~BuildKitControl() = default;

std::vector<grpc::Service*> BuildKitControl::services() {
  return {&impl_->control, &impl_->bridge};
}

}  // namespace slipway::gateway
