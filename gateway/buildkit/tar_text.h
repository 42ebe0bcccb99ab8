#ifndef GATEWAY_BUILDKIT_TAR_TEXT_H_
#define GATEWAY_BUILDKIT_TAR_TEXT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "buildkit/file_sync.pb.h"

struct archive;

namespace slipway::gateway {

// Writes files as a tar (POSIX pax) into a string. Used by one thread.
class TarText {
 public:
  TarText();
  ~TarText();

  // InvalidArgument for what no tar can have. `size` bytes of content follow by Append().
  absl::Status Begin(const fsutil::types::Stat& stat, uint64_t size);
  absl::Status Append(absl::string_view content);
  // After the last file.
  absl::Status Finish();

  // What was written and not taken yet.
  std::string& text() { return *text_; }

 private:
  absl::Status Check(int result, absl::string_view name);

  const std::unique_ptr<std::string> text_;
  archive* const archive_;
};

// The mode bits of stat(2) for those of Go's os.FileMode, and the other way round.
uint32_t ModeOfGo(uint32_t mode);
uint32_t GoModeOf(uint32_t mode);

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_TAR_TEXT_H_
