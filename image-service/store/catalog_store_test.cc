// The catalog on its real stores: what survives a restart, what a crash may leave, what removal
// does.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "image-service/domain/catalog.h"
#include "image-service/oci/json_image_format.h"
#include "image-service/store/file_content_store.h"
#include "image-service/store/rocksdb_metadata_store.h"

namespace slipway::image {
namespace {

namespace fs = std::filesystem;

class NoMetrics : public ImageMetrics {
 public:
  void OnFinished(absl::string_view, absl::string_view, absl::Duration) override {}
  void OnDownloaded(int64_t) override {}
  void OnResumed(int64_t) override {}
  void OnLayer(int64_t, absl::Duration) override {}
  void OnStore(int64_t, int64_t, int64_t, int64_t) override {}
};

class CatalogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/catalog_test_XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    root_ = pattern;
    Open();
  }
  void TearDown() override {
    Close();
    fs::remove_all(root_);
  }

  void Open() {
    content_ = FileContentStore::Open(root_).value();
    metadata_ = RocksdbMetadataStore::Open(root_ + "/db").value();
    catalog_ = Catalog::Open(*metadata_, *content_, format_, metrics_).value();
  }
  void Close() {
    catalog_.reset();
    metadata_.reset();
    content_.reset();
  }
  void Reopen() {
    Close();
    Open();
  }

  // An empty tar, padded so that each `seed` has content of its own.
  static std::string Tar(int seed) { return std::string(1024 + 512 * seed, '\0'); }

  LayerLease AddLayer(int seed, std::string boot_id = "") {
    auto sink = content_->NewLayer({}).value();
    auto blob = content_->NewBlob().value();
    const std::string tar = Tar(seed);
    EXPECT_TRUE(sink->Append(tar).ok());
    EXPECT_TRUE(blob->Append(tar).ok());
    const ConvertedLayer converted = sink->Finish().value();
    Layer layer;
    layer.blob = converted.blob;
    layer.diff_id = converted.diff_id;
    layer.blob_size_bytes = converted.blob_size_bytes;
    layer.tar_size_bytes = converted.tar_size_bytes;
    layer.erofs_size_bytes = converted.erofs_size_bytes;
    layer.created_unix_ns = absl::GetCurrentTimeNanos();
    layer.unsynced_boot_id = std::move(boot_id);
    return catalog_
        ->AddLayer(layer,
                   [&](bool have_file) -> absl::Status {
                     if (!have_file) {
                       const auto status = sink->Commit(content_->LayerPath(layer.diff_id));
                       if (!status.ok()) return status;
                     }
                     return blob->Commit(layer.blob);
                   })
        .value();
  }

  // An image of one layer, known as `names`; its id.
  Digest AddImage(int layer_seed, const std::vector<std::string>& names, int64_t created_s = 1) {
    LayerLease lease = AddLayer(layer_seed);
    const Layer layer = lease.layer();
    ImageDescription description;
    description.created_unix_ns = created_s * 1000000000;
    description.platform = {"linux", "amd64", ""};
    description.diff_ids = {layer.diff_id};
    description.config.labels = {{"number", absl::StrCat(created_s)}};
    PutImageCommand put;
    put.record.config_json = format_.WriteConfig(description);
    put.record.id = Digest::OfBytes(put.record.config_json);
    put.record.manifest_json = "{}";
    put.record.manifest_digest = Digest::OfBytes(absl::StrCat("manifest", created_s));
    put.record.layers.push_back({layer.blob, layer.diff_id, "tar"});
    put.layers.push_back(std::move(lease));
    for (const std::string& name : names) {
      put.references.push_back(ImageReference::Parse(name)->WithDefaultTag());
    }
    put.action = "load";
    const Digest id = put.record.id;
    EXPECT_TRUE(catalog_->Put(std::move(put)).ok());
    return id;
  }

  int Count(const std::string& directory) {
    int count = 0;
    std::error_code gone;  // the reaper takes trash away meanwhile
    for (const auto& entry : fs::directory_iterator(root_ + directory, gone)) {
      if (entry.path().filename().string().rfind("trash-", 0) != 0) ++count;
    }
    return count;
  }
  int Files() {
    return Count("/layers") + Count("/blobs/sha256") + Count("/partial") + Count("/tmp");
  }

