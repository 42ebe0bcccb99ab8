#ifndef BASE_OS_DIRECT_FILE_H_
#define BASE_OS_DIRECT_FILE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/os/unique_fd.h"

namespace slipway {

// What direct writes want of offsets, sizes and memory.
inline constexpr size_t kDirectAlignment = 4096;

// Memory for direct writes.
struct FreeAligned {
  void operator()(char* memory) const;
};
using AlignedBuffer = std::unique_ptr<char[], FreeAligned>;
// `size_bytes` is a multiple of kDirectAlignment.
AlignedBuffer NewAlignedBuffer(size_t size_bytes);

// A second way into an open file: past the page cache (O_DIRECT), for large content that its writer
// does not read again. What is written through either way is seen through both.
class DirectFile {
 public:
  // `fd` stays the caller's and outlives this.
  explicit DirectFile(int fd) : fd_(fd) {}
  DirectFile(DirectFile&& other) noexcept
      : fd_(other.fd_), direct_(std::move(other.direct_)), tried_(other.tried_) {}
  DirectFile& operator=(DirectFile&&) = delete;

  // Before the first write.
  void Open();
  // Offset, size and memory are multiples of kDirectAlignment. Goes through the page cache where
  // the file system knows no direct writes. Errors are those of pwrite, naming `what`. Thread-safe
  // behind Open().
  absl::Status WriteAt(uint64_t offset, absl::string_view bytes, absl::string_view what);

 private:
  int fd_;
  UniqueFd direct_;
  bool tried_ = false;
  std::atomic<bool> refused_ = false;
};

}  // namespace slipway

#endif  // BASE_OS_DIRECT_FILE_H_
