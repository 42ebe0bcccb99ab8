#ifndef SERVICES_BUILD_PORTS_IMAGES_H_
#define SERVICES_BUILD_PORTS_IMAGES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/build/ports/cancellation.h"
#include "services/build/ports/image_config.h"

namespace slipway::build {

struct ImageInfo {
  std::string id;
  std::string author;
  ImageConfig config;
  Platform platform;
  int64_t size_bytes = 0;
};

// An image in a list.
struct ImageSummary {
  std::string id;
  std::string parent;
  bool has_name = false;
  int64_t size_bytes = 0;
};

// A file of an image or of a context.
struct FileInfo {
  std::string path;   // relative, "" for the root
  uint32_t mode = 0;  // st_mode
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t mtime_s = 0;
  uint32_t mtime_ns = 0;
  uint64_t size_bytes = 0;
  std::string link_target;  // of a symbolic link
  uint64_t device = 0;
  uint64_t link_id = 0;  // names of one file have the same; 0: it has one name
  std::map<std::string, std::string> xattrs;
};

struct PathInfo {
  std::string path;                   // with links followed; what does not exist is as asked
  std::optional<FileInfo> file;       // none: does not exist
  std::vector<FileInfo> directories;  // those on the way that exist, the root first
};

struct NewImage {
  std::string parent;  // empty: none
  ImageConfig config;
  std::string author;
  std::string created_by;
  Platform platform;                // where there is no parent
  int64_t created_unix_ns = 0;      // 0: now
  int64_t latest_mtime_unix_s = 0;  // 0: times stay
};

// Takes a layer's tar in order: as bytes, and as parts of open files where it says so.
class TarSink {
 public:
  using TakeBytes = std::function<absl::Status(std::string)>;
  using TakeFile = std::function<absl::Status(int fd, uint64_t offset, uint64_t size_bytes)>;

  template <typename Function>
  requires std::is_invocable_r_v<absl::Status, Function, std::string> TarSink(
      Function bytes, TakeFile file = nullptr)  // NOLINT: a function is a sink
      : bytes_(std::move(bytes)), file_(std::move(file)) {}

  absl::Status operator()(std::string bytes) const { return bytes_(std::move(bytes)); }
  bool takes_files() const { return file_ != nullptr; }
  absl::Status File(int fd, uint64_t offset, uint64_t size_bytes) const {
    return file_(fd, offset, size_bytes);
  }

 private:
  TakeBytes bytes_;
  TakeFile file_;
};

// The image service. Thread-safe. Calls end with Cancelled when the build does.
class Images {
 public:
  virtual ~Images() = default;
  // By name, id or unique prefix. NotFound. The image, and what is made on it, stays until the
  // build has ended, whatever anybody removes.
  virtual absl::StatusOr<ImageInfo> Get(const std::string& reference) = 0;
  // From its registry. `progress` gets lines of text.
  virtual absl::StatusOr<ImageInfo> Pull(
      const std::string& reference, const Platform& platform,
      const std::function<void(absl::string_view)>& progress) = 0;
  virtual absl::StatusOr<PathInfo> Stat(const std::string& image, const std::string& path) = 0;
  // The files at and below a path, each with its content. NotFound.
  virtual absl::Status ReadFiles(const std::string& image, const std::string& path,
                                 const std::function<absl::Status(FileInfo)>& on_file,
                                 const std::function<absl::Status(absl::string_view)>& on_data) = 0;
  // The new image's id. Without a producer no layer is added.
  virtual absl::StatusOr<std::string> Commit(
      const NewImage& image, const std::function<absl::Status(const TarSink&)>& produce) = 0;
  // The new image's id: like `image`, with the layers above those of `ancestor` (empty: all) as
  // one.
  virtual absl::StatusOr<std::string> Squash(const std::string& image, const std::string& ancestor,
                                             int64_t created_unix_ns) = 0;
  virtual absl::Status Tag(const std::string& image, const std::string& name) = 0;
  virtual absl::Status Remove(const std::string& image) = 0;
  virtual absl::StatusOr<std::vector<ImageSummary>> List() = 0;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_PORTS_IMAGES_H_
