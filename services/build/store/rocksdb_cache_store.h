#ifndef SERVICES_BUILD_STORE_ROCKSDB_CACHE_STORE_H_
#define SERVICES_BUILD_STORE_ROCKSDB_CACHE_STORE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/storage/wal_syncer.h"
#include "services/build/ports/cache_store.h"

namespace rocksdb {
class DB;
}

namespace slipway::build {

// The build service's RocksDB, which only this process opens.
//
// Key space:
//   f         → "1"               format; written by Open()
//   s/<key>   → StoredBuildStep   a step that was made, and each use of it
//
// Writes are in the kernel when they return and are synced within 100 ms. Thread-safe.
class RocksDbCacheStore : public CacheStore {
 public:
  // Makes the directory. FailedPrecondition for a format that is not known.
  static absl::StatusOr<std::unique_ptr<RocksDbCacheStore>> Open(const std::string& directory);
  ~RocksDbCacheStore() override;

  absl::StatusOr<std::vector<CachedStep>> Load() override;
  absl::Status Put(const CachedStep& step) override;
  absl::Status Delete(const std::vector<std::string>& keys) override;

 private:
  explicit RocksDbCacheStore(std::unique_ptr<rocksdb::DB> db);

  const std::unique_ptr<rocksdb::DB> db_;
  std::optional<WalSyncer> syncer_;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_STORE_ROCKSDB_CACHE_STORE_H_
