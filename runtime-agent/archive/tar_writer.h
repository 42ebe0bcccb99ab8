#ifndef RUNTIME_AGENT_ARCHIVE_TAR_WRITER_H_
#define RUNTIME_AGENT_ARCHIVE_TAR_WRITER_H_

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::agent {

// One member of a tar, but for the content of a file.
struct TarMember {
  std::string name;  // as it stands in the archive; directories end in a slash
  char type = '0';   // ustar: '0' file, '1' hard link, '2' symbolic link, '3', '4' devices, '5'
                     // directory, '6' FIFO
  uint32_t mode = 0;
  uint64_t uid = 0;
  uint64_t gid = 0;
  int64_t size_bytes = 0;  // of a file
  int64_t modified_s = 0;
  std::string link;  // of both kinds of link
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  std::vector<std::pair<std::string, std::string>> xattrs;  // sorted by name
};

// Writes a tar (POSIX.1-2001 "pax": ustar headers, extended records only where one does not hold a
// value, xattrs as SCHILY.xattr.*) to a descriptor. The same members give the same bytes. By hand,
// because libarchive's writer converts names by the locale, and a confined process has none. Not
// thread-safe.
class TarWriter {
 public:
  explicit TarWriter(int fd);

  // Files are followed by their content by way of Content().
  absl::Status Add(const TarMember& member);
  // The next bytes of the file that was added last.
  absl::Status Content(absl::string_view bytes);
  // `size_bytes` of a file from a descriptor; what it lacks by now is filled with zeros.
  absl::Status ContentOf(int fd, int64_t size_bytes);
  // Two blocks of zeros, and everything is out.
  absl::Status Finish();

 private:
  absl::Status Put(absl::string_view bytes);
  absl::Status Pad(int64_t size_bytes);
  absl::Status Flush();
  absl::StatusOr<int64_t> Splice(int fd, int64_t size_bytes);

  const int fd_;
  bool to_pipe_ = false;
  std::string buffer_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_ARCHIVE_TAR_WRITER_H_
