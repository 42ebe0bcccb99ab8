#ifndef IMAGE_SERVICE_PORTS_ARCHIVE_H_
#define IMAGE_SERVICE_PORTS_ARCHIVE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::image {

// Bytes that arrive in order. One thread at a time.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The next bytes, valid until the next call; empty at the end. Cancelled when the sender is gone.
  virtual absl::StatusOr<absl::string_view> Next() = 0;
};

struct ArchiveMember {
  std::string path;  // as written
  enum class Kind { kFile, kLink, kSymlink, kOther } kind = Kind::kOther;
  std::string target;  // of a link
  int64_t size_bytes = 0;
};

// The members of a tar archive (plain, gzip, zstd) in one pass. One thread at a time.
class ArchiveReader {
 public:
  virtual ~ArchiveReader() = default;
  // The next member, nullopt at the end. InvalidArgument for what is no archive, DataLoss for a
  // damaged one; errors of the source as they are.
  virtual absl::StatusOr<std::optional<ArchiveMember>> Next() = 0;
  // The current member's content, once, in pieces; stops at the first error of `sink`.
  virtual absl::Status ReadContent(const std::function<absl::Status(absl::string_view)>& sink) = 0;
};

using ArchiveOpener = std::function<absl::StatusOr<std::unique_ptr<ArchiveReader>>(ByteSource&)>;

// Writes a tar archive in one pass. One thread at a time.
class ArchiveWriter {
 public:
  virtual ~ArchiveWriter() = default;
  virtual absl::Status AddDirectory(const std::string& path) = 0;
  // A file whose content follows, in pieces of together `size_bytes`.
  virtual absl::Status BeginFile(const std::string& path, int64_t size_bytes) = 0;
  virtual absl::Status Append(absl::string_view bytes) = 0;
  virtual absl::Status Finish() = 0;
};

// Takes bytes in order; an error stops who writes.
using ByteSink = std::function<absl::Status(absl::string_view)>;
using ArchiveMaker = std::function<std::unique_ptr<ArchiveWriter>(ByteSink)>;

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_PORTS_ARCHIVE_H_
