// BuildImage: one build a call.

#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/rpc/status_conversion.h"
#include "services/build/domain/build.h"
#include "services/build/domain/registry_of.h"
#include "services/build/rpc/build_service.h"
#include "services/build/rpc/context_queue.h"
#include "services/build/rpc/ssh_relay.h"

namespace slipway::build {
namespace {

constexpr int kMaxBuilds = 16;
constexpr size_t kMaxSecretBytes = 500 << 10;  // BuildKit's bound

absl::StatusOr<BuildRequest> ParseOptions(const v1::BuildOptions& options) {
  BuildRequest request;
  if (!options.dockerfile().empty()) request.dockerfile = options.dockerfile();
  if (options.has_dockerfile_content()) request.dockerfile_content = options.dockerfile_content();
  request.remote = options.remote();
  request.tags.assign(options.tags().begin(), options.tags().end());
  for (const auto& [name, value] : options.build_args()) request.build_args[name] = value;
  for (const auto& label : options.labels()) {
    request.labels.emplace_back(label.name(), label.value());
  }
  request.target = options.target_stage();
  request.named_images = {options.named_images().begin(), options.named_images().end()};
  request.no_cache = options.no_cache();
  request.pull = options.pull();
  request.squash = options.squash();
  request.context_is_filtered = options.context_is_filtered();
  request.plan_only = options.plan_only();
  request.keep_containers = options.keep_containers();
  request.remove_failed_container = options.remove_failed_container();
  request.platform = {options.platform().os(), options.platform().architecture(),
                      options.platform().variant()};
  // They change what a RUN step can see, so they are part of its key.
  request.network = options.network_mode().empty() ? "default" : options.network_mode();
  for (const std::string& host : options.extra_hosts()) {
    absl::StrAppend(&request.network, "\n", host);
  }
  for (const auto& [id, value] : options.secrets()) {
    if (value.size() > kMaxSecretBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("secret ", id, " has more than ", kMaxSecretBytes, " bytes"));
    }
    request.secrets[id] = value;
  }
  return request;
}

container::v1::ContainerSpec Defaults(const v1::BuildOptions& options) {
  container::v1::ContainerSpec spec;
  spec.mutable_network()->set_mode(options.network_mode());
  *spec.mutable_network()->mutable_extra_hosts() = options.extra_hosts();
  *spec.mutable_resources() = options.resources();
  *spec.mutable_ulimits() = options.ulimits();
  spec.set_shm_size_bytes(options.shm_size_bytes());
  // What it prints goes to who builds, and is kept nowhere else.
  spec.mutable_log()->set_driver("none");
  return spec;
}

void Fill(const StepUpdate& update, v1::BuildStep& step) {
  step.set_number(update.number);
  step.set_state(static_cast<v1::BuildStep::State>(update.state));
  step.set_started_unix_ns(update.started_unix_ns);
  step.set_finished_unix_ns(update.finished_unix_ns);
  step.set_image_id(update.image_id);
  step.set_container_id(update.container_id);
  step.set_container_removed(update.container_removed);
  step.set_triggers(update.triggers);
}

static_assert(static_cast<int>(StepState::kCancelled) == v1::BuildStep::STATE_CANCELLED);
static_assert(static_cast<int>(StepState::kCached) == v1::BuildStep::STATE_CACHED);

}  // namespace

