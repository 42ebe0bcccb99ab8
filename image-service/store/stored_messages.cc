#include "image-service/store/stored_messages.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "slipway/storage/v1/image.pb.h"

namespace slipway::image {
namespace {

template <typename Message>
absl::StatusOr<Message> ParseMessage(absl::string_view value) {
  Message message;
  if (!message.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return absl::DataLossError(absl::StrCat("not a ", message.GetDescriptor()->full_name()));
  }
  return message;
}

absl::StatusOr<Digest> StoredDigest(absl::string_view text) {
  auto digest = Digest::Parse(text);
  if (!digest.ok()) return absl::DataLossError(digest.status().message());
  return digest;
}

}  // namespace

std::string EncodeImage(const ImageRecord& record) {
  storage::v1::StoredImage message;
  message.set_config(record.config_json);
  message.set_manifest(record.manifest_json);
  message.set_manifest_digest(record.manifest_digest.ToString());
  message.set_manifest_media_type(record.manifest_media_type);
  message.set_last_tagged_unix_ns(record.last_tagged_unix_ns);
  for (const LayerReference& layer : record.layers) {
    auto* stored = message.add_layers();
    stored->set_blob_digest(layer.blob.ToString());
    stored->set_diff_id(layer.diff_id.ToString());
    stored->set_media_type(layer.media_type);
  }
  message.set_parent_id(record.parent.ToString());
  message.set_committed_container(record.committed_container);
  message.set_removed(record.removed);
  return message.SerializeAsString();
}

absl::StatusOr<ImageRecord> DecodeImage(absl::string_view key, absl::string_view value) {
  ASSIGN_OR_RETURN(auto message, ParseMessage<storage::v1::StoredImage>(value));
  ImageRecord record;
  ASSIGN_OR_RETURN(record.id, StoredDigest(key));
  record.config_json = std::move(*message.mutable_config());
  record.manifest_json = std::move(*message.mutable_manifest());
  ASSIGN_OR_RETURN(record.manifest_digest, StoredDigest(message.manifest_digest()));
  record.manifest_media_type = message.manifest_media_type();
  record.last_tagged_unix_ns = message.last_tagged_unix_ns();
  for (const auto& stored : message.layers()) {
    LayerReference layer;
    ASSIGN_OR_RETURN(layer.blob, StoredDigest(stored.blob_digest()));
    ASSIGN_OR_RETURN(layer.diff_id, StoredDigest(stored.diff_id()));
    layer.media_type = stored.media_type();
    record.layers.push_back(std::move(layer));
  }
  if (!message.parent_id().empty()) {
    ASSIGN_OR_RETURN(record.parent, StoredDigest(message.parent_id()));
  }
  record.committed_container = message.committed_container();
  record.removed = message.removed();
  return record;
}

std::string EncodeLayer(const Layer& layer) {
  storage::v1::StoredLayer message;
  message.set_diff_id(layer.diff_id.ToString());
  message.set_media_type(layer.media_type);
  message.set_blob_size_bytes(layer.blob_size_bytes);
  message.set_tar_size_bytes(layer.tar_size_bytes);
  message.set_content_size_bytes(layer.content_size_bytes);
  message.set_erofs_size_bytes(layer.erofs_size_bytes);
  message.set_entries(layer.entries);
  message.set_created_unix_ns(layer.created_unix_ns);
  message.set_unsynced_boot_id(layer.unsynced_boot_id);
  message.set_opaque_root(layer.opaque_root);
  message.set_split_size_bytes(layer.split_size_bytes);
  message.set_gzip_digest(layer.gzip.ToString());
  message.set_gzip_size_bytes(layer.gzip_size_bytes);
  for (const std::string& name : layer.repositories) message.add_repositories(name);
  return message.SerializeAsString();
}

absl::StatusOr<Layer> DecodeLayer(absl::string_view key, absl::string_view value) {
  ASSIGN_OR_RETURN(const auto message, ParseMessage<storage::v1::StoredLayer>(value));
  Layer layer;
  ASSIGN_OR_RETURN(layer.blob, StoredDigest(key));
  ASSIGN_OR_RETURN(layer.diff_id, StoredDigest(message.diff_id()));
  layer.media_type = message.media_type();
  layer.blob_size_bytes = message.blob_size_bytes();
  layer.tar_size_bytes = message.tar_size_bytes();
  // Older records have only the tar's.
  layer.content_size_bytes =
      message.has_content_size_bytes() ? message.content_size_bytes() : message.tar_size_bytes();
  layer.erofs_size_bytes = message.erofs_size_bytes();
  layer.entries = message.entries();
  layer.created_unix_ns = message.created_unix_ns();
  layer.unsynced_boot_id = message.unsynced_boot_id();
  layer.opaque_root = message.opaque_root();
  layer.split_size_bytes = message.split_size_bytes();
  if (!message.gzip_digest().empty()) {
    ASSIGN_OR_RETURN(layer.gzip, StoredDigest(message.gzip_digest()));
  }
  layer.gzip_size_bytes = message.gzip_size_bytes();
  layer.repositories = {message.repositories().begin(), message.repositories().end()};
  return layer;
}

std::string EncodeReference(const Digest& image) {
  storage::v1::StoredReference message;
  message.set_image_id(image.ToString());
  return message.SerializeAsString();
}

absl::StatusOr<Digest> DecodeReference(absl::string_view value) {
  ASSIGN_OR_RETURN(const auto message, ParseMessage<storage::v1::StoredReference>(value));
  return StoredDigest(message.image_id());
}

std::string EncodeCleanShutdown(const std::string& boot_id) {
  storage::v1::StoredCleanShutdown message;
  message.set_boot_id(boot_id);
  return message.SerializeAsString();
}

absl::StatusOr<std::string> DecodeCleanShutdown(absl::string_view value) {
  ASSIGN_OR_RETURN(const auto message, ParseMessage<storage::v1::StoredCleanShutdown>(value));
  return message.boot_id();
}

std::string EncodeOwner(const std::vector<Digest>& images) {
  storage::v1::StoredOwner message;
  for (const Digest& image : images) message.add_image_ids(image.ToString());
  return message.SerializeAsString();
}

absl::StatusOr<std::vector<Digest>> DecodeOwner(absl::string_view value) {
  ASSIGN_OR_RETURN(const auto message, ParseMessage<storage::v1::StoredOwner>(value));
  std::vector<Digest> images;
  for (const std::string& id : message.image_ids()) {
    ASSIGN_OR_RETURN(Digest digest, StoredDigest(id));
    images.push_back(std::move(digest));
  }
  return images;
}

std::string EncodeEvent(const ImageEvent& event) {
  storage::v1::StoredEvent message;
  message.set_time_unix_ns(event.time_unix_ns);
  message.set_action(event.action);
  message.set_actor_id(event.actor_id);
  for (const auto& [name, value] : event.attributes) (*message.mutable_attributes())[name] = value;
  return message.SerializeAsString();
}

absl::StatusOr<ImageEvent> DecodeEvent(uint64_t sequence, absl::string_view value) {
  ASSIGN_OR_RETURN(const auto message, ParseMessage<storage::v1::StoredEvent>(value));
  ImageEvent event;
  event.sequence = sequence;
  event.time_unix_ns = message.time_unix_ns();
  event.action = message.action();
  event.actor_id = message.actor_id();
  event.attributes = {message.attributes().begin(), message.attributes().end()};
  return event;
}

}  // namespace slipway::image
