#include "services/container/store/rocksdb_store.h"

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <utility>

#include "absl/container/btree_map.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "base/storage/small_database.h"
#include "services/container/store/record_codec.h"

namespace slipway::container {
namespace {

constexpr char kFormat[] = "1";

std::string EventKey(uint64_t sequence) {
  std::string key = "e/00000000";
  for (size_t i = 0; i < 8; ++i) key[9 - i] = static_cast<char>(sequence >> (8 * i));
  return key;
}

uint64_t SequenceOf(absl::string_view eight_bytes) {
  uint64_t sequence = 0;
  for (const char byte : eight_bytes) sequence = sequence << 8 | static_cast<unsigned char>(byte);
  return sequence;
}

std::string DefinitionKey(absl::string_view id) { return absl::StrCat("c/", id, "/d"); }
std::string StateKey(absl::string_view id) { return absl::StrCat("c/", id, "/s"); }
std::string IntentKey(absl::string_view id) { return absl::StrCat("i/", id); }
std::string NetworkKey(absl::string_view id) { return absl::StrCat("n/", id); }
std::string VolumeKey(absl::string_view name) { return absl::StrCat("v/", name); }
std::string AgentKey(absl::string_view host) { return absl::StrCat("a/", host); }

// Two records of one container, until both are there.
struct Halves {
  std::shared_ptr<const Definition> definition;
  std::optional<Container> state;
};

absl::Status LoadOne(absl::string_view key, absl::string_view value, StoreContents& contents,
                     absl::btree_map<std::string, Halves>& halves) {
  if (key.size() < 2) return absl::OkStatus();  // the format
  const absl::string_view name = key.substr(2);
  if (absl::StartsWith(key, "c/") && absl::EndsWith(name, "/d")) {
    ASSIGN_OR_RETURN(Definition definition, DecodeDefinition(value));
    halves[std::string(name.substr(0, name.size() - 2))].definition =
        std::make_shared<const Definition>(std::move(definition));
  } else if (absl::StartsWith(key, "c/") && absl::EndsWith(name, "/s")) {
    ASSIGN_OR_RETURN(halves[std::string(name.substr(0, name.size() - 2))].state,
                     DecodeState(value));
  } else if (absl::StartsWith(key, "i/")) {
    contents.intents.emplace_back(name);
  } else if (absl::StartsWith(key, "n/")) {
    ASSIGN_OR_RETURN(VirtualNetwork network, DecodeNetwork(value));
    contents.networks.push_back(std::make_shared<const VirtualNetwork>(std::move(network)));
  } else if (absl::StartsWith(key, "v/")) {
    ASSIGN_OR_RETURN(Volume volume, DecodeVolume(value));
    volume.name = std::string(name);
    contents.volumes.push_back(std::make_shared<const Volume>(std::move(volume)));
  } else if (absl::StartsWith(key, "e/") && name.size() == 8) {
    ASSIGN_OR_RETURN(Event event, DecodeEvent(value));
    event.sequence = SequenceOf(name);
    contents.events.push_back(std::make_shared<const Event>(std::move(event)));
  } else if (absl::StartsWith(key, "a/")) {
    uint64_t sequence = 0;
    if (!absl::SimpleAtoi(value, &sequence)) {
      return absl::DataLossError("a stored agent sequence cannot be read");
    }
    contents.agent_sequences.emplace_back(std::string(name), sequence);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RocksDbStore>> RocksDbStore::Open(const std::string& directory) {
  ASSIGN_OR_RETURN(std::unique_ptr<rocksdb::DB> db, OpenSmallDatabase(directory, kFormat));
  return std::unique_ptr<RocksDbStore>(new RocksDbStore(std::move(db)));
}

RocksDbStore::RocksDbStore(std::unique_ptr<rocksdb::DB> db)
    : db_(std::move(db)), syncer_(std::in_place, db_.get()) {}

RocksDbStore::~RocksDbStore() {
  syncer_.reset();
  db_->Close();
}

absl::StatusOr<StoreContents> RocksDbStore::Load() {
  StoreContents contents;
  absl::btree_map<std::string, Halves> halves;
  std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(rocksdb::ReadOptions()));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    RETURN_IF_ERROR(LoadOne(absl::string_view(at->key().data(), at->key().size()),
                            absl::string_view(at->value().data(), at->value().size()), contents,
                            halves));
  }
  RETURN_IF_ERROR(FromRocks(at->status(), "read the store"));
  for (auto& [id, half] : halves) {
    if (half.definition == nullptr || !half.state.has_value()) {
      return absl::DataLossError(
          absl::StrCat("half of the record of container ", id, " is missing"));
    }
    half.state->definition = std::move(half.definition);
    contents.containers.push_back(*std::move(half.state));
  }
  return contents;
}

absl::Status RocksDbStore::Write(const StoreBatch& batch, Durability durability) {
  rocksdb::WriteBatch write;
  if (batch.put_definition != nullptr) {
    write.Put(DefinitionKey(batch.put_definition->id), EncodeDefinition(*batch.put_definition));
  }
  if (batch.put_container != nullptr) {
    write.Put(StateKey(batch.put_container->id()), EncodeState(*batch.put_container));
  }
  if (!batch.delete_container.empty()) {
    write.Delete(DefinitionKey(batch.delete_container));
    write.Delete(StateKey(batch.delete_container));
  }
  if (!batch.put_intent.empty()) write.Put(IntentKey(batch.put_intent), "");
  if (!batch.delete_intent.empty()) write.Delete(IntentKey(batch.delete_intent));
  if (batch.put_network != nullptr) {
    write.Put(NetworkKey(batch.put_network->id), EncodeNetwork(*batch.put_network));
  }
  if (!batch.delete_network.empty()) write.Delete(NetworkKey(batch.delete_network));
  if (batch.put_volume != nullptr) {
    write.Put(VolumeKey(batch.put_volume->name), EncodeVolume(*batch.put_volume));
  }
  if (!batch.delete_volume.empty()) write.Delete(VolumeKey(batch.delete_volume));
  for (const EventPtr& event : batch.events) {
    write.Put(EventKey(event->sequence), EncodeEvent(*event));
  }
  if (batch.delete_event != 0) {
    for (uint64_t i = batch.delete_event; i <= batch.delete_event_last; ++i) {
      write.Delete(EventKey(i));
    }
  }
  if (!batch.agent_host.empty()) {
    write.Put(AgentKey(batch.agent_host), absl::StrCat(batch.agent_sequence));
  }
  rocksdb::WriteOptions options;
  options.sync = durability == Durability::kSynced;
  RETURN_IF_ERROR(FromRocks(db_->Write(options, &write), "write to the store"));
  if (durability == Durability::kSoon) syncer_->Written();
  return absl::OkStatus();
}

}  // namespace slipway::container