// Deletes itself, after its thread has finished the call.
class BuildCall : public grpc::ServerBidiReactor<v1::BuildImageRequest, v1::BuildImageResponse>,
                  public BuildEvents {
 public:
  explicit BuildCall(BuildServiceImpl& service) : service_(service), queue_([this] { Receive(); }) {
    StartRead(&request_);
  }

  // --- gRPC's threads.
  void OnReadDone(bool ok) override {
    if (started_) {
      if (!ok) {
        queue_.End();
      } else if (TakeMessage()) {
        Receive();
      }
      return;
    }
    started_ = true;
    if (!ok || !request_.has_options()) {
      Finish(ToGrpc(absl::InvalidArgumentError("the first message must have the options")));
      return;
    }
    Start();
  }
  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mu_);
    writing_ = false;
    if (!ok) broken_ = true;
  }
  void OnCancel() override {
    queue_.Abort();
    cancellation_.Cancel();
  }
  void OnDone() override { delete this; }

  // --- The build's threads.
  void OnPlan(const std::vector<PlannedStep>& steps, const PlanNeeds& needs) override {
    v1::BuildImageResponse message;
    for (const PlannedStep& planned : steps) {
      v1::BuildStep& step = *message.mutable_plan()->add_steps();
      step.set_number(planned.number);
      step.set_stage(planned.stage);
      step.set_name(planned.name);
      step.set_line(planned.line);
      step.mutable_depends_on()->Add(planned.depends_on.begin(), planned.depends_on.end());
    }
    v1::BuildPlan& plan = *message.mutable_plan();
    std::set<std::string> registries;
    for (const std::string& image : needs.images) registries.insert(RegistryOf(image));
    plan.mutable_registries()->Add(registries.begin(), registries.end());
    plan.mutable_secrets()->Add(needs.secrets.begin(), needs.secrets.end());
    plan.mutable_ssh_agents()->Add(needs.ssh_agents.begin(), needs.ssh_agents.end());
    Write(std::move(message));
  }
  void OnStep(const StepUpdate& update) override {
    if (update.state == StepState::kDone) ++service_.parts_.counters.steps_run;
    if (update.state == StepState::kCached) ++service_.parts_.counters.steps_cached;
    v1::BuildImageResponse message;
    Fill(update, *message.mutable_step());
    Write(std::move(message));
  }
  void OnOutput(uint32_t step, bool is_stderr, absl::string_view data) override {
    v1::BuildImageResponse message;
    message.mutable_output()->set_step(step);
    message.mutable_output()->set_is_stderr(is_stderr);
    message.mutable_output()->set_data(data.data(), data.size());
    Write(std::move(message));
  }
  void OnWarning(absl::string_view text) override {
    v1::BuildImageResponse message;
    message.mutable_warning()->set_text(text.data(), text.size());
    Write(std::move(message));
  }

 private:
  // False when nothing more is to be received for now.
  bool TakeMessage() {
    switch (request_.kind_case()) {
      case v1::BuildImageRequest::kAgent:
        relay_->Take(std::move(*request_.mutable_agent()));
        return true;
      case v1::BuildImageRequest::kFile:
        return TakeFile(request_.file());
      case v1::BuildImageRequest::kContext:
        if (!request_.context().empty()) {
          return queue_.Push(std::move(*request_.mutable_context()));
        }
        queue_.End();
        return true;
      default:
        return true;
    }
  }

  // False when nothing more is to be received.
  bool TakeFile(const v1::ContextFile& message) {
    std::shared_ptr<const UniqueFd> file;
    if (!message.token().empty()) {
      DescriptorDoor* const door = service_.parts_.door;
      absl::StatusOr<UniqueFd> taken = door == nullptr
                                           ? absl::NotFoundError("this service takes no files")
                                           : door->Take(message.token());
      if (!taken.ok()) {
        queue_.Abort(taken.status());
        return false;
      }
      file = std::make_shared<UniqueFd>(*std::move(taken));
    }
    return queue_.PushFile(std::move(file), message.written_bytes());
  }

  void Start() {
    absl::StatusOr<BuildRequest> request = ParseOptions(request_.options());
    if (!request.ok()) {
      Finish(ToGrpc(request.status()));
      return;
    }
    {
      absl::MutexLock lock(&service_.mu_);
      if (service_.threads_ >= kMaxBuilds) {
        Finish(ToGrpc(absl::ResourceExhaustedError(
            absl::StrCat("more than ", kMaxBuilds, " builds at once"))));
        return;
      }
      ++service_.threads_;
    }
    options_ = std::move(*request_.mutable_options());
    relay_.emplace(
        std::set<std::string>(options_.ssh_agents().begin(), options_.ssh_agents().end()),
        [this](v1::AgentBytes bytes) {
          v1::BuildImageResponse message;
          *message.mutable_agent() = std::move(bytes);
          Write(std::move(message));
        });
    std::thread([this, &service = service_, request = *std::move(request)] {
      Run(request);
      // This call may be gone by now.
      absl::MutexLock lock(&service.mu_);
      --service.threads_;
    }).detach();
    Receive();
  }

  void Receive() {
    absl::MutexLock lock(&mu_);
    if (!finished_) StartRead(&request_);
  }

  // One message at a time; waits while the client is slow.
  void Write(v1::BuildImageResponse message) {
    const auto idle = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !writing_; };
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&idle));
    if (broken_) return;
    writing_ = true;
    response_ = std::move(message);
    StartWrite(&response_);
  }

  void Run(const BuildRequest& request) {
    Counters& counters = service_.parts_.counters;
    ++counters.running;
    const absl::StatusOr<BuildOutcome> outcome = Build(request);
    --counters.running;
    ++(outcome.ok() ? counters.finished : counters.failed);
    if (outcome.ok()) {
      v1::BuildImageResponse message;
      v1::BuildResult& result = *message.mutable_result();
      result.set_image_id(outcome->image_id);
      result.mutable_tags()->Add(outcome->tags.begin(), outcome->tags.end());
      result.mutable_unused_build_args()->Add(outcome->unused_build_args.begin(),
                                              outcome->unused_build_args.end());
      Write(std::move(message));
    }
    {
      const auto idle = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !writing_; };
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(&idle));
      finished_ = true;
    }
    Finish(ToGrpc(outcome.status()));
  }

  absl::StatusOr<BuildOutcome> Build(const BuildRequest& request) {
    const BuildServiceParts& parts = service_.parts_;
    std::map<std::string, image::v1::RegistryAuth> auths(options_.auths().begin(),
                                                         options_.auths().end());
    const std::unique_ptr<Images> images = parts.make_images(cancellation_, std::move(auths));
    const std::unique_ptr<Containers> containers =
        parts.make_containers(cancellation_, Defaults(options_), options_.keep_containers());
    const std::unique_ptr<Fetcher> fetcher = parts.make_fetcher(cancellation_);
    const std::unique_ptr<Git> git = parts.make_git(cancellation_);
    const BuildParts build{.request = request,
                           .images = *images,
                           .containers = *containers,
                           .cache = parts.cache,
                           .events = *this,
                           .fetcher = *fetcher,
                           .git = *git,
                           .ssh = &*relay_,
                           .volume_locks = parts.volume_locks,
                           .cancellation = cancellation_,
                           .spool_directory = parts.spool_directory,
                           .secret_directory = parts.secret_directory,
                           .host = HostPlatform()};
    return RunBuild(build, {[this] { return queue_.Next(); }, [this] { return queue_.File(); }});
  }

  BuildServiceImpl& service_;
  Cancellation cancellation_;
  ContextQueue queue_;
  std::optional<SshRelay> relay_;  // of a build that has begun
  v1::BuildImageRequest request_;  // gRPC's while it is read
  v1::BuildOptions options_;
  bool started_ = false;
  absl::Mutex mu_;
  v1::BuildImageResponse response_;  // gRPC's while writing_
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool broken_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;  // no reads any more
};

grpc::ServerBidiReactor<v1::BuildImageRequest, v1::BuildImageResponse>*
BuildServiceImpl::BuildImage(grpc::CallbackServerContext*) {
  return new BuildCall(*this);
}

}  // namespace slipway::build
