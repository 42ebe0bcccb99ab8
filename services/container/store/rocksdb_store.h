#ifndef SERVICES_CONTAINER_STORE_ROCKSDB_STORE_H_
#define SERVICES_CONTAINER_STORE_ROCKSDB_STORE_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/storage/wal_syncer.h"
#include "services/container/ports/store.h"

namespace rocksdb {
class DB;
}

namespace slipway::container {

// The container service's RocksDB, which only this process opens.
//
// Key space:
//   f              → "1"                         format; written by Open()
//   c/<id>/d       → StoredDefinition            create; deleted with the container
//   c/<id>/s       → StoredState                 every change of the container, with its events
//   i/<id>         → ""              before a create asks anybody; gone when it ended or was undone
//   n/<id>         → StoredNetwork               create; deleted with the network
//   v/<name>       → StoredVolume                each change of a volume; deleted with it
//   e/<sequence>   → StoredEvent     8 bytes, big endian; in the batch of what it reports
//   a/<host>       → decimal         the agent's last event in the records; in any batch
//
// A synced write is on the disk when Write() returns; concurrent ones share one sync. Others are in
// the kernel when it returns, which a killed process survives, and are synced within 100 ms.
// Thread-safe.
class RocksDbStore : public Store {
 public:
  // Makes the directory. The error names it; FAILED_PRECONDITION for a format that is not known.
  static absl::StatusOr<std::unique_ptr<RocksDbStore>> Open(const std::string& directory);
  ~RocksDbStore() override;

  absl::StatusOr<StoreContents> Load() override;
  absl::Status Write(const StoreBatch& batch, Durability durability) override;

 private:
  explicit RocksDbStore(std::unique_ptr<rocksdb::DB> db);

  const std::unique_ptr<rocksdb::DB> db_;
  std::optional<WalSyncer> syncer_;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_STORE_ROCKSDB_STORE_H_
