#include "services/build/files/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "base/text/bytewise_locale.h"
#include "base/text/tar_end.h"

namespace slipway::build {
namespace {

constexpr size_t kPieceBytes = 512 << 10;

struct FreeArchive {
  void operator()(archive* reader) const { archive_read_free(reader); }
};

class TarReader {
 public:
  // `is_file`: the source's bytes are those of the writer's archive.
  explicit TarReader(const ByteSource& source, bool is_file = false)
      : source_(source), is_file_(is_file), reader_(archive_read_new()) {
    // These and no more: for others libarchive starts programs.
    archive_read_support_filter_gzip(reader_.get());
    archive_read_support_filter_bzip2(reader_.get());
    archive_read_support_filter_xz(reader_.get());
    archive_read_support_filter_zstd(reader_.get());
    archive_read_support_format_tar(reader_.get());
    archive_read_set_format_option(reader_.get(), "tar", "mac-ext", nullptr);
  }

  // False when the bytes are no tar, before anything of it was read.
  absl::StatusOr<bool> Begin() {
    if (archive_read_open(reader_.get(), this, nullptr, &TarReader::Pull, nullptr) != ARCHIVE_OK) {
      RETURN_IF_ERROR(source_status_);
      return false;
    }
    const int result = archive_read_next_header(reader_.get(), &entry_);
    RETURN_IF_ERROR(source_status_);
    at_end_ = result == ARCHIVE_EOF;
    return result == ARCHIVE_OK || result == ARCHIVE_WARN || result == ARCHIVE_EOF;
  }

  absl::Status ReadInto(FileSet::Writer& writer) {
    while (!at_end_) {
      RETURN_IF_ERROR(Take(writer));
      if (at_end_) break;
      const int result = archive_read_next_header(reader_.get(), &entry_);
      if (result == ARCHIVE_EOF) break;
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return Failure();
    }
    return source_status_;
  }

  uint64_t taken_bytes() const { return taken_bytes_; }

 private:
  static la_ssize_t Pull(archive* reader, void* self, const void** bytes) {
    auto* me = static_cast<TarReader*>(self);
    const absl::StatusOr<absl::string_view> next = me->source_();
    if (!next.ok()) {
      me->source_status_ = next.status();
      archive_set_error(reader, EIO, "the source broke off");
      return -1;
    }
    *bytes = next->data();
    me->taken_bytes_ += next->size();
    return static_cast<la_ssize_t>(next->size());
  }

  absl::Status Failure() const {
    if (!source_status_.ok()) return source_status_;
    const char* text = archive_error_string(reader_.get());
    return absl::DataLossError(
        absl::StrCat("the archive cannot be read: ", text == nullptr ? "unknown error" : text));
  }

  absl::Status EndOrFailure(uint64_t content_bytes) {
    if (!source_status_.ok() || !EndsWithContent(reader_.get(), entry_, content_bytes)) {
      return Failure();
    }
    at_end_ = true;
    return absl::OkStatus();
  }

  absl::Status Take(FileSet::Writer& writer) {
    const char* name = archive_entry_pathname(entry_);
    if (name == nullptr) return absl::InvalidArgumentError("an entry has no readable name");
    if (const char* target = archive_entry_hardlink(entry_); target != nullptr) {
      return writer.AddHardLink(name, target);
    }
    FileInfo info;
    info.path = name;
    info.mode = archive_entry_filetype(entry_) | (archive_entry_perm(entry_) & 07777);
    info.uid = static_cast<uint32_t>(archive_entry_uid(entry_));
    info.gid = static_cast<uint32_t>(archive_entry_gid(entry_));
    info.mtime_s = archive_entry_mtime(entry_);
    info.mtime_ns = static_cast<uint32_t>(archive_entry_mtime_nsec(entry_));
    info.device = static_cast<uint64_t>(archive_entry_rdev(entry_));
    if (const char* link = archive_entry_symlink(entry_); link != nullptr) info.link_target = link;
    archive_entry_xattr_reset(entry_);
    const char* xattr = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    while (archive_entry_xattr_next(entry_, &xattr, &value, &size) == ARCHIVE_OK) {
      if (xattr != nullptr) info.xattrs[xattr] = std::string(static_cast<const char*>(value), size);
    }
    const bool is_regular = S_ISREG(info.mode);
    RETURN_IF_ERROR(writer.Add(std::move(info)));
    if (!is_regular) return absl::OkStatus();
    return StaysInFile() ? HashContent(writer) : TakeContent(writer);
  }

