// `slipway run` and `slipway create`.

#include <csignal>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"
#include "cli/attach.h"
#include "cli/context.h"
#include "cli/run_options.h"
#include "cli/terminal.h"

namespace slipway::cli {
namespace {

using container::v1::ContainerSpec;
using container::v1::WaitContainerRequest;
using container::v1::WaitContainerResponse;

constexpr int kClientError = 125;

// docker's: 127 for a command that is not there, 126 for one that cannot be executed.
int CodeOfFailedStart(absl::string_view message) {
  if (absl::StrContains(message, "executable file not found") ||
      absl::StrContains(message, "no such file or directory")) {
    return 127;
  }
  if (absl::StrContains(message, "permission denied") ||
      absl::StrContains(message, "is a directory")) {
    return 126;
  }
  return kClientError;
}

absl::StatusOr<std::string> CreateOnce(Context& context, const RunOptions& options,
                                       const ContainerSpec& spec) {
  grpc::ClientContext call;
  container::v1::CreateContainerRequest request;
  request.set_name(options.name);
  *request.mutable_spec() = spec;
  container::v1::CreateContainerResponse response;
  const grpc::Status status = context.containers().CreateContainer(&call, request, &response);
  if (!status.ok()) return FromGrpc(status);
  for (const std::string& warning : response.warnings()) {
    std::fprintf(stderr, "slipway: warning: %s\n", warning.c_str());
  }
  return response.id();
}

bool HasImage(Context& context, const std::string& reference) {
  grpc::ClientContext call;
  image::v1::GetImageRequest request;
  request.set_reference(reference);
  image::v1::GetImageResponse response;
  return context.images().GetImage(&call, request, &response).error_code() !=
         grpc::StatusCode::NOT_FOUND;
}

absl::StatusOr<std::string> Create(Context& context, const RunOptions& options) {
  ASSIGN_OR_RETURN(const ContainerSpec spec, ToSpec(options));
  if (options.pull == "always" || (options.pull == "missing" && !HasImage(context, spec.image()))) {
    if (options.pull == "missing") {
      std::fprintf(stderr, "Unable to find image '%s' locally\n", spec.image().c_str());
    }
    RETURN_IF_ERROR(Pull(context, spec.image(), false));
  }
  return CreateOnce(context, options, spec);
}

grpc::Status Start(Context& context, const std::string& id) {
  grpc::ClientContext call;
  container::v1::StartContainerRequest request;
  request.set_container(id);
  container::v1::StartContainerResponse response;
  return context.containers().StartContainer(&call, request, &response);
}

void ForwardSignal(Context& context, const std::string& id, int signal) {
  grpc::ClientContext call;
  container::v1::KillContainerRequest request;
  request.set_container(id);
  request.set_signal(absl::StrCat(signal));
  container::v1::KillContainerResponse response;
  context.containers().KillContainer(&call, request, &response);
}

// A wait that misses nothing once it is registered.
class Wait {
 public:
  Wait(Context& context, const std::string& id, bool removed) {
    WaitContainerRequest request;
    request.set_container(id);
    request.set_condition(removed ? WaitContainerRequest::CONDITION_REMOVED
                                  : WaitContainerRequest::CONDITION_NEXT_EXIT);
    stream_ = context.containers().WaitContainer(&call_, request);
  }
  ~Wait() {
    if (stream_ == nullptr) return;
    call_.TryCancel();
    stream_->Finish();
  }

  absl::Status Registered() {
    WaitContainerResponse response;
    return stream_->Read(&response) ? absl::OkStatus() : Finish();
  }

  absl::StatusOr<int> ExitCode() {
    WaitContainerResponse response;
    while (stream_->Read(&response)) {
      if (!response.registered()) return response.exit_code();
    }
    RETURN_IF_ERROR(Finish());
    return absl::InternalError("the wait ended without an exit code");
  }

 private:
  absl::Status Finish() {
    const grpc::Status status = stream_->Finish();
    stream_.reset();
    return FromGrpc(status);
  }

  grpc::ClientContext call_;
  std::unique_ptr<grpc::ClientReader<WaitContainerResponse>> stream_;
};

absl::StatusOr<int> RunAttached(Context& context, const RunOptions& options,
                                const std::string& id) {
  ASSIGN_OR_RETURN(
      auto session,
      AttachSession::Connect(
          {.id = id,
           .tty = options.tty,
           .stdin_open = options.interactive,
           .on_signal = [&](int signal) { ForwardSignal(context, id, signal); }},
          [&](grpc::ClientContext* call) { return context.streams().AttachContainer(call); }));
  Wait wait(context, id, options.remove);
  RETURN_IF_ERROR(wait.Registered());
  const grpc::Status started = Start(context, id);
  if (!started.ok()) {
    if (options.remove) {
      grpc::ClientContext call;
      container::v1::RemoveContainerRequest request;
      request.set_container(id);
      request.set_force(true);
      container::v1::RemoveContainerResponse response;
      context.containers().RemoveContainer(&call, request, &response);
    }
    context.Check(started, CodeOfFailedStart(started.error_message()));
    return context.exit_code;
  }
  {
    std::optional<RawMode> raw;
    if (options.tty) raw.emplace();
    ASSIGN_OR_RETURN(const AttachOutcome outcome, session->Run());
    if (outcome == AttachOutcome::kDetached) return 0;
  }
  return wait.ExitCode();
}

void Run(Context& context, const RunOptions& options) {
  if (options.tty && options.interactive && !options.detach && !IsTerminal(0)) {
    context.Check(absl::InvalidArgumentError("the input device is not a TTY"), kClientError);
    return;
  }
  const absl::StatusOr<std::string> id = Create(context, options);
  if (!context.Check(id.status(), kClientError)) return;
  if (options.detach) {
    const grpc::Status started = Start(context, *id);
    if (context.Check(started, CodeOfFailedStart(started.error_message()))) {
      std::printf("%s\n", id->c_str());
    }
    return;
  }
  const absl::StatusOr<int> code = RunAttached(context, options, *id);
  if (context.Check(code.status(), kClientError)) context.exit_code = *code;
}

}  // namespace

void AddRun(CLI::App& app, Context& context) {
  auto run_options = std::make_shared<RunOptions>();
  CLI::App* run = app.add_subcommand("run", "Make a container of an image and run it");
  run_options->AddTo(*run);
  run->final_callback([&context, run_options] { Run(context, *run_options); });

  auto create_options = std::make_shared<RunOptions>();
  CLI::App* create = app.add_subcommand("create", "Make a container and do not start it");
  create_options->AddTo(*create);
  create->final_callback([&context, create_options] {
    const absl::StatusOr<std::string> id = Create(context, *create_options);
    if (context.Check(id.status(), kClientError)) std::printf("%s\n", id->c_str());
  });
}

}  // namespace slipway::cli
