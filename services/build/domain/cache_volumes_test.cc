#include "services/build/domain/cache_volumes.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace slipway::build {
namespace {

class FakeVolumes : public Volumes {
 public:
  absl::StatusOr<std::vector<CacheVolume>> List() override {
    if (!broken.ok()) return broken;
    return all;
  }
  absl::Status Remove(const std::string& name) override {
    if (name == busy) return absl::FailedPreconditionError("volume is in use");
    removed.push_back(name);
    return absl::OkStatus();
  }

  absl::Status broken;
  std::string busy;
  std::vector<CacheVolume> all = {{"build-cache-c", 300, 1, false},
                                  {"build-cache-a", 100, 1, false},
                                  {"build-cache-b", 200, 1, true}};
  std::vector<std::string> removed;
};

using Names = std::vector<std::string>;

TEST(CacheVolumes, ServiceThatDoesNotAnswer) {
  FakeVolumes volumes;
  volumes.broken = absl::UnavailableError("down");
  EXPECT_TRUE(absl::IsUnavailable(PruneCacheVolumes({}, volumes).status()));
}

TEST(CacheVolumes, WhatIsInUseStays) {
  FakeVolumes volumes;
  volumes.busy = "build-cache-c";
  const auto outcome = PruneCacheVolumes({}, volumes);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(volumes.removed, Names({"build-cache-a"}));
  EXPECT_EQ(outcome->removed.ids, Names({"build-cache-a"}));
  EXPECT_EQ(outcome->removed.reclaimed_bytes, 100);
  EXPECT_EQ(outcome->kept_bytes, 500);
}

TEST(CacheVolumes, Filters) {
  FakeVolumes volumes;
  ASSERT_TRUE(PruneCacheVolumes({.until_unix_ns = 5}, volumes).ok());
  ASSERT_TRUE(PruneCacheVolumes({.ids = {"", "0123"}}, volumes).ok());
  EXPECT_EQ(volumes.removed, Names());
  // b is in use, and nothing more fits beside a and b.
  ASSERT_TRUE(PruneCacheVolumes({.keep_bytes = 350}, volumes).ok());
  EXPECT_EQ(volumes.removed, Names({"build-cache-c"}));
  ASSERT_TRUE(PruneCacheVolumes({.ids = {"build-cache-a"}}, volumes).ok());
  EXPECT_EQ(volumes.removed, Names({"build-cache-c", "build-cache-a"}));
}

}  // namespace
}  // namespace slipway::build
