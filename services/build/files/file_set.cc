#include "services/build/files/file_set.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <deque>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::build {
namespace {

constexpr size_t kBufferBytes = 1 << 20;
constexpr size_t kMaxFiles = 4 << 20;
constexpr size_t kMaxNameBytes = 1 << 30;
constexpr size_t kMaxPathBytes = 4096;
constexpr int kMaxLinks = 40;

// "a/b" of "./a//b/"; InvalidArgument for what leads out.
absl::StatusOr<std::string> Clean(absl::string_view path) {
  if (path.size() > kMaxPathBytes) {
    return absl::InvalidArgumentError("a path in the archive is longer than 4096 bytes");
  }
  std::vector<absl::string_view> kept;
  for (const absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    if (part != "..") {
      kept.push_back(part);
    } else if (kept.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the path \"", path, "\" in the archive leads out of it"));
    } else {
      kept.pop_back();
    }
  }
  return absl::StrJoin(kept, "/");
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileSet::Writer>> FileSet::Writer::Create(
    const std::string& directory, std::shared_ptr<const UniqueFd> archive) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(directory, O_TMPFILE | O_RDWR, 0600));
  auto set = std::make_shared<FileSet>();
  set->content_ = std::make_shared<const UniqueFd>(std::move(fd));
  set->archive_ = std::move(archive);
  set->name_ = directory;
  return std::unique_ptr<Writer>(new Writer(std::move(set)));
}

absl::Status FileSet::Writer::Flush() {
  absl::string_view rest = buffer_;
  uint64_t at = written_ - buffer_.size();
  while (!rest.empty()) {
    const ssize_t n =
        pwrite(set_->content_->get(), rest.data(), rest.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, absl::StrCat("write a build's files in ", set_->name_));
    rest.remove_prefix(static_cast<size_t>(n));
    at += static_cast<uint64_t>(n);
  }
  buffer_.clear();
  return absl::OkStatus();
}

void FileSet::Writer::EndFile() {
  if (open_ == nullptr) return;
  open_->info.size_bytes = std::exchange(file_bytes_, 0);
  open_->digest = sha_.Finish();
  open_ = nullptr;
}

absl::Status FileSet::Writer::Add(FileInfo info) {
  EndFile();
  ASSIGN_OR_RETURN(info.path, Clean(info.path));
  name_bytes_ += info.path.size() + info.link_target.size();
  if (set_->files_.size() >= kMaxFiles || name_bytes_ > kMaxNameBytes) {
    return absl::ResourceExhaustedError("there are more than 4 million files");
  }
  const bool is_regular = S_ISREG(info.mode);
  std::string path = info.path;
  // Set again when the content is there.
  info.size_bytes = 0;
  File& file = set_->files_[std::move(path)];
  file = {.info = std::move(info), .place = {.offset = written_}, .digest = ""};
  if (is_regular) open_ = &file;
  return absl::OkStatus();
}

absl::Status FileSet::Writer::Append(absl::string_view bytes) {
  if (open_ == nullptr) return absl::InvalidArgumentError("content of something that has none");
  sha_.Append(bytes);
  file_bytes_ += bytes.size();
  written_ += bytes.size();
  buffer_.append(bytes.data(), bytes.size());
  return buffer_.size() < kBufferBytes ? absl::OkStatus() : Flush();
}

absl::Status FileSet::Writer::AppendInArchive(uint64_t offset, absl::string_view bytes) {
  if (open_ == nullptr) return absl::InvalidArgumentError("content of something that has none");
  if (file_bytes_ == 0) open_->place = {.in_archive = true, .offset = offset};
  if (!open_->place.in_archive || open_->place.offset + file_bytes_ != offset) {
    return absl::InternalError("a file's content is in several places");
  }
  sha_.Append(bytes);
  file_bytes_ += bytes.size();
  return absl::OkStatus();
}

absl::Status FileSet::Writer::AddHardLink(const std::string& path, const std::string& target) {
  EndFile();
  ASSIGN_OR_RETURN(const std::string from, Clean(target));
  const auto found = set_->files_.find(from);
  if (found == set_->files_.end() || S_ISDIR(found->second.info.mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", path, "\" is a hard link to \"", target, "\", which is not there"));
  }
  if (found->second.info.link_id == 0) found->second.info.link_id = next_link_id_++;
  File copy = found->second;
  ASSIGN_OR_RETURN(copy.info.path, Clean(path));
  set_->files_[copy.info.path] = copy;
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const FileSet>> FileSet::Writer::Finish() {
  EndFile();
  RETURN_IF_ERROR(Flush());
  return std::shared_ptr<const FileSet>(std::move(set_));
}

const FileSet::File* FileSet::Find(absl::string_view path) const {
  const auto found = files_.find(std::string(path));
  return found == files_.end() ? nullptr : &found->second;
}

std::optional<std::string> FileSet::Resolve(absl::string_view path) const {
  std::deque<std::string> rest;
  for (const absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    rest.emplace_back(part);
  }
  std::vector<std::string> at;
  int links = 0;
  while (!rest.empty()) {
    const std::string name = std::move(rest.front());
    rest.pop_front();
    if (name == ".") continue;
    if (name == "..") {
      if (!at.empty()) at.pop_back();
      continue;
    }
    at.push_back(name);
    const std::string joined = absl::StrJoin(at, "/");
    const File* file = Find(joined);
    if (file == nullptr) {
      // An archive need not have its directories as entries.
      const auto below = files_.lower_bound(absl::StrCat(joined, "/"));
      if (below == files_.end() || !absl::StartsWith(below->first, absl::StrCat(joined, "/"))) {
        return std::nullopt;
      }
      continue;
    }
    if (!S_ISLNK(file->info.mode)) continue;
    if (++links > kMaxLinks) return std::nullopt;
    at.pop_back();
    if (absl::StartsWith(file->info.link_target, "/")) at.clear();
    const std::vector<std::string> more =
        absl::StrSplit(file->info.link_target, '/', absl::SkipEmpty());
    rest.insert(rest.begin(), more.begin(), more.end());
  }
  return absl::StrJoin(at, "/");
}

absl::Status FileSet::ReadAt(Place place, char* out, size_t size) const {
  uint64_t offset = place.offset;
  while (size > 0) {
    const ssize_t n = pread(fd(place), out, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, absl::StrCat("read a build's files in ", name_));
    if (n == 0) return absl::DataLossError(absl::StrCat("a build's files in ", name_, " are cut"));
    out += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> FileSet::ReadAll(const File& file, size_t limit_bytes) const {
  if (file.info.size_bytes > limit_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(file.info.path, " has ", file.info.size_bytes,
                                                   " bytes, the limit is ", limit_bytes));
  }
  std::string content(file.info.size_bytes, '\0');
  RETURN_IF_ERROR(ReadAt(file.place, content.data(), content.size()));
  return content;
}

std::shared_ptr<const FileSet> FileSet::Without(
    const std::function<bool(absl::string_view path)>& drop) const {
  auto out = std::make_shared<FileSet>();
  out->content_ = content_;
  out->archive_ = archive_;
  out->name_ = name_;
  for (const auto& [path, file] : files_) {
    if (!drop(path)) out->files_.emplace_hint(out->files_.end(), path, file);
  }
  return out;
}

}  // namespace slipway::build
