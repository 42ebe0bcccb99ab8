#include "runtime-agent/archive/tar_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kBufferBytes = 256 << 10;
constexpr int64_t kLeastSpliced = 64 << 10;  // below, two copies cost less than two system calls
constexpr size_t kNameBytes = 100;
constexpr uint64_t kMaxSevenDigits = 07777777;
constexpr int64_t kMaxElevenDigits = 077777777777;

// POSIX.1-2008, pax, "ustar Interchange Format".
struct Header {
  char name[100] = {};
  char mode[8] = {};
  char uid[8] = {};
  char gid[8] = {};
  char size[12] = {};
  char mtime[12] = {};
  char checksum[8] = {};
  char type = '0';
  char link[100] = {};
  char magic[6] = {'u', 's', 't', 'a', 'r', '\0'};
  char version[2] = {'0', '0'};
  char user[32] = {};
  char group[32] = {};
  char device_major[8] = {};
  char device_minor[8] = {};
  char prefix[155] = {};
  char rest[12] = {};
};
static_assert(sizeof(Header) == kBlock);

template <size_t size>
void Octal(char (&field)[size], uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%0*llo", static_cast<int>(size - 1),
                static_cast<unsigned long long>(value));
  std::memcpy(field, text, size - 1);
}

template <size_t size>
void Text(char (&field)[size], absl::string_view value) {
  std::memcpy(field, value.data(), std::min(size, value.size()));
}

absl::string_view AsBytes(Header& header) {
  std::memset(header.checksum, ' ', sizeof(header.checksum));
  unsigned sum = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  for (size_t i = 0; i < kBlock; ++i) sum += bytes[i];
  std::snprintf(header.checksum, sizeof(header.checksum), "%06o", sum);
  header.checksum[7] = ' ';
  return {reinterpret_cast<const char*>(&header), kBlock};
}

// "<length> <key>=<value>\n", the length counting itself.
void AddRecord(absl::string_view key, absl::string_view value, std::string* records) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) {
    length = std::to_string(length).size() + rest;
  }
  absl::StrAppend(records, length, " ", key, "=", value, "\n");
}

// What a ustar header cannot hold.
std::string Records(const TarMember& member) {
  std::string records;
  if (member.name.size() > kNameBytes) AddRecord("path", member.name, &records);
  if (member.link.size() > kNameBytes) AddRecord("linkpath", member.link, &records);
  if (member.uid > kMaxSevenDigits) AddRecord("uid", absl::StrCat(member.uid), &records);
  if (member.gid > kMaxSevenDigits) AddRecord("gid", absl::StrCat(member.gid), &records);
  if (member.size_bytes > kMaxElevenDigits) {
    AddRecord("size", absl::StrCat(member.size_bytes), &records);
  }
  if (member.modified_s < 0 || member.modified_s > kMaxElevenDigits) {
    AddRecord("mtime", absl::StrCat(member.modified_s), &records);
  }
  for (const auto& [name, value] : member.xattrs) {
    AddRecord(absl::StrCat("SCHILY.xattr.", name), value, &records);
  }
  return records;
}

}  // namespace

TarWriter::TarWriter(int fd) : fd_(fd) {
  struct stat info;
  to_pipe_ = fstat(fd, &info) == 0 && S_ISFIFO(info.st_mode);
  buffer_.reserve(kBufferBytes);
}

absl::Status TarWriter::Flush() {
  size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t written = write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus(errno, "write an archive");
    done += static_cast<size_t>(written);
  }
  buffer_.clear();
  return absl::OkStatus();
}

absl::Status TarWriter::Put(absl::string_view bytes) {
  while (!bytes.empty()) {
    const size_t some = std::min(bytes.size(), kBufferBytes - buffer_.size());
    buffer_.append(bytes.data(), some);
    bytes.remove_prefix(some);
    if (buffer_.size() == kBufferBytes) RETURN_IF_ERROR(Flush());
  }
  return absl::OkStatus();
}

