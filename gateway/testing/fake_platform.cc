#include "gateway/testing/fake_platform.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"
#include "gateway/testing/fake_image.h"
#include "gateway/testing/fake_networks.h"

namespace slipway::gateway {
namespace {

namespace apb = slipway::agent::v1;
namespace cpb = slipway::container::v1;
namespace ipb = slipway::image::v1;
namespace lpb = slipway::log::v1;
using grpc::ServerContext;
using grpc::Status;
using grpc::StatusCode;
using slipway::common::v1::StdStream;

}  // namespace

class FakePlatform::Images : public ipb::ImageService::Service {
 public:
  explicit Images(FakePlatform* platform) : platform_(platform) {}

  Status PullImage(ServerContext*, const ipb::PullImageRequest* request,
                   grpc::ServerWriter<ipb::PullImageResponse>* writer) override {
    if (request->auth().password() == "wrong") {
      return Status(StatusCode::UNAUTHENTICATED, "unauthorized: authentication required");
    }
    // Newer clients write "docker.io/library/" in front.
    if (!absl::StrContains(request->reference(), "remote:") &&
        !absl::StrContains(request->reference(), "broken:")) {
      return Status(StatusCode::NOT_FOUND,
                    absl::StrCat("manifest for ", request->reference(), " not found"));
    }
    ipb::PullImageResponse response;
    response.mutable_status()->set_text("Pulling from library/remote");
    response.mutable_status()->set_id("latest");
    writer->Write(response);
    using Progress = ipb::PullLayerProgress;
    for (auto phase : {Progress::PHASE_PULLING_FS_LAYER, Progress::PHASE_DOWNLOADING,
                       Progress::PHASE_DOWNLOAD_COMPLETE, Progress::PHASE_EXTRACTING,
                       Progress::PHASE_PULL_COMPLETE}) {
      response.mutable_layer()->set_id("0123456789ab");
      response.mutable_layer()->set_phase(phase);
      response.mutable_layer()->set_current_bytes(600'000);
      response.mutable_layer()->set_total_bytes(1'200'000);
      writer->Write(response);
    }
    if (absl::StartsWith(request->reference(), "broken:")) {
      return Status(StatusCode::DATA_LOSS, "layer 0123456789ab does not match its digest");
    }
    {
      absl::MutexLock lock(&platform_->mu_);
      platform_->pulled_ = true;
      platform_->EmitLocked("image", "pull", "remote:latest", "");
    }
    response.mutable_done()->set_image_id(kFakeDigest);
    response.mutable_done()->set_manifest_digest(kFakeDigest);
    response.mutable_done()->set_reference("remote:latest");
    writer->Write(response);
    return Status::OK;
  }

  Status LoadImage(
      ServerContext*,
      grpc::ServerReaderWriter<ipb::LoadImageResponse, ipb::LoadImageRequest>* stream) override {
    ipb::LoadImageRequest request;
    bool first = true;
    while (stream->Read(&request)) {
      if (first && absl::StartsWith(request.data(), "bad")) {
        return Status(StatusCode::INVALID_ARGUMENT, "archive: not a tar file");
      }
      if (first) {
        ipb::LoadImageResponse progress;
        progress.mutable_layer()->set_id("0123456789ab");
        progress.mutable_layer()->set_phase(ipb::PullLayerProgress::PHASE_EXTRACTING);
        progress.mutable_layer()->set_current_bytes(1);
        progress.mutable_layer()->set_total_bytes(2);
        stream->Write(progress);
      }
      first = false;
      platform_->uploaded_bytes_ += request.data().size();
    }
    ipb::LoadImageResponse response;
    response.mutable_loaded()->set_image_id(kFakeDigest);
    response.mutable_loaded()->set_reference("loaded:latest");
    stream->Write(response);
    return Status::OK;
  }

  Status ImportImage(ServerContext*, grpc::ServerReader<ipb::ImportImageRequest>* reader,
                     ipb::ImportImageResponse* response) override {
    ipb::ImportImageRequest request;
    while (reader->Read(&request)) platform_->uploaded_bytes_ += request.data().size();
    response->set_image_id(kFakeDigest);
    return Status::OK;
  }

  Status ListImages(ServerContext*, const ipb::ListImagesRequest*,
                    ipb::ListImagesResponse* response) override {
    *response->add_images() = MakeFakeImage("known:latest");
    return Status::OK;
  }

  Status GetImage(ServerContext* context, const ipb::GetImageRequest* request,
                  ipb::GetImageResponse* response) override {
    const auto found = context->client_metadata().find("x-test");
    if (found != context->client_metadata().end()) {
      absl::MutexLock lock(&platform_->mu_);
      platform_->last_metadata_ = std::string(found->second.data(), found->second.size());
      context->AddTrailingMetadata("x-answer", "trailing");
    }
    if (!absl::StartsWith(request->reference(), "known")) {
      return Status(StatusCode::NOT_FOUND, absl::StrCat("image ", request->reference()));
    }
    *response->mutable_image() = MakeFakeImage("known:latest");
    return Status::OK;
  }

  Status TagImage(ServerContext*, const ipb::TagImageRequest*, ipb::TagImageResponse*) override {
    return Status::OK;
  }

  Status RemoveImage(ServerContext*, const ipb::RemoveImageRequest* request,
                     ipb::RemoveImageResponse* response) override {
    response->add_untagged(request->reference());
    response->add_deleted(kFakeDigest);
    return Status::OK;
  }

  Status WatchImageEvents(ServerContext* context, const ipb::WatchImageEventsRequest* request,
                          grpc::ServerWriter<ipb::WatchImageEventsResponse>* writer) override {
    size_t next = 0;
    absl::ReleasableMutexLock lock(&platform_->mu_);
    if (request->only_new()) next = platform_->events_.size();
    const size_t end = platform_->events_.size();
    while (!(request->stop_at_end() && next >= end)) {
      const auto ready = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
        return next < platform_->events_.size();
      };
      if (!Await(platform_->mu_, context, platform_->stopping_, ready)) break;
      ipb::WatchImageEventsResponse response;
      *response.mutable_event() = platform_->events_[next++];
      if (response.event().type() == "image") writer->Write(response);
    }
    return Status::OK;
  }

