#include "runtime-agent/domain/volumes.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/os/file.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/kernel/mount_source.h"

namespace slipway::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class VolumesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "mounting needs root";
    char path[] = "/var/tmp/slipway_volumes_XXXXXX";
    directory_ = mkdtemp(path);
    Restart();
    std::filesystem::create_directories(directory_ + "/image/data/sub");
    ASSERT_TRUE(WriteFileAtomically(directory_ + "/image/data/file", "content").ok());
    image_ = UniqueFd(open((directory_ + "/image").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override {
    if (directory_.empty()) return;
    for (const std::string& name : volumes_->List()) {
      umount2(Data(name).c_str(), MNT_DETACH);
    }
    std::filesystem::remove_all(directory_);
  }
  // What a killed agent's successor has.
  void Restart() {
    auto opened = Volumes::Open(directory_ + "/volumes");
    ASSERT_TRUE(opened.ok()) << opened.status();
    volumes_ = *std::move(opened);
  }
  std::string Data(const std::string& name) { return directory_ + "/volumes/" + name + "/_data"; }
  std::string Read(const std::string& path) { return ReadFile(path).value_or("none"); }

  static constexpr char kTmpfs[] = "tmpfs";
  std::string directory_;
  UniqueFd image_;
  std::unique_ptr<Volumes> volumes_;
};

TEST_F(VolumesTest, WhatCannotBeMadeLeavesNothing) {
  for (const char* bad : {"", ".removed", "../up", "a/b"}) {
    EXPECT_FALSE(volumes_->Create(bad, {}).ok()) << bad;
    EXPECT_FALSE(volumes_->Remove(bad).ok()) << bad;
  }
  EXPECT_FALSE(volumes_->Create("huge", {.size_bytes = int64_t{1} << 60}).ok());
  EXPECT_THAT(volumes_->List(), IsEmpty());
  EXPECT_TRUE(volumes_->Remove("unknown").ok());
  EXPECT_EQ(volumes_->Measure("unknown"), -1);
}

TEST_F(VolumesTest, AMountThatFailsSaysWhich) {
  ASSERT_TRUE(
      volumes_->Create("bound", {.type = "none", .device = "/nowhere", .mount_options = "bind"})
          .ok());
  const absl::Status used = volumes_->Use("bound", "user");
  EXPECT_THAT(used.message(), HasSubstr("failed to mount local volume: mount /nowhere:"));
  EXPECT_TRUE(volumes_->Remove("bound").ok());
}

TEST_F(VolumesTest, MountsLastAsLongAsUsers) {
  ASSERT_TRUE(volumes_->Create("memory", {.type = kTmpfs, .device = kTmpfs}).ok());
  EXPECT_FALSE(IsMountPoint(Data("memory")));
  ASSERT_TRUE(volumes_->Use("memory", "first").ok());
  ASSERT_TRUE(volumes_->Use("memory", "second").ok());
  ASSERT_TRUE(WriteFileAtomically(Data("memory") + "/file", "shared").ok());
  volumes_->Release("memory", "first");
  volumes_->Release("memory", "nobody");
  EXPECT_EQ(Read(Data("memory") + "/file"), "shared");
  EXPECT_EQ(volumes_->Measure("memory"), 6);
  volumes_->Release("memory", "second");
  EXPECT_FALSE(IsMountPoint(Data("memory")));
}

TEST_F(VolumesTest, WhatAKilledAgentLeftMountedIsUnmountedUnlessItIsUsed) {
  ASSERT_TRUE(volumes_->Create("memory", {.type = kTmpfs, .device = kTmpfs}).ok());
  ASSERT_TRUE(volumes_->Use("memory", "container").ok());
  Restart();
  volumes_->Adopt("memory", "container");
  EXPECT_EQ(volumes_->ReapUnused(), 0);
  EXPECT_TRUE(IsMountPoint(Data("memory")));
  Restart();
  EXPECT_EQ(volumes_->ReapUnused(), 1);
  EXPECT_FALSE(IsMountPoint(Data("memory")));
}

TEST_F(VolumesTest, ASizeIsALimit) {
  ASSERT_TRUE(volumes_->Create("small", {.size_bytes = 8 << 20}).ok());
  ASSERT_TRUE(volumes_->Use("small", "user").ok());
  EXPECT_TRUE(WriteFileAtomically(Data("small") + "/kept", std::string(1 << 20, 'x')).ok());
  EXPECT_FALSE(WriteFileAtomically(Data("small") + "/more", std::string(8 << 20, 'x')).ok());
  volumes_->Release("small", "user");
  EXPECT_GT(volumes_->Measure("small"), 1 << 20);
  Restart();
  ASSERT_TRUE(volumes_->Create("small", {.size_bytes = 8 << 20}).ok());
  ASSERT_TRUE(volumes_->Use("small", "user").ok());
  EXPECT_EQ(Read(Data("small") + "/kept").size(), size_t{1} << 20);
  volumes_->Release("small", "user");
}

TEST_F(VolumesTest, AnEmptyVolumeIsFilledOnce) {
  ASSERT_TRUE(volumes_->Fill("data", image_.get(), "/data").ok());
  EXPECT_EQ(Read(Data("data") + "/file"), "content");
  ASSERT_TRUE(WriteFileAtomically(Data("data") + "/file", "changed").ok());
  std::filesystem::remove_all(Data("data") + "/sub");
  ASSERT_TRUE(volumes_->Fill("data", image_.get(), "/data").ok());
  EXPECT_EQ(Read(Data("data") + "/file"), "changed");
  EXPECT_FALSE(std::filesystem::exists(Data("data") + "/sub"));
  ASSERT_TRUE(volumes_->Create("small", {.size_bytes = 8 << 20}).ok());
  ASSERT_TRUE(volumes_->Fill("small", image_.get(), "/data").ok());
  EXPECT_FALSE(IsMountPoint(Data("small")));
  ASSERT_TRUE(volumes_->Use("small", "user").ok());
  EXPECT_EQ(Read(Data("small") + "/file"), "content");
  volumes_->Release("small", "user");
}

TEST_F(VolumesTest, AHalfFilledVolumeIsFilledAgainUnlessItWasUsed) {
  for (const bool used : {false, true}) {
    ASSERT_TRUE(volumes_->Ensure("half").ok());
    ASSERT_TRUE(WriteFileAtomically(directory_ + "/volumes/half/filling", "").ok());
    ASSERT_TRUE(WriteFileAtomically(Data("half") + "/file", "con").ok());
    Restart();
    if (used) {
      ASSERT_TRUE(volumes_->Use("half", "user").ok());
      volumes_->Release("half", "user");
    }
    ASSERT_TRUE(volumes_->Fill("half", image_.get(), "/data").ok());
    EXPECT_EQ(Read(Data("half") + "/file"), used ? "con" : "content");
    ASSERT_TRUE(volumes_->Remove("half").ok());
  }
}

TEST_F(VolumesTest, ARemovalFreesTheNameAtOnceAndAKilledOneIsFinished) {
  ASSERT_TRUE(volumes_->Create("data", {}).ok());
  ASSERT_TRUE(WriteFileAtomically(Data("data") + "/file", "old").ok());
  ASSERT_TRUE(volumes_->Remove("data").ok());
  EXPECT_THAT(volumes_->List(), IsEmpty());
  ASSERT_TRUE(volumes_->Create("data", {}).ok());
  EXPECT_EQ(Read(Data("data") + "/file"), "none");
  EXPECT_FALSE(std::filesystem::is_empty(directory_ + "/volumes/.removed"));
  Restart();
  volumes_->DeleteRemoved();
  EXPECT_TRUE(std::filesystem::is_empty(directory_ + "/volumes/.removed"));
  EXPECT_THAT(volumes_->List(), ElementsAre("data"));
}

TEST_F(VolumesTest, ForeignMountsAreNotDeleted) {
  ASSERT_TRUE(volumes_->Create("data", {}).ok());
  ASSERT_EQ(mount("tmpfs", Data("data").c_str(), "tmpfs", 0, nullptr), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(volumes_->Remove("data")));
  EXPECT_EQ(volumes_->ReapUnused(), 0);
  EXPECT_TRUE(IsMountPoint(Data("data")));
}

TEST_F(VolumesTest, NamesOfDirectories) {
  EXPECT_EQ(volumes_->NameOf(Data("data")), "data");
  EXPECT_EQ(volumes_->NameOf("/elsewhere/data/_data"), "");
  EXPECT_EQ(volumes_->NameOf(directory_ + "/volumes"), "");
}

}  // namespace
}  // namespace slipway::agent
