#include "services/build/files/tar_writer.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status/status_macros.h"

namespace slipway::build {
namespace {

constexpr size_t kBlockBytes = 512;
constexpr size_t kPieceBytes = 1 << 20;
// Content of this size and more is handed on as part of its file.
constexpr size_t kFileBytes = 128 << 10;
constexpr uint64_t kMaxOctal8 = 07777777;
constexpr uint64_t kMaxOctal12 = 077777777777;

struct Field {
  size_t at;
  size_t size;
};
constexpr Field kName = {0, 100};
constexpr Field kMode = {100, 8};
constexpr Field kUid = {108, 8};
constexpr Field kGid = {116, 8};
constexpr Field kSize = {124, 12};
constexpr Field kMtime = {136, 12};
constexpr Field kChecksum = {148, 8};
constexpr Field kType = {156, 1};
constexpr Field kLink = {157, 100};
constexpr Field kMagic = {257, 8};
constexpr Field kMajor = {329, 8};
constexpr Field kMinor = {337, 8};

void PutText(std::string& block, Field field, absl::string_view text) {
  memcpy(&block[field.at], text.data(), std::min(field.size, text.size()));
}

void PutNumber(std::string& block, Field field, uint64_t value) {
  const uint64_t most = field.size == 8 ? kMaxOctal8 : kMaxOctal12;
  const std::string digits =
      absl::StrFormat("%0*o", static_cast<int>(field.size) - 1, std::min(value, most));
  PutText(block, field, digits);
}

std::string Record(absl::string_view name, absl::string_view value) {
  // The length counts itself.
  const size_t rest = name.size() + value.size() + 3;
  size_t length = rest + 1;
  while (absl::StrCat(length).size() + rest != length) length = absl::StrCat(length).size() + rest;
  return absl::StrCat(length, " ", name, "=", value, "\n");
}

std::string Block(absl::string_view name, char type, uint64_t size) {
  std::string block(kBlockBytes, '\0');
  PutText(block, kName, name);
  PutNumber(block, kSize, size);
  block[kType.at] = type;
  PutText(block, kMagic,
          absl::string_view("ustar\0"
                            "00",
                            8));
  return block;
}

void PutChecksum(std::string& block) {
  memset(&block[kChecksum.at], ' ', kChecksum.size);
  const unsigned sum = std::accumulate(block.begin(), block.end(), 0u, [](unsigned s, char c) {
    return s + static_cast<unsigned char>(c);
  });
  PutText(block, kChecksum, absl::StrFormat("%06o", sum));
  block[kChecksum.at + 6] = '\0';
}

char TypeOf(const FileInfo& info) {
  if (S_ISDIR(info.mode)) return '5';
  if (S_ISLNK(info.mode)) return '2';
  if (S_ISCHR(info.mode)) return '3';
  if (S_ISBLK(info.mode)) return '4';
  if (S_ISFIFO(info.mode)) return '6';
  return '0';
}

}  // namespace

absl::Status TarWriter::Flush() {
  return buffer_.empty() ? absl::OkStatus() : sink_(std::exchange(buffer_, std::string()));
}

absl::Status TarWriter::FlushIfLarge() {
  return buffer_.size() < kPieceBytes ? absl::OkStatus() : Flush();
}

absl::Status TarWriter::Pad() {
  const size_t over = entry_bytes_ % kBlockBytes;
  if (over > 0) buffer_.append(kBlockBytes - over, '\0');
  entry_bytes_ = 0;
  return FlushIfLarge();
}

absl::Status TarWriter::Header(const FileInfo& info, char type, const std::string& link,
                               uint64_t size) {
  RETURN_IF_ERROR(Pad());
  std::string name = info.path.empty() ? "./" : info.path;
  if (type == '5' && name.back() != '/') name.push_back('/');
  std::string records;
  const auto add = [&](absl::string_view key, absl::string_view value) {
    records += Record(key, value);
  };
  if (name.size() > kName.size) add("path", name);
  if (link.size() > kLink.size) add("linkpath", link);
  if (size > kMaxOctal12) add("size", absl::StrCat(size));
  if (info.uid > kMaxOctal8) add("uid", absl::StrCat(info.uid));
  if (info.gid > kMaxOctal8) add("gid", absl::StrCat(info.gid));
  if (info.mtime_ns != 0 || info.mtime_s < 0) {
    add("mtime", info.mtime_ns == 0 ? absl::StrCat(info.mtime_s)
                                    : absl::StrFormat("%d.%09d", info.mtime_s, info.mtime_ns));
  }
  for (const auto& [key, value] : info.xattrs) add(absl::StrCat("SCHILY.xattr.", key), value);
  if (!records.empty()) {
    std::string block = Block("././@PaxHeader", 'x', records.size());
    PutNumber(block, kMode, 0644);
    PutChecksum(block);
    absl::StrAppend(&buffer_, block, records);
    entry_bytes_ = records.size();
    RETURN_IF_ERROR(Pad());
  }
  std::string block = Block(name, type, size);
  PutNumber(block, kMode, info.mode & 07777);
  PutNumber(block, kUid, info.uid);
  PutNumber(block, kGid, info.gid);
  PutNumber(block, kMtime, static_cast<uint64_t>(std::max<int64_t>(0, info.mtime_s)));
  PutText(block, kLink, link);
  if (type == '3' || type == '4') {
    PutNumber(block, kMajor, major(info.device));
    PutNumber(block, kMinor, minor(info.device));
  }
  PutChecksum(block);
  buffer_ += block;
  return absl::OkStatus();
}

absl::Status TarWriter::Add(const FileInfo& info) {
  return Header(info, TypeOf(info), info.link_target, S_ISREG(info.mode) ? info.size_bytes : 0);
}

absl::Status TarWriter::AddHardLink(const FileInfo& info, const std::string& target) {
  return Header(info, '1', target, 0);
}

absl::Status TarWriter::Append(absl::string_view bytes) {
  buffer_.append(bytes.data(), bytes.size());
  entry_bytes_ += bytes.size();
  return FlushIfLarge();
}

absl::Status TarWriter::Append(const FileSet& set, FileSet::Place place, uint64_t size_bytes) {
  if (sink_.takes_files() && size_bytes >= kFileBytes) {
    RETURN_IF_ERROR(Flush());
    entry_bytes_ += size_bytes;
    return sink_.File(set.fd(place), place.offset, size_bytes);
  }
  while (size_bytes > 0) {
    const size_t before = buffer_.size();
    const size_t n = std::min<uint64_t>(size_bytes, kPieceBytes);
    buffer_.resize(before + n);
    RETURN_IF_ERROR(set.ReadAt(place, &buffer_[before], n));
    entry_bytes_ += n;
    place.offset += n;
    size_bytes -= n;
    RETURN_IF_ERROR(FlushIfLarge());
  }
  return absl::OkStatus();
}

absl::Status TarWriter::Finish() {
  RETURN_IF_ERROR(Pad());
  buffer_.append(2 * kBlockBytes, '\0');
  return Flush();
}

}  // namespace slipway::build
