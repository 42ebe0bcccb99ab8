#ifndef IMAGE_SERVICE_LAYER_TAR_BUILDER_H_
#define IMAGE_SERVICE_LAYER_TAR_BUILDER_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

struct archive;

namespace slipway::image {

// One entry of a tar for tests.
struct TarEntry {
  std::string name;
  mode_t type = 0100000;  // S_IFREG
  std::string content;    // of a regular file
  std::string target;     // of a symlink, or of a hard link when is_hard_link
  bool is_hard_link = false;
  mode_t permissions = 0644;
  int64_t uid = 0;
  int64_t gid = 0;
  int64_t mtime_s = 1'700'000'000;
  long mtime_ns = 0;
  unsigned device_major = 0;
  unsigned device_minor = 0;
  std::vector<std::pair<std::string, std::string>> xattrs;
};

// Writes tars with libarchive for tests. Not thread-safe; a failure of libarchive aborts.
class TarBuilder {
 public:
  // `format`: "pax", "gnutar" or "ustar". `sink` gets the bytes as they come.
  TarBuilder(const std::string& format, std::function<void(const char*, size_t)> sink);
  ~TarBuilder();
  TarBuilder(const TarBuilder&) = delete;
  TarBuilder& operator=(const TarBuilder&) = delete;

  void Add(const TarEntry& entry);
  void Finish();

 private:
  archive* writer_;
  std::function<void(const char*, size_t)> sink_;
};

std::string BuildTar(const std::vector<TarEntry>& entries, const std::string& format = "pax");

// `bytes` through one of libarchive's filters: "gzip", "zstd", "xz", "bzip2".
std::string CompressWith(const std::string& filter, const std::string& bytes);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_TAR_BUILDER_H_
