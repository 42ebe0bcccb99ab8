#ifndef SERVICES_BUILD_PORTS_CACHE_STORE_H_
#define SERVICES_BUILD_PORTS_CACHE_STORE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace slipway::build {

// What a step made, by the digest of all that it was made of.
struct CachedStep {
  std::string key;  // sha256, hex
  std::string parent;
  std::string image_id;
  std::string description;
  int64_t created_unix_ns = 0;
  int64_t last_used_unix_ns = 0;
  int64_t use_count = 0;
};

// Keeps cached steps. One that is lost costs time and nothing else: writes are not synced at once.
// Thread-safe.
class CacheStore {
 public:
  virtual ~CacheStore() = default;
  virtual absl::StatusOr<std::vector<CachedStep>> Load() = 0;
  virtual absl::Status Put(const CachedStep& step) = 0;
  virtual absl::Status Delete(const std::vector<std::string>& keys) = 0;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_PORTS_CACHE_STORE_H_