  // Content lies in one piece behind its header, unless it is compressed or has holes.
  bool StaysInFile() const {
    return is_file_ && archive_filter_count(reader_.get()) == 1 &&
           archive_filter_code(reader_.get(), 0) == ARCHIVE_FILTER_NONE &&
           archive_entry_sparse_count(entry_) == 0;
  }

  absl::Status HashContent(FileSet::Writer& writer) {
    const la_int64_t start = archive_filter_bytes(reader_.get(), 0);
    uint64_t at = 0;
    while (true) {
      const void* bytes = nullptr;
      size_t count = 0;
      la_int64_t offset = 0;
      const int result = archive_read_data_block(reader_.get(), &bytes, &count, &offset);
      if (result == ARCHIVE_EOF) return absl::OkStatus();
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return EndOrFailure(at);
      if (count == 0) continue;
      RETURN_IF_ERROR(
          writer.AppendInArchive(static_cast<uint64_t>(start + offset),
                                 absl::string_view(static_cast<const char*>(bytes), count)));
      at = static_cast<uint64_t>(offset) + count;
    }
  }

  absl::Status TakeContent(FileSet::Writer& writer) {
    uint64_t at = 0;
    const uint64_t end = static_cast<uint64_t>(std::max<int64_t>(0, archive_entry_size(entry_)));
    const auto fill = [&](uint64_t until) -> absl::Status {
      static const std::string zeros(64 << 10, '\0');
      while (at < until) {
        const size_t n = std::min<uint64_t>(zeros.size(), until - at);
        RETURN_IF_ERROR(writer.Append(absl::string_view(zeros).substr(0, n)));
        at += n;
      }
      return absl::OkStatus();
    };
    while (true) {
      const void* bytes = nullptr;
      size_t count = 0;
      la_int64_t offset = 0;
      const int result = archive_read_data_block(reader_.get(), &bytes, &count, &offset);
      if (result == ARCHIVE_EOF) return fill(end);
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return EndOrFailure(at);
      RETURN_IF_ERROR(fill(static_cast<uint64_t>(offset)));
      RETURN_IF_ERROR(writer.Append(absl::string_view(static_cast<const char*>(bytes), count)));
      at += count;
    }
  }

  const ByteSource& source_;
  const bool is_file_;
  absl::Status source_status_;
  std::unique_ptr<archive, FreeArchive> reader_;
  archive_entry* entry_ = nullptr;
  bool at_end_ = false;
  uint64_t taken_bytes_ = 0;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const FileSet>> ReadTar(const ByteSource& source,
                                                       const std::string& directory,
                                                       std::shared_ptr<const UniqueFd> file) {
  const BytewiseLocale locale;
  const bool is_file = file != nullptr;
  ASSIGN_OR_RETURN(const std::unique_ptr<FileSet::Writer> writer,
                   FileSet::Writer::Create(directory, std::move(file)));
  TarReader reader(source, is_file);
  ASSIGN_OR_RETURN(const bool is_tar, reader.Begin());
  if (!is_tar) {
    if (reader.taken_bytes() == 0) return writer->Finish();
    return absl::DataLossError("the build context is no tar archive");
  }
  RETURN_IF_ERROR(reader.ReadInto(*writer));
  return writer->Finish();
}

absl::StatusOr<std::shared_ptr<const FileSet>> ReadNestedTar(const FileSet& set,
                                                             const FileSet::File& file,
                                                             const std::string& directory) {
  if (file.info.size_bytes == 0) return std::shared_ptr<const FileSet>();
  const BytewiseLocale locale;
  std::string piece;
  uint64_t at = 0;
  const ByteSource source = [&]() -> absl::StatusOr<absl::string_view> {
    piece.resize(std::min<uint64_t>(kPieceBytes, file.info.size_bytes - at));
    RETURN_IF_ERROR(
        set.ReadAt({file.place.in_archive, file.place.offset + at}, piece.data(), piece.size()));
    at += piece.size();
    return absl::string_view(piece);
  };
  TarReader reader(source);
  ASSIGN_OR_RETURN(const bool is_tar, reader.Begin());
  if (!is_tar) return std::shared_ptr<const FileSet>();
  ASSIGN_OR_RETURN(const std::unique_ptr<FileSet::Writer> writer,
                   FileSet::Writer::Create(directory));
  RETURN_IF_ERROR(reader.ReadInto(*writer));
  return writer->Finish();
}

}  // namespace slipway::build
