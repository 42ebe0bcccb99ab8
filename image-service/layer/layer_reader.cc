#include "image-service/layer/layer_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

using erofs::kBlockBytes;
using erofs::kSlotBytes;

constexpr uint64_t kMaxDirectoryBytes = 256 << 20;
constexpr uint64_t kMaxLinkBytes = 4096;

absl::string_view XattrPrefix(uint8_t index) {
  switch (index) {
    case erofs::kXattrUser:
      return "user.";
    case erofs::kXattrPosixAclAccess:
      return "system.posix_acl_access";
    case erofs::kXattrPosixAclDefault:
      return "system.posix_acl_default";
    case erofs::kXattrTrusted:
      return "trusted.";
    case erofs::kXattrSecurity:
      return "security.";
    default:
      return "";
  }
}

// The kernel's new_decode_dev.
uint64_t DecodeDevice(uint32_t device) {
  return makedev((device & 0xfff00) >> 8, (device & 0xff) | ((device >> 12) & 0xfff00));
}

}  // namespace

bool LayerReader::Inode::is_whiteout() const { return S_ISCHR(mode) && device == 0; }

bool LayerReader::Inode::is_opaque() const {
  return std::any_of(xattrs.begin(), xattrs.end(), [](const auto& xattr) {
    return xattr.first == "trusted.overlay.opaque" && xattr.second == "y";
  });
}

absl::StatusOr<std::unique_ptr<LayerReader>> LayerReader::Open(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDONLY));
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", path));
  std::unique_ptr<LayerReader> reader(
      new LayerReader(std::move(fd), path, static_cast<uint64_t>(info.st_size)));
  erofs::SuperBlock super{};
  RETURN_IF_ERROR(reader->ReadAt(erofs::kSuperBlockOffset, &super, sizeof(super)));
  if (super.magic != erofs::kMagic || super.block_bits != erofs::kBlockBits) {
    return reader->Damaged("it is no layer file");
  }
  return reader;
}

absl::Status LayerReader::Damaged(absl::string_view what) const {
  return absl::DataLossError(absl::StrCat(path_, " is damaged: ", what));
}

