#include "services/build/store/rocksdb_cache_store.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace slipway::build {
namespace {

class RocksDbCacheStoreTest : public testing::Test {
 protected:
  RocksDbCacheStoreTest() {
    char name[] = "/tmp/build-store-XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~RocksDbCacheStoreTest() override { std::filesystem::remove_all(directory_); }

  std::string directory_;
};

TEST_F(RocksDbCacheStoreTest, TheErrorNamesTheDirectory) {
  const auto store = RocksDbCacheStore::Open("/proc/none/db");
  ASSERT_FALSE(store.ok());
  EXPECT_NE(store.status().message().find("/proc/none"), absl::string_view::npos);
}

TEST_F(RocksDbCacheStoreTest, StepsAreThereAgain) {
  {
    const auto store = RocksDbCacheStore::Open(directory_ + "/db");
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_TRUE((*store)->Load()->empty());
    for (const char* key : {"a", "b", "c"}) {
      ASSERT_TRUE((*store)
                      ->Put({.key = key,
                             .parent = "p",
                             .image_id = "i",
                             .description = "\xff bytes",
                             .created_unix_ns = 1,
                             .last_used_unix_ns = 2,
                             .use_count = 3})
                      .ok());
    }
    ASSERT_TRUE((*store)->Delete({"b", "none"}).ok());
  }
  const auto store = RocksDbCacheStore::Open(directory_ + "/db");
  const auto steps = (*store)->Load();
  ASSERT_EQ(steps->size(), 2);
  EXPECT_EQ((*steps)[1].key, "c");
  EXPECT_EQ((*steps)[1].description, "\xff bytes");
  EXPECT_EQ((*steps)[1].use_count, 3);
}

}  // namespace
}  // namespace slipway::build
