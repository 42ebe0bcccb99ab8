#ifndef IMAGE_SERVICE_LAYER_INODE_ATTRIBUTES_H_
#define IMAGE_SERVICE_LAYER_INODE_ATTRIBUTES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace slipway::image {

// The area behind an inode that holds its extended attributes, in EROFS form; empty without any.
class XattrArea {
 public:
  // Adds an attribute by its full name ("user.mime_type"). Names that the format cannot hold (other
  // than user., trusted., security. and POSIX ACLs) are left out, and so is what would steer
  // overlayfs (user.overlay.*, trusted.overlay.*): a tar must not. A name that is there already
  // gets the new value. InvalidArgument when the area would pass the format's or the given limit.
  absl::Status Add(absl::string_view name, absl::string_view value, size_t limit_bytes);
  // trusted.overlay.opaque=y: the directory hides the lower layers' one.
  void AddOpaque();

  absl::string_view bytes() const { return bytes_; }
  uint16_t count_field() const;

 private:
  void Append(uint8_t index, absl::string_view suffix, absl::string_view value);
  void Remove(uint8_t index, absl::string_view suffix);

  std::string bytes_;
};

struct InodeAttributes {
  uint16_t mode = 0;  // with the file type, as in stat(2)
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t mtime_s = 0;
  uint32_t mtime_ns = 0;
  XattrArea xattrs;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_INODE_ATTRIBUTES_H_
