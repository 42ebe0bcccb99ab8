#include "base/storage/small_database.h"

#include <rocksdb/cache.h>
#include <rocksdb/table.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"

namespace slipway {
namespace {

constexpr char kFormatKey[] = "f";

}  // namespace

rocksdb::Options SmallDatabaseOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = 1 << 20;
  options.max_write_buffer_number = 2;
  options.max_open_files = 32;
  options.max_background_jobs = 1;
  options.max_total_wal_size = 4 << 20;
  options.max_manifest_file_size = 1 << 20;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 1 << 20;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.compression = rocksdb::kNoCompression;
  // Writers of a small batch each, on few processors: handing parts of the work on costs more.
  options.allow_concurrent_memtable_write = false;
  options.enable_write_thread_adaptive_yield = false;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(1 << 20, 0);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

absl::Status FromRocks(const rocksdb::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat(what, ": ", status.ToString());
  if (status.IsNoSpace()) return absl::ResourceExhaustedError(message);
  if (status.IsCorruption()) return absl::DataLossError(message);
  return absl::InternalError(message);
}

rocksdb::Status OpenWhenUnlocked(const rocksdb::Options& options, const std::string& directory,
                                 rocksdb::DB** database) {
  const absl::Time give_up = absl::Now() + absl::Seconds(10);
  while (true) {
    const rocksdb::Status opened = rocksdb::DB::Open(options, directory, database);
    const bool locked =
        opened.IsIOError() && absl::StrContains(opened.ToString(), "While lock file");
    if (!locked || absl::Now() > give_up) return opened;
    absl::SleepFor(absl::Milliseconds(10));
  }
}

absl::StatusOr<std::unique_ptr<rocksdb::DB>> OpenSmallDatabase(const std::string& directory,
                                                               absl::string_view format) {
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  rocksdb::Options options = SmallDatabaseOptions();
  // The end of the log that a power cut tore is dropped, nothing before it.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  rocksdb::DB* opened = nullptr;
  RETURN_IF_ERROR(
      FromRocks(OpenWhenUnlocked(options, directory, &opened), absl::StrCat("open ", directory)));
  std::unique_ptr<rocksdb::DB> db(opened);
  std::string found;
  const rocksdb::Status read = db->Get(rocksdb::ReadOptions(), kFormatKey, &found);
  if (read.IsNotFound()) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    RETURN_IF_ERROR(
        FromRocks(db->Put(synced, kFormatKey, std::string(format)), "write the format"));
    return db;
  }
  RETURN_IF_ERROR(FromRocks(read, "read the format"));
  if (found != format) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, " has format ", found, ", which this version does not know"));
  }
  return db;
}

}  // namespace slipway
