#include <boost/json/value.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "image-service/domain/media_types.h"
#include "image-service/oci/bounded_json.h"
#include "image-service/oci/json_image_format.h"

namespace slipway::image {
namespace {

namespace json = boost::json;

constexpr size_t kMaxIndexEntries = 1024;
constexpr size_t kMaxArchiveEntries = 256;

absl::StatusOr<Descriptor> ParseDescriptor(const JsonObject& object) {
  Descriptor descriptor;
  std::string digest;
  RETURN_IF_ERROR(ReadString(object, "mediaType", &descriptor.media_type));
  RETURN_IF_ERROR(ReadString(object, "digest", &digest));
  RETURN_IF_ERROR(ReadInt(object, "size", &descriptor.size_bytes));
  ASSIGN_OR_RETURN(descriptor.digest, Digest::Parse(digest));
  if (descriptor.size_bytes < 0) return absl::InvalidArgumentError("\"size\" is negative");
  ASSIGN_OR_RETURN(const json::array* urls, FindArray(object, "urls"));
  descriptor.has_urls = urls != nullptr && !urls->empty();
  return descriptor;
}

absl::StatusOr<Manifest> ParseImageManifest(const JsonObject& object, std::string media_type) {
  Manifest manifest;
  manifest.media_type = std::move(media_type);
  ASSIGN_OR_RETURN(const JsonObject* config, FindObject(object, "config"));
  if (config == nullptr) return absl::InvalidArgumentError("\"config\" is missing");
  ASSIGN_OR_RETURN(manifest.config, ParseDescriptor(*config));
  ASSIGN_OR_RETURN(const json::array* layers, FindArray(object, "layers"));
  if (layers == nullptr) return manifest;
  if (layers->size() > kMaxLayers) {
    return absl::InvalidArgumentError(
        absl::StrCat(layers->size(), " layers, at most ", kMaxLayers, " are supported"));
  }
  for (const json::value& layer : *layers) {
    if (!layer.is_object())
      return absl::InvalidArgumentError("\"layers\" is not a list of objects");
    ASSIGN_OR_RETURN(Descriptor descriptor, ParseDescriptor(layer.get_object()));
    manifest.layers.push_back(std::move(descriptor));
  }
  return manifest;
}

absl::StatusOr<IndexEntry> ParseIndexEntry(const JsonObject& object) {
  IndexEntry entry;
  ASSIGN_OR_RETURN(entry.manifest, ParseDescriptor(object));
  ASSIGN_OR_RETURN(const JsonObject* platform, FindObject(object, "platform"));
  if (platform != nullptr) {
    RETURN_IF_ERROR(ReadString(*platform, "os", &entry.platform.os));
    RETURN_IF_ERROR(ReadString(*platform, "architecture", &entry.platform.architecture));
    RETURN_IF_ERROR(ReadString(*platform, "variant", &entry.platform.variant));
  }
  ASSIGN_OR_RETURN(const JsonObject* annotations, FindObject(object, "annotations"));
  if (annotations != nullptr) {
    RETURN_IF_ERROR(ReadString(*annotations, "io.containerd.image.name", &entry.name));
    RETURN_IF_ERROR(ReadString(*annotations, "org.opencontainers.image.ref.name", &entry.tag));
  }
  return entry;
}

absl::StatusOr<std::vector<IndexEntry>> ParseIndex(const JsonObject& object) {
  std::vector<IndexEntry> entries;
  ASSIGN_OR_RETURN(const json::array* manifests, FindArray(object, "manifests"));
  if (manifests == nullptr) return entries;
  if (manifests->size() > kMaxIndexEntries) {
    return absl::InvalidArgumentError(
        absl::StrCat("more than ", kMaxIndexEntries, " \"manifests\""));
  }
  for (const json::value& manifest : *manifests) {
    if (!manifest.is_object()) {
      return absl::InvalidArgumentError("\"manifests\" is not a list of objects");
    }
    ASSIGN_OR_RETURN(IndexEntry entry, ParseIndexEntry(manifest.get_object()));
    entries.push_back(std::move(entry));
  }
  return entries;
}

bool IsOneOf(absl::string_view type, absl::string_view a, absl::string_view b) {
  return type == a || type == b;
}

// What the document says of itself wins; a contradiction with the transport is an attack on whoever
// believes the other of the two (OCI distribution-spec, GHSA-mc8v-mgrf-8f4m).
absl::StatusOr<std::string> DocumentType(const JsonObject& object, absl::string_view transport) {
  std::string type;
  int64_t schema_version = 0;
  RETURN_IF_ERROR(ReadString(object, "mediaType", &type));
  RETURN_IF_ERROR(ReadInt(object, "schemaVersion", &schema_version));
  if (schema_version == 1) {
    return absl::InvalidArgumentError(
        "schema version 1 manifests are no longer supported; push the image again with a current "
        "client");
  }
  const bool known = IsOneOf(transport, kDockerManifestType, kOciManifestType) ||
                     IsOneOf(transport, kDockerIndexType, kOciIndexType);
  if (!type.empty() && known && type != transport) {
    return absl::InvalidArgumentError(
        absl::StrCat("media type is ", type, " but was sent as ", transport));
  }
  if (type.empty() && known) type = std::string(transport);
  const bool has_manifests = object.if_contains("manifests") != nullptr;
  const bool has_layers = object.if_contains("layers") != nullptr;
  if (has_manifests && has_layers) {
    return absl::InvalidArgumentError("both \"manifests\" and \"layers\" are present");
  }
  if (type.empty()) type = has_manifests ? kOciIndexType : kOciManifestType;
  return type;
}

}  // namespace

absl::StatusOr<ManifestOrIndex> JsonImageFormat::ParseManifest(absl::string_view text,
                                                               absl::string_view media_type) {
  ManifestOrIndex result;
  RETURN_IF_ERROR(
      BoundedJson::Parse(text, "manifest", [&](const json::value& document) -> absl::Status {
        if (!document.is_object()) return absl::InvalidArgumentError("not an object");
        const JsonObject& object = document.get_object();
        ASSIGN_OR_RETURN(std::string type, DocumentType(object, media_type));
        if (IsOneOf(type, kDockerIndexType, kOciIndexType)) {
          ASSIGN_OR_RETURN(result, ParseIndex(object));
          return absl::OkStatus();
        }
        if (IsOneOf(type, kDockerManifestType, kOciManifestType)) {
          ASSIGN_OR_RETURN(result, ParseImageManifest(object, std::move(type)));
          return absl::OkStatus();
        }
        return absl::InvalidArgumentError(
            absl::StrCat("media type \"", type.substr(0, 100), "\" is not supported"));
      }));
  return result;
}

absl::StatusOr<std::vector<ArchiveEntry>> JsonImageFormat::ParseArchive(absl::string_view text) {
  std::vector<ArchiveEntry> entries;
  RETURN_IF_ERROR(
      BoundedJson::Parse(text, "manifest.json", [&](const json::value& document) -> absl::Status {
        if (!document.is_array()) return absl::InvalidArgumentError("not a list");
        if (document.get_array().size() > kMaxArchiveEntries) {
          return absl::InvalidArgumentError(
              absl::StrCat("more than ", kMaxArchiveEntries, " images"));
        }
        for (const json::value& item : document.get_array()) {
          if (!item.is_object()) return absl::InvalidArgumentError("not a list of objects");
          ArchiveEntry entry;
          RETURN_IF_ERROR(ReadString(item.get_object(), "Config", &entry.config));
          RETURN_IF_ERROR(ReadStrings(item.get_object(), "RepoTags", &entry.repo_tags));
          RETURN_IF_ERROR(ReadStrings(item.get_object(), "Layers", &entry.layers));
          if (entry.layers.size() > kMaxLayers) {
            return absl::InvalidArgumentError(absl::StrCat(entry.layers.size(), " layers, at most ",
                                                           kMaxLayers, " are supported"));
          }
          entries.push_back(std::move(entry));
        }
        return absl::OkStatus();
      }));
  return entries;
}

}  // namespace slipway::image
