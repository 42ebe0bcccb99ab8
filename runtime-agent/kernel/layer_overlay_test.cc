#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/os/file.h"
#include "gtest/gtest.h"
#include "runtime-agent/kernel/layer_mounts.h"
#include "runtime-agent/kernel/overlay.h"

namespace slipway::agent {
namespace {

namespace fs = std::filesystem;

class LayerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char directory[] = "/tmp/slipway-layers-XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    root_ = directory;
  }
  void TearDown() override { fs::remove_all(root_); }

  // An EROFS file with the tree that `fill` makes.
  std::string Layer(const std::string& name, const std::function<void(const std::string&)>& fill) {
    std::string tree = absl::StrCat(root_, "/", name, ".tree");
    fs::create_directory(tree);
    fill(tree);
    std::string image = absl::StrCat(root_, "/", name, ".erofs");
    std::string command = absl::StrCat("mkfs.erofs ", image, " ", tree, " >/dev/null 2>&1");
    EXPECT_EQ(system(command.c_str()), 0) << command;
    return image;
  }

  std::string ReadAt(const Mount& mount, const std::string& path) {
    auto content = ReadFile(absl::StrCat(DescriptorPath(mount.fd()), "/", path));
    return content.ok() ? *content : std::string(content.status().message());
  }

  UniqueFd Directory(const std::string& name) {
    fs::create_directory(root_ + "/" + name);
    return *OpenFile(root_ + "/" + name, O_PATH | O_DIRECTORY);
  }

  static void Write(const std::string& path, const std::string& content) {
    ASSERT_TRUE(WriteFileAtomically(path, content).ok());
  }

  std::string root_;
};

class LayerMountTest : public LayerTest, public ::testing::WithParamInterface<bool> {
 protected:
  LayerMountOptions Options() const { return {.force_loop_device = GetParam()}; }
};

TEST_P(LayerMountTest, RefusesWhatIsNoLayer) {
  EXPECT_TRUE(absl::IsNotFound(MountLayer(root_ + "/none", Options()).status()));
  EXPECT_FALSE(MountLayer(root_, Options()).ok());
  Write(root_ + "/garbage", std::string(8192, 'x'));
  absl::Status status = MountLayer(root_ + "/garbage", Options()).status();
  EXPECT_FALSE(status.ok());
  std::cout << status << "\n";
}

TEST_P(LayerMountTest, ShowsTheTreeReadOnly) {
  std::string image = Layer("a", [](const std::string& tree) { Write(tree + "/file", "hello"); });
  auto mount = MountLayer(image, Options());
  ASSERT_TRUE(mount.ok()) << mount.status();
  EXPECT_EQ(ReadAt(*mount, "file"), "hello");
  EXPECT_LT(openat(mount->fd(), "new", O_CREAT | O_WRONLY, 0644), 0);
  EXPECT_EQ(errno, EROFS);
}

