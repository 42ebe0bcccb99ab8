#include "services/build/store/rocksdb_cache_store.h"

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "base/storage/small_database.h"
#include "slipway/storage/v1/build.pb.h"

namespace slipway::build {
namespace {

constexpr char kFormat[] = "1";
constexpr char kStepPrefix[] = "s/";

std::string StepKey(const std::string& key) { return absl::StrCat(kStepPrefix, key); }

}  // namespace

absl::StatusOr<std::unique_ptr<RocksDbCacheStore>> RocksDbCacheStore::Open(
    const std::string& directory) {
  ASSIGN_OR_RETURN(std::unique_ptr<rocksdb::DB> db, OpenSmallDatabase(directory, kFormat));
  return std::unique_ptr<RocksDbCacheStore>(new RocksDbCacheStore(std::move(db)));
}

RocksDbCacheStore::RocksDbCacheStore(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)) {
  syncer_.emplace(db_.get());
}

RocksDbCacheStore::~RocksDbCacheStore() { syncer_.reset(); }

absl::StatusOr<std::vector<CachedStep>> RocksDbCacheStore::Load() {
  std::vector<CachedStep> steps;
  const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(rocksdb::ReadOptions()));
  for (at->Seek(kStepPrefix); at->Valid() && at->key().starts_with(kStepPrefix); at->Next()) {
    storage::v1::StoredBuildStep stored;
    if (!stored.ParseFromArray(at->value().data(), static_cast<int>(at->value().size()))) {
      return absl::DataLossError("a stored build step cannot be read");
    }
    steps.push_back({.key = at->key().ToString().substr(sizeof(kStepPrefix) - 1),
                     .parent = stored.parent(),
                     .image_id = stored.image_id(),
                     .description = stored.description(),
                     .created_unix_ns = stored.created_unix_ns(),
                     .last_used_unix_ns = stored.last_used_unix_ns(),
                     .use_count = stored.use_count()});
  }
  RETURN_IF_ERROR(FromRocks(at->status(), "read the build steps"));
  return steps;
}

absl::Status RocksDbCacheStore::Put(const CachedStep& step) {
  storage::v1::StoredBuildStep stored;
  stored.set_parent(step.parent);
  stored.set_image_id(step.image_id);
  stored.set_description(step.description);
  stored.set_created_unix_ns(step.created_unix_ns);
  stored.set_last_used_unix_ns(step.last_used_unix_ns);
  stored.set_use_count(step.use_count);
  RETURN_IF_ERROR(
      FromRocks(db_->Put(rocksdb::WriteOptions(), StepKey(step.key), stored.SerializeAsString()),
                "write a build step"));
  syncer_->Written();
  return absl::OkStatus();
}

absl::Status RocksDbCacheStore::Delete(const std::vector<std::string>& keys) {
  rocksdb::WriteBatch batch;
  for (const std::string& key : keys) batch.Delete(StepKey(key));
  RETURN_IF_ERROR(FromRocks(db_->Write(rocksdb::WriteOptions(), &batch), "delete build steps"));
  syncer_->Written();
  return absl::OkStatus();
}

}  // namespace slipway::build