 private:
  FakePlatform* const platform_;
};

class FakePlatform::Containers : public cpb::ContainerService::Service {
 public:
  explicit Containers(FakePlatform* platform) : platform_(platform) {}

  Status CreateContainer(ServerContext*, const cpb::CreateContainerRequest* request,
                         cpb::CreateContainerResponse* response) override {
    absl::MutexLock lock(&platform_->mu_);
    platform_->last_create_ = *request;
    const std::string& image = request->spec().image();
    const bool known = absl::StartsWith(image, "known") ||
                       (platform_->pulled_ && absl::StartsWith(image, "remote"));
    if (!known) return Status(StatusCode::NOT_FOUND, absl::StrCat("image ", image));
    auto container = std::make_shared<FakeContainer>();
    const std::string id = absl::StrFormat("%064x", platform_->next_id_++);
    container->proto.set_id(id);
    container->proto.set_name(request->name().empty() ? absl::StrCat("c", platform_->next_id_)
                                                      : request->name());
    *container->proto.mutable_spec() = request->spec();
    container->proto.set_image_id(kFakeDigest);
    container->proto.set_created_unix_ns(absl::ToUnixNanos(absl::Now()));
    container->proto.mutable_state()->set_status(cpb::CONTAINER_STATUS_CREATED);
    *container->proto.mutable_effective_config()->mutable_command() = request->spec().command();
    if (request->spec().command_size() > 0) container->proto.set_path(request->spec().command(0));
    for (int i = 1; i < request->spec().command_size(); ++i) {
      container->proto.add_args(request->spec().command(i));
    }
    platform_->containers_[id] = container;
    platform_->EmitLocked("container", "create", id, image);
    response->set_id(id);
    return Status::OK;
  }

