#ifndef IMAGE_SERVICE_STORE_FILE_BLOB_WRITER_H_
#define IMAGE_SERVICE_STORE_FILE_BLOB_WRITER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/os/direct_file.h"
#include "base/os/unique_fd.h"
#include "image-service/ports/content_store.h"

namespace slipway::image {

// A blob that grows in the file `path` and is renamed into `blob_directory` when complete. The file
// of a resumable one stays when the writer goes. What a large blob has goes past the page cache: it
// is seldom read. Not thread-safe.
class FileBlobWriter : public BlobWriter {
 public:
  // Opens or makes `path`.
  static absl::StatusOr<std::unique_ptr<FileBlobWriter>> Open(std::string path,
                                                              std::string blob_directory,
                                                              bool resumable);
  ~FileBlobWriter() override;

  int64_t size_bytes() const override { return size_bytes_; }
  absl::Status ForEachChunk(const std::function<absl::Status(absl::string_view)>& sink) override;
  absl::Status Append(absl::string_view bytes) override;
  absl::Status Sync() override;
  absl::Status Commit(const Digest& digest) override;
  absl::Status Truncate() override;
  void Discard() override;

 private:
  FileBlobWriter(UniqueFd fd, std::string path, std::string blob_directory, bool resumable,
                 int64_t size_bytes)
      : fd_(std::move(fd)),
        direct_(fd_.get()),
        path_(std::move(path)),
        blob_directory_(std::move(blob_directory)),
        resumable_(resumable),
        size_bytes_(size_bytes),
        buffer_start_(size_bytes) {}

  // Makes room in the buffer, which then begins at a block's start.
  absl::Status PrepareBuffer();
  absl::Status Flush();
  absl::Status Write(absl::string_view bytes, int64_t offset);

  UniqueFd fd_;
  DirectFile direct_;
  std::string path_;  // empty: committed or discarded
  const std::string blob_directory_;
  const bool resumable_;
  int64_t size_bytes_;    // with what is in the buffer
  int64_t buffer_start_;  // where the buffer's content belongs
  AlignedBuffer buffer_;
};

// Reads `fd` from its start in large chunks. `path` is for errors.
absl::Status ReadWholeFile(int fd, const std::string& path,
                           const std::function<absl::Status(absl::string_view)>& sink);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_STORE_FILE_BLOB_WRITER_H_
