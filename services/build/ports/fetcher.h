#ifndef SERVICES_BUILD_PORTS_FETCHER_H_
#define SERVICES_BUILD_PORTS_FETCHER_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::build {

struct Fetched {
  std::string content_type;
  int64_t modified_unix_s = 0;  // as the server says; 0: it does not
};

// Files of HTTP servers. Thread-safe.
class Fetcher {
 public:
  virtual ~Fetcher() = default;
  // NotFound, or Unavailable with what the server said. Bounded in size and time.
  virtual absl::StatusOr<Fetched> Fetch(
      const std::string& url, const std::function<absl::Status(absl::string_view)>& sink) = 0;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_PORTS_FETCHER_H_
