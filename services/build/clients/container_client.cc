#include "services/build/clients/container_client.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/logging/logging.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"
#include "services/build/clients/config_conversion.h"

namespace slipway::build {
namespace {

namespace pb = slipway::container::v1;

}  // namespace

absl::Status RemoveLeftContainers(const std::shared_ptr<grpc::Channel>& containers) {
  const auto stub = pb::ContainerService::NewStub(containers);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
  pb::ListContainersRequest list;
  list.set_all(true);
  list.add_labels(kStepLabel);
  pb::ListContainersResponse left;
  RETURN_IF_ERROR(FromGrpc(stub->ListContainers(&context, list, &left)));
  absl::Status status;
  for (const pb::Container& container : left.containers()) {
    grpc::ClientContext removal;
    pb::RemoveContainerRequest request;
    request.set_container(container.id());
    request.set_force(true);
    request.set_remove_volumes(true);
    pb::RemoveContainerResponse response;
    status.Update(FromGrpc(stub->RemoveContainer(&removal, request, &response)));
  }
  return status;
}

ContainerClient::ContainerClient(const std::shared_ptr<grpc::Channel>& containers,
                                 const std::shared_ptr<grpc::Channel>& agent,
                                 Cancellation& cancellation, pb::ContainerSpec defaults)
    : containers_(pb::ContainerService::NewStub(containers)),
      streams_(agent::v1::StreamService::NewStub(agent)),
      cancellation_(cancellation),
      defaults_(std::move(defaults)) {}

ContainerClient::~ContainerClient() {
  const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return to_remove_.empty(); };
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&none));
}

template <typename Request, typename Response>
absl::StatusOr<Response> ContainerClient::Call(grpc::Status (pb::ContainerService::Stub::*method)(
                                                   grpc::ClientContext*, const Request&, Response*),
                                               const Request& request, bool cancellable) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  std::optional<Cancellation::Watch> watch;
  if (cancellable) watch.emplace(cancellation_, [&context] { context.TryCancel(); });
  Response response;
  RETURN_IF_ERROR(FromGrpc((containers_.get()->*method)(&context, request, &response)));
  return response;
}

absl::StatusOr<std::string> ContainerClient::Create(const RunSpec& spec) {
  pb::CreateContainerRequest request;
  pb::ContainerSpec& to = *request.mutable_spec();
  to = defaults_;
  to.set_image(spec.image);
  to.mutable_entrypoint();  // none
  to.mutable_command()->Add(spec.argv.begin(), spec.argv.end());
  to.mutable_env()->Add(spec.env.begin(), spec.env.end());
  to.set_user(spec.user);
  to.set_working_directory(spec.working_directory);
  to.mutable_healthcheck()->add_test("NONE");
  if (!spec.network.empty()) to.mutable_network()->set_mode(spec.network);
  for (const RunMount& mount : spec.mounts) {
    pb::Mount& added = *to.add_mounts();
    switch (mount.type) {
      case RunMount::Type::kVolume:
        added.set_type(pb::Mount::TYPE_VOLUME);
        added.set_volume_no_copy(true);
        added.set_anonymous(mount.remove_with_container);
        break;
      case RunMount::Type::kTmpfs:
        added.set_type(pb::Mount::TYPE_TMPFS);
        added.set_tmpfs_size_bytes(mount.size_bytes);
        break;
      case RunMount::Type::kFile:
        added.set_type(pb::Mount::TYPE_BIND);
        break;
    }
    added.set_source(mount.source);
    added.set_target(mount.target);
    added.set_read_only(mount.read_only);
  }
  // Not cancelled: a container that was made has to be known to be removed.
  RETURN_IF_ERROR(cancellation_.status());
  ASSIGN_OR_RETURN(const auto response,
                   Call(&pb::ContainerService::Stub::CreateContainer, request, false));
  return response.id();
}

