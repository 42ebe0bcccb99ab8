#include "image-service/oci/tar_archive_reader.h"

#include <archive.h>
#include <archive_entry.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "base/text/tar_end.h"

namespace slipway::image {
namespace {

constexpr size_t kMaxPathBytes = 4096;

std::string Text(const char* text) { return text == nullptr ? "" : text; }

class TarArchiveReader : public ArchiveReader {
 public:
  explicit TarArchiveReader(ByteSource& source) : source_(source), archive_(archive_read_new()) {}
  ~TarArchiveReader() override { archive_read_free(archive_); }
  TarArchiveReader(const TarArchiveReader&) = delete;
  TarArchiveReader& operator=(const TarArchiveReader&) = delete;

  absl::Status Open() {
    archive_read_support_format_tar(archive_);
    archive_read_support_filter_gzip(archive_);
    archive_read_support_filter_zstd(archive_);
    archive_read_support_filter_xz(archive_);
    archive_read_support_filter_bzip2(archive_);
    if (archive_read_open(archive_, this, nullptr, &TarArchiveReader::Read, nullptr) !=
        ARCHIVE_OK) {
      return Failure(/*began=*/false);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<ArchiveMember>> Next() override {
    if (ended_) return std::optional<ArchiveMember>();
    archive_entry* entry = nullptr;
    const int result = archive_read_next_header(archive_, &entry);
    if (result == ARCHIVE_EOF) return std::optional<ArchiveMember>();
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return Failure(began_);
    began_ = true;
    entry_ = entry;
    ArchiveMember member;
    member.path = Text(archive_entry_pathname(entry));
    member.size_bytes = archive_entry_size(entry);
    if (archive_entry_hardlink(entry) != nullptr) {
      member.kind = ArchiveMember::Kind::kLink;
      member.target = Text(archive_entry_hardlink(entry));
    } else if (archive_entry_filetype(entry) == AE_IFLNK) {
      member.kind = ArchiveMember::Kind::kSymlink;
      member.target = Text(archive_entry_symlink(entry));
    } else if (archive_entry_filetype(entry) == AE_IFREG) {
      member.kind = ArchiveMember::Kind::kFile;
    }
    if (member.path.size() > kMaxPathBytes || member.target.size() > kMaxPathBytes) {
      return absl::InvalidArgumentError("archive has a name of more than 4096 bytes");
    }
    return std::optional<ArchiveMember>(std::move(member));
  }

  absl::Status ReadContent(const std::function<absl::Status(absl::string_view)>& sink) override {
    uint64_t read_bytes = 0;
    while (true) {
      const void* bytes = nullptr;
      size_t size = 0;
      la_int64_t offset = 0;
      const int result = archive_read_data_block(archive_, &bytes, &size, &offset);
      if (result == ARCHIVE_EOF) return absl::OkStatus();
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
        ended_ = source_failure_.ok() && EndsWithContent(archive_, entry_, read_bytes);
        return ended_ ? absl::OkStatus() : Failure(/*began=*/true);
      }
      read_bytes = static_cast<uint64_t>(offset) + size;
      RETURN_IF_ERROR(sink(absl::string_view(static_cast<const char*>(bytes), size)));
    }
  }

 private:
  static la_ssize_t Read(archive* archive, void* self, const void** buffer) {
    auto* reader = static_cast<TarArchiveReader*>(self);
    const absl::StatusOr<absl::string_view> bytes = reader->source_.Next();
    if (!bytes.ok()) {
      reader->source_failure_ = bytes.status();
      archive_set_error(archive, EIO, "the sender is gone");
      return -1;
    }
    *buffer = bytes->data();
    return static_cast<la_ssize_t>(bytes->size());
  }

  absl::Status Failure(bool began) const {
    if (!source_failure_.ok()) return source_failure_;
    const std::string text = absl::StrCat("archive: ", Text(archive_error_string(archive_)));
    return began ? absl::DataLossError(text) : absl::InvalidArgumentError(text);
  }

  ByteSource& source_;
  archive* const archive_;
  absl::Status source_failure_;
  archive_entry* entry_ = nullptr;  // the archive's
  bool began_ = false;
  bool ended_ = false;  // behind the content of the last member
};

}  // namespace

absl::StatusOr<std::unique_ptr<ArchiveReader>> OpenTarArchive(ByteSource& source) {
  auto reader = std::make_unique<TarArchiveReader>(source);
  RETURN_IF_ERROR(reader->Open());
  return std::unique_ptr<ArchiveReader>(std::move(reader));
}

}  // namespace slipway::image
