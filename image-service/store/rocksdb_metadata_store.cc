#include "image-service/store/rocksdb_metadata_store.h"

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status/status_macros.h"
#include "base/storage/small_database.h"
#include "image-service/store/stored_messages.h"

namespace slipway::image {
namespace {

absl::Status FromRocksdb(const rocksdb::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat(what, ": ", status.ToString());
  if (status.IsNotFound()) return absl::NotFoundError(message);
  if (status.IsCorruption()) return absl::DataLossError(message);
  if (status.IsNoSpace()) return absl::ResourceExhaustedError(message);
  return absl::InternalError(message);
}

std::string ImageKey(const Digest& id) { return absl::StrCat("i/", id.ToString()); }
std::string LayerKey(const Digest& blob) { return absl::StrCat("l/", blob.ToString()); }

constexpr char kStateKey[] = "m/state";

std::string EventKey(uint64_t sequence) {
  std::string key = "e/";
  for (int shift = 56; shift >= 0; shift -= 8) {
    key.push_back(static_cast<char>((sequence >> shift) & 0xFF));
  }
  return key;
}

uint64_t SequenceOf(absl::string_view name) {
  uint64_t sequence = 0;
  for (const char c : name) sequence = sequence << 8 | static_cast<unsigned char>(c);
  return sequence;
}

// Adds the record under `key` to `snapshot`.
absl::Status ReadRecord(absl::string_view key, absl::string_view value,
                        MetadataSnapshot& snapshot) {
  if (key.size() < 3 || key[1] != '/') return absl::DataLossError("unknown key");
  const absl::string_view name = key.substr(2);
  switch (key[0]) {
    case 'i': {
      ASSIGN_OR_RETURN(ImageRecord record, DecodeImage(name, value));
      snapshot.images.push_back(std::move(record));
      return absl::OkStatus();
    }
    case 'l': {
      ASSIGN_OR_RETURN(Layer layer, DecodeLayer(name, value));
      snapshot.layers.push_back(std::move(layer));
      return absl::OkStatus();
    }
    case 't': {
      ASSIGN_OR_RETURN(const Digest id, DecodeReference(value));
      snapshot.references.emplace_back(std::string(name), id);
      return absl::OkStatus();
    }
    case 'o': {
      ASSIGN_OR_RETURN(std::vector<Digest> ids, DecodeOwner(value));
      snapshot.owners.emplace_back(std::string(name), std::move(ids));
      return absl::OkStatus();
    }
    case 'e': {
      ASSIGN_OR_RETURN(ImageEvent event, DecodeEvent(SequenceOf(name), value));
      snapshot.events.push_back(std::move(event));
      return absl::OkStatus();
    }
    case 'm': {
      ASSIGN_OR_RETURN(snapshot.clean_shutdown_boot_id, DecodeCleanShutdown(value));
      return absl::OkStatus();
    }
    default:
      return absl::DataLossError("unknown key");
  }
}

bool ChangesOwnersOnly(const MetadataBatch& batch) {
  return batch.put_images.empty() && batch.delete_images.empty() && batch.put_references.empty() &&
         batch.delete_references.empty() && batch.put_layers.empty() &&
         batch.delete_layers.empty() && batch.put_events.empty();
}

}  // namespace

RocksdbMetadataStore::RocksdbMetadataStore(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)) {}
RocksdbMetadataStore::~RocksdbMetadataStore() = default;

absl::StatusOr<std::unique_ptr<RocksdbMetadataStore>> RocksdbMetadataStore::Open(
    const std::string& path) {
  rocksdb::DB* db = nullptr;
  RETURN_IF_ERROR(FromRocksdb(OpenWhenUnlocked(SmallDatabaseOptions(), path, &db),
                              absl::StrCat("open database ", path)));
  return std::unique_ptr<RocksdbMetadataStore>(
      new RocksdbMetadataStore(std::unique_ptr<rocksdb::DB>(db)));
}

absl::StatusOr<MetadataSnapshot> RocksdbMetadataStore::Load() {
  MetadataSnapshot snapshot;
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(options));
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    const absl::string_view key(iterator->key().data(), iterator->key().size());
    const absl::string_view value(iterator->value().data(), iterator->value().size());
    if (const absl::Status status = ReadRecord(key, value, snapshot); !status.ok()) {
      return absl::DataLossError(absl::StrCat("record ", key, ": ", status.message()));
    }
  }
  RETURN_IF_ERROR(FromRocksdb(iterator->status(), "read image metadata"));
  return snapshot;
}

absl::Status RocksdbMetadataStore::Apply(const MetadataBatch& batch) {
  rocksdb::WriteBatch writes;
  for (const ImageRecord& record : batch.put_images) {
    writes.Put(ImageKey(record.id), EncodeImage(record));
  }
  for (const Digest& id : batch.delete_images) writes.Delete(ImageKey(id));
  for (const auto& [name, id] : batch.put_references) {
    writes.Put(absl::StrCat("t/", name), EncodeReference(id));
  }
  for (const std::string& name : batch.delete_references) writes.Delete(absl::StrCat("t/", name));
  for (const Layer& layer : batch.put_layers) writes.Put(LayerKey(layer.blob), EncodeLayer(layer));
  for (const Digest& blob : batch.delete_layers) writes.Delete(LayerKey(blob));
  for (const auto& [owner, ids] : batch.put_owners) {
    writes.Put(absl::StrCat("o/", owner), EncodeOwner(ids));
  }
  for (const std::string& owner : batch.delete_owners) writes.Delete(absl::StrCat("o/", owner));
  for (const ImageEvent& event : batch.put_events) {
    writes.Put(EventKey(event.sequence), EncodeEvent(event));
  }
  if (batch.clean_shutdown_boot_id.has_value()) {
    if (batch.clean_shutdown_boot_id->empty()) {
      writes.Delete(kStateKey);
    } else {
      writes.Put(kStateKey, EncodeCleanShutdown(*batch.clean_shutdown_boot_id));
    }
  }
  if (batch.delete_events_through > 0) {
    // A batch adds few events, so that few can have become too old since the last one.
    const uint64_t through = batch.delete_events_through;
    const uint64_t count = batch.put_events.size();
    for (uint64_t i = 0; i < count && i < through; ++i) writes.Delete(EventKey(through - i));
  }
  rocksdb::WriteOptions options;
  options.sync = !ChangesOwnersOnly(batch);
  return FromRocksdb(db_->Write(options, &writes), "write image metadata");
}

absl::StatusOr<ImageRecord> RocksdbMetadataStore::ReadImage(const Digest& id) {
  std::string value;
  RETURN_IF_ERROR(FromRocksdb(db_->Get(rocksdb::ReadOptions(), ImageKey(id), &value),
                              absl::StrCat("read image ", id.ToString())));
  return DecodeImage(id.ToString(), value);
}

}  // namespace slipway::image
