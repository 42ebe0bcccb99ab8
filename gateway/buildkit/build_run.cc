#include "gateway/buildkit/build_run.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/text/ignore_file.h"
#include "buildkit/secrets.grpc.pb.h"
#include "buildkit/upload.grpc.pb.h"
#include "gateway/buildkit/error_source.h"
#include "gateway/buildkit/file_sync.h"
#include "gateway/buildkit/image_export.h"
#include "gateway/buildkit/ssh_agents.h"
#include "gateway/buildkit/tar_sink.h"
#include "gateway/clients/context_upload.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::build::v1;
namespace fpb = moby::filesync::v1;
namespace spb = moby::buildkit::secrets::v1;
namespace upb = moby::upload::v1;

constexpr absl::Duration kSessionTimeout = absl::Seconds(30);  // of a secret or a credential
constexpr size_t kMaxSecretBytes = 4 << 20;
constexpr uint64_t kCountEvery = 256 << 10;  // bytes, for those who look on
constexpr absl::string_view kUploads = "http://buildkit-session/";
constexpr absl::string_view kDockerHub = "https://index.docker.io/v1/";

class Run {
 public:
  Run(Backends& backends, BuildKitBuild build, BuildSessionPtr session, BuildProgress& progress,
      CancelHook& cancel, CallOptions options, const asio::any_io_executor& executor)
      : backends_(backends),
        build_(std::move(build)),
        session_(std::move(session)),
        progress_(progress),
        cancel_(cancel),
        endless_(std::move(options)),
        agents_(std::make_shared<SshAgents>(backends.calls(), session_, endless_, executor)) {}

  Awaitable<absl::StatusOr<std::string>> Do() {
    absl::Status status = co_await DoAll();
    if (!status.ok()) {
      co_return WithSource(status, build_.options.dockerfile(),
                           build_.options.dockerfile_content());
    }
    co_return result_.image_id();
  }

 private:
  Awaitable<absl::Status> DoAll() {
    if (build_.dockerfile_of_session) CO_RETURN_IF_ERROR(co_await ReadDockerfile());
    SetContext();
    CO_RETURN_IF_ERROR(co_await AskForNeeds());
    if (is_cancelled()) co_return Cancelled();
    CO_RETURN_IF_ERROR(co_await Build());
    if (is_cancelled()) co_return Cancelled();
    co_return co_await Export();
  }

  bool has_local_context() const { return build_.context.empty() && !has_given_context(); }
  bool has_given_context() const { return !build_.uploaded.token().empty(); }
  bool has_uploaded_context() const { return absl::StartsWith(build_.context, kUploads); }
  bool is_cancelled() const { return cancel_.cancelled(); }
  static absl::Status Cancelled() { return absl::CancelledError("context canceled"); }

  CallOptions short_call() const {
    CallOptions options = endless_;
    options.timeout = kSessionTimeout;
    return options;
  }

  void SetContext() {
    if (has_local_context()) {
      build_.options.set_context_is_filtered(true);
    } else if (!has_uploaded_context() && !has_given_context()) {
      build_.options.set_remote(build_.context);
    }
  }

  // Files of the session that are needed before everything else.
  Awaitable<absl::StatusOr<std::map<std::string, std::string>>> ReadSmall(
      std::string what, std::string status, std::string directory, std::vector<std::string> names) {
    const uint32_t part = progress_.Begin(what);
    FileSyncQuery query{.directory = std::move(directory), .follow = std::move(names)};
    const CallOptions options = short_call();
    auto files = co_await ReadSessionFiles(backends_.calls(), session_, std::move(query), options);
    if (is_cancelled()) files = Cancelled();
    uint64_t bytes = 0;
    if (files.ok()) {
      for (const auto& [name, text] : *files) bytes += text.size();
      progress_.Count(part, status, bytes);
    }
    progress_.End(part, files.status());
    co_return files;
  }

