#include "base/os/direct_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"

namespace slipway {

void FreeAligned::operator()(char* memory) const { free(memory); }

AlignedBuffer NewAlignedBuffer(size_t size_bytes) {
  auto* memory = static_cast<char*>(aligned_alloc(kDirectAlignment, size_bytes));
  if (memory == nullptr) throw std::bad_alloc();
  return AlignedBuffer(memory);
}

void DirectFile::Open() {
  if (std::exchange(tried_, true)) return;
  const std::string path = absl::StrCat("/proc/self/fd/", fd_);
  direct_.reset(open(path.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
}

absl::Status DirectFile::WriteAt(uint64_t offset, absl::string_view bytes, absl::string_view what) {
  Open();
  bool direct = direct_.ok() && !refused_;
  while (!bytes.empty()) {
    const int fd = direct ? direct_.get() : fd_;
    const ssize_t written = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno == EINVAL && direct) {
        direct = false;
        refused_ = true;
        continue;
      }
      return ErrnoStatus(errno, what);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
    // The rest of a short write is aligned no longer.
    if (written % static_cast<ssize_t>(kDirectAlignment) != 0) direct = false;
  }
  return absl::OkStatus();
}

}  // namespace slipway
