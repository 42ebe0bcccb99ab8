#include "image-service/layer/erofs_image.h"

#include <isa-l/crc.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

using erofs::AlignUp;
using erofs::ExtendedInode;
using erofs::kBlockBytes;
using erofs::kSlotBytes;
using erofs::Layout;

constexpr size_t kDataBufferBytes = 256 << 10;
// What a large layer has beyond this goes to disk without passing through the page cache: copying
// it there and writing it back costs as much as decompressing it, and few of its files are read.
constexpr uint64_t kDirectFromBytes = 4 << 20;
constexpr size_t kMetaBufferBytes = 64 << 10;
// Metadata runs grow, so that a small layer stays small and a large one has its inodes together.
constexpr uint64_t kFirstMetaRunBytes = 16 << 10;
constexpr uint64_t kMaxMetaRunBytes = 256 << 10;
// A rest of up to half a block is stored behind the inode: a larger one wastes less in a block of
// its own than it makes the next inode waste. Not for large files, where a read would pay a second
// seek.
constexpr uint64_t kMaxInlineTailBytes = kBlockBytes / 2;
constexpr uint64_t kMaxInlineFileBytes = 16 << 10;
// Writeback starts in steps of this size, so that the disk works while we do.
constexpr uint64_t kWritebackBytes = 16 << 20;

uint32_t EncodeDevice(uint64_t device) {
  const uint32_t major_number = major(device);
  const uint32_t minor_number = minor(device);
  return (minor_number & 0xff) | (major_number << 8) | ((minor_number & ~0xffu) << 12);
}

uint32_t BlockOf(uint64_t offset) { return static_cast<uint32_t>(offset / kBlockBytes); }

uint64_t HeadBytes(const InodeAttributes& attributes) {
  return sizeof(ExtendedInode) + attributes.xattrs.bytes().size();
}

bool FitsInline(const InodeAttributes& attributes, uint64_t tail_bytes) {
  return tail_bytes > 0 && tail_bytes <= kMaxInlineTailBytes &&
         HeadBytes(attributes) + tail_bytes <= kBlockBytes;
}

}  // namespace

ErofsImage::ErofsImage(LayerFile* file, uint64_t max_image_bytes)
    : file_(file),
      max_image_bytes_(std::min(max_image_bytes, (uint64_t{1} << 32) * kBlockBytes - kBlockBytes)),
      data_(file, kDataBufferBytes, kDirectFromBytes),
      meta_(file, kMetaBufferBytes),
      block0_(kBlockBytes, '\0'),
      meta_run_bytes_(kFirstMetaRunBytes) {}

absl::StatusOr<uint64_t> ErofsImage::AllocateBlocks(uint64_t size_bytes) {
  if (size_bytes > max_image_bytes_ ||
      AlignUp(size_bytes, kBlockBytes) > max_image_bytes_ - std::min(end_, max_image_bytes_)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the layer file would pass the limit of ", max_image_bytes_, " bytes"));
  }
  const uint64_t offset = end_;
  end_ += AlignUp(size_bytes, kBlockBytes);
  return offset;
}

absl::StatusOr<uint64_t> ErofsImage::AllocateMeta(uint64_t head_bytes, uint64_t tail_bytes) {
  const auto crosses = [](uint64_t from, uint64_t bytes) {
    return bytes > 0 && from / kBlockBytes != (from + bytes - 1) / kBlockBytes;
  };
  for (;;) {
    uint64_t at = AlignUp(meta_next_, kSlotBytes);
    const bool one_block = head_bytes + tail_bytes <= kBlockBytes;
    if (one_block && crosses(at, head_bytes + tail_bytes)) at = AlignUp(at, kBlockBytes);
    while (crosses(at, sizeof(ExtendedInode)) || crosses(at + head_bytes, tail_bytes)) {
      at += kSlotBytes;
    }
    if (at + head_bytes + tail_bytes <= meta_end_) {
      meta_next_ = at + head_bytes + tail_bytes;
      return at;
    }
    // The slack is for what the two rules above may skip in the new run.
    const uint64_t wanted = head_bytes + tail_bytes + 2 * kBlockBytes;
    const uint64_t run = std::max(meta_run_bytes_, AlignUp(wanted, kBlockBytes));
    meta_run_bytes_ = std::min(meta_run_bytes_ * 2, kMaxMetaRunBytes);
    ASSIGN_OR_RETURN(meta_next_, AllocateBlocks(run));
    meta_end_ = meta_next_ + run;
  }
}

absl::Status ErofsImage::WriteMeta(uint64_t offset, absl::string_view bytes) {
  if (offset < kBlockBytes) {  // the root's inode shares block 0 with the superblock
    memcpy(block0_.data() + offset, bytes.data(), bytes.size());
    return absl::OkStatus();
  }
  return meta_.WriteAt(offset, bytes);
}