  Status StartContainer(ServerContext*, const cpb::StartContainerRequest* request,
                        cpb::StartContainerResponse* response) override {
    absl::MutexLock lock(&platform_->mu_);
    auto container = platform_->FindLocked(request->container());
    if (container == nullptr) return Missing(request->container());
    if (container->proto.path() == "missing") {
      return Status(StatusCode::INVALID_ARGUMENT,
                    "failed to create task: exec: \"missing\": executable file not found in $PATH");
    }
    if (container->proto.state().status() == cpb::CONTAINER_STATUS_RUNNING) {
      response->set_was_running(true);
      return Status::OK;
    }
    container->proto.mutable_state()->set_status(cpb::CONTAINER_STATUS_RUNNING);
    container->proto.mutable_state()->set_started_unix_ns(absl::ToUnixNanos(absl::Now()));
    container->proto.mutable_state()->set_pid(4711);
    platform_->EmitLocked("container", "start", container->proto.id(),
                          container->proto.spec().image());
    const auto& command = container->proto.spec().command();
    LaunchFakeProcess(container->process, {command.begin(), command.end()});
    return Status::OK;
  }

  Status StopContainer(ServerContext*, const cpb::StopContainerRequest* request,
                       cpb::StopContainerResponse*) override {
    return Signal(request->container(), 15);
  }

  Status KillContainer(ServerContext*, const cpb::KillContainerRequest* request,
                       cpb::KillContainerResponse*) override {
    return Signal(request->container(), 9);
  }

  Status RemoveContainer(ServerContext*, const cpb::RemoveContainerRequest* request,
                         cpb::RemoveContainerResponse*) override {
    absl::MutexLock lock(&platform_->mu_);
    auto container = platform_->FindLocked(request->container());
    if (container == nullptr) return Missing(request->container());
    Update(*container);
    if (container->proto.state().status() == cpb::CONTAINER_STATUS_RUNNING && !request->force()) {
      return Status(StatusCode::FAILED_PRECONDITION,
                    "cannot remove container: it is running, stop it first");
    }
    container->removed = true;
    {
      absl::MutexLock process_lock(&container->process->mu);
      container->process->signal = 9;
    }
    platform_->EmitLocked("container", "destroy", container->proto.id(), "");
    return Status::OK;
  }

  Status RenameContainer(ServerContext*, const cpb::RenameContainerRequest* request,
                         cpb::RenameContainerResponse*) override {
    absl::MutexLock lock(&platform_->mu_);
    auto container = platform_->FindLocked(request->container());
    if (container == nullptr) return Missing(request->container());
    container->proto.set_name(request->name());
    return Status::OK;
  }

  Status GetContainer(ServerContext*, const cpb::GetContainerRequest* request,
                      cpb::GetContainerResponse* response) override {
    absl::MutexLock lock(&platform_->mu_);
    auto container = platform_->FindLocked(request->container());
    if (container == nullptr) return Missing(request->container());
    Update(*container);
    *response->mutable_container() = container->proto;
    return Status::OK;
  }

  Status ListContainers(ServerContext*, const cpb::ListContainersRequest* request,
                        cpb::ListContainersResponse* response) override {
    absl::MutexLock lock(&platform_->mu_);
    for (auto& [id, container] : platform_->containers_) {
      Update(*container);
      const bool running = container->proto.state().status() == cpb::CONTAINER_STATUS_RUNNING;
      if (container->removed || !(running || request->all())) continue;
      *response->add_containers() = container->proto;
    }
    return Status::OK;
  }

  Status WaitContainer(ServerContext* context, const cpb::WaitContainerRequest* request,
                       grpc::ServerWriter<cpb::WaitContainerResponse>* writer) override {
    std::shared_ptr<FakeContainer> container;
    {
      absl::MutexLock lock(&platform_->mu_);
      container = platform_->FindLocked(request->container());
    }
    if (container == nullptr) return Missing(request->container());
    cpb::WaitContainerResponse response;
    response.set_registered(true);
    writer->Write(response);
    FakeProcess& process = *container->process;
    int exit_code = 0;
    {
      absl::ReleasableMutexLock lock(&process.mu);
      const bool next = request->condition() != cpb::WaitContainerRequest::CONDITION_NOT_RUNNING;
      const auto ready = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
        return process.ended || (!next && !process.started);
      };
      if (!Await(process.mu, context, platform_->stopping_, ready)) return Status::CANCELLED;
      exit_code = process.exit_code;
    }
    if (container->proto.spec().auto_remove()) {
      absl::MutexLock lock(&platform_->mu_);
      container->removed = true;
    }
    response.set_registered(false);
    response.set_exit_code(exit_code);
    writer->Write(response);
    return Status::OK;
  }

