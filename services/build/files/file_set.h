#ifndef SERVICES_BUILD_FILES_FILE_SET_H_
#define SERVICES_BUILD_FILES_FILE_SET_H_

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/os/unique_fd.h"
#include "services/build/files/sha256.h"
#include "services/build/ports/images.h"

namespace slipway::build {

// Files of a context or an image: attributes and digests in memory, all content one behind the
// other in a file without a name, or where it is in the archive that they came in. Nothing is ever
// unpacked to a path. Immutable once made, and thread-safe then.
class FileSet {
 public:
  // Where content is.
  struct Place {
    bool in_archive = false;  // and not in the set's own file
    uint64_t offset = 0;

    auto operator<=>(const Place&) const = default;
  };

  struct File {
    FileInfo info;
    Place place;         // of the content
    std::string digest;  // of the content, of regular files
  };

  // Fills one, in order. Not thread-safe. A context has at most 4 million files of 1 GiB of names
  // together, and as much content as the disk takes.
  class Writer {
   public:
    // Content goes to a file in `directory`, but for what is in `archive` (null: none), an open
    // file that does not change any more where it was read.
    static absl::StatusOr<std::unique_ptr<Writer>> Create(
        const std::string& directory, std::shared_ptr<const UniqueFd> archive = nullptr);

    // `path` is cleaned: no "..", nothing absolute. One that is there already is replaced.
    // InvalidArgument for a path that leads out.
    absl::Status Add(FileInfo info);
    // Content of the file before.
    absl::Status Append(absl::string_view bytes);
    // The same, of content that stays at `offset` of the archive; all of a file's, or none.
    absl::Status AppendInArchive(uint64_t offset, absl::string_view bytes);
    // Of the file before.
    void SetTime(int64_t mtime_s) {
      if (open_ != nullptr) open_->info.mtime_s = mtime_s;
    }
    // Another name of a file that is there already.
    absl::Status AddHardLink(const std::string& path, const std::string& target);
    absl::StatusOr<std::shared_ptr<const FileSet>> Finish();

   private:
    explicit Writer(std::shared_ptr<FileSet> set) : set_(std::move(set)) {}
    absl::Status Flush();
    void EndFile();

    std::shared_ptr<FileSet> set_;
    File* open_ = nullptr;
    Sha256 sha_;
    std::string buffer_;
    uint64_t written_ = 0;     // to the set's own file
    uint64_t file_bytes_ = 0;  // of the file before
    size_t name_bytes_ = 0;
    uint64_t next_link_id_ = uint64_t{1} << 63;
  };

  const std::map<std::string, File, std::less<>>& files() const { return files_; }
  // Null when there is no such path. Links are not followed.
  const File* Find(absl::string_view path) const;
  // Follows links of the path inside the set, the last one too; "" when it does not exist.
  std::optional<std::string> Resolve(absl::string_view path) const;
  // Fills `out` with the content at `place`.
  absl::Status ReadAt(Place place, char* out, size_t size) const;
  // The file that a place is in; stays the set's.
  int fd(Place place) const { return (place.in_archive ? archive_ : content_)->get(); }
  // The whole content of a small file; InvalidArgument when it is larger than `limit_bytes`.
  absl::StatusOr<std::string> ReadAll(const File& file, size_t limit_bytes) const;
  // Without the paths for which `drop` says so.
  std::shared_ptr<const FileSet> Without(
      const std::function<bool(absl::string_view path)>& drop) const;

 private:
  std::shared_ptr<const UniqueFd> content_;
  std::shared_ptr<const UniqueFd> archive_;  // null: none
  std::string name_;                         // of the directory, for errors
  std::map<std::string, File, std::less<>> files_;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_FILES_FILE_SET_H_