  Awaitable<absl::Status> ReadDockerfile() {
    std::string name = build_.options.dockerfile();
    if (name.empty()) name = "Dockerfile";
    build_.options.set_dockerfile(name);
    const std::string own_ignore = absl::StrCat(name, ".dockerignore");
    std::vector<std::string> names = {name, own_ignore};
    // BuildKit takes "dockerfile" for want of "Dockerfile".
    const size_t base = name.rfind('/') + 1;
    const bool usual = name.substr(base) == "Dockerfile";
    const std::string lower = absl::StrCat(name.substr(0, base), "dockerfile");
    if (usual) names.push_back(lower);
    CO_ASSIGN_OR_RETURN(
        auto files,
        co_await ReadSmall(absl::StrCat("[internal] load build definition from ", name),
                           "transferring dockerfile:", build_.dockerfile_directory, names));
    auto found = files.find(name);
    if (found == files.end() && usual) found = files.find(lower);
    if (found == files.end()) {
      co_return absl::NotFoundError(
          absl::StrCat("failed to read dockerfile: open ", name, ": no such file or directory"));
    }
    build_.options.set_dockerfile_content(found->second);
    if (!has_local_context()) co_return absl::OkStatus();
    if (const auto own = files.find(own_ignore); own != files.end()) {
      exclude_ = ReadIgnorePatterns(own->second);
      co_return absl::OkStatus();
    }
    const std::vector<std::string> ignore_file = {".dockerignore"};
    CO_ASSIGN_OR_RETURN(auto context,
                        co_await ReadSmall("[internal] load .dockerignore", "transferring context:",
                                           build_.context_directory, ignore_file));
    const auto ignore = context.find(".dockerignore");
    if (ignore != context.end()) exclude_ = ReadIgnorePatterns(ignore->second);
    co_return absl::OkStatus();
  }

  // Learns from the plan which secrets, agents and registries there will be need of, and asks the
  // session for these alone. An uploaded context can be read only once: it is built without.
  Awaitable<absl::Status> AskForNeeds() {
    if (has_uploaded_context() || has_given_context()) co_return absl::OkStatus();
    pb::BuildImageRequest first;
    *first.mutable_options() = build_.options;
    first.mutable_options()->set_plan_only(true);
    BuildStream stream = backends_.Bidi(backends_.build(), &BuildCalls::BuildImage, endless_);
    cancel_.Set([stream] { stream->Cancel(); });
    const bool sent = co_await stream->Write(std::move(first));
    if (sent) stream->WritesDone();
    pb::BuildPlan plan;
    pb::BuildImageResponse response;
    while (co_await stream->Next(response)) {
      if (response.has_plan()) plan = std::move(*response.mutable_plan());
    }
    CO_RETURN_IF_ERROR(co_await stream->Finish());
    for (const std::string& id : plan.secrets()) CO_RETURN_IF_ERROR(co_await AskSecret(id));
    for (const std::string& id : plan.ssh_agents()) CO_RETURN_IF_ERROR(co_await AskAgent(id));
    for (const std::string& host : plan.registries()) {
      CO_RETURN_IF_ERROR(co_await AskCredentials(host));
    }
    co_return absl::OkStatus();
  }

  Awaitable<absl::Status> AskSecret(std::string id) {
    if (is_cancelled()) co_return Cancelled();
    if (!session_->Offers("/moby.buildkit.secrets.v1.Secrets/GetSecret")) {
      co_return absl::OkStatus();
    }
    spb::GetSecretRequest request;
    request.set_id(id);
    const std::unique_ptr<spb::Secrets::StubInterface> stub =
        spb::Secrets::NewStub(session_->channel);
    const auto answer = co_await Invoke(backends_.calls(), stub->async(),
                                        &spb::Secrets::StubInterface::async_interface::GetSecret,
                                        request, short_call());
    if (answer.ok()) {
      secret_bytes_ += answer->data().size();
      if (secret_bytes_ > kMaxSecretBytes) {
        co_return absl::InvalidArgumentError(absl::StrCat(
            "secret ", id, ": the secrets of a build have more than ", kMaxSecretBytes, " bytes"));
      }
      (*build_.options.mutable_secrets())[id] = answer->data();
      co_return absl::OkStatus();
    }
    // Whether it is required, the step says.
    if (absl::IsNotFound(answer.status()) || absl::IsUnimplemented(answer.status())) {
      co_return absl::OkStatus();
    }
    co_return absl::Status(answer.status().code(),
                           absl::StrCat("secret ", id, ": ", answer.status().message()));
  }

  Awaitable<absl::Status> AskAgent(std::string id) {
    if (is_cancelled()) co_return Cancelled();
    // It becomes metadata, where nothing else may be.
    if (!IsMetadataText(id)) co_return absl::OkStatus();
    if (!session_->Offers("/moby.sshforward.v1.SSH/CheckAgent")) co_return absl::OkStatus();
    moby::sshforward::v1::CheckAgentRequest request;
    request.set_id(id);
    const std::unique_ptr<moby::sshforward::v1::SSH::StubInterface> stub =
        moby::sshforward::v1::SSH::NewStub(session_->channel);
    const auto answer =
        co_await Invoke(backends_.calls(), stub->async(),
                        &moby::sshforward::v1::SSH::StubInterface::async_interface::CheckAgent,
                        request, short_call());
    if (answer.ok()) build_.options.add_ssh_agents(id);
    co_return absl::OkStatus();
  }

