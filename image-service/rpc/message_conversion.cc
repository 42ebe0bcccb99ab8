#include "image-service/rpc/message_conversion.h"

#include <string>
#include <vector>

namespace slipway::image {
namespace {

using Texts = google::protobuf::RepeatedPtrField<std::string>;

std::vector<std::string> Copy(const Texts& texts) { return {texts.begin(), texts.end()}; }
void Copy(const std::vector<std::string>& from, Texts* to) { to->Add(from.begin(), from.end()); }

void FillConfig(const ImageConfig& config, v1::ImageConfig* message) {
  message->set_user(config.user);
  Copy(config.exposed_ports, message->mutable_exposed_ports());
  Copy(config.env, message->mutable_env());
  Copy(config.entrypoint, message->mutable_entrypoint());
  Copy(config.command, message->mutable_command());
  Copy(config.volumes, message->mutable_volumes());
  message->set_working_directory(config.working_directory);
  for (const auto& [name, value] : config.labels) (*message->mutable_labels())[name] = value;
  message->set_stop_signal(config.stop_signal);
  Copy(config.shell, message->mutable_shell());
  Copy(config.on_build, message->mutable_on_build());
  message->set_args_escaped(config.args_escaped);
  if (!config.has_healthcheck) return;
  v1::Healthcheck* health = message->mutable_healthcheck();
  Copy(config.healthcheck.test, health->mutable_test());
  health->set_interval_ns(config.healthcheck.interval_ns);
  health->set_timeout_ns(config.healthcheck.timeout_ns);
  health->set_start_period_ns(config.healthcheck.start_period_ns);
  health->set_start_interval_ns(config.healthcheck.start_interval_ns);
  health->set_retries(config.healthcheck.retries);
}

void FillLayers(const Image& image, v1::Image* message) {
  for (size_t i = 0; i < image.layers.size(); ++i) {
    const Layer& layer = image.layers[i];
    v1::LayerInfo* info = message->add_layers();
    info->set_diff_id(layer.diff_id.ToString());
    info->set_chain_id(image.chain_ids[i].ToString());
    info->set_blob_digest(layer.blob.ToString());
    info->set_media_type(layer.media_type);
    info->set_blob_size_bytes(layer.blob_size_bytes);
    info->set_tar_size_bytes(layer.content_size_bytes);
    info->set_erofs_size_bytes(layer.erofs_size_bytes);
    info->set_opaque_root(layer.opaque_root);
  }
}

}  // namespace

v1::Image ToSummary(const ImageView& view) {
  const Image& image = *view.image;
  const ImageDescription& description = image.description;
  v1::Image message;
  message.set_id(image.id.ToString());
  Copy(view.repo_tags, message.mutable_repo_tags());
  Copy(view.repo_digests, message.mutable_repo_digests());
  message.set_created_unix_ns(description.created_unix_ns);
  message.set_size_bytes(SizeOf(image));
  message.mutable_platform()->set_os(description.platform.os);
  message.mutable_platform()->set_architecture(description.platform.architecture);
  // An empty string that is set costs as much as another, and lists have thousands of images.
  if (!description.platform.variant.empty()) {
    message.mutable_platform()->set_variant(description.platform.variant);
  }
  if (!description.config.user.empty()) {
    message.mutable_config()->set_user(description.config.user);
  }
  for (const auto& [name, value] : description.config.labels) {
    (*message.mutable_config()->mutable_labels())[name] = value;
  }
  message.set_manifest_digest(image.manifest_digest.ToString());
  message.set_last_tagged_unix_ns(image.last_tagged_unix_ns);
  message.set_container_count(view.owner_count);
  if (view.shared_size_bytes.has_value()) message.set_shared_size_bytes(*view.shared_size_bytes);
  if (!image.parent.empty()) message.set_parent_id(image.parent.ToString());
  if (!image.committed_container.empty()) {
    message.set_committed_container(image.committed_container);
  }
  return message;
}

v1::Image ToMessage(const ImageView& view) {
  const Image& image = *view.image;
  const ImageDescription& description = image.description;
  v1::Image message = ToSummary(view);
  message.set_author(description.author);
  message.set_comment(description.comment);
  message.clear_config();
  FillConfig(description.config, message.mutable_config());
  FillLayers(image, &message);
  for (const HistoryEntry& entry : description.history) {
    v1::HistoryEntry* item = message.add_history();
    item->set_created_unix_ns(entry.created_unix_ns);
    item->set_created_by(entry.created_by);
    item->set_author(entry.author);
    item->set_comment(entry.comment);
    item->set_empty_layer(entry.empty_layer);
  }
  message.set_docker_version(description.docker_version);
  return message;
}

v1::PullLayerProgress ToMessage(const LayerProgress& progress) {
  v1::PullLayerProgress message;
  message.set_id(progress.id);
  switch (progress.phase) {
    case LayerPhase::kPullingFsLayer:
      message.set_phase(v1::PullLayerProgress::PHASE_PULLING_FS_LAYER);
      break;
    case LayerPhase::kWaiting:
      message.set_phase(v1::PullLayerProgress::PHASE_WAITING);
      break;
    case LayerPhase::kDownloading:
      message.set_phase(v1::PullLayerProgress::PHASE_DOWNLOADING);
      break;
    case LayerPhase::kVerifyingChecksum:
      message.set_phase(v1::PullLayerProgress::PHASE_VERIFYING_CHECKSUM);
      break;
    case LayerPhase::kDownloadComplete:
      message.set_phase(v1::PullLayerProgress::PHASE_DOWNLOAD_COMPLETE);
      break;
    case LayerPhase::kExtracting:
      message.set_phase(v1::PullLayerProgress::PHASE_EXTRACTING);
      break;
    case LayerPhase::kPullComplete:
      message.set_phase(v1::PullLayerProgress::PHASE_PULL_COMPLETE);
      break;
    case LayerPhase::kAlreadyExists:
      message.set_phase(v1::PullLayerProgress::PHASE_ALREADY_EXISTS);
      break;
    case LayerPhase::kRetrying:
      message.set_phase(v1::PullLayerProgress::PHASE_RETRYING);
      break;
    case LayerPhase::kPreparing:
      message.set_phase(v1::PullLayerProgress::PHASE_PREPARING);
      break;
    case LayerPhase::kPushing:
      message.set_phase(v1::PullLayerProgress::PHASE_PUSHING);
      break;
    case LayerPhase::kPushed:
      message.set_phase(v1::PullLayerProgress::PHASE_PUSHED);
      break;
    case LayerPhase::kLayerAlreadyExists:
      message.set_phase(v1::PullLayerProgress::PHASE_LAYER_ALREADY_EXISTS);
      break;
    case LayerPhase::kMounted:
      message.set_phase(v1::PullLayerProgress::PHASE_MOUNTED);
      break;
  }
  message.set_current_bytes(progress.current_bytes);
  message.set_total_bytes(progress.total_bytes);
  message.set_source(progress.source);
  return message;
}

slipway::common::v1::Event ToMessage(const ImageEvent& event) {
  slipway::common::v1::Event message;
  message.set_sequence(event.sequence);
  message.set_time_unix_ns(event.time_unix_ns);
  message.set_type("image");
  message.set_action(event.action);
  message.set_actor_id(event.actor_id);
  for (const auto& [name, value] : event.attributes) (*message.mutable_attributes())[name] = value;
  return message;
}

ImageConfig FromMessage(const v1::ImageConfig& message) {
  ImageConfig config;
  config.user = message.user();
  config.exposed_ports = Copy(message.exposed_ports());
  config.env = Copy(message.env());
  config.entrypoint = Copy(message.entrypoint());
  config.command = Copy(message.command());
  config.volumes = Copy(message.volumes());
  config.working_directory = message.working_directory();
  config.labels = {message.labels().begin(), message.labels().end()};
  config.stop_signal = message.stop_signal();
  config.shell = Copy(message.shell());
  config.on_build = Copy(message.on_build());
  config.args_escaped = message.args_escaped();
  config.has_healthcheck = message.has_healthcheck();
  config.healthcheck.test = Copy(message.healthcheck().test());
  config.healthcheck.interval_ns = message.healthcheck().interval_ns();
  config.healthcheck.timeout_ns = message.healthcheck().timeout_ns();
  config.healthcheck.start_period_ns = message.healthcheck().start_period_ns();
  config.healthcheck.start_interval_ns = message.healthcheck().start_interval_ns();
  config.healthcheck.retries = message.healthcheck().retries();
  return config;
}

RegistryCredentials FromMessage(const v1::RegistryAuth& message) {
  return {message.username(), message.password(), message.identity_token(),
          message.registry_token()};
}

ListFilter FromMessage(const v1::ListImagesRequest& message) {
  ListFilter filter;
  filter.references = Copy(message.references());
  filter.labels = Copy(message.labels());
  if (message.has_dangling()) filter.dangling = message.dangling();
  filter.before = message.before();
  filter.since = message.since();
  filter.until_unix_ns = message.until_unix_ns();
  filter.all = message.all();
  filter.shared_size = message.shared_size();
  return filter;
}

PruneFilter FromMessage(const v1::PruneImagesRequest& message) {
  return {message.all(), Copy(message.labels()), Copy(message.not_labels()),
          message.until_unix_ns()};
}

std::optional<Platform> FromMessage(const slipway::common::v1::Platform& message) {
  if (message.os().empty() && message.architecture().empty()) return std::nullopt;
  Platform platform{message.os(), message.architecture(), message.variant()};
  if (platform.os.empty()) platform.os = "linux";
  return platform;
}

}  // namespace slipway::image
