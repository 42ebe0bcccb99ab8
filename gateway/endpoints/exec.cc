#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "absl/strings/str_cat.h"
#include "gateway/docker/detach_keys.h"
#include "gateway/docker/json_build.h"
#include "gateway/docker/json_fields.h"
#include "gateway/endpoints/handlers.h"
#include "gateway/endpoints/hijacked_stream.h"
#include "gateway/endpoints/terminal_size.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

absl::StatusOr<pb::ExecSpec> ExecFromJson(const json::value& body) {
  if (!body.is_object()) return absl::InvalidArgumentError("invalid JSON: exec must be an object");
  JsonFields fields(body.get_object(), "");
  pb::ExecSpec spec;
  for (std::string& word : fields.Words("Cmd").value_or(std::vector<std::string>())) {
    spec.add_command(std::move(word));
  }
  for (std::string& variable : fields.Strings("Env")) spec.add_env(std::move(variable));
  spec.set_working_directory(fields.String("WorkingDir"));
  spec.set_user(fields.String("User"));
  spec.set_tty(fields.Bool("Tty"));
  spec.set_attach_stdin(fields.Bool("AttachStdin"));
  spec.set_attach_stdout(fields.Bool("AttachStdout"));
  spec.set_attach_stderr(fields.Bool("AttachStderr"));
  spec.set_privileged(fields.Bool("Privileged"));
  spec.set_detach_keys(fields.String("DetachKeys"));
  RETURN_IF_ERROR(fields.status());
  if (spec.command().empty()) return absl::InvalidArgumentError("No exec command specified");
  if (!ParseDetachKeys(spec.detach_keys()).ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("Invalid escape keys (", spec.detach_keys(), ") provided"));
  }
  return spec;
}

struct StartOptions {
  bool detach = false;
  // How the client reads the output: raw, or in frames. As dockerd: whether there is a terminal was
  // said when the exec was created.
  bool tty = false;
  slipway::common::v1::TerminalSize size;
};

absl::StatusOr<StartOptions> StartFromJson(const json::value& body) {
  StartOptions options;
  if (body.is_null()) return options;
  if (!body.is_object()) return absl::InvalidArgumentError("invalid JSON: must be an object");
  JsonFields fields(body.get_object(), "");
  options.detach = fields.Bool("Detach");
  options.tty = fields.Bool("Tty");
  if (const json::array* size = fields.Array("ConsoleSize"); size != nullptr && size->size() == 2) {
    if (!(*size)[0].is_int64() || !(*size)[1].is_int64()) {
      return absl::InvalidArgumentError("invalid JSON: ConsoleSize must be two integers");
    }
    options.size.set_rows(static_cast<uint32_t>((*size)[0].get_int64() & 0xFFFF));
    options.size.set_columns(static_cast<uint32_t>((*size)[1].get_int64() & 0xFFFF));
  }
  RETURN_IF_ERROR(fields.status());
  return options;
}

Awaitable<absl::StatusOr<pb::GetExecResponse>> FindExec(ApiRequest& request) {
  pb::GetExecRequest get;
  get.set_exec_id(request.name);
  auto found = co_await request.backends.Call(request.backends.container(),
                                              &ContainerCalls::GetExec, get, request.options());
  if (!found.ok()) co_return NameMissing(found.status(), "exec instance", request.name);
  co_return found;
}

// Clients ask for the exit code as soon as the stream has ended: the container service may hear of
// it a moment later than we do. A second is much longer than it needs.
Awaitable<void> AwaitExit(ApiRequest& request) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (int attempt = 0; attempt < 100; ++attempt) {
    const auto found = co_await FindExec(request);
    if (!found.ok() || !found->running()) co_return;
    timer.expires_after(std::chrono::milliseconds(attempt < 10 ? 1 : 10));
    error_code ignored;
    co_await timer.async_wait(Into(ignored));
  }
}

// As dockerd: a command that cannot be run is told on the stream, and by its exit code.
Awaitable<absl::Status> TellOnStream(ApiRequest& request, bool raw, const absl::Status& error) {
  CO_RETURN_IF_ERROR(co_await request.http.Hijack(HijackContentType(request, raw)));
  std::string out;
  AppendFrame(raw ? Framing::kRaw : Framing::kMultiplexed, slipway::common::v1::STD_STREAM_STDOUT,
              absl::StrCat(std::string(error.message()), "\r\n"), out);
  co_return co_await request.http.WriteRaw(out);
}

