#include "services/log/store/segment_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/logging/logging.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "services/log/store/sealed_format.h"

namespace slipway::log {
namespace {

// 64 MiB of blocks at the least; far more than a segment has.
constexpr size_t kMaxIndexBytes = 8 << 20;
constexpr absl::string_view kExtension = ".seg";
constexpr absl::string_view kSealedExtension = ".seg.zst";

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
  return absl::StrCat(Stem(directory, first_offset_bytes), kExtension);
}

std::string SealedPath(const std::string& directory, uint64_t first_offset_bytes) {
  return absl::StrCat(Stem(directory, first_offset_bytes), kSealedExtension);
}

std::string IndexPath(const std::string& directory, uint64_t first_offset_bytes) {
  return absl::StrCat(Stem(directory, first_offset_bytes), ".idx");
}

absl::StatusOr<std::vector<ListedSegment>> ListSegments(const std::string& directory) {
  DIR* dir = opendir(directory.c_str());
  if (dir == nullptr) return ErrnoStatus(errno, absl::StrCat("open directory ", directory));
  std::map<uint64_t, bool> found;
  while (const dirent* entry = readdir(dir)) {
    const absl::string_view name = entry->d_name;
    uint64_t first = 0;
    const absl::string_view extension = name.substr(std::min<size_t>(name.size(), 20));
    if (!absl::SimpleAtoi(name.substr(0, 20), &first)) continue;
    if (extension == kExtension) found.emplace(first, false);
    if (extension == kSealedExtension) found[first] = true;
  }
  closedir(dir);
  std::vector<ListedSegment> segments;
  for (const auto& [first, sealed] : found) segments.push_back({first, sealed});
  return segments;
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

absl::StatusOr<std::shared_ptr<SegmentFile>> OpenSealed(const std::string& path) {
  auto file = std::make_shared<SegmentFile>();
  file->sealed = true;
  ASSIGN_OR_RETURN(file->fd, OpenFile(path, O_RDONLY));
  ASSIGN_OR_RETURN(SealedContents contents, ReadSealed(file->fd.get(), path));
  file->frames = std::move(contents.frames);
  file->stretches = contents.stretches;
  auto header = DecodeSegmentPrologue(contents.prologue);
  if (!header.ok()) {
    ReadBuffer buffer;
    RETURN_IF_ERROR(
        LoadBytes(*file, 0, kSegmentPrologueBytes, kSegmentPrologueBytes, nullptr, buffer));
    header = DecodeSegmentPrologue(absl::string_view(buffer.bytes.data(), kSegmentPrologueBytes));
  }
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

absl::StatusOr<std::vector<Block>> SegmentBlocks(const std::string& index_path,
                                                 const SegmentFile& file, uint64_t size_bytes,
                                                 bool complete) {
  std::vector<Block> blocks = LoadIndex(index_path, file.header.salt);
  if (!blocks.empty() && blocks.back().end == size_bytes) return blocks;
  ReadBuffer buffer;
  ASSIGN_OR_RETURN(Recovered recovered,
                   RecoverSegment(file, std::move(blocks), size_bytes, /*last=*/false, buffer));
  recovered.builder.Seal();
  blocks = std::move(recovered.builder.finished());
  if (complete) {
    const absl::Status written = WriteIndex(index_path, file.header.salt, blocks);
    if (!written.ok()) Log(LogLevel::kWarning, written.message());
  }
  return blocks;
}

absl::StatusOr<uint64_t> SealSegment(const std::string& directory, uint64_t first_offset_bytes) {
  const std::string path = SegmentPath(directory, first_offset_bytes);
  ASSIGN_OR_RETURN(const std::shared_ptr<SegmentFile> file, OpenSegment(path, O_RDONLY));
  ASSIGN_OR_RETURN(const uint64_t size, WrittenBytes(*file, path));
  ASSIGN_OR_RETURN(const std::vector<Block> blocks,
                   SegmentBlocks(IndexPath(directory, first_offset_bytes), *file, size, true));
  std::vector<uint64_t> ends;
  for (const Block& block : blocks) ends.push_back(block.end);
  if (ends.empty() || ends.back() != size) {
    return absl::InternalError(absl::StrCat(path, ": its blocks do not cover it"));
  }
  const std::string sealed = SealedPath(directory, first_offset_bytes);
  const std::string temporary = absl::StrCat(sealed, ".new");
  const auto write = [&]() -> absl::StatusOr<uint64_t> {
    ASSIGN_OR_RETURN(const UniqueFd out, OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0640));
    ASSIGN_OR_RETURN(const uint64_t written, WriteSealed(*file, ends, out.get()));
    if (fdatasync(out.get()) != 0) return ErrnoStatus(errno, absl::StrCat("sync ", temporary));
    if (rename(temporary.c_str(), sealed.c_str()) != 0) {
      return ErrnoStatus(errno, absl::StrCat("rename ", temporary));
    }
    return written;
  };
  auto written = write();
  if (!written.ok()) unlink(temporary.c_str());
  return written;
}

}  // namespace slipway::log
