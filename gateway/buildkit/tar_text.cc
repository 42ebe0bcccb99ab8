#include "gateway/buildkit/tar_text.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"

namespace slipway::gateway {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

// https://pkg.go.dev/io/fs#FileMode
constexpr uint32_t kDir = 1u << 31, kSymlink = 1u << 27, kDevice = 1u << 26, kPipe = 1u << 25,
                   kSocket = 1u << 24, kSetuid = 1u << 23, kSetgid = 1u << 22,
                   kCharDevice = 1u << 21, kSticky = 1u << 20;

la_ssize_t Take(archive*, void* text, const void* data, size_t size) {
  static_cast<std::string*>(text)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

}  // namespace

uint32_t ModeOfGo(uint32_t mode) {
  uint32_t type = S_IFREG;
  if ((mode & kDir) != 0) {
    type = S_IFDIR;
  } else if ((mode & kSymlink) != 0) {
    type = S_IFLNK;
  } else if ((mode & kDevice) != 0) {
    type = (mode & kCharDevice) != 0 ? S_IFCHR : S_IFBLK;
  } else if ((mode & kPipe) != 0) {
    type = S_IFIFO;
  } else if ((mode & kSocket) != 0) {
    type = S_IFSOCK;
  }
  return type | (mode & 0777) | ((mode & kSetuid) != 0 ? S_ISUID : 0u) |
         ((mode & kSetgid) != 0 ? S_ISGID : 0u) | ((mode & kSticky) != 0 ? S_ISVTX : 0u);
}

uint32_t GoModeOf(uint32_t mode) {
  uint32_t type = 0;
  switch (mode & S_IFMT) {
    case S_IFDIR:
      type = kDir;
      break;
    case S_IFLNK:
      type = kSymlink;
      break;
    case S_IFCHR:
      type = kDevice | kCharDevice;
      break;
    case S_IFBLK:
      type = kDevice;
      break;
    case S_IFIFO:
      type = kPipe;
      break;
    case S_IFSOCK:
      type = kSocket;
      break;
    default:
      break;
  }
  return type | (mode & 0777) | ((mode & S_ISUID) != 0 ? kSetuid : 0u) |
         ((mode & S_ISGID) != 0 ? kSetgid : 0u) | ((mode & S_ISVTX) != 0 ? kSticky : 0u);
}

TarText::TarText() : text_(std::make_unique<std::string>()), archive_(archive_write_new()) {
  archive_write_set_format_pax_restricted(archive_);
  // Names are bytes, whatever the locale.
  archive_write_set_options(archive_, "hdrcharset=BINARY");
  archive_write_set_bytes_per_block(archive_, 0);
  archive_write_open(archive_, text_.get(), nullptr, Take, nullptr);
}

TarText::~TarText() { archive_write_free(archive_); }

absl::Status TarText::Check(int result, absl::string_view name) {
  if (result >= ARCHIVE_WARN) return absl::OkStatus();
  const char* const why = archive_error_string(archive_);
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": ", why == nullptr ? "cannot be sent" : why));
}

absl::Status TarText::Begin(const fsutil::types::Stat& stat, uint64_t size) {
  const uint32_t mode = ModeOfGo(stat.mode());
  archive_entry* const entry = archive_entry_new();
  archive_entry_set_pathname(entry, stat.path().c_str());
  archive_entry_set_mode(entry, mode);
  archive_entry_set_uid(entry, stat.uid());
  archive_entry_set_gid(entry, stat.gid());
  // Whole seconds, as clients of the classic protocol send them.
  int64_t seconds = stat.modtime() / kNsPerSecond;
  if (stat.modtime() % kNsPerSecond < 0) --seconds;
  archive_entry_set_mtime(entry, seconds, 0);
  archive_entry_set_size(entry, static_cast<la_int64_t>(size));
  if (S_ISLNK(mode)) {
    archive_entry_set_symlink(entry, stat.linkname().c_str());
  } else if (!stat.linkname().empty()) {
    archive_entry_set_hardlink(entry, stat.linkname().c_str());
  }
  if (S_ISCHR(mode) || S_ISBLK(mode)) {
    archive_entry_set_rdevmajor(entry, static_cast<dev_t>(stat.devmajor()));
    archive_entry_set_rdevminor(entry, static_cast<dev_t>(stat.devminor()));
  }
  for (const auto& [name, value] : stat.xattrs()) {
    archive_entry_xattr_add_entry(entry, name.c_str(), value.data(), value.size());
  }
  const absl::Status status = Check(archive_write_header(archive_, entry), stat.path());
  archive_entry_free(entry);
  return status;
}

absl::Status TarText::Append(absl::string_view content) {
  const la_ssize_t written = archive_write_data(archive_, content.data(), content.size());
  return Check(written < 0 ? static_cast<int>(written) : ARCHIVE_OK, "content");
}

absl::Status TarText::Finish() { return Check(archive_write_close(archive_), "its end"); }

}  // namespace slipway::gateway
