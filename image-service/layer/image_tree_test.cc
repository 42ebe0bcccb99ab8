#include "image-service/layer/image_tree.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include "absl/strings/str_cat.h"
#include "image-service/layer/layer_fixture.h"
#include "image-service/layer/tar_builder.h"

namespace slipway::image {
namespace {

constexpr mode_t kDirectory = 0040000;
constexpr mode_t kLink = 0120000;

class ImageTreeTest : public testing::Test {
 protected:
  void AddLayer(const std::vector<TarEntry>& entries) {
    paths_.push_back(absl::StrCat(scratch_.path(), "/", paths_.size(), ".erofs"));
    ASSERT_TRUE(ConvertLayer(BuildTar(entries), paths_.back()).ok());
  }

  ImageTree Open() { return *ImageTree::Open(paths_); }

  // Paths of everything, with the content of files.
  std::map<std::string, std::string> All(const ImageTree& tree, absl::string_view from = "") {
    std::map<std::string, std::string> all;
    const auto resolved = tree.Resolve(from, true);
    EXPECT_TRUE(resolved.ok() && resolved->node.has_value());
    const absl::Status walked =
        tree.Walk(*resolved->node, [&](const ImageTree::Node& node) -> absl::StatusOr<bool> {
          std::string content(node.inode.size_bytes, '?');
          if (S_ISREG(node.inode.mode)) {
            for (size_t at = 0; at < content.size();) {
              const auto n =
                  tree.reader(node).ReadContent(node.inode, at, &content[at], content.size() - at);
              if (!n.ok()) return n.status();
              at += *n;
            }
          } else {
            content = S_ISDIR(node.inode.mode) ? "/" : *tree.reader(node).LinkTarget(node.inode);
          }
          all[node.path] = content;
          return true;
        });
    EXPECT_TRUE(walked.ok()) << walked;
    return all;
  }

