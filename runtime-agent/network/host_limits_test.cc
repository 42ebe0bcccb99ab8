#include "runtime-agent/network/host_limits.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "gtest/gtest.h"

namespace slipway::agent {
namespace {

TEST(HostLimitsTest, RaisesWhatIsLessAndNothingElse) {
  const std::string root = absl::StrCat(getenv("TEST_TMPDIR"), "/sys");
  RaiseHostLimits(root);  // nothing is there
  EXPECT_FALSE(std::filesystem::exists(root));
  const auto write = [&](const std::string& file, const std::string& text) {
    const std::filesystem::path path = absl::StrCat(root, "/", file);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  };
  write("net/core/netdev_max_backlog", "1000\n");
  write("net/ipv4/neigh/default/gc_thresh2", "512\n");
  write("net/ipv4/neigh/default/gc_thresh3", "131072\n");
  write("net/ipv6/neigh/default/gc_thresh3", "none\n");
  RaiseHostLimits(root);
  const auto read = [&](const std::string& file) {
    return ReadFile(absl::StrCat(root, "/", file)).value_or("missing");
  };
  EXPECT_EQ(read("net/core/netdev_max_backlog").substr(0, 5), "65536");
  EXPECT_EQ(read("net/ipv4/neigh/default/gc_thresh2").substr(0, 5), "32768");
  EXPECT_EQ(read("net/ipv4/neigh/default/gc_thresh3"), "131072\n");
  EXPECT_EQ(read("net/ipv6/neigh/default/gc_thresh3"), "none\n");
  EXPECT_EQ(read("net/ipv6/neigh/default/gc_thresh2"), "missing");
}

}  // namespace
}  // namespace slipway::agent
