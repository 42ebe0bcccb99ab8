#ifndef BASE_STORAGE_WAL_SYNCER_H_
#define BASE_STORAGE_WAL_SYNCER_H_

#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace rocksdb {
class DB;
}

namespace slipway {

// Brings writes that were not synced to the disk within 100 ms, many with one sync, on a thread of
// its own. Such a write survives a killed process at once and a power cut a moment later.
// Thread-safe.
class WalSyncer {
 public:
  // `db` outlives it.
  explicit WalSyncer(rocksdb::DB* db);
  // Syncs what is left.
  ~WalSyncer();
  WalSyncer(const WalSyncer&) = delete;
  WalSyncer& operator=(const WalSyncer&) = delete;

  // After a write without sync.
  void Written() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  void Sync();

  rocksdb::DB* const db_;
  absl::Mutex mu_;
  bool dirty_ ABSL_GUARDED_BY(mu_) = false;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace slipway

#endif  // BASE_STORAGE_WAL_SYNCER_H_
