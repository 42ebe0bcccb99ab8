#include "runtime-agent/store/rocksdb_store.h"

#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"
#include "base/storage/small_database.h"
#include "runtime-agent/store/record_codec.h"

namespace slipway::agent {
namespace {

constexpr char kHostIdKey[] = "m/host_id";

std::string EventKey(uint64_t sequence) {
  std::string key = "e/";
  for (int shift = 56; shift >= 0; shift -= 8) {
    key.push_back(static_cast<char>(sequence >> shift & 0xff));
  }
  return key;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RocksdbStore>> RocksdbStore::Open(const std::string& directory) {
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status opened = OpenWhenUnlocked(SmallDatabaseOptions(), directory, &raw);
  RETURN_IF_ERROR(FromRocks(opened, absl::StrCat("open ", directory)));
  return std::unique_ptr<RocksdbStore>(new RocksdbStore(std::unique_ptr<rocksdb::DB>(raw)));
}

absl::StatusOr<StoredState> RocksdbStore::Load() {
  StoredState state;
  std::map<std::string, Actual> actuals;
  const std::unique_ptr<rocksdb::Iterator> entry(db_->NewIterator(rocksdb::ReadOptions()));
  for (entry->SeekToFirst(); entry->Valid(); entry->Next()) {
    const absl::string_view key(entry->key().data(), entry->key().size());
    const absl::string_view value(entry->value().data(), entry->value().size());
    if (key == kHostIdKey) {
      state.host_id = std::string(value);
    } else if (absl::StartsWith(key, "a/")) {
      ASSIGN_OR_RETURN(actuals[std::string(key.substr(2))], DecodeActual(value));
    } else if (absl::StartsWith(key, "d/")) {
      ASSIGN_OR_RETURN(Definition definition, DecodeDefinition(value));
      StoredContainer stored{std::move(definition), Actual{}};
      if (const auto found = actuals.find(stored.definition.id); found != actuals.end()) {
        stored.actual = found->second;
      }
      state.containers.push_back(std::move(stored));
    } else if (absl::StartsWith(key, "e/")) {
      ASSIGN_OR_RETURN(HostEvent event, DecodeEvent(value));
      state.events.push_back(std::move(event));
    } else if (absl::StartsWith(key, "x/")) {
      ASSIGN_OR_RETURN(ExecRecord exec, DecodeExec(value));
      state.execs.push_back(std::move(exec));
    } else if (absl::StartsWith(key, "n/")) {
      ASSIGN_OR_RETURN(NetworkDefinition network, DecodeNetwork(value));
      state.networks.push_back(std::move(network));
    } else {
      Log(LogLevel::kWarning, "an unknown key is in the database", {{"key", std::string(key)}});
    }
  }
  RETURN_IF_ERROR(FromRocks(entry->status(), "read the database"));
  return state;
}

absl::Status RocksdbStore::Save(const RecordChange& change) {
  rocksdb::WriteBatch batch;
  if (change.definition != nullptr) {
    batch.Put("d/" + change.definition->id, EncodeDefinition(*change.definition));
  }
  if (change.actual != nullptr) batch.Put("a/" + change.id, EncodeActual(*change.actual));
  if (!change.remove_id.empty()) {
    batch.Delete("d/" + change.remove_id);
    batch.Delete("a/" + change.remove_id);
  }
  if (change.event != nullptr)
    batch.Put(EventKey(change.event->sequence), EncodeEvent(*change.event));
  if (change.forget_events_through != 0) batch.Delete(EventKey(change.forget_events_through));
  if (change.exec != nullptr) batch.Put("x/" + change.exec->exec_id, EncodeExec(*change.exec));
  if (!change.remove_exec_id.empty()) batch.Delete("x/" + change.remove_exec_id);
  if (change.network != nullptr)
    batch.Put("n/" + change.network->id, EncodeNetwork(*change.network));
  if (!change.remove_network_id.empty()) batch.Delete("n/" + change.remove_network_id);
  RETURN_IF_ERROR(FromRocks(db_->Write(rocksdb::WriteOptions(), &batch), "write to the database"));
  syncer_.Written();
  return absl::OkStatus();
}

absl::Status RocksdbStore::SaveHostId(const std::string& host_id) {
  rocksdb::WriteOptions options;
  options.sync = true;
  return FromRocks(db_->Put(options, kHostIdKey, host_id), "write to the database");
}

}  // namespace slipway::agent