Awaitable<absl::Status> RunAttached(ApiRequest& request, const pb::GetExecResponse& exec,
                                    bool raw) {
  const pb::ExecSpec& spec = exec.spec();
  slipway::agent::v1::AttachStart start;
  start.set_id(request.name);
  start.set_stdin(spec.attach_stdin());
  start.set_stdout(spec.attach_stdout());
  // As dockerd: a raw stream has nothing of the errors, unless a terminal puts them in.
  start.set_stderr(spec.attach_stderr() && (spec.tty() || !raw));
  AttachStream stream =
      request.backends.Bidi(request.backends.stream(), &StreamCalls::AttachExec, request.endless());
  CO_ASSIGN_OR_RETURN(const auto ready, co_await BeginAttach(stream, std::move(start)));
  (void)ready;
  CO_RETURN_IF_ERROR(co_await request.http.Hijack(HijackContentType(request, raw)));
  HijackOptions options{.framing = raw ? Framing::kRaw : Framing::kMultiplexed,
                        .stdin = spec.attach_stdin(),
                        .eof_closes_stdin = true};
  if (spec.tty()) {
    CO_ASSIGN_OR_RETURN(options.detach_keys, ParseDetachKeys(spec.detach_keys()));
  }
  options.on_detach = [&request, &exec] {
    Announce(request, exec.container_id(), pb::RecordAccessRequest::ACTION_EXEC_DETACH,
             {{"execID", exec.exec_id()}});
  };
  co_return co_await RunHijacked(request.http, stream, options,
                                 [&request] { return AwaitExit(request); });
}

json::object ProcessConfig(const pb::ExecSpec& spec) {
  json::array arguments;
  for (int i = 1; i < spec.command_size(); ++i) arguments.emplace_back(spec.command(i));
  json::object out;
  out["tty"] = spec.tty();
  out["entrypoint"] = spec.command().empty() ? "" : spec.command(0);
  out["arguments"] = std::move(arguments);
  out["privileged"] = spec.privileged();
  if (!spec.user().empty()) out["user"] = spec.user();
  return out;
}

}  // namespace

Awaitable<absl::Status> ContainerExec(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const json::value body, co_await request.http.ReadJson());
  pb::CreateExecRequest create;
  create.set_container(request.name);
  CO_ASSIGN_OR_RETURN(*create.mutable_spec(), ExecFromJson(body));
  const auto created = co_await request.backends.Call(
      request.backends.container(), &ContainerCalls::CreateExec, create, request.options());
  if (!created.ok()) co_return NameMissing(created.status(), "container", request.name);
  json::object answer;
  answer["Id"] = created->exec_id();
  co_return co_await request.http.SendJson(201, answer);
}

Awaitable<absl::Status> ExecStart(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const json::value body, co_await request.http.ReadJson(/*optional=*/true));
  CO_ASSIGN_OR_RETURN(const StartOptions options, StartFromJson(body));
  CO_ASSIGN_OR_RETURN(const pb::GetExecResponse exec, co_await FindExec(request));
  pb::StartExecRequest start;
  start.set_exec_id(request.name);
  start.set_detach(options.detach);
  if (exec.spec().tty() && options.tty) *start.mutable_terminal_size() = options.size;
  const auto started = co_await request.backends.Call(
      request.backends.container(), &ContainerCalls::StartExec, start, request.options());
  if (!started.ok()) {
    if (absl::IsInvalidArgument(started.status()) && !options.detach) {
      co_return co_await TellOnStream(request, options.tty, started.status());
    }
    co_return NameMissing(started.status(), "exec instance", request.name);
  }
  if (options.detach) co_return co_await request.http.SendEmpty(200);
  co_return co_await RunAttached(request, exec, options.tty);
}

Awaitable<absl::Status> ExecResize(ApiRequest& request) {
  slipway::agent::v1::ResizeTerminalRequest resize;
  CO_ASSIGN_OR_RETURN(*resize.mutable_size(), ReadTerminalSize(request.query));
  CO_ASSIGN_OR_RETURN(const pb::GetExecResponse exec, co_await FindExec(request));
  resize.set_id(request.name);
  const auto resized = co_await request.backends.Call(
      request.backends.stream(), &StreamCalls::ResizeTerminal, resize, request.options());
  // As dockerd: without a terminal there is nothing to do. The agent was asked all the same, since
  // of an exec from before the container service's start nobody else knows whether it has one.
  const bool no_terminal =
      exec.running() && !exec.spec().tty() && absl::IsFailedPrecondition(resized.status());
  if (absl::IsNotFound(resized.status())) {
    co_return absl::FailedPreconditionError(
        absl::StrCat("exec instance ", request.name, " is not running"));
  }
  if (!resized.ok() && !no_terminal) co_return resized.status();
  co_return co_await request.http.SendEmpty(200);
}

Awaitable<absl::Status> ExecInspect(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const pb::GetExecResponse exec, co_await FindExec(request));
  json::object out;
  out["ID"] = exec.exec_id();
  out["Running"] = exec.running();
  out["ExitCode"] = exec.has_exit_code() ? json::value(exec.exit_code()) : json::value(nullptr);
  out["ProcessConfig"] = ProcessConfig(exec.spec());
  out["OpenStdin"] = exec.spec().attach_stdin();
  out["OpenStderr"] = exec.spec().attach_stderr();
  out["OpenStdout"] = exec.spec().attach_stdout();
  out["CanRemove"] = false;
  out["ContainerID"] = exec.container_id();
  out["DetachKeys"] = exec.spec().detach_keys();
  out["Pid"] = exec.pid();
  co_return co_await request.http.SendJson(200, out);
}

}  // namespace slipway::gateway