  Status CreateExec(ServerContext*, const cpb::CreateExecRequest* request,
                    cpb::CreateExecResponse* response) override {
    absl::MutexLock lock(&platform_->mu_);
    auto container = platform_->FindLocked(request->container());
    if (container == nullptr) return Missing(request->container());
    Update(*container);
    if (container->proto.state().status() != cpb::CONTAINER_STATUS_RUNNING) {
      return Status(StatusCode::FAILED_PRECONDITION,
                    absl::StrCat("Container ", container->proto.id(), " is not running"));
    }
    auto exec = std::make_shared<FakeExec>();
    exec->spec = request->spec();
    exec->container_id = container->proto.id();
    response->set_exec_id(absl::StrFormat("%064x", platform_->next_id_++));
    platform_->execs_[response->exec_id()] = exec;
    return Status::OK;
  }

  Status StartExec(ServerContext*, const cpb::StartExecRequest* request,
                   cpb::StartExecResponse*) override {
    absl::MutexLock lock(&platform_->mu_);
    auto found = platform_->execs_.find(request->exec_id());
    if (found == platform_->execs_.end()) return Missing(request->exec_id());
    const auto& command = found->second->spec.command();
    if (command.at(0) == "missing") {
      absl::MutexLock process_lock(&found->second->process->mu);
      found->second->process->ended = true;
      found->second->process->exit_code = 127;
      return Status(StatusCode::INVALID_ARGUMENT,
                    "exec: \"missing\": executable file not found in $PATH");
    }
    LaunchFakeProcess(found->second->process, {command.begin(), command.end()});
    return Status::OK;
  }

  Status GetExec(ServerContext*, const cpb::GetExecRequest* request,
                 cpb::GetExecResponse* response) override {
    absl::MutexLock lock(&platform_->mu_);
    auto found = platform_->execs_.find(request->exec_id());
    if (found == platform_->execs_.end()) {
      return Status(StatusCode::NOT_FOUND, absl::StrCat("exec ", request->exec_id()));
    }
    response->set_exec_id(request->exec_id());
    response->set_container_id(found->second->container_id);
    *response->mutable_spec() = found->second->spec;
    FakeProcess& process = *found->second->process;
    absl::MutexLock process_lock(&process.mu);
    response->set_running(process.started && !process.ended);
    if (process.ended) response->set_exit_code(process.exit_code);
    return Status::OK;
  }

  Status WatchEvents(ServerContext* context, const cpb::WatchEventsRequest* request,
                     grpc::ServerWriter<cpb::WatchEventsResponse>* writer) override {
    cpb::WatchEventsResponse registered;
    registered.set_registered(true);
    writer->Write(registered);
    absl::ReleasableMutexLock lock(&platform_->mu_);
    size_t next = request->only_new() ? platform_->events_.size() : 0;
    const size_t end = platform_->events_.size();
    while (!(request->stop_at_end() && next >= end)) {
      const auto ready = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
        return next < platform_->events_.size();
      };
      if (!Await(platform_->mu_, context, platform_->stopping_, ready)) break;
      cpb::WatchEventsResponse response;
      *response.mutable_event() = platform_->events_[next++];
      if (response.event().type() == "container") writer->Write(response);
    }
    return Status::OK;
  }

 private:
  static Status Missing(const std::string& name) {
    return Status(StatusCode::NOT_FOUND, absl::StrCat("No such container: ", name));
  }

  static void Update(FakeContainer& container) {
    absl::MutexLock lock(&container.process->mu);
    if (!container.process->ended) return;
    container.proto.mutable_state()->set_status(cpb::CONTAINER_STATUS_EXITED);
    container.proto.mutable_state()->set_exit_code(container.process->exit_code);
    container.proto.mutable_state()->set_finished_unix_ns(absl::ToUnixNanos(absl::Now()));
  }

  Status Signal(const std::string& name, int number) {
    absl::MutexLock lock(&platform_->mu_);
    auto container = platform_->FindLocked(name);
    if (container == nullptr) return Missing(name);
    Update(*container);
    if (container->proto.state().status() != cpb::CONTAINER_STATUS_RUNNING) {
      return Status(StatusCode::FAILED_PRECONDITION,
                    absl::StrCat("Container ", name, " is not running"));
    }
    absl::MutexLock process_lock(&container->process->mu);
    container->process->signal = number;
    return Status::OK;
  }

  FakePlatform* const platform_;
};

