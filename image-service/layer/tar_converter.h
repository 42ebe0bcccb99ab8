#ifndef IMAGE_SERVICE_LAYER_TAR_CONVERTER_H_
#define IMAGE_SERVICE_LAYER_TAR_CONVERTER_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "image-service/layer/entry_path.h"
#include "image-service/layer/erofs_image.h"
#include "image-service/layer/layer_limits.h"
#include "image-service/layer/layer_tree.h"
#include "image-service/layer/tar_split.h"

struct archive;
struct archive_entry;

namespace slipway::image {

// Reads a tar stream (POSIX pax, GNU, ustar, v7) and puts what it holds into an image and a tree.
// Sockets and what tar cannot say are left out. Not thread-safe.
class TarConverter {
 public:
  // The next bytes of the stream, valid until the next call; nullopt at its end.
  using Input = std::function<std::optional<absl::string_view>()>;

  // `split` hears where the content of files got to; null: nobody wants to know.
  TarConverter(const LayerLimits& limits, ErofsImage* image, LayerTree* tree, TarSplitWriter* split)
      : limits_(limits), image_(image), tree_(tree), split_(split) {}

  // Until the tar's end mark, or the end of the input. Errors name the entry: InvalidArgument for a
  // tar that must not be, DataLoss for a damaged one.
  absl::Status Run(Input input);

  uint64_t entry_count() const { return entry_count_; }
  // Of all files and links, as Docker counts an image's size.
  uint64_t content_bytes() const { return content_bytes_; }

 private:
  static ssize_t ReadInput(archive* reader, void* self, const void** bytes);
  void CountContent(archive_entry* entry);
  absl::Status AddEntry(archive* reader, archive_entry* entry, absl::string_view name);
  absl::Status AddContent(archive* reader, archive_entry* entry, const LayerTree::Path& path);
  absl::Status AddRegular(archive* reader, archive_entry* entry, const LayerTree::Path& path);
  // Content of the regular file being added, for the split.
  void NoteContent(uint64_t offset, absl::string_view bytes);
  // Tells the split where what was noted stands, once it has its place.
  void CoverContent();
  absl::Status AddHardLink(archive_entry* entry, const LayerTree::Path& path);
  absl::Status AddSymlink(archive_entry* entry, const LayerTree::Path& path);
  absl::Status AddWhiteout(const LayerTree::Path& path);
  absl::Status ReadAttributes(archive_entry* entry);

  const LayerLimits limits_;
  ErofsImage* image_;
  LayerTree* tree_;
  TarSplitWriter* split_;
  struct Content {
    uint64_t position;  // in the tar
    uint64_t offset;    // in its file
    uint64_t size_bytes;
  };
  std::vector<Content> content_;
  Input input_;
  InodeAttributes attributes_;
  uint64_t entry_count_ = 0;
  bool ended_ = false;  // behind the content of the last entry
  uint64_t content_bytes_ = 0;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_TAR_CONVERTER_H_
