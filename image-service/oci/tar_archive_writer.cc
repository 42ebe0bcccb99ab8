#include "image-service/oci/tar_archive_writer.h"

#include <archive.h>
#include <archive_entry.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

class TarArchiveWriter : public ArchiveWriter {
 public:
  explicit TarArchiveWriter(ByteSink sink)
      : sink_(std::move(sink)), archive_(archive_write_new()), entry_(archive_entry_new()) {
    archive_write_set_format_pax_restricted(archive_);
    // What is written goes on as it is, without being gathered into blocks.
    archive_write_set_bytes_per_block(archive_, 0);
    archive_write_open(archive_, this, nullptr, &TarArchiveWriter::Write, nullptr);
  }
  ~TarArchiveWriter() override {
    archive_entry_free(entry_);
    archive_write_free(archive_);
  }

  absl::Status AddDirectory(const std::string& path) override {
    return Header(path, AE_IFDIR, 0755, 0);
  }
  absl::Status BeginFile(const std::string& path, int64_t size_bytes) override {
    return Header(path, AE_IFREG, 0644, size_bytes);
  }
  absl::Status Append(absl::string_view bytes) override {
    while (!bytes.empty()) {
      const la_ssize_t written = archive_write_data(archive_, bytes.data(), bytes.size());
      if (written <= 0) return Failure();
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }
  absl::Status Finish() override {
    return archive_write_close(archive_) == ARCHIVE_OK ? absl::OkStatus() : Failure();
  }

 private:
  absl::Status Header(const std::string& path, unsigned int type, int mode, int64_t size_bytes) {
    archive_entry_clear(entry_);
    archive_entry_set_pathname(entry_, path.c_str());
    archive_entry_set_filetype(entry_, type);
    archive_entry_set_perm(entry_, static_cast<__LA_MODE_T>(mode));
    archive_entry_set_size(entry_, size_bytes);
    archive_entry_set_mtime(entry_, 0, 0);
    return archive_write_header(archive_, entry_) == ARCHIVE_OK ? absl::OkStatus() : Failure();
  }

  absl::Status Failure() const {
    if (!failure_.ok()) return failure_;
    const char* reason = archive_error_string(archive_);
    return absl::InternalError(
        absl::StrCat("write archive: ", reason == nullptr ? "unknown" : reason));
  }

  static la_ssize_t Write(archive* archive, void* self, const void* bytes, size_t size) {
    auto* writer = static_cast<TarArchiveWriter*>(self);
    writer->failure_ = writer->sink_(absl::string_view(static_cast<const char*>(bytes), size));
    if (writer->failure_.ok()) return static_cast<la_ssize_t>(size);
    archive_set_error(archive, EIO, "the receiver refused");
    return -1;
  }

  const ByteSink sink_;
  archive* const archive_;
  archive_entry* const entry_;
  absl::Status failure_;
};

}  // namespace

std::unique_ptr<ArchiveWriter> MakeTarArchive(ByteSink sink) {
  return std::make_unique<TarArchiveWriter>(std::move(sink));
}

}  // namespace slipway::image
