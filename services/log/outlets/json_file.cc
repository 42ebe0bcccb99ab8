#include "services/log/outlets/json_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
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

// As Docker's encoder writes it.
void AppendJsonString(absl::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    const size_t size = Utf8CharacterBytes(text);
    const absl::string_view character = text.substr(0, std::max<size_t>(size, 1));
    const auto c = static_cast<unsigned char>(text[0]);
    if (size == 0) {
      out += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c < 0x20 || c == '<' || c == '>' || c == '&') {
      absl::StrAppendFormat(&out, "\\u%04x", c);
    } else if (character == "\xe2\x80\xa8" || character == "\xe2\x80\xa9") {
      out += character == "\xe2\x80\xa8" ? "\\u2028" : "\\u2029";
    } else {
      out.append(character.data(), character.size());
    }
    text.remove_prefix(character.size());
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
