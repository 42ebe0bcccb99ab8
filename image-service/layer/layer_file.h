#ifndef IMAGE_SERVICE_LAYER_LAYER_FILE_H_
#define IMAGE_SERVICE_LAYER_LAYER_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/os/direct_file.h"
#include "base/os/unique_fd.h"

namespace slipway::image {

// A file that has no name until it is complete: whatever happens before Commit, the directory stays
// as it was (O_TMPFILE; on a file system without it, a hidden name that the destructor removes).
// Move-only; not thread-safe. Errors name the directory; a full disk is ResourceExhausted.
class LayerFile {
 public:
  static absl::StatusOr<LayerFile> Create(const std::string& directory);
  LayerFile(LayerFile&& other) noexcept;
  LayerFile& operator=(LayerFile&&) = delete;
  ~LayerFile();

  absl::Status WriteAt(uint64_t offset, absl::string_view bytes);
  // The same past the page cache, as DirectFile wants it. Behind OpenDirect() several threads may
  // do so, and another one call the other functions meanwhile.
  void OpenDirect() { direct_.Open(); }
  absl::Status WriteDirectAt(uint64_t offset, absl::string_view bytes);
  absl::Status Truncate(uint64_t size_bytes);
  // Asks the kernel to start writing the range to disk, so that Sync has less left to do.
  void StartWriteback(uint64_t offset, uint64_t size_bytes);
  // Whether the file at `path` begins with the same bytes; false when it is missing or cannot be
  // read.
  absl::StatusOr<bool> SameAs(const std::string& path) const;
  // fdatasync.
  absl::Status Sync();
  // Gives the file its name, replacing a file that has it already, and syncs the directory. The
  // path must be on the same file system. Mode 0644.
  absl::Status Commit(const std::string& path);

  int fd() const { return fd_.get(); }

 private:
  LayerFile(UniqueFd fd, std::string directory, std::string temporary_path);

  UniqueFd fd_;
  DirectFile direct_;
  std::string directory_;
  std::string temporary_path_;  // empty: no name yet
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_LAYER_FILE_H_