absl::Status ErofsImage::WriteData(uint64_t offset, absl::string_view bytes) {
  RETURN_IF_ERROR(data_.WriteAt(offset, bytes));
  const uint64_t written = offset + bytes.size();
  if (written >= writeback_from_ + kWritebackBytes) {
    file_->StartWriteback(writeback_from_, written - writeback_from_);
    writeback_from_ = written;
  }
  return absl::OkStatus();
}

absl::Status ErofsImage::WriteInode(uint64_t offset, Layout layout,
                                    const InodeAttributes& attributes, uint64_t size_bytes,
                                    uint32_t data, uint32_t nlink) {
  ExtendedInode inode = {};
  inode.format = erofs::InodeFormat(layout);
  inode.xattr_count = attributes.xattrs.count_field();
  inode.mode = attributes.mode;
  inode.size_bytes = size_bytes;
  inode.data = data;
  inode.ino = static_cast<uint32_t>(++inode_count_);
  inode.uid = attributes.uid;
  inode.gid = attributes.gid;
  inode.mtime_s = attributes.mtime_s;
  inode.mtime_ns = attributes.mtime_ns;
  inode.nlink = nlink;
  RETURN_IF_ERROR(
      WriteMeta(offset, absl::string_view(reinterpret_cast<const char*>(&inode), sizeof(inode))));
  if (attributes.xattrs.bytes().empty()) return absl::OkStatus();
  return WriteMeta(offset + sizeof(inode), attributes.xattrs.bytes());
}

absl::StatusOr<Nid> ErofsImage::AddInline(const InodeAttributes& attributes,
                                          absl::string_view content, uint64_t full_bytes) {
  const uint64_t head_bytes = HeadBytes(attributes);
  const absl::string_view tail = content.substr(full_bytes);
  uint64_t data = 0;
  if (full_bytes > 0) {
    ASSIGN_OR_RETURN(data, AllocateBlocks(full_bytes));
    RETURN_IF_ERROR(WriteData(data, content.substr(0, full_bytes)));
  }
  ASSIGN_OR_RETURN(const uint64_t offset, AllocateMeta(head_bytes, tail.size()));
  RETURN_IF_ERROR(
      WriteInode(offset, Layout::kFlatInline, attributes, content.size(), BlockOf(data), 1));
  RETURN_IF_ERROR(WriteMeta(offset + head_bytes, tail));
  content_place_ = {data, full_bytes, offset + head_bytes};
  return offset / kSlotBytes;
}

absl::Status ErofsImage::BeginFile(const InodeAttributes& attributes, uint64_t size_bytes) {
  file_size_ = size_bytes;
  content_place_.reset();
  file_is_small_ =
      size_bytes <= kMaxInlineFileBytes && FitsInline(attributes, size_bytes % kBlockBytes);
  if (file_is_small_) {
    file_attributes_ = attributes;
    small_.assign(size_bytes, '\0');
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const uint64_t offset, AllocateMeta(HeadBytes(attributes), 0));
  file_data_ = 0;
  if (size_bytes > 0) {
    ASSIGN_OR_RETURN(file_data_, AllocateBlocks(size_bytes));
  }
  file_nid_ = offset / kSlotBytes;
  content_place_ = {file_data_, size_bytes, 0};
  return WriteInode(offset, Layout::kFlatPlain, attributes, size_bytes, BlockOf(file_data_), 1);
}

absl::Status ErofsImage::WriteFile(uint64_t offset, absl::string_view bytes) {
  if (offset > file_size_ || bytes.size() > file_size_ - offset) {
    return absl::InvalidArgumentError(
        absl::StrCat("has content beyond its size of ", file_size_, " bytes"));
  }
  if (!file_is_small_) return WriteData(file_data_ + offset, bytes);
  memcpy(small_.data() + offset, bytes.data(), bytes.size());
  return absl::OkStatus();
}

absl::StatusOr<Nid> ErofsImage::EndFile() {
  if (!file_is_small_) return file_nid_;
  return AddInline(file_attributes_, small_, file_size_ / kBlockBytes * kBlockBytes);
}

absl::StatusOr<Nid> ErofsImage::AddSymlink(const InodeAttributes& attributes,
                                           absl::string_view target) {
  if (FitsInline(attributes, target.size())) return AddInline(attributes, target, 0);
  ASSIGN_OR_RETURN(const uint64_t data, AllocateBlocks(target.size()));
  RETURN_IF_ERROR(WriteData(data, target));
  ASSIGN_OR_RETURN(const uint64_t offset, AllocateMeta(HeadBytes(attributes), 0));
  RETURN_IF_ERROR(
      WriteInode(offset, Layout::kFlatPlain, attributes, target.size(), BlockOf(data), 1));
  return offset / kSlotBytes;
}