TEST_P(LayerMountTest, EachLayerIsMountedOnceAsLongAsItIsHeld) {
  std::string image = Layer("a", [](const std::string& tree) { Write(tree + "/file", "hello"); });
  LayerMounts mounts(Options());
  EXPECT_FALSE(mounts.Acquire("bad", root_ + "/none").ok());
  EXPECT_EQ(mounts.mounted_count(), 0u);
  std::vector<LayerHold> holds(16);
  std::vector<std::thread> threads;
  for (LayerHold& hold : holds) {
    threads.emplace_back([&] {
      auto acquired = mounts.Acquire("sha256:a", image);
      ASSERT_TRUE(acquired.ok()) << acquired.status();
      hold = *std::move(acquired);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const LayerHold& hold : holds) EXPECT_EQ(hold.mount_fd(), holds[0].mount_fd());
  EXPECT_EQ(mounts.mounted_count(), 1u);
  holds.clear();
  EXPECT_EQ(mounts.mounted_count(), 0u);
  EXPECT_TRUE(mounts.Acquire("sha256:a", image).ok());
}

INSTANTIATE_TEST_SUITE_P(, LayerMountTest, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "LoopDevice" : "FileBacked"; });

class OverlayTest : public LayerTest, public ::testing::WithParamInterface<OverlayInterface> {
 protected:
  void SetUp() override {
    LayerTest::SetUp();
    utsname kernel = {};
    int major = 0, minor = 0;
    ASSERT_EQ(uname(&kernel), 0);
    ASSERT_EQ(sscanf(kernel.release, "%d.%d", &major, &minor), 2);
    const int version = major * 100 + minor;
    if ((GetParam() == OverlayInterface::kDescriptors && version < 613) ||
        (GetParam() == OverlayInterface::kAppendPaths && version < 615)) {
      GTEST_SKIP() << "not in Linux " << kernel.release;
    }
  }

  OverlayRequest Request(std::vector<int> lowers, const UniqueFd& upper, const UniqueFd& work) {
    return {.lower_fds = std::move(lowers),
            .upper_fd = upper.get(),
            .work_fd = work.get(),
            .interface = GetParam()};
  }
};

TEST_P(OverlayTest, RefusesBadRequests) {
  UniqueFd upper = Directory("upper");
  EXPECT_TRUE(absl::IsInvalidArgument(
      MountOverlay({.upper_fd = upper.get(), .interface = GetParam()}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      MountOverlay({.lower_fds = std::vector<int>(600, upper.get())}).status()));
  EXPECT_FALSE(MountOverlay({.lower_fds = {9999}, .interface = GetParam()}).ok());
}

TEST_P(OverlayTest, StacksLayersBottomFirst) {
  std::string bottom = Layer("bottom", [](const std::string& tree) {
    Write(tree + "/below", "bottom");
    Write(tree + "/both", "bottom");
    Write(tree + "/gone", "bottom");
    fs::create_directory(tree + "/hidden");
    Write(tree + "/hidden/old", "bottom");
  });
  std::string top = Layer("top", [](const std::string& tree) {
    Write(tree + "/both", "top");
    ASSERT_EQ(mknod((tree + "/gone").c_str(), S_IFCHR, makedev(0, 0)), 0);
    fs::create_directory(tree + "/hidden");
    ASSERT_EQ(setxattr((tree + "/hidden").c_str(), "trusted.overlay.opaque", "y", 1, 0), 0);
  });
  Mount lower = *MountLayer(bottom, {}), upper_layer = *MountLayer(top, {});
  UniqueFd upper = Directory("upper"), work = Directory("work");
  auto view = MountOverlay(Request({lower.fd(), upper_layer.fd()}, upper, work));
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(ReadAt(*view, "below"), "bottom");
  EXPECT_EQ(ReadAt(*view, "both"), "top");
  std::string path = DescriptorPath(view->fd());
  EXPECT_FALSE(fs::exists(path + "/gone"));
  EXPECT_FALSE(fs::exists(path + "/hidden/old"));
  Write(path + "/both", "changed");
  EXPECT_EQ(*ReadFile(root_ + "/upper/both"), "changed");
  EXPECT_EQ(ReadAt(upper_layer, "both"), "top");
}

TEST_P(OverlayTest, WorksWithNoLayerAndWithNoUpperDirectory) {
  UniqueFd upper = Directory("upper"), work = Directory("work");
  auto empty = MountOverlay(Request({}, upper, work));
  ASSERT_TRUE(empty.ok()) << empty.status();
  Write(DescriptorPath(empty->fd()) + "/file", "x");
  EXPECT_TRUE(fs::exists(root_ + "/upper/file"));

  Mount layer =
      *MountLayer(Layer("a", [](const std::string& tree) { Write(tree + "/file", "hello"); }), {});
  auto view = MountOverlay({.lower_fds = {layer.fd()}, .interface = GetParam()});
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(ReadAt(*view, "file"), "hello");
  EXPECT_LT(openat(view->fd(), "new", O_CREAT | O_WRONLY, 0644), 0);
  EXPECT_EQ(errno, EROFS);
}

TEST_P(OverlayTest, ReadOnlyAndUnsyncedViews) {
  UniqueFd upper = Directory("upper"), work = Directory("work");
  OverlayRequest request = Request({}, upper, work);
  request.read_only = true;
  auto view = MountOverlay(request);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_LT(openat(view->fd(), "new", O_CREAT | O_WRONLY, 0644), 0);
  view = Mount();
  request.read_only = false;
  request.skip_sync = true;
  view = MountOverlay(request);
  ASSERT_TRUE(view.ok()) << view.status();
  Write(DescriptorPath(view->fd()) + "/file", "x");
}

TEST_P(OverlayTest, StacksAHundredAndTwentyEightLayers) {
  std::vector<Mount> layers;
  std::vector<int> fds;
  for (int i = 0; i < 128; ++i) {
    auto mount = MountLayer(Layer(absl::StrCat("layer", i),
                                  [i](const std::string& tree) {
                                    Write(absl::StrCat(tree, "/file", i), "x");
                                    Write(tree + "/last", absl::StrCat(i));
                                  }),
                            {});
    ASSERT_TRUE(mount.ok()) << mount.status();
    layers.push_back(*std::move(mount));
    fds.push_back(layers.back().fd());
  }
  UniqueFd upper = Directory("upper"), work = Directory("work");
  auto view = MountOverlay(Request(fds, upper, work));
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(ReadAt(*view, "last"), "127");
  EXPECT_EQ(ReadAt(*view, "file0"), "x");
}

std::string InterfaceName(const ::testing::TestParamInfo<OverlayInterface>& info) {
  constexpr const char* kNames[] = {"Auto", "Descriptors", "AppendPaths", "Paths"};
  return kNames[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(, OverlayTest,
                         ::testing::Values(OverlayInterface::kAuto, OverlayInterface::kDescriptors,
                                           OverlayInterface::kAppendPaths,
                                           OverlayInterface::kPaths),
                         InterfaceName);

TEST_F(LayerTest, Costs) {
  std::string image = Layer("a", [](const std::string& tree) { Write(tree + "/file", "hello"); });
  for (bool skip_sync : {false, true}) {
    std::vector<absl::Duration> layer_times, overlay_times, end_times;
    for (int i = 0; i < 51; ++i) {
      std::string suffix = absl::StrCat(skip_sync, "-", i);
      UniqueFd upper = Directory("u" + suffix), work = Directory("w" + suffix);
      absl::Time start = absl::Now();
      Mount layer = *MountLayer(image, {});
      absl::Time mounted = absl::Now();
      auto view = MountOverlay({.lower_fds = {layer.fd()},
                                .upper_fd = upper.get(),
                                .work_fd = work.get(),
                                .skip_sync = skip_sync});
      absl::Time stacked = absl::Now();
      ASSERT_TRUE(view.ok()) << view.status();
      *view = Mount();
      end_times.push_back(absl::Now() - stacked);
      layer_times.push_back(mounted - start);
      overlay_times.push_back(stacked - mounted);
    }
    for (auto* times : {&layer_times, &overlay_times, &end_times}) {
      std::sort(times->begin(), times->end());
    }
    std::cout << "[ NUMBER   ] " << (skip_sync ? "unsynced" : "synced") << ": EROFS mount "
              << layer_times[25] << ", overlay " << overlay_times[25] << ", its end "
              << end_times[25] << "\n";
  }
}

}  // namespace
}  // namespace slipway::agent
