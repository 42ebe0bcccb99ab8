#include "image-service/layer/merged_layer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "image-service/layer/image_tree.h"
#include "image-service/layer/layer_fixture.h"
#include "image-service/layer/tar_builder.h"

namespace slipway::image {
namespace {

constexpr mode_t kDirectory = 0040000;
constexpr mode_t kLink = 0120000;

class MergedLayerTest : public testing::Test {
 protected:
  void AddLayer(const std::vector<TarEntry>& entries) {
    paths_.push_back(absl::StrCat(scratch_.path(), "/", paths_.size(), ".erofs"));
    const auto made = ConvertLayer(BuildTar(entries), paths_.back());
    ASSERT_TRUE(made.ok()) << made.status();
  }

  // The first `kept` layers, and one of all others.
  std::vector<std::string> Merge(size_t kept) {
    std::vector<std::string> paths(paths_.begin(), paths_.begin() + static_cast<int>(kept));
    std::string tar;
    const absl::Status merged = WriteMergedLayer(
        {paths_.begin() + static_cast<int>(kept), paths_.end()}, [&tar](absl::string_view bytes) {
          tar.append(bytes.data(), bytes.size());
          return absl::OkStatus();
        });
    EXPECT_TRUE(merged.ok()) << merged;
    tar_bytes_ = tar.size();
    paths.push_back(absl::StrCat(scratch_.path(), "/merged-", kept, ".erofs"));
    const auto made = ConvertLayer(tar, paths.back());
    EXPECT_TRUE(made.ok()) << made.status();
    return paths;
  }

  // Everything that shows, with what it is.
  static std::map<std::string, std::string> All(const std::vector<std::string>& paths) {
    const ImageTree tree = *ImageTree::Open(paths);
    std::map<std::string, std::string> all;
    const auto root = tree.Resolve("", true);
    EXPECT_TRUE(root.ok() && root->node.has_value());
    const absl::Status walked =
        tree.Walk(*root->node, [&](const ImageTree::Node& node) -> absl::StatusOr<bool> {
          const LayerReader::Inode& inode = node.inode;
          std::string& text = all[node.path];
          text = absl::StrCat(inode.mode, " ", inode.uid, ":", inode.gid, " ", inode.mtime_s, ".",
                              inode.mtime_ns, " ", S_ISDIR(inode.mode) ? 0 : inode.nlink, " ");
          for (const auto& [name, value] : inode.xattrs) {
            if (!absl::StartsWith(name, "trusted.overlay.")) absl::StrAppend(&text, name, value);
          }
          if (S_ISLNK(inode.mode)) {
            absl::StrAppend(&text, *tree.reader(node).LinkTarget(inode));
          } else if (S_ISREG(inode.mode)) {
            std::string content(inode.size_bytes, '?');
            for (size_t at = 0; at < content.size();) {
              const auto n =
                  tree.reader(node).ReadContent(inode, at, &content[at], content.size() - at);
              if (!n.ok()) return n.status();
              at += *n;
            }
            absl::StrAppend(&text, content);
          }
          return true;
        });
    EXPECT_TRUE(walked.ok()) << walked;
    return all;
  }

  ScratchDirectory scratch_;
  std::vector<std::string> paths_;
  size_t tar_bytes_ = 0;
};

TEST_F(MergedLayerTest, NothingAndWhatIsDamaged) {
  const auto sink = [](absl::string_view) { return absl::OkStatus(); };
  EXPECT_FALSE(WriteMergedLayer({}, sink).ok());
  EXPECT_FALSE(WriteMergedLayer({scratch_.path() + "/none"}, sink).ok());
  AddLayer({{.name = "a", .content = std::string(100'000, 'x')}});
  ASSERT_EQ(truncate(paths_[0].c_str(), 1200), 0);
  EXPECT_FALSE(WriteMergedLayer(paths_, sink).ok());
}

TEST_F(MergedLayerTest, AReceiverThatRefusesEndsIt) {
  AddLayer({{.name = "a", .content = std::string(3 << 20, 'x')}});
  const absl::Status status = WriteMergedLayer(
      paths_, [](absl::string_view) { return absl::ResourceExhaustedError("full"); });
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
}

// Whatever is merged, what shows is the same.
TEST_F(MergedLayerTest, ShowsWhatTheLayersShowed) {
  AddLayer({{.name = "both", .type = kDirectory, .permissions = 0700},
            {.name = "both/low", .content = "1"},
            {.name = "both/changed", .content = "old"},
            {.name = "gone", .type = kDirectory},
            {.name = "gone/x", .content = "1"},
            {.name = "fresh", .type = kDirectory},
            {.name = "fresh/hidden", .content = "1"},
            {.name = "was-dir", .type = kDirectory},
            {.name = "was-dir/x", .content = "1"},
            {.name = "was-file", .content = "1"},
            {.name = "back", .type = kDirectory},
            {.name = "back/old", .content = "1"}});
  AddLayer({{.name = "both", .type = kDirectory, .permissions = 0755, .uid = 7},
            {.name = "both/changed", .content = std::string(9000, 'n')},
            {.name = "both/linked", .content = "same"},
            {.name = "both/link", .target = "both/linked", .is_hard_link = true},
            {.name = ".wh.back"},
            {.name = "soon-gone", .content = std::string(1 << 20, 'g')},
            {.name = "sub/a/b", .content = "deep", .permissions = 04755}});
  AddLayer({{.name = ".wh.gone"},
            {.name = "fresh/.wh..wh..opq"},
            {.name = "fresh/seen", .content = "2"},
            {.name = ".wh.soon-gone"},
            {.name = "was-dir", .content = "file"},
            {.name = "sub/a/.wh.b"},
            {.name = "both/to", .type = kLink, .target = "../was-dir"}});
  AddLayer({{.name = "back", .type = kDirectory},
            {.name = "back/new", .content = "2", .xattrs = {{"user.x", "y"}}},
            {.name = "was-file", .type = kDirectory},
            {.name = "was-file/now", .content = "dir"},
            {.name = "device", .type = 0020000, .device_major = 1, .device_minor = 3}});
  for (size_t kept = 0; kept < paths_.size(); ++kept) {
    const auto merged = Merge(kept);
    EXPECT_EQ(merged.size(), kept + 1);
    EXPECT_EQ(All(merged), All(paths_)) << kept;
    // What one layer brought and another took away is in none.
    if (kept < 2) {
      EXPECT_LT(tar_bytes_, 500u << 10);
    }
  }
}

TEST_F(MergedLayerTest, SameLayersSameBytes) {
  AddLayer({{.name = "b", .content = "1"}, {.name = "a", .content = "2"}});
  AddLayer({{.name = "c", .content = "3"}});
  std::vector<std::string> tars(2);
  for (std::string& tar : tars) {
    ASSERT_TRUE(WriteMergedLayer(paths_, [&tar](absl::string_view bytes) {
                  tar.append(bytes.data(), bytes.size());
                  return absl::OkStatus();
                }).ok());
  }
  EXPECT_EQ(tars[0], tars[1]);
}

}  // namespace
}  // namespace slipway::image
