#ifndef SERVICES_BUILD_FILES_COPY_LAYER_H_
#define SERVICES_BUILD_FILES_COPY_LAYER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/text/ignore_file.h"
#include "services/build/files/file_set.h"
#include "services/build/ports/images.h"

namespace slipway::build {

struct Owner {
  uint32_t uid = 0;
  uint32_t gid = 0;
};

struct CopySource {
  std::shared_ptr<const FileSet> files;
  std::string pattern;  // as written, variables replaced
  // The files are those of an archive: all of them are taken, with the owners that they have.
  bool is_archive = false;
};

struct CopyOptions {
  bool ends_with_slash = false;  // the destination must be a directory
  bool keep_parents = false;     // --parents
  IgnoreFile excludes;
  Owner owner;
  bool changes_owner = false;     // by chown(2)
  std::optional<uint32_t> mode;   // --chmod
  int64_t directory_mtime_s = 0;  // of directories that are made
  std::string verb = "COPY";      // for errors
  bool from_image = false;        // for errors
};

// A layer of a COPY or ADD: which files come where. Immutable once planned.
class CopyLayer {
 public:
  // `destination` is what the path is in the image below: links on the way are followed, and
  // directories that are there keep their attributes. NotFound and InvalidArgument in Docker's
  // words.
  static absl::StatusOr<CopyLayer> Plan(const std::vector<CopySource>& sources,
                                        const PathInfo& destination, const CopyOptions& options);

  // Of everything that the layer takes from its sources but times; not of what is in the image.
  const std::string& digest() const { return digest_; }
  // "file", "dir" or "multi", as Docker's history says it.
  const std::string& kind() const { return kind_; }
  absl::Status Write(const TarSink& sink) const;

 private:
  struct Entry {
    FileInfo info;
    std::shared_ptr<const FileSet> files;  // of the content
    FileSet::Place place;
    std::string content_digest;
    bool exists_below = false;  // in the image
  };
  class Planner;

  std::map<std::string, Entry> entries_;
  std::string digest_;
  std::string kind_;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_FILES_COPY_LAYER_H_