  JsonImageFormat format_;
  NoMetrics metrics_;
  std::string root_;
  std::unique_ptr<FileContentStore> content_;
  std::unique_ptr<RocksdbMetadataStore> metadata_;
  std::unique_ptr<Catalog> catalog_;
};

TEST_F(CatalogTest, UnknownImagesAreNamed) {
  EXPECT_EQ(catalog_->Get("nosuch").status(), absl::NotFoundError("No such image: nosuch:latest"));
  EXPECT_EQ(catalog_->Get("UPPER").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(catalog_->Get("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::IsNotFound(catalog_->Get("sha256:12").status()));
  EXPECT_TRUE(absl::IsNotFound(catalog_->Remove({.reference = "nosuch", .force = true}).status()));
  EXPECT_TRUE(absl::IsNotFound(catalog_->Tag("nosuch", "a")));
  EXPECT_TRUE(absl::IsNotFound(catalog_->Acquire("nosuch", "c1").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(catalog_->Acquire("nosuch", "").status()));
  EXPECT_TRUE(catalog_->Release("nobody").ok());
}

TEST_F(CatalogTest, FilesWithoutRecordsAreRemovedAtStart) {
  Close();
  const std::string hex(64, 'a');
  for (const std::string& name : std::initializer_list<std::string>{
           "/layers/" + hex + ".erofs", "/layers/x", "/blobs/sha256/" + hex,
           std::string("/tmp/blob-1"), "/partial/" + hex}) {
    std::ofstream(root_ + name) << "x";
  }
  Open();
  EXPECT_EQ(Files(), 1);  // the partial blob is young
  fs::last_write_time(root_ + "/partial/" + hex,
                      fs::file_time_type::clock::now() - std::chrono::hours(25));
  Reopen();
  EXPECT_EQ(Files(), 0);
}

TEST_F(CatalogTest, LayersOfAnInterruptedPullStayForTheNext) {
  Digest blob;
  {
    const LayerLease lease = AddLayer(1);
    blob = lease.layer().blob;
  }
  Reopen();
  EXPECT_TRUE(catalog_->LeaseLayer(blob).has_value());
  EXPECT_TRUE(catalog_->List({})->empty());
  {
    const auto lease = catalog_->LeaseLayer(blob);
    catalog_->DropUnused({blob});
    EXPECT_EQ(Files(), 2);
  }
  catalog_->DropUnused({blob});
  content_->EmptyTrash();
  EXPECT_EQ(Files(), 0);
  EXPECT_FALSE(catalog_->LeaseLayer(blob).has_value());
}

TEST_F(CatalogTest, AMissingFileIsMissedUntilItComesAnew) {
  AddImage(1, {"broken"}, 1);
  AddImage(2, {"whole"}, 2);
  const Layer layer = catalog_->Get("broken")->image->layers[0];
  Close();
  fs::remove(root_ + "/layers/" + layer.diff_id.hex() + ".erofs");
  Open();
  // The image stays; its layer counts as not there.
  EXPECT_TRUE(catalog_->Get("broken").ok());
  EXPECT_FALSE(catalog_->LeaseLayer(layer.blob).has_value());
  EXPECT_TRUE(catalog_->LeaseForRepair(layer.blob).has_value());
  EXPECT_EQ(catalog_->Blobs(/*only_damaged=*/true), std::vector<Digest>{layer.blob});
  EXPECT_TRUE(catalog_->LeaseLayer(catalog_->Get("whole")->image->layers[0].blob).has_value());
  AddImage(1, {"broken"}, 1);
  EXPECT_TRUE(catalog_->LeaseLayer(layer.blob).has_value());
  EXPECT_TRUE(catalog_->Blobs(/*only_damaged=*/true).empty());
}

TEST_F(CatalogTest, UnsyncedLayersAreMadeAgainAfterAPowerCut) {
  Layer layer;
  {
    const LayerLease lease = AddLayer(1, "an-earlier-boot");
    layer = lease.layer();
  }
  Close();
  const std::string path = root_ + "/layers/" + layer.diff_id.hex() + ".erofs";
  fs::resize_file(path, 10);
  Open();
  const auto lease = catalog_->LeaseLayer(layer.blob);
  ASSERT_TRUE(lease.has_value());
  EXPECT_EQ(static_cast<int64_t>(fs::file_size(path)), lease->layer().erofs_size_bytes);
  EXPECT_EQ(lease->layer().erofs_size_bytes, layer.erofs_size_bytes);
  EXPECT_EQ(lease->layer().unsynced_boot_id, "");
}

TEST_F(CatalogTest, ADamagedBlobOfAnUnsyncedLayerIsForgotten) {
  Layer layer;
  {
    const LayerLease lease = AddLayer(1, "an-earlier-boot");
    layer = lease.layer();
  }
  Close();
  std::fstream(root_ + "/blobs/sha256/" + layer.blob.hex()) << "damage";
  Open();
  EXPECT_FALSE(catalog_->LeaseLayer(layer.blob).has_value());
  EXPECT_EQ(Files(), 0);
}

TEST_F(CatalogTest, EverythingSurvivesARestart) {
  const Digest id = AddImage(1, {"a:1", "b"});
  ASSERT_TRUE(catalog_->Acquire("a:1", "c1").ok());
  ASSERT_TRUE(catalog_->Tag("b", "me/c:2").ok());
  Reopen();
  const auto view = catalog_->Get(id.ShortHex());
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->repo_tags, (std::vector<std::string>{"a:1", "b:latest", "me/c:2"}));
  EXPECT_EQ(view->owner_count, 1);
  EXPECT_EQ(catalog_->Owners(), std::vector<std::string>{"c1"});
  EXPECT_EQ(catalog_->events().last_sequence(), 2u);
  EXPECT_EQ(catalog_->Get("b")->image->id, id);
  EXPECT_EQ(catalog_->Get(id.ToString())->image->id, id);
  EXPECT_EQ(catalog_->Get(id.hex())->image->id, id);
}

TEST_F(CatalogTest, TagsMoveAndLeaveADanglingImage) {
  const Digest first = AddImage(1, {"a"}, 1);
  const Digest second = AddImage(2, {"a"}, 2);
  EXPECT_EQ(catalog_->Get("a")->image->id, second);
  EXPECT_TRUE(catalog_->Get(first.hex())->repo_tags.empty());
  ListFilter dangling;
  dangling.dangling = true;
  ASSERT_EQ(catalog_->List(dangling)->size(), 1u);
  EXPECT_EQ(catalog_->List(dangling)->at(0).image->id, first);
}

TEST_F(CatalogTest, Lists) {
  AddImage(1, {"a:1", "x/a:2"}, 1);
  AddImage(2, {"b:1"}, 2);
  AddImage(3, {"c:1"}, 3);
  EXPECT_EQ(catalog_->List({})->front().repo_tags[0], "c:1");
  ListFilter filter;
  filter.references = {"x/*"};
  ASSERT_EQ(catalog_->List(filter)->size(), 1u);
  EXPECT_EQ(catalog_->List(filter)->at(0).repo_tags, std::vector<std::string>{"x/a:2"});
  filter = {};
  filter.labels = {"number=2"};
  EXPECT_EQ(catalog_->List(filter)->at(0).repo_tags[0], "b:1");
  filter.labels = {"nosuch"};
  EXPECT_TRUE(catalog_->List(filter)->empty());
  filter = {};
  filter.before = "c:1";
  filter.since = "a:1";
  ASSERT_EQ(catalog_->List(filter)->size(), 1u);
  EXPECT_EQ(catalog_->List(filter)->at(0).repo_tags[0], "b:1");
  filter.before = "nosuch";
  EXPECT_FALSE(catalog_->List(filter).ok());
}

TEST_F(CatalogTest, RemovingTheLastNameRemovesAll) {
  const Digest id = AddImage(1, {"a:1", "a:2"});
  auto outcome = catalog_->Remove({.reference = "a:1"});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->untagged, std::vector<std::string>{"a:1"});
  EXPECT_TRUE(outcome->deleted.empty());
  outcome = catalog_->Remove({.reference = "a:2"});
  ASSERT_TRUE(outcome.ok());
  ASSERT_EQ(outcome->deleted.size(), 2u);
  EXPECT_EQ(outcome->deleted[0], id.ToString());
  EXPECT_EQ(Files(), 0);
  Reopen();
  EXPECT_TRUE(catalog_->List({})->empty());
}

TEST_F(CatalogTest, SharedLayersStay) {
  AddImage(1, {"a"}, 1);
  AddImage(1, {"b"}, 2);
  ASSERT_TRUE(catalog_->Remove({.reference = "a"}).ok());
  EXPECT_EQ(Files(), 2);
  ASSERT_TRUE(catalog_->Remove({.reference = "b"}).ok());
  EXPECT_EQ(Files(), 0);
}

TEST_F(CatalogTest, ALayerAtWorkIsNotRemoved) {
  AddImage(1, {"a"});
  const auto lease = catalog_->LeaseLayer(catalog_->Get("a")->image->layers[0].blob);
  ASSERT_TRUE(catalog_->Remove({.reference = "a"}).ok());
  EXPECT_EQ(Files(), 2);
}

TEST_F(CatalogTest, ConflictsInDockersWords) {
  const Digest id = AddImage(1, {"a"});
  ASSERT_TRUE(catalog_->Acquire("a", std::string(64, 'c')).ok());
  EXPECT_EQ(catalog_->Remove({.reference = "a"}).status(),
            absl::FailedPreconditionError(absl::StrCat(
                "conflict: unable to remove repository reference \"a\" (must force) - container ",
                "cccccccccccc is using its referenced image ", id.ShortHex())));
  for (const bool force : {false, true}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(
        catalog_->Remove({.reference = id.hex(), .force = force}).status()));
  }
  const auto forced = catalog_->Remove({.reference = "a", .force = true});
  ASSERT_TRUE(forced.ok());
  EXPECT_EQ(forced->untagged, std::vector<std::string>{"a:latest"});
  EXPECT_TRUE(forced->deleted.empty());
  EXPECT_TRUE(catalog_->Get(id.hex()).ok());
  ASSERT_TRUE(catalog_->Release(std::string(64, 'c')).ok());
  EXPECT_TRUE(catalog_->Remove({.reference = id.hex()}).ok());
  EXPECT_EQ(Files(), 0);
}

TEST_F(CatalogTest, AnImageGoesFromUnderStoppedContainersByForceAndTheirLayersStay) {
  const std::string stopped(64, 'c');
  const std::string running(64, 'd');
  const Digest id = AddImage(1, {"a"});
  ASSERT_TRUE(catalog_->Acquire("a", stopped).ok());
  ASSERT_TRUE(catalog_->Acquire("a", running).ok());
  const auto remove = [&](const std::string& reference, bool force, std::set<std::string> runs) {
    return catalog_->Remove({.reference = reference, .force = force, .running_owners = runs});
  };
  EXPECT_EQ(remove(id.hex(), true, {running}).status(),
            absl::FailedPreconditionError(absl::StrCat(
                "conflict: unable to delete ", id.ShortHex(),
                " (cannot be forced) - image is being used by running container dddddddddddd")));
  ASSERT_TRUE(catalog_->Release(running).ok());
  EXPECT_EQ(remove(id.hex(), false, {}).status(),
            absl::FailedPreconditionError(absl::StrCat(
                "conflict: unable to delete ", id.ShortHex(),
                " (must be forced) - image is being used by stopped container cccccccccccc")));
  const auto removed = remove("a", true, {});
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(removed->untagged, std::vector<std::string>{"a:latest"});
  EXPECT_EQ(removed->deleted, std::vector<std::string>{id.ToString()});
  EXPECT_TRUE(absl::IsNotFound(catalog_->Get(id.hex()).status()));
  EXPECT_TRUE(catalog_->List({.all = true})->empty());
  Reopen();
  EXPECT_TRUE(absl::IsNotFound(catalog_->Get(id.hex()).status()));
  EXPECT_EQ(Files(), 2);
  EXPECT_TRUE(catalog_->Acquire(id.ToString(), stopped).ok());
  EXPECT_FALSE(catalog_->Acquire(id.ToString(), running).ok());
  ASSERT_TRUE(catalog_->Release(stopped).ok());
  EXPECT_EQ(Files(), 0);
  Reopen();
  EXPECT_TRUE(catalog_->Owners().empty());
}

TEST_F(CatalogTest, ARemovedImageThatComesAgainIsOneAgain) {
  const Digest id = AddImage(1, {"a"});
  ASSERT_TRUE(catalog_->Acquire("a", "c1").ok());
  ASSERT_TRUE(
      catalog_->Remove({.reference = "a", .force = true, .running_owners = std::set<std::string>()})
          .ok());
  EXPECT_EQ(AddImage(1, {"b"}), id);
  Reopen();
  EXPECT_EQ(catalog_->Get("b")->owner_count, 1);
  ASSERT_TRUE(catalog_->Release("c1").ok());
  EXPECT_EQ(catalog_->Get("b")->owner_count, 0);
  EXPECT_EQ(Files(), 2);
}

TEST_F(CatalogTest, AnIdInTwoRepositoriesMustBeForced) {
  const Digest id = AddImage(1, {"a", "b"});
  const auto refused = catalog_->Remove({.reference = id.ShortHex()});
  EXPECT_TRUE(absl::StrContains(refused.status().message(), "referenced in multiple repositories"));
  EXPECT_EQ(catalog_->Remove({.reference = id.ShortHex(), .force = true})->untagged.size(), 2u);
}

TEST_F(CatalogTest, AcquireIsIdempotent) {
  AddImage(1, {"a"});
  ASSERT_TRUE(catalog_->Acquire("a", "c1").ok());
  EXPECT_EQ(catalog_->Acquire("a", "c1")->owner_count, 1);
  ASSERT_TRUE(catalog_->Release("c1").ok());
  ASSERT_TRUE(catalog_->Release("c1").ok());
  EXPECT_EQ(catalog_->Get("a")->owner_count, 0);
}

TEST_F(CatalogTest, EventsAreBoundedAndResume) {
  AddImage(1, {"a"});
  int woken = 0;
  const int watcher = catalog_->events().Watch([&] { ++woken; });
  for (size_t i = 0; i < EventLog::kMaxEvents + 5; ++i) ASSERT_TRUE(catalog_->Tag("a", "b").ok());
  catalog_->events().Unwatch(watcher);
  EXPECT_EQ(woken, static_cast<int>(EventLog::kMaxEvents + 5));
  const uint64_t last = catalog_->events().last_sequence();
  EXPECT_EQ(last, EventLog::kMaxEvents + 6);
  Reopen();
  EXPECT_EQ(catalog_->events().last_sequence(), last);
  EXPECT_EQ(catalog_->events().After(0, 5000).size(), EventLog::kMaxEvents);
  EXPECT_EQ(catalog_->events().After(last - 1, 10).size(), 1u);
  EXPECT_EQ(catalog_->events().After(last - 1, 10)[0].action, "tag");
  EXPECT_EQ(metadata_->Load()->events.size(), EventLog::kMaxEvents);
}

TEST_F(CatalogTest, ResumedBlobsKeepWhatArrived) {
  const Digest digest = Digest::OfBytes("hello");
  {
    auto writer = content_->ResumeBlob(digest).value();
    ASSERT_TRUE(writer->Append("hel").ok());
  }
  Reopen();
  auto writer = content_->ResumeBlob(digest).value();
  EXPECT_EQ(writer->size_bytes(), 3);
  std::string seen;
  ASSERT_TRUE(writer
                  ->ForEachChunk([&](absl::string_view bytes) {
                    absl::StrAppend(&seen, bytes);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(seen, "hel");
  ASSERT_TRUE(writer->Append("lo").ok());
  ASSERT_TRUE(writer->Commit(digest).ok());
  EXPECT_TRUE(content_->HasBlob(digest, 5));
  EXPECT_FALSE(content_->HasBlob(digest, 6));
  EXPECT_EQ(Count("/partial"), 0);
}

}  // namespace
}  // namespace slipway::image