class FakePlatform::Logs : public lpb::LogService::Service {
 public:
  explicit Logs(FakePlatform* platform) : platform_(platform) {}

  Status ReadLog(ServerContext* context, const lpb::ReadLogRequest* request,
                 grpc::ServerWriter<lpb::ReadLogResponse>* writer) override {
    std::shared_ptr<FakeProcess> process = platform_->ProcessOf(request->container_id());
    if (process == nullptr) return Status(StatusCode::NOT_FOUND, "no log");
    size_t next = 0;
    while (true) {
      lpb::ReadLogResponse batch;
      {
        absl::ReleasableMutexLock lock(&process->mu);
        const auto ready = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
          return next < process->output.size() || process->ended || !request->follow();
        };
        if (!Await(process->mu, context, platform_->stopping_, ready)) return Status::CANCELLED;
        if (next >= process->output.size()) return Status::OK;
        size_t bytes = 0;
        while (next < process->output.size() && bytes < (1 << 20)) {
          lpb::LogEntry& entry = *batch.add_entries();
          entry.set_stream(process->output[next].first);
          entry.set_data(process->output[next].second);
          entry.set_time_unix_ns(process->times[next]);
          bytes += entry.data().size();
          ++next;
        }
      }
      if (!writer->Write(batch)) return Status::CANCELLED;
    }
  }

 private:
  FakePlatform* const platform_;
};

class FakePlatform::Streams : public apb::StreamService::Service {
 public:
  explicit Streams(FakePlatform* platform) : platform_(platform) {}
  using Stream = grpc::ServerReaderWriter<apb::AttachResponse, apb::AttachRequest>;

  Status AttachContainer(ServerContext* context, Stream* stream) override {
    return Attach(context, stream, /*from_start=*/false);
  }
  Status AttachExec(ServerContext* context, Stream* stream) override {
    return Attach(context, stream, /*from_start=*/true);
  }
  Status ResizeTerminal(ServerContext*, const apb::ResizeTerminalRequest*,
                        apb::ResizeTerminalResponse*) override {
    return Status(StatusCode::FAILED_PRECONDITION, "it has no terminal or does not run");
  }
  Status FlushLog(ServerContext*, const apb::FlushLogRequest*, apb::FlushLogResponse*) override {
    return Status::OK;
  }

 private:
  static void CopyInput(Stream* stream, std::shared_ptr<FakeProcess> process) {
    apb::AttachRequest request;
    while (stream->Read(&request)) {
      absl::MutexLock lock(&process->mu);
      if (request.has_stdin()) process->input += request.stdin();
      if (request.close_stdin()) process->input_closed = true;
    }
  }

