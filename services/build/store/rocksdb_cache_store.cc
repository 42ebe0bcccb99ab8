#include "services/build/store/rocksdb_cache_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"
#include "slipway/storage/v1/build.pb.h"

namespace slipway::build {
namespace {

constexpr char kFormatKey[] = "f";
constexpr char kFormat[] = "1";
constexpr char kStepPrefix[] = "s/";

absl::Status FromRocks(const rocksdb::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat(what, ": ", status.ToString());
  if (status.IsNoSpace()) return absl::ResourceExhaustedError(message);
  if (status.IsCorruption()) return absl::DataLossError(message);
  return absl::InternalError(message);
}

rocksdb::Options MakeOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = 1 << 20;
  options.max_write_buffer_number = 2;
  options.max_open_files = 32;
  options.max_background_jobs = 1;
  options.max_total_wal_size = 4 << 20;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 1 << 20;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.compression = rocksdb::kNoCompression;
  // The end of the log that a power cut tore is dropped, nothing before it.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(1 << 20, 0);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

std::string StepKey(const std::string& key) { return absl::StrCat(kStepPrefix, key); }

}  // namespace

absl::StatusOr<std::unique_ptr<RocksDbCacheStore>> RocksDbCacheStore::Open(
    const std::string& directory) {
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  rocksdb::DB* opened = nullptr;
  RETURN_IF_ERROR(FromRocks(rocksdb::DB::Open(MakeOptions(), directory, &opened),
                            absl::StrCat("open ", directory)));
  std::unique_ptr<rocksdb::DB> db(opened);
  std::string format;
  const rocksdb::Status found = db->Get(rocksdb::ReadOptions(), kFormatKey, &format);
  if (found.IsNotFound()) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    RETURN_IF_ERROR(FromRocks(db->Put(synced, kFormatKey, kFormat), "write the format"));
  } else {
    RETURN_IF_ERROR(FromRocks(found, "read the format"));
    if (format != kFormat) {
      return absl::FailedPreconditionError(
          absl::StrCat(directory, " has the format ", format, ", which this version cannot read"));
    }
  }
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
