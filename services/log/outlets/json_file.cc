#include "services/log/outlets/json_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "base/text/utf8.h"
#include "services/log/outlets/attributes.h"

namespace slipway::log {
namespace {

// As Go's encoder writes it where HTML is escaped.
void AppendJsonString(absl::string_view text, std::string& out) {
  const std::string valid = ValidUtf8(text);
  out += '"';
  for (size_t i = 0; i < valid.size(); ++i) {
    const auto c = static_cast<unsigned char>(valid[i]);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c < 0x20 || c == '<' || c == '>' || c == '&') {
      absl::StrAppendFormat(&out, "\\u%04x", c);
    } else if (c == 0xe2 && (valid.compare(i, 3, "\xe2\x80\xa8") == 0 ||
                             valid.compare(i, 3, "\xe2\x80\xa9") == 0)) {
      absl::StrAppendFormat(&out, "\\u202%d", static_cast<unsigned char>(valid[i + 2]) & 0xf);
      i += 2;
    } else {
      out += static_cast<char>(c);
    }
  }
  out += '"';
}

}  // namespace

std::string JsonLine(const OutletLine& line, const std::map<std::string, std::string>& attributes) {
  std::string out = "{\"log\":";
  std::string text(line.text);
  if (!line.partial && line.terminated) text += '\n';
  AppendJsonString(text, out);
  out += line.stream == StdStream::kStderr ? ",\"stream\":\"stderr\"" : ",\"stream\":\"stdout\"";
  if (!attributes.empty()) {
    out += ",\"attrs\":{";
    bool first = true;
    for (const auto& [key, value] : attributes) {
      if (!std::exchange(first, false)) out += ',';
      AppendJsonString(key, out);
      out += ':';
      AppendJsonString(value, out);
    }
    out += '}';
  }
  absl::StrAppend(&out, ",\"time\":\"", Rfc3339Nano(line.time_unix_ns, /*trim=*/true), "\"}\n");
  return out;
}

absl::StatusOr<std::unique_ptr<JsonFile>> JsonFile::Open(const JsonFileOptions& options,
                                                         const std::string& state) {
  std::unique_ptr<JsonFile> file(new JsonFile(options));
  RETURN_IF_ERROR(MakeDirectories(options.path.substr(0, options.path.rfind('/')), 0750));
  RETURN_IF_ERROR(file->OpenLast());
  const std::vector<std::string> parts = absl::StrSplit(state, ' ');
  uint64_t size = 0;
  uint64_t inode = 0;
  if (parts.size() == 2 && absl::SimpleAtoi(parts[0], &size) &&
      absl::SimpleAtoi(parts[1], &inode) && inode == file->inode_ && size < file->size_) {
    if (ftruncate(file->fd_.get(), static_cast<off_t>(size)) != 0) {
      return ErrnoStatus(errno, absl::StrCat("truncate ", options.path));
    }
    file->size_ = size;
  }
  return file;
}

absl::Status JsonFile::OpenLast() {
  ASSIGN_OR_RETURN(fd_, OpenFile(options_.path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640));
  struct stat st;
  if (fstat(fd_.get(), &st) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", options_.path));
  size_ = static_cast<uint64_t>(st.st_size);
  inode_ = st.st_ino;
  return absl::OkStatus();
}

absl::Status JsonFile::Reopen() { return OpenLast(); }

std::string JsonFile::State() const { return absl::StrCat(size_, " ", inode_); }

absl::Status JsonFile::Rotate() {
  for (uint64_t i = options_.max_files - 1; i >= 1; --i) {
    const std::string from = i == 1 ? options_.path : absl::StrCat(options_.path, ".", i - 1);
    const std::string to = absl::StrCat(options_.path, ".", i);
    if (rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) {
      return ErrnoStatus(errno, absl::StrCat("rename ", from));
    }
  }
  if (options_.max_files == 1 && unlink(options_.path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("remove ", options_.path));
  }
  return OpenLast();
}

absl::Status JsonFile::Send(const std::vector<OutletLine>& lines) {
  std::string bytes;
  const auto flush = [&]() -> absl::Status {
    const absl::Status written = WriteAll(fd_.get(), bytes, options_.path);
    if (!written.ok()) {
      // All or nothing: a line that is offered again must not be there twice.
      (void)!ftruncate(fd_.get(), static_cast<off_t>(size_));
      return written;
    }
    size_ += bytes.size();
    bytes.clear();
    return absl::OkStatus();
  };
  for (const OutletLine& line : lines) {
    if (options_.max_bytes != 0 && size_ + bytes.size() >= options_.max_bytes) {
      RETURN_IF_ERROR(flush());
      RETURN_IF_ERROR(Rotate());
    }
    bytes += JsonLine(line, options_.attributes);
  }
  return flush();
}

}  // namespace slipway::log