  Status Attach(ServerContext* context, Stream* stream, bool from_start) {
    apb::AttachRequest first;
    if (!stream->Read(&first) || !first.has_start()) {
      return Status(StatusCode::INVALID_ARGUMENT, "the first message must be the start");
    }
    std::shared_ptr<FakeProcess> process = platform_->ProcessOf(first.start().id());
    if (process == nullptr) return Status(StatusCode::NOT_FOUND, "no process");
    size_t next = 0;
    {
      absl::MutexLock lock(&process->mu);
      if (!from_start) next = process->output.size();
    }
    apb::AttachResponse response;
    response.mutable_ready();
    stream->Write(response);
    std::thread input(CopyInput, stream, process);
    while (true) {
      {
        absl::ReleasableMutexLock lock(&process->mu);
        const auto ready = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
          return next < process->output.size() || process->ended;
        };
        if (!Await(process->mu, context, platform_->stopping_, ready)) break;
        if (next < process->output.size()) {
          response.mutable_output()->set_stream(process->output[next].first);
          response.mutable_output()->set_data(process->output[next].second);
          ++next;
        } else {
          response.mutable_end()->set_exit_code(process->exit_code);
        }
      }
      stream->Write(response);
      if (response.has_end()) break;
    }
    context->TryCancel();
    input.join();
    return Status::OK;
  }

  FakePlatform* const platform_;
};

absl::StatusOr<std::unique_ptr<FakePlatform>> FakePlatform::Start(const std::string& directory) {
  std::unique_ptr<FakePlatform> platform(new FakePlatform());
  platform->socket_ = absl::StrCat(directory, "/fake.sock");
  platform->services_.push_back(std::make_unique<Images>(platform.get()));
  platform->services_.push_back(std::make_unique<Containers>(platform.get()));
  platform->services_.push_back(NewFakeNetworks());
  platform->services_.push_back(std::make_unique<Logs>(platform.get()));
  platform->services_.push_back(std::make_unique<Streams>(platform.get()));
  std::vector<grpc::Service*> services;
  for (const auto& service : platform->services_) services.push_back(service.get());
  RpcServerOptions options;
  options.listeners.push_back({.path = platform->socket_});
  ASSIGN_OR_RETURN(platform->server_,
                   RpcServer::Start(std::move(options), services, platform->metrics_));
  return platform;
}

FakePlatform::~FakePlatform() {
  stopping_ = true;
  if (server_ != nullptr) server_->Shutdown(absl::Milliseconds(100));
  Join();
}

void FakePlatform::Join() {
  std::vector<std::shared_ptr<FakeProcess>> processes;
  {
    absl::MutexLock lock(&mu_);
    for (auto& [id, container] : containers_) processes.push_back(container->process);
    for (auto& [id, exec] : execs_) processes.push_back(exec->process);
  }
  for (const auto& process : processes) {
    {
      absl::MutexLock lock(&process->mu);
      process->signal = 9;
    }
    if (process->thread.joinable()) process->thread.join();
  }
}

Backends::Addresses FakePlatform::addresses() const {
  return {
      .image = socket_, .container = socket_, .log = socket_, .agent = socket_, .build = socket_};
}

cpb::CreateContainerRequest FakePlatform::last_create() const {
  absl::MutexLock lock(&mu_);
  return last_create_;
}

std::string FakePlatform::last_metadata() const {
  absl::MutexLock lock(&mu_);
  return last_metadata_;
}

std::shared_ptr<FakePlatform::FakeContainer> FakePlatform::FindLocked(const std::string& name) {
  for (auto& [id, container] : containers_) {
    const bool meant =
        container->proto.name() == name || (name.size() >= 12 && absl::StartsWith(id, name));
    if (meant && !container->removed) return container;
  }
  return nullptr;
}

std::shared_ptr<FakeProcess> FakePlatform::ProcessOf(const std::string& id) {
  absl::MutexLock lock(&mu_);
  auto container = containers_.find(id);
  if (container != containers_.end()) return container->second->process;
  auto exec = execs_.find(id);
  if (exec != execs_.end()) return exec->second->process;
  return nullptr;
}

void FakePlatform::EmitLocked(const std::string& type, const std::string& action,
                              const std::string& id, const std::string& image) {
  slipway::common::v1::Event event;
  event.set_sequence(events_.size() + 1);
  event.set_time_unix_ns(absl::ToUnixNanos(absl::Now()));
  event.set_type(type);
  event.set_action(action);
  event.set_actor_id(id);
  if (!image.empty()) (*event.mutable_attributes())["image"] = image;
  events_.push_back(std::move(event));
}

}  // namespace slipway::gateway
