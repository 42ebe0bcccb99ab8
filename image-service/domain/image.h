#ifndef IMAGE_SERVICE_DOMAIN_IMAGE_H_
#define IMAGE_SERVICE_DOMAIN_IMAGE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "image-service/domain/digest.h"

// Plain values of the image domain. Times are nanoseconds since the Unix epoch, 0 for "none".
namespace slipway::image {

// OCI image-spec, "platform" of an image index.
struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;
};

struct Healthcheck {
  std::vector<std::string> test;
  int64_t interval_ns = 0;
  int64_t timeout_ns = 0;
  int64_t start_period_ns = 0;
  int64_t start_interval_ns = 0;
  int32_t retries = 0;
};

// OCI image-spec, config.md, "config".
struct ImageConfig {
  std::string user;
  std::vector<std::string> exposed_ports;
  std::vector<std::string> env;
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::vector<std::string> volumes;
  std::string working_directory;
  std::map<std::string, std::string> labels;
  std::string stop_signal;
  std::vector<std::string> shell;
  std::vector<std::string> on_build;
  bool has_healthcheck = false;
  Healthcheck healthcheck;
  bool args_escaped = false;
};

struct HistoryEntry {
  int64_t created_unix_ns = 0;
  std::string created_by;
  std::string author;
  std::string comment;
  bool empty_layer = false;
};

// The image's configuration file. Its digest is the image's id.
struct ImageDescription {
  int64_t created_unix_ns = 0;
  std::string author;
  std::string comment;
  std::string docker_version;
  Platform platform;
  ImageConfig config;
  std::vector<Digest> diff_ids;  // bottom first
  std::vector<HistoryEntry> history;
};

// OCI image-spec, descriptor.md.
struct Descriptor {
  std::string media_type;
  Digest digest;
  int64_t size_bytes = 0;
  bool has_urls = false;
};

struct Manifest {
  std::string media_type;
  Descriptor config;
  std::vector<Descriptor> layers;  // bottom first
};

// One entry of a manifest list or index.
struct IndexEntry {
  Descriptor manifest;
  Platform platform;
  std::string name;  // annotation io.containerd.image.name
  std::string tag;   // annotation org.opencontainers.image.ref.name
};

// An entry of manifest.json in a `docker save` archive.
struct ArchiveEntry {
  std::string config;
  std::vector<std::string> repo_tags;
  std::vector<std::string> layers;
};

// A layer that is complete and verified on this host.
struct Layer {
  Digest blob;
  Digest diff_id;
  std::string media_type;
  int64_t blob_size_bytes = 0;
  int64_t tar_size_bytes = 0;
  int64_t content_size_bytes = 0;  // of the files in the tar: what Docker calls its size
  int64_t erofs_size_bytes = 0;
  int64_t entries = 0;
  int64_t created_unix_ns = 0;
  bool opaque_root = false;  // hides all layers below it
  // Boot in which the layer file was written but not synced; empty: synced.
  std::string unsynced_boot_id;
  // Behind the layer file, of a layer that was made here: the blob is the plain tar, which is put
  // together from the layer file when it is asked for. 0: the blob has a file of its own.
  int64_t split_size_bytes = 0;
  // What registries have of a layer with a split, once it was pushed.
  Digest gzip;
  int64_t gzip_size_bytes = 0;
  // "<domain>/<path>" of repositories that have the blob (or `gzip`), newest last, at most
  // kMaxRepositories.
  std::vector<std::string> repositories;

  static constexpr size_t kMaxRepositories = 8;
  bool has_split() const { return split_size_bytes > 0; }
  // What the blob takes of the disk.
  int64_t stored_blob_bytes() const { return has_split() ? split_size_bytes : blob_size_bytes; }
  int64_t layer_file_bytes() const { return erofs_size_bytes + split_size_bytes; }
  // False when it was there already.
  bool AddRepository(const std::string& name);
};

struct Image {
  Digest id;
  ImageDescription description;
  Digest manifest_digest;
  std::string manifest_media_type;
  std::vector<Layer> layers;      // bottom first
  std::vector<Digest> chain_ids;  // of these (OCI image-spec, config.md, "Layer ChainID")
  int64_t last_tagged_unix_ns = 0;
  Digest parent;                    // the image that it was committed on; empty: none known
  std::string committed_container;  // the container that it was committed from
};

std::vector<Digest> ChainIds(const std::vector<Layer>& layers);

// Of the layers' files, as Docker counts.
int64_t SizeOf(const Image& image);

// Docker's name for an architecture as uname(2) says it: "amd64" for "x86_64".
Platform HostPlatform();

// The index of the entry for `wanted`, -1 when there is none. An entry of the same variant wins
// over one of none.
int SelectPlatform(const std::vector<IndexEntry>& entries, const Platform& wanted);

// "linux/arm64/v8".
std::string PlatformName(const Platform& platform);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_IMAGE_H_
