#ifndef IMAGE_SERVICE_LAYER_EROFS_IMAGE_H_
#define IMAGE_SERVICE_LAYER_EROFS_IMAGE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "image-service/layer/erofs_format.h"
#include "image-service/layer/extent_buffer.h"
#include "image-service/layer/inode_attributes.h"
#include "image-service/layer/layer_file.h"

namespace slipway::image {

// Where an inode is: its offset in the file divided by 32.
using Nid = uint64_t;

inline constexpr Nid kRootNid =
    (erofs::kSuperBlockOffset + sizeof(erofs::SuperBlock)) / erofs::kSlotBytes;

// Lays out an EROFS file: hands out places for inodes and data, and writes what has its place.
// Everything but directories is written as it comes, so that memory does not grow with the number
// of files; directories come last, when their content is known, and the superblock after
// everything. docs/erofs-writer.md has the layout. Not thread-safe. The file must outlive the
// image.
class ErofsImage {
 public:
  ErofsImage(LayerFile* file, uint64_t max_image_bytes);

  // A regular file: Begin, any number of writes (offsets ascending, gaps are holes), End.
  absl::Status BeginFile(const InodeAttributes& attributes, uint64_t size_bytes);
  absl::Status WriteFile(uint64_t offset, absl::string_view bytes);
  absl::StatusOr<Nid> EndFile();
  // Where the content of the regular file begun last stands in the layer file. A small one gets its
  // place in EndFile: none before.
  struct ContentPlace {
    uint64_t offset;  // of the first `full_bytes`
    uint64_t full_bytes;
    uint64_t rest_offset;  // of what follows these
  };
  const std::optional<ContentPlace>& content_place() const { return content_place_; }

  absl::StatusOr<Nid> AddSymlink(const InodeAttributes& attributes, absl::string_view target);
  // A device, fifo or socket; `device` as in stat(2)'s st_rdev.
  absl::StatusOr<Nid> AddSpecial(const InodeAttributes& attributes, uint64_t device);

  // For directories: a place for the inode with its xattrs and content first, the bytes later.
  struct DirectoryPlace {
    Nid nid;
    erofs::Layout layout;
    uint64_t data_offset;    // of the full blocks (kFlatInline) or of everything (kFlatPlain)
    uint64_t inline_offset;  // of the rest behind the inode (kFlatInline)
  };
  absl::StatusOr<DirectoryPlace> PlaceRoot(const InodeAttributes& attributes, uint64_t size_bytes);
  absl::StatusOr<DirectoryPlace> PlaceDirectory(const InodeAttributes& attributes,
                                                uint64_t size_bytes);
  absl::Status WriteDirectoryInode(const DirectoryPlace& place, const InodeAttributes& attributes,
                                   uint64_t size_bytes, uint32_t nlink);
  absl::Status WriteDirectoryContent(const DirectoryPlace& place, uint64_t offset,
                                     absl::string_view bytes, uint64_t size_bytes);

  // Sets the link count of an inode written before.
  absl::Status SetLinkCount(Nid nid, uint32_t nlink);

  // Writes the superblock, after which the file is an EROFS image. Returns its size.
  absl::StatusOr<uint64_t> Finish(const std::array<uint8_t, 16>& uuid);

 private:
  absl::StatusOr<uint64_t> AllocateBlocks(uint64_t size_bytes);
  // A place for `head_bytes` (inode and xattrs) with `tail_bytes` of content right behind, which
  // stay within a block, as the format demands.
  absl::StatusOr<uint64_t> AllocateMeta(uint64_t head_bytes, uint64_t tail_bytes);
  absl::Status WriteMeta(uint64_t offset, absl::string_view bytes);
  absl::Status WriteData(uint64_t offset, absl::string_view bytes);
  absl::Status WriteInode(uint64_t offset, erofs::Layout layout, const InodeAttributes& attributes,
                          uint64_t size_bytes, uint32_t data, uint32_t nlink);
  absl::StatusOr<Nid> AddInline(const InodeAttributes& attributes, absl::string_view content,
                                uint64_t full_bytes);

  LayerFile* file_;
  const uint64_t max_image_bytes_;
  ExtentBuffer data_;
  ExtentBuffer meta_;
  std::string block0_;

  uint64_t end_ = erofs::kBlockBytes;  // first byte not handed out
  // The current run of metadata blocks, which inodes are taken from.
  uint64_t meta_next_ = 0;
  uint64_t meta_end_ = 0;
  uint64_t meta_run_bytes_;
  uint64_t inode_count_ = 0;
  uint64_t writeback_from_ = 0;

  // The regular file being written.
  InodeAttributes file_attributes_;
  uint64_t file_size_ = 0;
  uint64_t file_data_ = 0;
  bool file_is_small_ = false;
  Nid file_nid_ = 0;
  std::string small_;
  std::optional<ContentPlace> content_place_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_EROFS_IMAGE_H_