absl::StatusOr<Nid> ErofsImage::AddSpecial(const InodeAttributes& attributes, uint64_t device) {
  ASSIGN_OR_RETURN(const uint64_t offset, AllocateMeta(HeadBytes(attributes), 0));
  const bool has_device = S_ISCHR(attributes.mode) || S_ISBLK(attributes.mode);
  RETURN_IF_ERROR(WriteInode(offset, Layout::kFlatPlain, attributes, 0,
                             has_device ? EncodeDevice(device) : 0, 1));
  return offset / kSlotBytes;
}

absl::StatusOr<ErofsImage::DirectoryPlace> ErofsImage::PlaceRoot(const InodeAttributes& attributes,
                                                                 uint64_t size_bytes) {
  const uint64_t offset = kRootNid * kSlotBytes;
  const uint64_t head_bytes = HeadBytes(attributes);
  if (offset + head_bytes > kBlockBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("extended attributes of the root directory pass the limit of ",
                     kBlockBytes - offset - sizeof(ExtendedInode), " bytes"));
  }
  DirectoryPlace place = {.nid = kRootNid};
  if (offset + head_bytes + size_bytes <= kBlockBytes) {
    place.layout = Layout::kFlatInline;
    place.inline_offset = offset + head_bytes;
    return place;
  }
  place.layout = Layout::kFlatPlain;
  ASSIGN_OR_RETURN(place.data_offset, AllocateBlocks(size_bytes));
  return place;
}

absl::StatusOr<ErofsImage::DirectoryPlace> ErofsImage::PlaceDirectory(
    const InodeAttributes& attributes, uint64_t size_bytes) {
  const uint64_t head_bytes = HeadBytes(attributes);
  const uint64_t tail_bytes = size_bytes % kBlockBytes;
  DirectoryPlace place = {};
  const bool is_inline = FitsInline(attributes, tail_bytes);
  place.layout = is_inline ? Layout::kFlatInline : Layout::kFlatPlain;
  const uint64_t block_bytes = is_inline ? size_bytes - tail_bytes : size_bytes;
  if (block_bytes > 0) {
    ASSIGN_OR_RETURN(place.data_offset, AllocateBlocks(block_bytes));
  }
  ASSIGN_OR_RETURN(const uint64_t offset, AllocateMeta(head_bytes, is_inline ? tail_bytes : 0));
  place.nid = offset / kSlotBytes;
  place.inline_offset = offset + head_bytes;
  return place;
}

absl::Status ErofsImage::WriteDirectoryInode(const DirectoryPlace& place,
                                             const InodeAttributes& attributes, uint64_t size_bytes,
                                             uint32_t nlink) {
  return WriteInode(place.nid * kSlotBytes, place.layout, attributes, size_bytes,
                    BlockOf(place.data_offset), nlink);
}

absl::Status ErofsImage::WriteDirectoryContent(const DirectoryPlace& place, uint64_t offset,
                                               absl::string_view bytes, uint64_t size_bytes) {
  const bool is_rest = offset / kBlockBytes == size_bytes / kBlockBytes;
  if (place.layout == Layout::kFlatInline && is_rest) {
    return WriteMeta(place.inline_offset + offset % kBlockBytes, bytes);
  }
  return WriteData(place.data_offset + offset, bytes);
}

absl::Status ErofsImage::SetLinkCount(Nid nid, uint32_t nlink) {
  RETURN_IF_ERROR(meta_.Flush());
  return file_->WriteAt(nid * kSlotBytes + offsetof(ExtendedInode, nlink),
                        absl::string_view(reinterpret_cast<const char*>(&nlink), sizeof(nlink)));
}

absl::StatusOr<uint64_t> ErofsImage::Finish(const std::array<uint8_t, 16>& uuid) {
  RETURN_IF_ERROR(data_.Drain());
  RETURN_IF_ERROR(meta_.Drain());
  if (meta_end_ == end_) end_ = AlignUp(meta_next_, kBlockBytes);  // the run's unused rest
  RETURN_IF_ERROR(file_->Truncate(end_));

  erofs::SuperBlock super = {};
  super.magic = erofs::kMagic;
  super.feature_compat = erofs::kFeatureSuperBlockChecksum | erofs::kFeatureMtime;
  super.block_bits = erofs::kBlockBits;
  super.root_nid = static_cast<uint16_t>(kRootNid);
  super.inode_count = inode_count_;
  super.blocks = BlockOf(end_);
  memcpy(super.uuid, uuid.data(), uuid.size());
  char* at = block0_.data() + erofs::kSuperBlockOffset;
  memcpy(at, &super, sizeof(super));
  super.checksum =
      crc32_iscsi(reinterpret_cast<unsigned char*>(at),
                  static_cast<int>(kBlockBytes - erofs::kSuperBlockOffset), 0xffffffffu);
  memcpy(at, &super, sizeof(super));
  RETURN_IF_ERROR(file_->WriteAt(0, block0_));
  return end_;
}

}  // namespace slipway::image
