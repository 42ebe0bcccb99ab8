#include "base/storage/wal_syncer.h"

#include <rocksdb/db.h>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/logging/logging.h"

namespace slipway {
namespace {

constexpr absl::Duration kDelay = absl::Milliseconds(50);

}  // namespace

WalSyncer::WalSyncer(rocksdb::DB* db) : db_(db), thread_([this] { Run(); }) {}

WalSyncer::~WalSyncer() {
  {
    absl::MutexLock lock(&mu_);
    stop_ = true;
  }
  thread_.join();
  Sync();
}

void WalSyncer::Written() {
  absl::MutexLock lock(&mu_);
  dirty_ = true;
}

void WalSyncer::Run() {
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(
          +[](WalSyncer* self) { return self->dirty_ || self->stop_; }, this));
      if (stop_) return;
      // What is written meanwhile shares the sync.
      mu_.AwaitWithTimeout(absl::Condition(&stop_), kDelay);
      if (stop_) return;
      dirty_ = false;
    }
    Sync();
  }
}

void WalSyncer::Sync() {
  const rocksdb::Status synced = db_->SyncWAL();
  if (!synced.ok()) Log(LogLevel::kError, absl::StrCat("sync the log: ", synced.ToString()));
}

}  // namespace slipway
