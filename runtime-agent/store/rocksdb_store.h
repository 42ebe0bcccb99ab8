#ifndef RUNTIME_AGENT_STORE_ROCKSDB_STORE_H_
#define RUNTIME_AGENT_STORE_ROCKSDB_STORE_H_

#include <rocksdb/db.h>

#include <memory>
#include <string>
#include <utility>

#include "base/storage/wal_syncer.h"
#include "runtime-agent/ports/record_store.h"

namespace slipway::agent {

// Key space; values are slipway.storage.v1.agent messages. One change is one batch.
//   d/<container id>   Definition   written by prepare, removed with the container
//   a/<container id>   Actual       written at each change of state, in one batch with its event
//   e/<sequence, 8 bytes big endian>  HostEvent  appended; old ones fall off with new ones
//   x/<exec id>        Exec         written at start and end, removed 15 minutes after the end
//   n/<network id>     VirtualNetwork   written by put, removed with the network
//   m/host_id          text
class RocksdbStore : public RecordStore {
 public:
  // Makes the database where there is none. The error names the directory.
  static absl::StatusOr<std::unique_ptr<RocksdbStore>> Open(const std::string& directory);

  absl::StatusOr<StoredState> Load() override;
  absl::Status Save(const RecordChange& change) override;
  absl::Status SaveHostId(const std::string& host_id) override;

 private:
  explicit RocksdbStore(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)), syncer_(db_.get()) {}
  const std::unique_ptr<rocksdb::DB> db_;
  WalSyncer syncer_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_STORE_ROCKSDB_STORE_H_