  Awaitable<absl::Status> AskCredentials(std::string host) {
    if (is_cancelled()) co_return Cancelled();
    if (!session_->Offers("/moby.filesync.v1.Auth/Credentials")) co_return absl::OkStatus();
    fpb::CredentialsRequest request;
    request.set_host(host == kDockerHub ? "registry-1.docker.io" : host);
    const std::unique_ptr<fpb::Auth::StubInterface> stub = fpb::Auth::NewStub(session_->channel);
    const auto answer = co_await Invoke(backends_.calls(), stub->async(),
                                        &fpb::Auth::StubInterface::async_interface::Credentials,
                                        request, short_call());
    if (!answer.ok()) {
      co_return absl::Status(answer.status().code(), absl::StrCat("credentials of ", host, ": ",
                                                                  answer.status().message()));
    }
    if (answer->secret().empty()) co_return absl::OkStatus();
    auto& auth = (*build_.options.mutable_auths())[host];
    if (answer->username().empty()) {
      auth.set_identity_token(answer->secret());
    } else {
      auth.set_username(answer->username());
      auth.set_password(answer->secret());
    }
    auth.set_server_address(host);
    co_return absl::OkStatus();
  }

  Awaitable<absl::Status> Build() {
    using boost::asio::experimental::awaitable_operators::operator&&;
    BuildStream stream = backends_.Bidi(backends_.build(), &BuildCalls::BuildImage, endless_);
    cancel_.Set([stream, agents = agents_] {
      agents->End();
      stream->Cancel();
    });
    auto send = SendAll(stream);
    auto receive = Receive(stream);
    absl::Status sent = co_await (std::move(send) && std::move(receive));
    const absl::Status finished = co_await stream->Finish();
    // What broke the context is the reason for the cancelled call.
    if (!sent.ok() && !is_cancelled()) co_return sent;
    co_return finished;
  }

  Awaitable<absl::Status> SendAll(BuildStream stream) {
    pb::BuildImageRequest first;
    *first.mutable_options() = build_.options;
    bool taken = co_await stream->Write(std::move(first));
    if (!taken) co_return absl::OkStatus();
    absl::Status sent;
    if (has_local_context()) {
      sent = co_await SendFiles(stream);
    } else if (has_uploaded_context()) {
      sent = co_await SendUpload(stream);
    } else if (has_given_context()) {
      pb::BuildImageRequest file;
      *file.mutable_file() = build_.uploaded;
      taken = co_await stream->Write(std::move(file));
    }
    if (!sent.ok()) {
      stream->Cancel();
      co_return sent;
    }
    if (build_.options.ssh_agents().empty()) {
      stream->WritesDone();
      co_return absl::OkStatus();
    }
    pb::BuildImageRequest end;
    end.set_context("");
    taken = co_await stream->Write(std::move(end));
    pb::AgentBytes bytes;
    while (taken && co_await agents_->Next(bytes)) {
      pb::BuildImageRequest answer;
      *answer.mutable_agent() = std::move(bytes);
      taken = co_await stream->Write(std::move(answer));
    }
    co_return absl::OkStatus();
  }

  Awaitable<absl::Status> SendFiles(BuildStream stream) {
    const uint32_t part = progress_.Begin("[internal] load build context");
    uint64_t received = 0;
    ContextUpload upload(backends_, stream);
    bool refused = false;
    TarSink sink([&](std::string piece) -> Awaitable<absl::Status> {
      CO_ASSIGN_OR_RETURN(const bool taken, co_await upload.Append(piece));
      progress_.Count(part, "transferring context:", received);
      refused = !taken;
      co_return taken ? absl::OkStatus() : absl::UnavailableError("the build is over");
    });
    absl::Status sent;
    FileSyncQuery query{.directory = build_.context_directory, .exclude = exclude_};
    auto files = OpenFileSync(backends_.calls(), *session_, query, endless_);
    if (files.ok()) {
      cancel_.Set([stream, sync = *files, agents = agents_] {
        agents->End();
        sync->Cancel();
        stream->Cancel();
      });
      sent = co_await ReceiveFiles(*files, sink, received);
      if (sent.ok()) sent = co_await sink.Finish();
    } else {
      sent = files.status();
    }
    // The build's own call says why it wants no more.
    if (refused) sent = absl::OkStatus();
    progress_.End(part, sent);
    co_return sent;
  }

