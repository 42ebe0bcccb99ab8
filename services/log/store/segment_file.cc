#include "services/log/store/segment_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::log {
namespace {

// 64 MiB of blocks at the least; far more than a segment has.
constexpr size_t kMaxIndexBytes = 8 << 20;

std::string Stem(const std::string& directory, uint64_t first_offset_bytes) {
  return absl::StrFormat("%s/%020u", directory, first_offset_bytes);
}

absl::StatusOr<std::string> ReadPrologue(int fd, const std::string& path) {
  std::string bytes(kSegmentPrologueBytes, '\0');
  const ssize_t n = pread(fd, bytes.data(), bytes.size(), 0);
  if (n < 0) return ErrnoStatus(errno, absl::StrCat("read ", path));
  bytes.resize(static_cast<size_t>(n));
  return bytes;
}

}  // namespace

std::string SegmentPath(const std::string& directory, uint64_t first_offset_bytes) {
  return absl::StrCat(Stem(directory, first_offset_bytes), ".seg");
}

std::string IndexPath(const std::string& directory, uint64_t first_offset_bytes) {
  return absl::StrCat(Stem(directory, first_offset_bytes), ".idx");
}

absl::StatusOr<std::vector<uint64_t>> ListSegments(const std::string& directory) {
  DIR* dir = opendir(directory.c_str());
  if (dir == nullptr) return ErrnoStatus(errno, absl::StrCat("open directory ", directory));
  std::vector<uint64_t> found;
  while (const dirent* entry = readdir(dir)) {
    const absl::string_view name = entry->d_name;
    uint64_t first = 0;
    if (name.size() == 24 && absl::EndsWith(name, ".seg") &&
        absl::SimpleAtoi(name.substr(0, 20), &first)) {
      found.push_back(first);
    }
  }
  closedir(dir);
  std::sort(found.begin(), found.end());
  return found;
}

absl::StatusOr<uint64_t> FileSize(int fd, const std::string& path) {
  struct stat st;
  if (fstat(fd, &st) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", path));
  return static_cast<uint64_t>(st.st_size);
}

absl::StatusOr<std::shared_ptr<SegmentFile>> CreateSegment(const std::string& path,
                                                           const SegmentHeader& header) {
  auto file = std::make_shared<SegmentFile>();
  ASSIGN_OR_RETURN(file->fd, OpenFile(path, O_RDWR | O_CREAT | O_TRUNC, 0640));
  file->header = header;
  const absl::Status written = WriteAll(file->fd.get(), EncodeSegmentPrologue(header), path);
  if (!written.ok()) {
    unlink(path.c_str());
    return written;
  }
  return file;
}

absl::StatusOr<std::shared_ptr<SegmentFile>> OpenSegment(const std::string& path, int flags) {
  auto file = std::make_shared<SegmentFile>();
  ASSIGN_OR_RETURN(file->fd, OpenFile(path, flags));
  ASSIGN_OR_RETURN(const std::string prologue, ReadPrologue(file->fd.get(), path));
  auto header = DecodeSegmentPrologue(prologue);
  if (!header.ok()) return absl::DataLossError(absl::StrCat(path, ": ", header.status().message()));
  file->header = *header;
  return file;
}

std::vector<Block> LoadIndex(const std::string& path, uint64_t salt) {
  const auto bytes = ReadFile(path, kMaxIndexBytes);
  std::vector<Block> blocks;
  if (!bytes.ok() || !IsIndexHeader(*bytes, salt)) return blocks;
  absl::string_view rest = *bytes;
  rest.remove_prefix(kIndexHeaderBytes);
  uint64_t expected = kSegmentPrologueBytes;
  while (const auto block = DecodeIndexEntry(rest, salt)) {
    if (block->begin != expected || block->end <= block->begin) break;
    expected = block->end;
    blocks.push_back(*block);
    rest.remove_prefix(kIndexEntryBytes);
  }
  return blocks;
}

absl::Status WriteIndex(const std::string& path, uint64_t salt, const std::vector<Block>& blocks) {
  std::string bytes = EncodeIndexHeader(salt);
  for (const Block& block : blocks) bytes += EncodeIndexEntry(block, salt);
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, 0640));
  return WriteAll(fd.get(), bytes, path);
}

}  // namespace slipway::log