absl::StatusOr<int> ContainerClient::Run(
    const std::string& container,
    const std::function<void(bool is_stderr, absl::string_view data)>& output) {
  grpc::ClientContext attach_context;
  grpc::ClientContext wait_context;
  const Cancellation::Watch watch(cancellation_, [&] {
    attach_context.TryCancel();
    wait_context.TryCancel();
  });
  const auto stream = streams_->AttachContainer(&attach_context);
  agent::v1::AttachRequest attach;
  attach.mutable_start()->set_id(container);
  attach.mutable_start()->set_stdout(true);
  attach.mutable_start()->set_stderr(true);
  agent::v1::AttachResponse response;
  stream->Write(attach);
  const auto give_up = [&](absl::Status status) {
    attach_context.TryCancel();
    while (stream->Read(&response)) {
    }
    const absl::Status finished = FromGrpc(stream->Finish());
    RETURN_IF_ERROR(cancellation_.status());
    return status.ok() ? finished : status;
  };
  // Both are under way at once.
  pb::WaitContainerRequest wait;
  wait.set_container(container);
  wait.set_condition(pb::WaitContainerRequest::CONDITION_NEXT_EXIT);
  const auto waiter = containers_->WaitContainer(&wait_context, wait);
  pb::WaitContainerResponse waited;
  if (!stream->Read(&response)) {
    wait_context.TryCancel();
    while (waiter->Read(&waited)) {
    }
    waiter->Finish();
    return give_up(absl::OkStatus());
  }
  absl::Status status;
  if (waiter->Read(&waited)) {
    pb::StartContainerRequest start;
    start.set_container(container);
    status = Call(&pb::ContainerService::Stub::StartContainer, start).status();
  }
  bool ended = false;
  while (status.ok() && !ended && stream->Read(&response)) {
    if (response.has_output()) {
      output(response.output().stream() == common::v1::STD_STREAM_STDERR, response.output().data());
    }
    ended = response.has_end();
  }
  if (!status.ok()) wait_context.TryCancel();
  const bool exited = status.ok() && waiter->Read(&waited);
  while (waiter->Read(&waited)) {
  }
  const absl::Status finished = FromGrpc(waiter->Finish());
  const absl::Status attached = give_up(status);
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(cancellation_.status());
  if (!exited) return finished.ok() ? attached : finished;
  if (!waited.error().empty()) return absl::FailedPreconditionError(waited.error());
  return waited.exit_code();
}

absl::Status ContainerClient::Unpack(const std::string& container, const std::string& directory,
                                     const std::function<absl::Status(const TarSink&)>& produce) {
  grpc::ClientContext context;
  const Cancellation::Watch watch(cancellation_, [&context] { context.TryCancel(); });
  agent::v1::WriteArchiveResponse response;
  const auto writer = streams_->WriteArchive(&context, &response);
  agent::v1::WriteArchiveRequest request;
  request.mutable_start()->set_container_id(container);
  request.mutable_start()->set_path(directory);
  bool open = writer->Write(request);
  const absl::Status produced = produce([&](std::string bytes) -> absl::Status {
    request.set_data(std::move(bytes));
    open = open && writer->Write(request);
    return open ? absl::OkStatus() : absl::CancelledError("the agent takes no more");
  });
  if (produced.ok()) {
    writer->WritesDone();
  } else if (open) {
    context.TryCancel();
  }
  const absl::Status finished = FromGrpc(writer->Finish());
  return !produced.ok() && open ? produced : finished;
}

absl::StatusOr<std::string> ContainerClient::Commit(const ContainerCommit& commit) {
  pb::CommitContainerRequest request;
  request.set_container(commit.container);
  request.set_author(commit.author);
  ConfigToMessage(commit.config, *request.mutable_config());
  request.set_created_by(commit.created_by);
  request.set_created_unix_ns(commit.created_unix_ns);
  request.set_latest_mtime_unix_s(commit.latest_mtime_unix_s);
  ASSIGN_OR_RETURN(const auto response,
                   Call(&pb::ContainerService::Stub::CommitContainer, request));
  return response.image_id();
}

struct ContainerClient::Removal {
  grpc::ClientContext context;
  pb::RemoveContainerRequest request;
  pb::RemoveContainerResponse response;
};

// One after the other: of what they share the last one is the last user.
void ContainerClient::RemoveSoon(const std::string& container) {
  absl::MutexLock lock(&mu_);
  to_remove_.push_back(container);
  if (to_remove_.size() == 1) RemoveFirst();
}

void ContainerClient::RemoveFirst() {
  const auto removal = std::make_shared<Removal>();
  removal->context.set_wait_for_ready(true);
  removal->request.set_container(to_remove_.front());
  removal->request.set_force(true);
  removal->request.set_remove_volumes(true);
  containers_->async()->RemoveContainer(
      &removal->context, &removal->request, &removal->response,
      [this, removal](const grpc::Status& status) {
        if (!status.ok()) {
          Log(LogLevel::kWarning, "a build's container stays",
              {{"container", removal->request.container()}, {"error", status.error_message()}});
        }
        absl::MutexLock lock(&mu_);
        to_remove_.pop_front();
        if (!to_remove_.empty()) RemoveFirst();
      });
}

}  // namespace slipway::build