  ScratchDirectory scratch_;
  std::vector<std::string> paths_;
};

TEST_F(ImageTreeTest, DamagedFilesAreFoundOut) {
  AddLayer({{.name = "a", .content = "x"}});
  EXPECT_FALSE(ImageTree::Open({scratch_.path() + "/none"}).ok());
  std::ofstream(scratch_.path() + "/short") << "no layer";
  EXPECT_FALSE(ImageTree::Open({scratch_.path() + "/short"}).ok());
  ASSERT_EQ(truncate(paths_[0].c_str(), 1200), 0);
  const auto tree = ImageTree::Open(paths_);
  ASSERT_TRUE(tree.ok());
  EXPECT_EQ(tree->Resolve("a", true).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ImageTreeTest, LayersAreStackedAsOverlayfsDoesIt) {
  AddLayer({{.name = "both", .type = kDirectory, .permissions = 0700},
            {.name = "both/low", .content = "1"},
            {.name = "both/changed", .content = "old"},
            {.name = "gone", .type = kDirectory},
            {.name = "gone/x", .content = "1"},
            {.name = "fresh", .type = kDirectory},
            {.name = "fresh/hidden", .content = "1"},
            {.name = "was-file", .content = "1"}});
  AddLayer({{.name = "both", .type = kDirectory, .permissions = 0755},
            {.name = "both/changed", .content = std::string(9000, 'n')},
            {.name = ".wh.gone"},
            {.name = "fresh", .type = kDirectory},
            {.name = "fresh/.wh..wh..opq"},
            {.name = "fresh/new", .content = "2"},
            {.name = "was-file", .type = kDirectory},
            {.name = "was-file/in", .content = "3"}});
  AddLayer({{.name = "both", .type = kDirectory, .permissions = 0711},
            {.name = "gone", .type = kDirectory},
            {.name = "gone/again", .content = "4"}});
  const ImageTree tree = Open();
  const std::map<std::string, std::string> expected = {
      {"", "/"},           {"both", "/"},       {"both/changed", std::string(9000, 'n')},
      {"both/low", "1"},   {"fresh", "/"},      {"fresh/new", "2"},
      {"gone", "/"},       {"gone/again", "4"}, {"was-file", "/"},
      {"was-file/in", "3"}};
  EXPECT_EQ(All(tree), expected);
  EXPECT_EQ(tree.Resolve("both", true)->node->inode.mode, kDirectory | 0711);
  EXPECT_FALSE(tree.Resolve("gone/x", true)->node.has_value());
  EXPECT_FALSE(tree.Resolve("fresh/hidden", true)->node.has_value());
  EXPECT_TRUE(tree.Resolve("both/low", true)->node.has_value());
}

TEST_F(ImageTreeTest, LinksAreFollowedInside) {
  AddLayer({{.name = "usr/lib/x", .content = "x"},
            {.name = "lib", .type = kLink, .target = "usr/lib"},
            {.name = "abs", .type = kLink, .target = "/lib/../lib"},
            {.name = "up", .type = kLink, .target = "../../../../usr"},
            {.name = "loop", .type = kLink, .target = "loop"},
            {.name = "file", .content = "f"}});
  const ImageTree tree = Open();
  EXPECT_EQ(tree.Resolve("/lib/x", true)->path, "usr/lib/x");
  EXPECT_EQ(tree.Resolve("abs/x", true)->path, "usr/lib/x");
  EXPECT_EQ(tree.Resolve("up/lib", true)->path, "usr/lib");
  EXPECT_EQ(tree.Resolve("lib", false)->path, "lib");
  EXPECT_EQ(tree.Resolve("../../etc/passwd", true)->path, "etc/passwd");
  const auto missing = tree.Resolve("lib/a/b", true);
  EXPECT_EQ(missing->path, "usr/lib/a/b");
  EXPECT_FALSE(missing->node.has_value());
  EXPECT_EQ(missing->directories.size(), 3);
  EXPECT_EQ(tree.Resolve("loop/x", true).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(tree.Resolve("file/x", true).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(All(tree, "lib").size(), 2);
}

TEST_F(ImageTreeTest, AttributesAndLargeDirectories) {
  std::vector<TarEntry> entries;
  for (int i = 0; i < 3000; ++i) {
    entries.push_back({.name = absl::StrCat("d/file-with-a-long-name-", i), .content = "c"});
  }
  entries.push_back({.name = "s",
                     .content = std::string(5000, 's'),
                     .permissions = 04755,
                     .uid = 70000,
                     .gid = 12,
                     .mtime_s = 1234,
                     .mtime_ns = 567,
                     .xattrs = {{"user.k", "v"}}});
  entries.push_back({.name = "hard", .target = "s", .is_hard_link = true});
  entries.push_back({.name = "null", .type = 0020000, .device_major = 1, .device_minor = 300});
  AddLayer(entries);
  const ImageTree tree = Open();
  EXPECT_EQ(All(tree, "d").size(), 3001);
  const auto s = tree.Resolve("s", true)->node->inode;
  EXPECT_EQ(s.mode, 0104755);
  EXPECT_EQ(s.uid, 70000u);
  EXPECT_EQ(s.gid, 12u);
  EXPECT_EQ(s.mtime_s, 1234);
  EXPECT_EQ(s.mtime_ns, 567u);
  EXPECT_EQ(s.nlink, 2u);
  EXPECT_EQ(s.xattrs.at(0), (std::pair<std::string, std::string>("user.k", "v")));
  EXPECT_EQ(tree.Resolve("hard", true)->node->inode.nid, s.nid);
  EXPECT_EQ(tree.Resolve("null", true)->node->inode.device, makedev(1, 300));
}

TEST_F(ImageTreeTest, NoLayersAreAnEmptyTree) {
  const ImageTree tree = Open();
  const auto resolved = tree.Resolve("/a/b", true);
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ(resolved->path, "a/b");
  EXPECT_FALSE(resolved->node.has_value());
}

}  // namespace
}  // namespace slipway::image
