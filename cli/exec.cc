// `slipway exec` and `slipway attach`.

#include <cstdio>

#include "absl/strings/match.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"
#include "cli/attach.h"
#include "cli/context.h"
#include "cli/run_options.h"
#include "cli/terminal.h"

namespace slipway::cli {
namespace {

struct ExecOptions {
  bool detach = false, interactive = false, tty = false, privileged = false;
  std::vector<std::string> env;
  std::string workdir, user;
  std::vector<std::string> rest;  // the container, the command and its arguments
};

absl::StatusOr<std::string> CreateExec(Context& context, const ExecOptions& options) {
  RETURN_IF_ERROR(CheckRest(options.rest, "the container"));
  if (options.rest.size() < 2) return absl::InvalidArgumentError("the command is missing");
  grpc::ClientContext call;
  container::v1::CreateExecRequest request;
  request.set_container(options.rest[0]);
  container::v1::ExecSpec& spec = *request.mutable_spec();
  for (size_t i = 1; i < options.rest.size(); ++i) spec.add_command(options.rest[i]);
  for (const std::string& text : options.env) spec.add_env(text);
  spec.set_working_directory(options.workdir);
  spec.set_user(options.user);
  spec.set_tty(options.tty);
  spec.set_privileged(options.privileged);
  spec.set_attach_stdin(options.interactive && !options.detach);
  spec.set_attach_stdout(!options.detach);
  spec.set_attach_stderr(!options.detach);
  container::v1::CreateExecResponse response;
  const grpc::Status status = context.containers().CreateExec(&call, request, &response);
  if (!status.ok()) return FromGrpc(status);
  return response.exec_id();
}

absl::Status StartExec(Context& context, const std::string& exec_id, const ExecOptions& options) {
  grpc::ClientContext call;
  container::v1::StartExecRequest request;
  request.set_exec_id(exec_id);
  request.set_detach(options.detach);
  if (options.tty) *request.mutable_terminal_size() = WindowSize();
  container::v1::StartExecResponse response;
  return FromGrpc(context.containers().StartExec(&call, request, &response));
}

absl::StatusOr<int> Exec(Context& context, const ExecOptions& options) {
  ASSIGN_OR_RETURN(const std::string exec_id, CreateExec(context, options));
  RETURN_IF_ERROR(StartExec(context, exec_id, options));
  if (options.detach) return 0;
  ASSIGN_OR_RETURN(auto session, AttachSession::Connect({.id = exec_id,
                                                         .tty = options.tty,
                                                         .stdin_open = options.interactive,
                                                         .on_signal = [](int) {}},
                                                        [&](grpc::ClientContext* call) {
                                                          return context.streams().AttachExec(call);
                                                        }));
  std::optional<RawMode> raw;
  if (options.tty) raw.emplace();
  RETURN_IF_ERROR(session->Run().status());
  return session->exit_code();
}

// What docker's exec exits with when the command could not be executed.
int FailureCode(const absl::Status& status) {
  if (absl::StrContains(status.message(), "executable file not found")) return 127;
  if (absl::StrContains(status.message(), "permission denied")) return 126;
  return 1;
}

absl::Status Attach(Context& context, const std::string& name, bool with_stdin) {
  grpc::ClientContext call;
  container::v1::GetContainerRequest request;
  request.set_container(name);
  container::v1::GetContainerResponse response;
  RETURN_IF_ERROR(FromGrpc(context.containers().GetContainer(&call, request, &response)));
  const container::v1::Container& container = response.container();
  if (container.state().status() != container::v1::CONTAINER_STATUS_RUNNING) {
    return absl::FailedPreconditionError("container " + name + " is not running");
  }
  ASSIGN_OR_RETURN(auto session, AttachSession::Connect(
                                     {.id = container.id(),
                                      .tty = container.spec().tty(),
                                      .stdin_open = with_stdin && container.spec().open_stdin(),
                                      .on_signal = [](int) {}},
                                     [&](grpc::ClientContext* stream) {
                                       return context.streams().AttachContainer(stream);
                                     }));
  std::optional<RawMode> raw;
  if (container.spec().tty()) raw.emplace();
  RETURN_IF_ERROR(session->Run().status());
  context.exit_code = session->exit_code();
  return absl::OkStatus();
}

}  // namespace

void AddExec(CLI::App& app, Context& context) {
  auto options = std::make_shared<ExecOptions>();
  CLI::App* exec = app.add_subcommand("exec", "Run a command in a running container");
  exec->add_flag("-d,--detach", options->detach, "run in the background");
  exec->add_flag("-i,--interactive", options->interactive, "keep stdin open");
  exec->add_flag("-t,--tty", options->tty, "give it a terminal");
  exec->add_flag("--privileged", options->privileged, "all capabilities");
  exec->add_option("-e,--env", options->env, "NAME=value")->allow_extra_args(false);
  exec->add_option("-w,--workdir", options->workdir, "working directory");
  exec->add_option("-u,--user", options->user, "name or uid[:group or gid]");
  AddRest(*exec, "CONTAINER COMMAND...", options->rest);
  exec->final_callback([&context, options] {
    const absl::StatusOr<int> code = Exec(context, *options);
    if (context.Check(code.status(), FailureCode(code.status()))) context.exit_code = *code;
  });

  auto name = std::make_shared<std::string>();
  auto no_stdin = std::make_shared<bool>(false);
  CLI::App* attach = app.add_subcommand("attach", "Connect with a running container");
  attach->add_option("container", *name, "container")->required();
  attach->add_flag("--no-stdin", *no_stdin, "do not send what is typed");
  attach->final_callback(
      [&context, name, no_stdin] { context.Check(Attach(context, *name, !*no_stdin)); });
}

}  // namespace slipway::cli
