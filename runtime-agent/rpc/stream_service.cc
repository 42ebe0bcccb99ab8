#include "runtime-agent/rpc/stream_service.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"
#include "runtime-agent/rpc/attach_call.h"
#include "runtime-agent/rpc/stats_watch.h"
#include "runtime-agent/streams/container_attach.h"
#include "runtime-agent/streams/exec_streams.h"

namespace slipway::agent {
namespace {

constexpr absl::Duration kLongestFlush = absl::Seconds(120);

AttachOptions OptionsOf(const v1::AttachStart& start) {
  return {.input = start.stdin(), .standard_out = start.stdout(), .standard_error = start.stderr()};
}

absl::StatusOr<std::shared_ptr<StreamSource>> OpenContainer(Runtime* runtime,
                                                            const v1::AttachStart& start,
                                                            std::shared_ptr<StreamPeer> peer) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, runtime->Find(start.id()));
  if (container->output() == nullptr) {
    return absl::UnavailableError(absl::StrCat("container ", start.id(), " is not ready yet"));
  }
  const Definition& definition = container->definition();
  auto listener = std::make_shared<uint64_t>(0);
  auto attach = ContainerAttach::Attach(
      {.loop = &runtime->loop(),
       .output = container->output(),
       .tty = definition.tty,
       .open_stdin = definition.open_stdin,
       .stdin_once = definition.stdin_once,
       .input =
           [container] {
             const auto handles = container->handles();
             return handles == nullptr ? nullptr : handles->input();
           },
       .close_input = [runtime, id = start.id()] { runtime->CloseInput(id); },
       .resize = [runtime, id = start.id()](
                     uint32_t rows,
                     uint32_t columns) { runtime->Resize(id, rows, columns).IgnoreError(); },
       .done = [runtime, listener] { runtime->Unlisten(*listener); }},
      OptionsOf(start), std::move(peer));
  *listener = runtime->Listen([weak = std::weak_ptr<ContainerAttach>(attach)] {
    if (auto strong = weak.lock(); strong != nullptr) strong->Progress();
  });
  return attach;
}

absl::StatusOr<std::shared_ptr<StreamSource>> OpenExec(Runtime* runtime,
                                                       const v1::AttachStart& start,
                                                       std::shared_ptr<StreamPeer> peer) {
  const std::shared_ptr<Exec> exec = runtime->FindExec(start.id());
  if (exec == nullptr) {
    return absl::NotFoundError(absl::StrCat("No such exec instance: ", start.id()));
  }
  const std::shared_ptr<ExecStreams> streams = exec->streams();
  if (streams == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("the streams of exec ", start.id(), " are gone"));
  }
  streams->Attach(std::move(peer), OptionsOf(start));
  return streams;
}

}  // namespace

grpc::Status StreamServiceHandler::ResizeTerminal(grpc::ServerContext*,
                                                  const v1::ResizeTerminalRequest* request,
                                                  v1::ResizeTerminalResponse*) {
  return ToGrpc(runtime_->Resize(request->id(), request->size().rows(), request->size().columns()));
}

grpc::Status StreamServiceHandler::ListProcesses(grpc::ServerContext*,
                                                 const v1::ListProcessesRequest* request,
                                                 v1::ListProcessesResponse* response) {
  const auto table = runtime_->Top(
      request->container_id(), {request->ps_arguments().begin(), request->ps_arguments().end()});
  if (!table.ok()) return ToGrpc(table.status());
  response->mutable_titles()->Add(table->titles.begin(), table->titles.end());
  for (const std::vector<std::string>& row : table->rows) {
    response->add_processes()->mutable_values()->Add(row.begin(), row.end());
  }
  return grpc::Status::OK;
}

grpc::ServerWriteReactor<v1::WatchStatsResponse>* StreamServiceHandler::WatchStats(
    grpc::CallbackServerContext*, const v1::WatchStatsRequest* request) {
  return StatsWatch::Start(&runtime_->sampler(), *request, runtime_->cgroup_version());
}

grpc::Status StreamServiceHandler::FlushLog(grpc::ServerContext* context,
                                            const v1::FlushLogRequest* request,
                                            v1::FlushLogResponse*) {
  const absl::Time deadline =
      std::min(absl::FromChrono(context->deadline()), absl::Now() + kLongestFlush);
  return ToGrpc(runtime_->FlushLog(request->container_id(), deadline));
}

grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>*
StreamServiceHandler::AttachContainer(grpc::CallbackServerContext*) {
  return AttachCall::Start(&runtime_->loop(),
                           [runtime = runtime_](const v1::AttachStart& start, auto peer) {
                             return OpenContainer(runtime, start, std::move(peer));
                           });
}

grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>* StreamServiceHandler::AttachExec(
    grpc::CallbackServerContext*) {
  return AttachCall::Start(&runtime_->loop(),
                           [runtime = runtime_](const v1::AttachStart& start, auto peer) {
                             return OpenExec(runtime, start, std::move(peer));
                           });
}

}  // namespace slipway::agent
