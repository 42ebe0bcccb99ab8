#include "gateway/endpoints/build_session.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gateway/buildkit/build_run.h"
#include "gateway/buildkit/door.h"
#include "gateway/buildkit/signal.h"
#include "gateway/buildkit/status_queue.h"
#include "gateway/clients/context_upload.h"
#include "gateway/docker/build_options.h"
#include "gateway/docker/progress.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace bk = moby::buildkit::v1;

constexpr absl::string_view kUpload = "upload-request";
constexpr absl::string_view kUploadOf = "upload-request:";  // with the id of its build
constexpr std::chrono::minutes kUploadPatience{10};
constexpr std::chrono::minutes kUploadKept{1};

// The body into a file that the build service has been given.
Awaitable<absl::Status> Spool(ApiRequest& request, UploadedContext& uploaded) {
  CO_ASSIGN_OR_RETURN(const auto file, co_await ContextFile::Create(request.backends.files(),
                                                                    request.backends.build_door()));
  std::string buffer(ContextUpload::kPieceBytes, '\0');
  while (true) {
    CO_ASSIGN_OR_RETURN(const size_t count,
                        co_await request.http.ReadSome(buffer.data(), buffer.size()));
    if (count == 0) break;
    CO_RETURN_IF_ERROR(co_await file->Append(absl::string_view(buffer).substr(0, count)));
  }
  uploaded.token = file->token();
  uploaded.bytes = file->written_bytes();
  co_return absl::OkStatus();
}

// The connection, when it speaks HTTP/2.
Awaitable<absl::StatusOr<UniqueFd>> ChangeToHttp2(Exchange& http) {
  CO_RETURN_IF_ERROR(co_await http.Hijack("", "h2c"));
  co_return http.DuplicateSocket();
}

absl::Status CheckUpgrade(const Exchange& http) {
  const std::string protocol = absl::AsciiStrToLower(http.Header("Upgrade"));
  if (protocol.empty()) return absl::InvalidArgumentError("no upgrade proto in request");
  if (protocol != "h2c") {
    return absl::InvalidArgumentError(absl::StrCat("protocol ", protocol, " not supported"));
  }
  return absl::OkStatus();
}

// [{"Type": "tar", "Attrs": {...}}]
absl::Status ReadOutputs(const Query& query, BuildKitBuild& build) {
  const std::string text = query.Get("outputs");
  if (text.empty() || text == "null" || text == "[]") {
    build.output = "moby";
    return absl::OkStatus();
  }
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !value.is_array() || value.get_array().size() != 1 ||
      !value.get_array()[0].is_object()) {
    return absl::InvalidArgumentError("error reading outputs: not a list of one object");
  }
  const json::object& output = value.get_array()[0].get_object();
  std::map<std::string, std::string> attributes;
  if (const json::value* found = output.if_contains("Attrs"); found != nullptr) {
    if (!found->is_object()) return absl::InvalidArgumentError("error reading outputs: Attrs");
    for (const auto& [name, attribute] : found->get_object()) {
      if (attribute.is_string()) {
        attributes[std::string(name)] = std::string(attribute.get_string());
      }
    }
  }
  const json::value* const type = output.if_contains("Type");
  const std::string kind =
      type != nullptr && type->is_string() ? std::string(type->get_string()) : "";
  if (kind == "cacheonly") return absl::OkStatus();
  return ReadExporter(kind, attributes, build);
}

absl::StatusOr<BuildKitBuild> ReadBuild(const ApiRequest& request) {
  BuildKitBuild build;
  ASSIGN_OR_RETURN(build.options,
                   ReadBuildOptions(request.query, request.http.Header("X-Registry-Config")));
  build.session = request.query.Get("session");
  build.context = build.options.remote();
  build.options.clear_remote();
  if (build.context == "client-session") build.context.clear();
  build.dockerfile_of_session = build.context.empty();
  if (build.context == kUpload) build.context.clear();
  RETURN_IF_ERROR(ReadOutputs(request.query, build));
  return build;
}

std::string TraceLine(const bk::StatusResponse& status) {
  return absl::StrCat("{\"id\":\"moby.buildkit.trace\",\"aux\":\"",
                      absl::Base64Escape(status.SerializeAsString()), "\"}\r\n");
}

// One build of POST /build: what it tells goes to the client while it runs.
class Session {
 public:
  Session(ApiRequest& request, const asio::any_io_executor& executor)
      : request_(request), executor_(executor), changed_(executor) {}

  Awaitable<absl::Status> Do(BuildKitBuild build) {
    using boost::asio::experimental::awaitable_operators::operator&&;
    RunningBuilds& builds = request_.buildkit.builds;
    const std::string id = request_.query.Get("buildid");
    const bool listed = !id.empty() && builds.Add(id, [executor = executor_, hook = cancel_] {
      asio::post(executor, [hook] { hook->Cancel(); });
    });
    request_.http.WatchDisconnect([hook = cancel_] { hook->Cancel(); });
    auto run = Run(std::move(build));
    auto tell = Tell();
    auto [built, told] = co_await (std::move(run) && std::move(tell));
    if (listed) builds.Remove(id);
    if (!told.ok()) co_return told;
    if (!built.ok()) co_return co_await Fail(built.status());
    const bool quiet = request_.query.GetBool("q");
    const std::string last =
        quiet ? StreamMessage(absl::StrCat(*built, "\n"))
              : absl::StrCat("{\"id\":\"moby.image.id\",\"aux\":{\"ID\":\"", *built, "\"}}\r\n");
    CO_RETURN_IF_ERROR(co_await Write(last));
    co_return co_await request_.http.EndStream();
  }