  // `docker buildx build -`: an archive that the client reads from its standard input.
  Awaitable<absl::Status> SendUpload(BuildStream stream) {
    if (!IsMetadataText(build_.context)) {
      co_return absl::InvalidArgumentError("the context's address has bytes that no URL has");
    }
    CallOptions options = endless_;
    options.metadata.emplace_back("urlpath", build_.context.substr(kUploads.size() - 1));
    const std::unique_ptr<upb::Upload::StubInterface> stub =
        upb::Upload::NewStub(session_->channel);
    auto source = OpenBidi(backends_.calls(), stub->async(),
                           &upb::Upload::StubInterface::async_interface::Pull, options);
    cancel_.Set([stream, source, agents = agents_] {
      agents->End();
      source->Cancel();
      stream->Cancel();
    });
    const uint32_t part = progress_.Begin("[internal] load remote build context");
    ContextUpload upload(backends_, stream);
    uint64_t received = 0;
    uint64_t told = 0;
    upb::BytesMessage piece;
    bool taken = true;
    absl::Status sent;
    while (taken && sent.ok() && co_await source->Next(piece)) {
      // An empty piece would be the context's end.
      if (piece.data().empty()) continue;
      received += piece.data().size();
      auto appended = co_await upload.Append(piece.data());
      sent = appended.status();
      taken = appended.ok() && *appended;
      if (received - told >= kCountEvery) {
        told = received;
        progress_.Count(part, "transferring context:", received);
      }
    }
    const absl::Status finished = co_await source->Finish();
    if (sent.ok() && taken) sent = finished;
    progress_.End(part, sent);
    co_return sent;
  }

  Awaitable<void> Receive(BuildStream stream) {
    pb::BuildImageResponse response;
    while (co_await stream->Next(response)) {
      if (response.has_agent()) {
        co_await agents_->Take(std::move(*response.mutable_agent()));
        continue;
      }
      if (response.has_result()) result_ = response.result();
      progress_.Take(response);
    }
    agents_->End();
  }

  Awaitable<absl::Status> Export() {
    if (build_.output == "moby") {
      const uint32_t part = progress_.Begin("exporting to image");
      progress_.Count(part, absl::StrCat("writing image ", result_.image_id()), 0);
      for (const std::string& tag : result_.tags()) {
        progress_.Count(part, absl::StrCat("naming to ", tag), 0);
      }
      progress_.End(part, absl::OkStatus());
    } else if (build_.output == "tar") {
      co_return co_await SendOutput("exporting to client tarball", "sending tarball", SendImageTar);
    } else if (build_.output == "local") {
      co_return co_await SendOutput("exporting to client directory", "copying files",
                                    SendImageFiles);
    }
    co_return absl::OkStatus();
  }

  Awaitable<absl::Status> SendOutput(std::string what, std::string status,
                                     Awaitable<absl::Status> (*send)(ImageExport)) {
    const uint32_t part = progress_.Begin(what);
    ImageExport output{
        .backends = backends_,
        .session = session_,
        .image_id = result_.image_id(),
        .cancel = cancel_,
        .options = endless_,
        .count = [this, part, status](uint64_t bytes) { progress_.Count(part, status, bytes); }};
    const auto epoch = build_.options.build_args().find("SOURCE_DATE_EPOCH");
    int64_t seconds = 0;
    if (epoch != build_.options.build_args().end() && absl::SimpleAtoi(epoch->second, &seconds)) {
      output.mtime_s = seconds;
    }
    absl::Status sent = co_await send(std::move(output));
    progress_.End(part, sent);
    co_return sent;
  }

  Backends& backends_;
  BuildKitBuild build_;
  const BuildSessionPtr session_;
  BuildProgress& progress_;
  CancelHook& cancel_;
  const CallOptions endless_;
  const std::shared_ptr<SshAgents> agents_;
  std::vector<std::string> exclude_;
  size_t secret_bytes_ = 0;
  pb::BuildResult result_;
};

}  // namespace

Awaitable<absl::StatusOr<std::string>> RunBuildKitBuild(Backends& backends, BuildSessions& sessions,
                                                        BuildKitBuild build,
                                                        BuildProgress& progress, CancelHook& cancel,
                                                        CallOptions options) {
  CO_ASSIGN_OR_RETURN(BuildSessionPtr session, co_await sessions.Find(build.session));
  if (cancel.cancelled()) co_return absl::CancelledError("context canceled");
  options.timeout = absl::InfiniteDuration();
  Run run(backends, std::move(build), std::move(session), progress, cancel, std::move(options),
          co_await asio::this_coro::executor);
  absl::StatusOr<std::string> image = co_await run.Do();
  cancel.Set(nullptr);
  if (!image.ok()) progress.Fail(image.status());
  co_return image;
}

}  // namespace slipway::gateway
