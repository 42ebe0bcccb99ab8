#ifndef IMAGE_SERVICE_LAYER_LAYER_READER_H_
#define IMAGE_SERVICE_LAYER_LAYER_READER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/os/unique_fd.h"
#include "image-service/layer/erofs_format.h"

namespace slipway::image {

// Reads a layer file without mounting it: just the part of EROFS that ErofsImage writes. Whatever
// does not fit that is DataLoss. Thread-safe: it reads by position.
class LayerReader {
 public:
  struct Inode {
    uint64_t nid = 0;
    uint16_t mode = 0;
    uint32_t uid = 0;
    uint32_t gid = 0;
    int64_t mtime_s = 0;
    uint32_t mtime_ns = 0;
    uint64_t size_bytes = 0;
    uint32_t nlink = 0;
    uint64_t device = 0;  // as st_rdev
    erofs::Layout layout = erofs::Layout::kFlatPlain;
    uint64_t data_offset = 0;
    uint64_t tail_offset = 0;  // of the rest behind the inode (kFlatInline)
    std::vector<std::pair<std::string, std::string>> xattrs;

    // What overlayfs takes for "removed" and for "what is below does not show".
    bool is_whiteout() const;
    bool is_opaque() const;
  };

  struct Entry {
    std::string name;
    uint64_t nid = 0;
  };

  // The error names the file.
  static absl::StatusOr<std::unique_ptr<LayerReader>> Open(const std::string& path);

  absl::StatusOr<Inode> Root() const;
  absl::StatusOr<Inode> Read(uint64_t nid) const;
  // Without "." and "..", sorted by name.
  absl::StatusOr<std::vector<Entry>> List(const Inode& directory) const;
  // Fills `data` as far as the content goes.
  absl::StatusOr<size_t> ReadContent(const Inode& inode, uint64_t offset, char* data,
                                     size_t size) const;
  absl::StatusOr<std::string> LinkTarget(const Inode& inode) const;

 private:
  LayerReader(UniqueFd fd, std::string path, uint64_t size_bytes)
      : fd_(std::move(fd)), path_(std::move(path)), size_bytes_(size_bytes) {}

  absl::Status ReadAt(uint64_t offset, void* data, size_t size) const;
  absl::Status Damaged(absl::string_view what) const;
  absl::Status ReadXattrs(uint64_t offset, size_t area_bytes, Inode& inode) const;
  absl::Status ListBlock(absl::string_view block, std::vector<Entry>& entries) const;

  const UniqueFd fd_;
  const std::string path_;
  const uint64_t size_bytes_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_LAYER_READER_H_