absl::Status LayerReader::ReadAt(uint64_t offset, void* data, size_t size) const {
  if (offset > size_bytes_ || size > size_bytes_ - offset) return Damaged("it ends too early");
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t n = pread(fd_.get(), at, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, absl::StrCat("read ", path_));
    if (n == 0) return Damaged("it ends too early");
    at += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::StatusOr<LayerReader::Inode> LayerReader::Root() const {
  return Read((erofs::kSuperBlockOffset + sizeof(erofs::SuperBlock)) / kSlotBytes);
}

absl::StatusOr<LayerReader::Inode> LayerReader::Read(uint64_t nid) const {
  if (nid > size_bytes_ / kSlotBytes) return Damaged("an inode is beyond its end");
  const uint64_t offset = nid * kSlotBytes;
  erofs::ExtendedInode raw{};
  RETURN_IF_ERROR(ReadAt(offset, &raw, sizeof(raw)));
  Inode inode;
  inode.nid = nid;
  if (raw.format == erofs::InodeFormat(erofs::Layout::kFlatInline)) {
    inode.layout = erofs::Layout::kFlatInline;
  } else if (raw.format != erofs::InodeFormat(erofs::Layout::kFlatPlain)) {
    return Damaged("an inode has an unknown format");
  }
  inode.mode = raw.mode;
  inode.uid = raw.uid;
  inode.gid = raw.gid;
  inode.mtime_s = raw.mtime_s;
  inode.mtime_ns = raw.mtime_ns;
  inode.size_bytes = raw.size_bytes;
  inode.nlink = raw.nlink;
  const size_t xattr_bytes =
      raw.xattr_count == 0 ? 0 : sizeof(erofs::XattrHeader) + size_t{4} * (raw.xattr_count - 1);
  inode.tail_offset = offset + sizeof(raw) + xattr_bytes;
  if (S_ISCHR(raw.mode) || S_ISBLK(raw.mode)) {
    inode.device = DecodeDevice(raw.data);
  } else {
    inode.data_offset = uint64_t{raw.data} * kBlockBytes;
  }
  if (xattr_bytes > 0) RETURN_IF_ERROR(ReadXattrs(offset + sizeof(raw), xattr_bytes, inode));
  return inode;
}

absl::Status LayerReader::ReadXattrs(uint64_t offset, size_t area_bytes, Inode& inode) const {
  std::string area(area_bytes, '\0');
  RETURN_IF_ERROR(ReadAt(offset, area.data(), area.size()));
  size_t at = sizeof(erofs::XattrHeader);
  while (at + sizeof(erofs::XattrEntry) <= area.size()) {
    erofs::XattrEntry entry;
    memcpy(&entry, area.data() + at, sizeof(entry));
    at += sizeof(entry);
    const size_t bytes = size_t{entry.name_bytes} + entry.value_bytes;
    if (bytes > area.size() - at) return Damaged("an extended attribute is cut off");
    const absl::string_view prefix = XattrPrefix(entry.name_index);
    if (!prefix.empty()) {
      inode.xattrs.emplace_back(absl::StrCat(prefix, area.substr(at, entry.name_bytes)),
                                area.substr(at + entry.name_bytes, entry.value_bytes));
    }
    at = erofs::AlignUp(at + bytes, 4);
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> LayerReader::ReadContent(const Inode& inode, uint64_t offset, char* data,
                                                size_t size) const {
  if (offset >= inode.size_bytes) return size_t{0};
  size = std::min<uint64_t>(size, inode.size_bytes - offset);
  const uint64_t tail_from = inode.layout == erofs::Layout::kFlatInline
                                 ? inode.size_bytes / kBlockBytes * kBlockBytes
                                 : inode.size_bytes;
  if (offset >= tail_from) {
    RETURN_IF_ERROR(ReadAt(inode.tail_offset + (offset - tail_from), data, size));
  } else {
    size = std::min<uint64_t>(size, tail_from - offset);
    RETURN_IF_ERROR(ReadAt(inode.data_offset + offset, data, size));
  }
  return size;
}

absl::StatusOr<std::string> LayerReader::LinkTarget(const Inode& inode) const {
  if (inode.size_bytes > kMaxLinkBytes) return Damaged("a link is too long");
  std::string target(inode.size_bytes, '\0');
  size_t at = 0;
  while (at < target.size()) {
    ASSIGN_OR_RETURN(const size_t n, ReadContent(inode, at, &target[at], target.size() - at));
    at += n;
  }
  return target;
}

absl::Status LayerReader::ListBlock(absl::string_view block, std::vector<Entry>& entries) const {
  erofs::DirectoryEntry first;
  if (block.size() < sizeof(first)) return Damaged("a directory is cut off");
  memcpy(&first, block.data(), sizeof(first));
  const size_t count = first.name_offset / sizeof(first);
  if (count == 0 || count * sizeof(first) > block.size()) return Damaged("a directory is odd");
  for (size_t i = 0; i < count; ++i) {
    erofs::DirectoryEntry entry;
    memcpy(&entry, block.data() + i * sizeof(entry), sizeof(entry));
    size_t end = block.size();
    if (i + 1 < count) {
      erofs::DirectoryEntry next;
      memcpy(&next, block.data() + (i + 1) * sizeof(next), sizeof(next));
      end = next.name_offset;
    }
    if (entry.name_offset > end || end > block.size()) return Damaged("a directory is odd");
    absl::string_view name = block.substr(entry.name_offset, end - entry.name_offset);
    name = name.substr(0, name.find('\0'));
    if (name != "." && name != "..") entries.push_back({std::string(name), entry.nid});
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<LayerReader::Entry>> LayerReader::List(const Inode& directory) const {
  if (directory.size_bytes > kMaxDirectoryBytes) return Damaged("a directory is too large");
  std::vector<Entry> entries;
  std::string block;
  for (uint64_t offset = 0; offset < directory.size_bytes; offset += kBlockBytes) {
    block.resize(std::min(kBlockBytes, directory.size_bytes - offset));
    ASSIGN_OR_RETURN(const size_t n, ReadContent(directory, offset, block.data(), block.size()));
    if (n != block.size()) return Damaged("a directory is cut off");
    RETURN_IF_ERROR(ListBlock(block, entries));
  }
  return entries;
}

}  // namespace slipway::image