absl::Status TarWriter::Pad(int64_t size_bytes) {
  static constexpr char kZeros[kBlock] = {};
  const auto over = static_cast<size_t>(size_bytes) % kBlock;
  return over == 0 ? absl::OkStatus() : Put({kZeros, kBlock - over});
}

absl::Status TarWriter::Add(const TarMember& member) {
  const std::string records = Records(member);
  if (!records.empty()) {
    Header extended;
    // No reader that knows the format shows it.
    Text(extended.name, "PaxHeaders/record");
    Octal(extended.mode, 0644);
    Octal(extended.uid, 0);
    Octal(extended.gid, 0);
    Octal(extended.size, records.size());
    Octal(extended.mtime, 0);
    Octal(extended.device_major, 0);
    Octal(extended.device_minor, 0);
    extended.type = 'x';
    RETURN_IF_ERROR(Put(AsBytes(extended)));
    RETURN_IF_ERROR(Put(records));
    RETURN_IF_ERROR(Pad(static_cast<int64_t>(records.size())));
  }
  Header header;
  Text(header.name, member.name);
  Text(header.link, member.link);
  header.type = member.type;
  Octal(header.mode, member.mode & 07777);
  Octal(header.uid, std::min<uint64_t>(member.uid, kMaxSevenDigits));
  Octal(header.gid, std::min<uint64_t>(member.gid, kMaxSevenDigits));
  Octal(header.size, static_cast<uint64_t>(std::min(member.size_bytes, kMaxElevenDigits)));
  Octal(header.mtime,
        static_cast<uint64_t>(std::clamp<int64_t>(member.modified_s, 0, kMaxElevenDigits)));
  Octal(header.device_major, member.device_major & kMaxSevenDigits);
  Octal(header.device_minor, member.device_minor & kMaxSevenDigits);
  return Put(AsBytes(header));
}

absl::Status TarWriter::Content(absl::string_view bytes) { return Put(bytes); }

// Pages of the file become the pipe's, without a copy. How much that was: all, or what the file or
// its file system allows.
absl::StatusOr<int64_t> TarWriter::Splice(int fd, int64_t size_bytes) {
  RETURN_IF_ERROR(Flush());
  int64_t done = 0;
  while (done < size_bytes) {
    const ssize_t moved =
        splice(fd, nullptr, fd_, nullptr, static_cast<size_t>(size_bytes - done), SPLICE_F_MORE);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0 && errno != EINVAL) return ErrnoStatus(errno, "splice a file into an archive");
    if (moved <= 0) break;
    done += moved;
  }
  return done;
}

absl::Status TarWriter::ContentOf(int fd, int64_t size_bytes) {
  int64_t left = size_bytes;
  bool ended = false;
  if (to_pipe_ && size_bytes >= kLeastSpliced) {
    ASSIGN_OR_RETURN(const int64_t moved, Splice(fd, size_bytes));
    left -= moved;
  }
  while (left > 0) {
    if (buffer_.size() == kBufferBytes) RETURN_IF_ERROR(Flush());
    const size_t begin = buffer_.size();
    const size_t some = std::min<size_t>(kBufferBytes - begin, static_cast<size_t>(left));
    buffer_.resize(begin + some);
    ssize_t got = ended ? 0 : read(fd, buffer_.data() + begin, some);
    if (got < 0 && errno == EINTR) {
      buffer_.resize(begin);
      continue;
    }
    if (got < 0) {
      // What cannot be read is an error before its header, but not after it.
      return ErrnoStatus(errno, "read a file for an archive");
    }
    if (got == 0) {
      ended = true;
      got = static_cast<ssize_t>(some);  // resize() has written zeros
    }
    buffer_.resize(begin + static_cast<size_t>(got));
    left -= got;
  }
  return Pad(size_bytes);
}

absl::Status TarWriter::Finish() {
  static constexpr char kEnd[2 * kBlock] = {};
  RETURN_IF_ERROR(Put({kEnd, sizeof(kEnd)}));
  return Flush();
}

}  // namespace slipway::agent
