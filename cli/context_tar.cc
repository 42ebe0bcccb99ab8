#include "cli/context_tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "base/text/ignore_file.h"

namespace slipway::cli {
namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr int kMaxDepth = 256;

class Sender {
 public:
  Sender(std::string root, std::string dockerfile, const std::function<bool(std::string)>& send)
      : root_(std::move(root)),
        dockerfile_(std::move(dockerfile)),
        send_(send),
        archive_(archive_write_new()),
        entry_(archive_entry_new()) {
    archive_write_set_format_pax_restricted(archive_);
    archive_write_set_bytes_per_block(archive_, 0);
    archive_write_open(archive_, this, nullptr, &Sender::Take, nullptr);
  }
  ~Sender() {
    archive_entry_free(entry_);
    archive_write_free(archive_);
  }

  absl::Status Send() {
    const absl::StatusOr<std::string> ignore = ReadFile(absl::StrCat(root_, "/.dockerignore"));
    if (ignore.ok()) {
      ASSIGN_OR_RETURN(ignored_, IgnoreFile::Parse(*ignore));
    }
    RETURN_IF_ERROR(Directory("", 0));
    archive_write_close(archive_);
    if (open_ && !piece_.empty()) open_ = send_(std::move(piece_));
    return absl::OkStatus();
  }

 private:
  static la_ssize_t Take(archive*, void* self, const void* bytes, size_t size) {
    auto* me = static_cast<Sender*>(self);
    me->piece_.append(static_cast<const char*>(bytes), size);
    if (me->piece_.size() >= kPieceBytes) {
      me->open_ = me->open_ && me->send_(std::exchange(me->piece_, std::string()));
    }
    return static_cast<la_ssize_t>(size);
  }

  bool IsIgnored(const std::string& path) const {
    return path != ".dockerignore" && path != dockerfile_ && ignored_.Ignores(path);
  }

  absl::Status Directory(const std::string& path, int depth) {
    if (depth > kMaxDepth) return absl::InvalidArgumentError("directories are nested too deep");
    const std::string full = absl::StrCat(root_, "/", path);
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(full.c_str()), closedir);
    if (directory == nullptr) return ErrnoStatus(errno, absl::StrCat("open ", full));
    std::vector<std::string> names;
    while (const dirent* entry = readdir(directory.get())) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      if (!open_) return absl::OkStatus();
      RETURN_IF_ERROR(Entry(path.empty() ? name : absl::StrCat(path, "/", name), depth));
    }
    return absl::OkStatus();
  }

  absl::Status Entry(const std::string& path, int depth) {
    const std::string full = absl::StrCat(root_, "/", path);
    struct stat info {};
    if (lstat(full.c_str(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", full));
    const bool is_directory = S_ISDIR(info.st_mode);
    // What an exclusion of an exclusion takes back in may be below an ignored directory.
    const bool ignored = IsIgnored(path);
    if (!ignored) RETURN_IF_ERROR(Header(path, full, info));
    if (!ignored && S_ISREG(info.st_mode)) RETURN_IF_ERROR(Content(full, info));
    return is_directory ? Directory(path, depth + 1) : absl::OkStatus();
  }

  absl::Status Header(const std::string& path, const std::string& full, const struct stat& info) {
    if (S_ISSOCK(info.st_mode)) return absl::OkStatus();
    archive_entry_clear(entry_);
    archive_entry_set_pathname(entry_, path.c_str());
    archive_entry_set_mode(entry_, info.st_mode);
    archive_entry_set_mtime(entry_, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    archive_entry_set_size(entry_, S_ISREG(info.st_mode) ? info.st_size : 0);
    if (S_ISLNK(info.st_mode)) {
      std::string target(4096, '\0');
      const ssize_t n = readlink(full.c_str(), target.data(), target.size());
      if (n < 0) return ErrnoStatus(errno, absl::StrCat("read the link ", full));
      target.resize(static_cast<size_t>(n));
      archive_entry_set_symlink(entry_, target.c_str());
    }
    if (archive_write_header(archive_, entry_) < ARCHIVE_WARN) {
      return absl::InternalError(absl::StrCat(full, ": ", archive_error_string(archive_)));
    }
    return absl::OkStatus();
  }

  absl::Status Content(const std::string& full, const struct stat& info) {
    ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(full, O_RDONLY | O_NOFOLLOW));
    std::string buffer(256 << 10, '\0');
    off_t left = info.st_size;
    while (left > 0 && open_) {
      const ssize_t n =
          read(fd.get(), buffer.data(), std::min<size_t>(buffer.size(), static_cast<size_t>(left)));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoStatus(errno, absl::StrCat("read ", full));
      if (n == 0)
        return absl::DataLossError(absl::StrCat(full, " became shorter while it was read"));
      archive_write_data(archive_, buffer.data(), static_cast<size_t>(n));
      left -= n;
    }
    return absl::OkStatus();
  }

  const std::string root_;
  const std::string dockerfile_;
  const std::function<bool(std::string)>& send_;
  archive* const archive_;
  archive_entry* const entry_;
  IgnoreFile ignored_;
  std::string piece_;
  bool open_ = true;
};

}  // namespace

absl::Status SendContext(const std::string& directory, const std::string& dockerfile,
                         const std::function<bool(std::string)>& send) {
  return Sender(directory, dockerfile, send).Send();
}

}  // namespace slipway::cli
