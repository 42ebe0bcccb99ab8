#ifndef SERVICES_BUILD_FILES_TAR_WRITER_H_
#define SERVICES_BUILD_FILES_TAR_WRITER_H_

#include <string>

#include "absl/status/status.h"
#include "services/build/files/file_set.h"
#include "services/build/ports/images.h"

namespace slipway::build {

// Writes a tar (POSIX.1-2017 pax; the records only where a field does not hold the value). The same
// entries give the same bytes. Not thread-safe.
class TarWriter {
 public:
  explicit TarWriter(const TarSink& sink) : sink_(sink) {}

  // `info.path` without slash in front; its size is that of the content that follows.
  absl::Status Add(const FileInfo& info);
  absl::Status AddHardLink(const FileInfo& info, const std::string& target);
  // Content of the entry before.
  absl::Status Append(const FileSet& set, FileSet::Place place, uint64_t size_bytes);
  absl::Status Append(absl::string_view bytes);
  absl::Status Finish();

 private:
  absl::Status Header(const FileInfo& info, char type, const std::string& link, uint64_t size);
  absl::Status Pad();
  absl::Status FlushIfLarge();
  absl::Status Flush();

  const TarSink& sink_;
  std::string buffer_;
  uint64_t entry_bytes_ = 0;  // of the content so far
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_FILES_TAR_WRITER_H_
