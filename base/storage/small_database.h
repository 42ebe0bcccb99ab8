#ifndef BASE_STORAGE_SMALL_DATABASE_H_
#define BASE_STORAGE_SMALL_DATABASE_H_

#include <rocksdb/db.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// A service's RocksDB that costs a few MB of memory.
namespace slipway {

rocksdb::Options SmallDatabaseOptions();

// ResourceExhausted: no space is left. DataLoss: what is stored is damaged. `what` was being done.
absl::Status FromRocks(const rocksdb::Status& status, absl::string_view what);

// rocksdb::DB::Open. A process that was killed holds its lock until the last of its threads has
// left the kernel, after its pid looks dead: that is waited for, 10 s at most.
rocksdb::Status OpenWhenUnlocked(const rocksdb::Options& options, const std::string& directory,
                                 rocksdb::DB** database);

// Makes the directory. Of a power cut only the end of the log that it tore is dropped. Under the
// key "f" is the format, written when the database is made; FailedPrecondition for another one.
absl::StatusOr<std::unique_ptr<rocksdb::DB>> OpenSmallDatabase(const std::string& directory,
                                                               absl::string_view format);

}  // namespace slipway

#endif  // BASE_STORAGE_SMALL_DATABASE_H_