 private:
  Awaitable<absl::StatusOr<std::string>> Run(BuildKitBuild build) {
    BuildProgress progress([this](bk::StatusResponse status) {
      if (!request_.query.GetBool("q")) queue_.Push(std::move(status));
    });
    auto built =
        co_await RunBuildKitBuild(request_.backends, request_.buildkit.sessions, std::move(build),
                                  progress, *cancel_, request_.endless());
    queue_.Close();
    co_return built;
  }

  Awaitable<absl::Status> Tell() {
    absl::Status written;
    while (true) {
      const auto status = queue_.Take();
      if (status.has_value()) {
        if (written.ok()) written = co_await Write(TraceLine(*status));
        if (!written.ok()) cancel_->Cancel();
        continue;
      }
      if (queue_.closed()) break;
      queue_.OnChange([this] { changed_.Notify(); });
      co_await changed_.Wait();
    }
    co_return written;
  }

  Awaitable<absl::Status> Write(std::string line) {
    Exchange& http = request_.http;
    if (!http.started()) {
      CO_RETURN_IF_ERROR(co_await http.BeginStream(200, "application/json"));
    }
    co_return co_await http.Write(line);
  }

  Awaitable<absl::Status> Fail(absl::Status status) {
    if (!request_.http.started()) co_return status;
    const std::string line = ErrorMessage(absl::StrCat("failed to solve: ", status.message()));
    CO_RETURN_IF_ERROR(co_await Write(line));
    co_return co_await request_.http.EndStream();
  }

  ApiRequest& request_;
  const asio::any_io_executor executor_;
  Signal changed_;
  StatusQueue queue_;
  const std::shared_ptr<CancelHook> cancel_ = std::make_shared<CancelHook>();
};

// Of a build that did not come for it.
Awaitable<void> ForgetUpload(BuildKitDoor& door, std::string id) {
  asio::steady_timer timer(co_await asio::this_coro::executor, kUploadKept);
  error_code ignored;
  co_await timer.async_wait(Into(ignored));
  door.uploads.Remove(id);
}

// `docker build -`: the archive comes as a request of its own, behind that of its build.
Awaitable<absl::Status> TakeUpload(ApiRequest& request, std::string id) {
  UploadedContext uploaded;
  uploaded.status = co_await Spool(request, uploaded);
  if (!request.buildkit.uploads.Add(id, uploaded)) {
    co_return absl::AlreadyExistsError(absl::StrCat("build ", id, " has its context already"));
  }
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  asio::co_spawn(executor, ForgetUpload(request.buildkit, id), asio::detached);
  CO_RETURN_IF_ERROR(uploaded.status);
  co_return co_await request.http.SendEmpty(200);
}

Awaitable<absl::Status> AwaitUpload(ApiRequest& request, std::string id, BuildKitBuild& build) {
  Rendezvous<UploadedContext>& uploads = request.buildkit.uploads;
  const auto uploaded =
      co_await uploads.Await(id, std::chrono::steady_clock::now() + kUploadPatience);
  uploads.Remove(id);
  if (!uploaded.has_value()) {
    co_return absl::DeadlineExceededError(
        absl::StrCat("the context of build ", id, " did not come"));
  }
  CO_RETURN_IF_ERROR(uploaded->status);
  build.uploaded.set_token(uploaded->token);
  build.uploaded.set_written_bytes(uploaded->bytes);
  co_return absl::OkStatus();
}

}  // namespace

Awaitable<absl::Status> BuildByProtocol(ApiRequest& request) {
  if (request.query.Get("version") != "2") co_return co_await ImageBuild(request);
  std::string id = request.query.Get("buildid");
  if (absl::StartsWith(id, kUploadOf)) {
    co_return co_await TakeUpload(request, id.substr(kUploadOf.size()));
  }
  CO_ASSIGN_OR_RETURN(BuildKitBuild build, ReadBuild(request));
  if (request.query.Get("remote") == kUpload) {
    CO_RETURN_IF_ERROR(co_await AwaitUpload(request, id, build));
  }
  Session session(request, co_await asio::this_coro::executor);
  co_return co_await session.Do(std::move(build));
}

Awaitable<absl::Status> BuildSessionOpen(ApiRequest& request) {
  Exchange& http = request.http;
  CO_RETURN_IF_ERROR(CheckUpgrade(http));
  const std::string id(http.Header("X-Docker-Expose-Session-Uuid"));
  if (id.empty()) co_return absl::InvalidArgumentError("X-Docker-Expose-Session-Uuid is missing");
  BuildSessions& sessions = request.buildkit.sessions;
  if (sessions.IsOpen(id)) {
    co_return absl::InvalidArgumentError(absl::StrCat("session ", id, " already exists"));
  }
  const std::vector<std::string> names = http.Headers("X-Docker-Expose-Session-Grpc-Method");
  CO_ASSIGN_OR_RETURN(UniqueFd socket, co_await ChangeToHttp2(http));
  CO_ASSIGN_OR_RETURN(const BuildSessionPtr session,
                      sessions.Open(id, {names.begin(), names.end()}, std::move(socket)));
  co_await http.WaitForHangup();
  sessions.Close(session);
  co_return absl::OkStatus();
}

Awaitable<absl::Status> BuildGrpc(ApiRequest& request) {
  CO_RETURN_IF_ERROR(CheckUpgrade(request.http));
  CO_ASSIGN_OR_RETURN(UniqueFd socket, co_await ChangeToHttp2(request.http));
  request.buildkit.serve(std::move(socket));
  co_await request.http.WaitForHangup();
  co_return absl::OkStatus();
}

}  // namespace slipway::gateway
