#ifndef SERVICES_LOG_OUTLETS_JSON_FILE_H_
#define SERVICES_LOG_OUTLETS_JSON_FILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"
#include "services/log/ports/outlet.h"

namespace slipway::log {

struct JsonFileOptions {
  std::string path;
  uint64_t max_bytes = 0;  // zero: never rotated
  uint64_t max_files = 1;
  std::map<std::string, std::string> attributes;
};

// The file that Docker's json-file driver writes, byte for byte: {"log":…,"stream":…,"time":…} per
// line; the file before this one is <path>.1, and so on. Each line is there once: what was written
// after the state that Open was given is cut off.
class JsonFile : public Outlet {
 public:
  // Makes the directory.
  static absl::StatusOr<std::unique_ptr<JsonFile>> Open(const JsonFileOptions& options,
                                                        const std::string& state);

  absl::Status Send(const std::vector<OutletLine>& lines) override;
  // The size of the file and its inode, "123 456".
  std::string State() const override;
  absl::Status Reopen() override;

 private:
  explicit JsonFile(const JsonFileOptions& options) : options_(options) {}
  absl::Status OpenLast();
  absl::Status Rotate();

  const JsonFileOptions options_;
  UniqueFd fd_;
  uint64_t size_ = 0;
  uint64_t inode_ = 0;
};

// One line of the file.
std::string JsonLine(const OutletLine& line, const std::map<std::string, std::string>& attributes);

}  // namespace slipway::log

#endif  // SERVICES_LOG_OUTLETS_JSON_FILE_H_
