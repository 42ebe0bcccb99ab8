#ifndef IMAGE_SERVICE_LAYER_EROFS_FORMAT_H_
#define IMAGE_SERVICE_LAYER_EROFS_FORMAT_H_

#include <bit>
#include <cstddef>
#include <cstdint>

// The part of the EROFS on-disk format that a layer uses: uncompressed, 4 KiB blocks, extended
// inodes. Source: Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h of Linux 5.4 and
// later. docs/erofs-writer.md says how a layer file is laid out.
namespace slipway::image::erofs {

static_assert(std::endian::native == std::endian::little, "EROFS is little-endian on disk");

inline constexpr uint32_t kMagic = 0xE0F5E1E2;
inline constexpr uint64_t kBlockBytes = 4096;
inline constexpr uint8_t kBlockBits = 12;
inline constexpr uint64_t kSuperBlockOffset = 1024;
// Inodes are addressed in slots of 32 bytes from the start of the file (meta_blkaddr is 0).
inline constexpr uint64_t kSlotBytes = 32;

inline constexpr uint32_t kFeatureSuperBlockChecksum = 0x1;
inline constexpr uint32_t kFeatureMtime = 0x2;

struct SuperBlock {
  uint32_t magic;
  uint32_t checksum;  // crc32c of the rest of block 0, from the superblock on, without this field
  uint32_t feature_compat;
  uint8_t block_bits;
  uint8_t extra_slots;
  uint16_t root_nid;
  uint64_t inode_count;
  uint64_t build_time_s;
  uint32_t build_time_ns;
  uint32_t blocks;
  uint32_t meta_block;
  uint32_t xattr_block;
  uint8_t uuid[16];
  uint8_t volume_name[16];
  uint32_t feature_incompat;
  uint16_t compression_algorithms;
  uint16_t extra_devices;
  uint16_t device_slot;
  uint8_t directory_block_bits;
  uint8_t xattr_prefix_count;
  uint32_t xattr_prefix_start;
  uint64_t packed_nid;
  uint8_t xattr_filter_reserved;
  uint8_t reserved[23];
};
static_assert(sizeof(SuperBlock) == 128);

enum class Layout : uint16_t { kFlatPlain = 0, kFlatInline = 2 };

struct ExtendedInode {
  uint16_t format;       // bit 0: extended; bits 1 to 3: Layout
  uint16_t xattr_count;  // 0: no xattrs; otherwise (bytes of the xattr area - 12) / 4 + 1
  uint16_t mode;
  uint16_t reserved;
  uint64_t size_bytes;
  uint32_t data;  // first block of the content, or the device number
  uint32_t ino;
  uint32_t uid;
  uint32_t gid;
  int64_t mtime_s;
  uint32_t mtime_ns;
  uint32_t nlink;
  uint8_t reserved2[16];
};
static_assert(sizeof(ExtendedInode) == 64);
static_assert(offsetof(ExtendedInode, nlink) == 44);

inline constexpr uint16_t InodeFormat(Layout layout) {
  return static_cast<uint16_t>(1 | static_cast<uint16_t>(layout) << 1);
}

struct __attribute__((packed)) DirectoryEntry {
  uint64_t nid;
  uint16_t name_offset;  // from the start of the directory block
  uint8_t file_type;
  uint8_t reserved;
};
static_assert(sizeof(DirectoryEntry) == 12);

// The file types of directory entries.
inline constexpr uint8_t kTypeRegular = 1;
inline constexpr uint8_t kTypeDirectory = 2;
inline constexpr uint8_t kTypeCharDevice = 3;
inline constexpr uint8_t kTypeBlockDevice = 4;
inline constexpr uint8_t kTypeFifo = 5;
inline constexpr uint8_t kTypeSymlink = 7;

struct XattrHeader {
  uint32_t name_filter;
  uint8_t shared_count;
  uint8_t reserved[7];
};
static_assert(sizeof(XattrHeader) == 12);

struct XattrEntry {
  uint8_t name_bytes;
  uint8_t name_index;
  uint16_t value_bytes;
};
static_assert(sizeof(XattrEntry) == 4);

inline constexpr uint8_t kXattrUser = 1;
inline constexpr uint8_t kXattrPosixAclAccess = 2;
inline constexpr uint8_t kXattrPosixAclDefault = 3;
inline constexpr uint8_t kXattrTrusted = 4;
inline constexpr uint8_t kXattrSecurity = 6;

inline constexpr uint64_t AlignUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace slipway::image::erofs

#endif  // IMAGE_SERVICE_LAYER_EROFS_FORMAT_H_
