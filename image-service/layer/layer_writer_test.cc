// The mounted layer has to look like what GNU tar unpacks from the same tar.
#include "image-service/layer/layer_writer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "image-service/layer/layer_fixture.h"
#include "image-service/layer/tar_builder.h"

namespace slipway::image {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

Snapshot SnapshotOf(const std::string& directory) {
  return TakeSnapshot(OpenFile(directory, O_RDONLY | O_DIRECTORY)->get());
}

Snapshot SnapshotOfLayer(const std::string& path) {
  EXPECT_EQ(RunShell("fsck.erofs " + path + " >/dev/null"), 0);
  absl::StatusOr<UniqueFd> mounted = MountLayer(path);
  EXPECT_TRUE(mounted.ok()) << mounted.status();
  return mounted.ok() ? TakeSnapshot(mounted->get()) : Snapshot();
}

void ExpectSame(const Snapshot& layer, const Snapshot& unpacked) {
  ASSERT_EQ(layer.size(), unpacked.size());
  int shown = 0;
  for (const auto& [path, text] : unpacked) {
    const auto found = layer.find(path);
    ASSERT_NE(found, layer.end()) << path;
    EXPECT_EQ(found->second, text) << path;
    if (found->second != text && ++shown == 10) return;
  }
}

class LayerWriterTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return scratch_.path() + "/" + name; }

  // Converts what `tar` makes of its arguments and compares with what it unpacks.
  void Compare(const std::string& create_arguments, const std::string& compressor = "cat") {
    ASSERT_EQ(RunShell(absl::StrCat("tar -cf - ", create_arguments, " | tee ", Path("layer.tar"),
                                    " | ", compressor, " > ", Path("blob"))),
              0);
    std::filesystem::create_directory(Path("unpacked"));
    ASSERT_EQ(RunShell(absl::StrCat("tar -xpf ", Path("layer.tar"), " -C ", Path("unpacked"),
                                    " --xattrs --xattrs-include='*' --numeric-owner")),
              0);
    const absl::StatusOr<LayerResult> result = ConvertFile(Path("blob"), Path("layer.erofs"));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(RunShell(absl::StrCat("test ", result->diff_id, " = sha256:$(sha256sum < ",
                                    Path("layer.tar"), " | cut -c1-64)")),
              0);
    EXPECT_EQ(RunShell(absl::StrCat("test ", result->digest, " = sha256:$(sha256sum < ",
                                    Path("blob"), " | cut -c1-64)")),
              0);
    EXPECT_EQ(result->image_bytes, std::filesystem::file_size(Path("layer.erofs")));
    ExpectSame(SnapshotOfLayer(Path("layer.erofs")), SnapshotOf(Path("unpacked")));
  }

  Snapshot Convert(const std::vector<TarEntry>& entries, const std::string& format = "pax") {
    const absl::StatusOr<LayerResult> result =
        ConvertLayer(BuildTar(entries, format), Path("layer.erofs"));
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? SnapshotOfLayer(Path("layer.erofs")) : Snapshot();
  }

  ScratchDirectory scratch_;
};

TEST_F(LayerWriterTest, EtcAsPaxWithXattrs) {
  Compare("--format=pax --xattrs --xattrs-include='*' -C /etc .", "gzip");
}

TEST_F(LayerWriterTest, ProgramsAsGnuTar) {
  ASSERT_EQ(RunShell("mkdir " + Path("in") + " && cp -a /usr/bin/[a-c]* /usr/share/zoneinfo " +
                     Path("in")),
            0);
  Compare("--format=gnu -C " + Path("in") + " .", "zstd -q");
}

TEST_F(LayerWriterTest, UstarAndV7) { Compare("--format=ustar -C /usr/share/perl5 ."); }

// Sizes around what the layout decides by: block ends, half blocks, the inline limit.
TEST_F(LayerWriterTest, EveryFileSizeAroundTheLimitsOfTheLayout) {
  std::filesystem::create_directory(Path("in"));
  for (const int base : {0, 1984, 2048, 4032, 4096, 6144, 8192, 16384, 18432, 131072, 262144}) {
    for (int delta = -2; delta <= 2; ++delta) {
      if (base + delta < 0) continue;
      std::ofstream(Path(absl::StrCat("in/", base + delta)))
          << std::string(static_cast<size_t>(base + delta), static_cast<char>('a' + delta + 2));
    }
  }
  Compare("--format=pax -C " + Path("in") + " .");
}

TEST_F(LayerWriterTest, EveryKindOfFileAndAttribute) {
  ASSERT_EQ(RunShell("set -e; cd " + scratch_.path() + R"sh(; mkdir in; cd in
      mkdir -m 1777 tmp; mkdir -m 2750 team; chown 1000:2000 team
      echo program > su; chown 4000000000:7 su; chmod 4755 su
      echo cap > ping
      mknod null c 1 3; mknod disk b 259 70000; mkfifo -m 600 pipe
      ln -s /absolute/target a; ln -s ../../../escape b; ln -s $(printf 'x%.0s' $(seq 4000)) long
      ln -s $(printf 'y%.0s' $(seq 2100)) medium
      echo one > first; ln first second; ln first team/third; ln a a2; ln null null2
      touch -d '2001-02-03 04:05:06.123456789' su; touch -d '1950-01-01' ping
      touch -h -d '2100-01-01 00:00:00.5' b
      mkdir -p $(printf 'd%.0s' $(seq 200))/$(printf 'e%.0s' $(seq 255)); (cd d*/e*; echo x > f)
      printf 'n\n\377\376' > "$(printf 'bad\377\376\n\tname')"; echo > !first; echo > .!; echo > ..a
      truncate -s 50M sparse; echo middle | dd of=sparse bs=1M seek=20 conv=notrunc 2>/dev/null
      truncate -s 1M hole; : > empty; mkdir hollow; touch -d '1999-09-09 09:09:09.999' . team
      )sh"),
            0);
  const auto set = [this](const char* file, const char* name, const std::string& value) {
    ASSERT_EQ(lsetxattr((Path("in/") + file).c_str(), name, value.data(), value.size(), 0), 0);
  };
  const std::string net_raw("\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  set("ping", "security.capability", net_raw);
  set("first", "user.comment", "some text");
  set("second", "user.large", std::string(3000, '\xab'));
  set("team", "trusted.t", std::string("\0\xff\0", 3));
  set("a", "trusted.on.link", "v");
  for (const char* format : {"gnu -S", "pax -S", "pax"}) {
    SCOPED_TRACE(format);
    Compare(
        absl::StrCat("--format=", format, " --xattrs --xattrs-include='*' -C ", Path("in"), " ."));
    std::filesystem::remove_all(Path("unpacked"));
  }
  ASSERT_EQ(RunShell("cd " + scratch_.path() +
                     "; mkdir in2; cp -a --sparse=always in/sparse in/hole in/empty in2"),
            0);
  for (const char* version : {"0.0", "0.1", "1.0"}) {
    SCOPED_TRACE(version);
    Compare(absl::StrCat("--format=pax -S --sparse-version=", version, " -C ", Path("in2"), " ."));
    std::filesystem::remove_all(Path("unpacked"));
  }
}

TEST_F(LayerWriterTest, HolesOfSparseFilesTakeNoDisk) {
  ASSERT_EQ(RunShell(absl::StrCat("cd ", scratch_.path(), "; truncate -s 10G sparse; ",
                                  "tar --format=pax -S -cf blob sparse")),
            0);
  ASSERT_TRUE(ConvertFile(Path("blob"), Path("layer.erofs")).ok());
  struct stat info;
  ASSERT_EQ(stat(Path("layer.erofs").c_str(), &info), 0);
  EXPECT_GT(info.st_size, 10'000'000'000);
  EXPECT_LT(info.st_blocks * 512, 100'000);
}

long PeakMemoryKb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return atol(line.c_str() + 6);
  }
  return 0;
}

TEST_F(LayerWriterTest, HundredThousandFilesInOneDirectory) {
  constexpr int kFiles = 100'000;
  const long before_kb = PeakMemoryKb();
  auto writer = LayerWriter::Create({.directory = scratch_.path(), .sync = false});
  ASSERT_TRUE(writer.ok());
  absl::Status status;
  TarBuilder builder("ustar", [&](const char* bytes, size_t count) {
    status.Update((*writer)->Append(absl::string_view(bytes, count)));
  });
  for (int i = 0; i < kFiles; ++i) {
    builder.Add({.name = absl::StrCat("some-name-", i), .content = absl::StrCat(i)});
  }
  builder.Finish();
  const long grown_kb = PeakMemoryKb() - before_kb;
  ASSERT_TRUE(status.ok()) << status;
  const absl::StatusOr<LayerResult> result = (*writer)->Finish();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->entry_count, static_cast<uint64_t>(kFiles));
  ASSERT_TRUE((*writer)->Commit(Path("layer.erofs")).ok());
#ifndef __SANITIZE_ADDRESS__
  EXPECT_LT(grown_kb, 25'000);
#endif
  // 96 bytes an inode with its content, some 30 a name.
  EXPECT_LT(result->image_bytes, kFiles * 140u);
  const Snapshot layer = SnapshotOfLayer(Path("layer.erofs"));
  ASSERT_EQ(layer.size(), kFiles + 1u);
  for (int i = 0; i < kFiles; i += 977) {
    EXPECT_THAT(layer.at(absl::StrCat("some-name-", i)),
                HasSubstr(absl::StrCat("size ", std::to_string(i).size())));
  }
}

TEST_F(LayerWriterTest, EmptyLayers) {
  for (const std::string& tar : {std::string(), std::string(1024, '\0'), BuildTar({})}) {
    const absl::StatusOr<LayerResult> result = ConvertLayer(tar, Path("layer.erofs"));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->entry_count, 0u);
    EXPECT_EQ(result->image_bytes, 4096u);
    EXPECT_EQ(SnapshotOfLayer(Path("layer.erofs")).size(), 1u);
  }
}

TEST_F(LayerWriterTest, ImpliedParentsAreRootsAndLaterDirectoryEntriesCount) {
  const Snapshot layer = Convert({{.name = "a/b/file", .content = "x"},
                                  {.name = "a", .type = S_IFDIR, .permissions = 0700, .uid = 5}});
  EXPECT_THAT(layer.at("a"), HasSubstr("mode 40700 owner 5:0"));
  EXPECT_THAT(layer.at("a/b"), HasSubstr("mode 40755 owner 0:0"));
  EXPECT_EQ(layer.count("a/b/file"), 1u);
}

TEST_F(LayerWriterTest, LaterEntriesReplaceEarlierOnes) {
  const Snapshot layer = Convert({{.name = "file", .content = "old"},
                                  {.name = "file", .content = "newer"},
                                  {.name = "linked", .content = "1"},
                                  {.name = "other", .target = "linked", .is_hard_link = true},
                                  {.name = "linked", .content = "22"},
                                  {.name = "dir/sub/gone", .content = "x"},
                                  {.name = "dir", .content = "now a file"},
                                  {.name = "again/gone", .content = "x"},
                                  {.name = "again", .type = S_IFLNK, .target = "file"},
                                  {.name = "again", .type = S_IFDIR, .permissions = 0711},
                                  {.name = "again/new", .content = "y"}});
  EXPECT_THAT(layer.at("file"), HasSubstr("size 5"));
  EXPECT_THAT(layer.at("linked"), ContainsRegex("links 1 .*size 2"));
  EXPECT_THAT(layer.at("other"), ContainsRegex("links 1 .*size 1"));
  EXPECT_THAT(layer.at("dir"), HasSubstr("size 10"));
  EXPECT_EQ(layer.count("dir/sub"), 0u);
  EXPECT_EQ(layer.count("again/gone"), 0u);
  EXPECT_EQ(layer.count("again/new"), 1u);
}

TEST_F(LayerWriterTest, NamesAreTakenBelowTheRootAndThroughSymlinksOfTheLayer) {
  const Snapshot layer =
      Convert({{.name = "/etc/passwd", .content = "a"},
               {.name = "./x/./../y//z", .content = "b"},
               {.name = "usr/lib/", .type = S_IFDIR, .permissions = 0755},
               {.name = "lib", .type = S_IFLNK, .target = "usr/lib"},
               {.name = "lib/libc.so", .content = "c"},
               {.name = "out", .type = S_IFLNK, .target = "../../../usr/./lib"},
               {.name = "out/inside", .content = "d"},
               {.name = "hard", .target = "/lib/libc.so", .is_hard_link = true}});
  EXPECT_EQ(layer.count("etc/passwd"), 1u);
  EXPECT_EQ(layer.count("y/z"), 1u);
  EXPECT_EQ(layer.count("x"), 0u);
  EXPECT_THAT(layer.at("usr/lib/libc.so"), HasSubstr("links 2"));
  EXPECT_EQ(layer.count("usr/lib/inside"), 1u);
  EXPECT_THAT(layer.at("lib"), HasSubstr("-> usr/lib"));
}

TEST_F(LayerWriterTest, WhiteoutsBecomeDevicesAndMarks) {
  const absl::StatusOr<LayerResult> result =
      ConvertLayer(BuildTar({{.name = "gone/.wh.file"},
                             {.name = "kept/.wh.file"},
                             {.name = "kept/file", .content = "new"},
                             {.name = "kept2/file", .content = "new"},
                             {.name = "kept2/.wh.file"},
                             {.name = "opaque/.wh..wh..opq"},
                             {.name = "opaque/x", .content = "x"},
                             {.name = ".wh.dir"},
                             {.name = "dir/x", .content = "x"},
                             {.name = "dir2/x", .content = "x"},
                             {.name = ".wh.dir2"},
                             {.name = ".wh..wh.plnk", .type = S_IFDIR},
                             {.name = ".wh..wh.plnk/1.2", .content = "x"},
                             {.name = "sub/.wh..wh.aufs"}}),
                   Path("layer.erofs"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->opaque_root);
  const Snapshot layer = SnapshotOfLayer(Path("layer.erofs"));
  const std::string whiteout = "mode 20000 owner 0:0 .*device 0:0";
  const std::string opaque = "trusted.overlay.opaque=y";
  EXPECT_THAT(layer.at("gone/file"), ContainsRegex(whiteout));
  EXPECT_THAT(layer.at("kept/file"), HasSubstr("size 3"));
  EXPECT_THAT(layer.at("kept2/file"), HasSubstr("size 3"));
  EXPECT_THAT(layer.at("opaque"), HasSubstr(opaque));
  EXPECT_THAT(layer.at("dir"), HasSubstr(opaque));
  EXPECT_THAT(layer.at("dir2"), HasSubstr(opaque));
  EXPECT_EQ(layer.count("dir/x"), 1u);
  for (const auto& [path, text] : layer) EXPECT_THAT(path, Not(HasSubstr(".wh.")));
  EXPECT_TRUE(ConvertLayer(BuildTar({{.name = ".wh..wh..opq"}}), Path("l"))->opaque_root);
}

TEST_F(LayerWriterTest, AttributesThatWouldSteerOverlayfsAreDropped) {
  const Snapshot layer = Convert({{.name = "d",
                                   .type = S_IFDIR,
                                   .xattrs = {{"trusted.overlay.opaque", "y"},
                                              {"user.overlay.redirect", "/etc"},
                                              {"trusted.overlay.metacopy", ""},
                                              {"system.unknown", "x"},
                                              {"user.fine", "ok"}}}});
  EXPECT_THAT(layer.at("d"), HasSubstr("xattrs{ user.fine=ok}"));
}

// The layer as overlayfs's lower directory hides what its whiteouts name.
TEST_F(LayerWriterTest, OverlayfsUnderstandsTheWhiteouts) {
  ASSERT_EQ(RunShell("cd " + scratch_.path() +
                     "; mkdir -p low/a low/b top merged; touch low/a/x "
                     "low/a/y low/b/z low/stays"),
            0);
  Convert({{.name = "a/.wh.x"}, {.name = "b/.wh..wh..opq"}, {.name = "b/new", .content = "n"}});
  ASSERT_EQ(RunShell(absl::StrCat("mount -t erofs ", Path("layer.erofs"), " ", Path("top"))), 0);
  ASSERT_EQ(RunShell(absl::StrCat("mount -t overlay overlay -o lowerdir=", Path("top"), ":",
                                  Path("low"), " ", Path("merged"))),
            0);
  const Snapshot merged = SnapshotOf(Path("merged"));
  EXPECT_EQ(umount(Path("merged").c_str()), 0);
  EXPECT_EQ(umount(Path("top").c_str()), 0);
  std::vector<std::string> names;
  for (const auto& [path, text] : merged) names.push_back(path);
  EXPECT_THAT(names, testing::UnorderedElementsAre(".", "a", "a/y", "b", "b/new", "stays"));
}

TEST_F(LayerWriterTest, CommitReplacesAndLeavesOnlyTheFile) {
  const std::string tar = BuildTar({{.name = "a", .content = "x"}});
  ASSERT_TRUE(ConvertLayer(tar, Path("layer.erofs")).ok());
  ASSERT_TRUE(ConvertLayer(tar, Path("layer.erofs")).ok());
  EXPECT_EQ(scratch_.CountNames(), 1);
  struct stat info;
  ASSERT_EQ(stat(Path("layer.erofs").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode, S_IFREG | 0644u);
}

TEST_F(LayerWriterTest, TheSameLayerGivesTheSameFile) {
  const std::string tar =
      BuildTar({{.name = "a/b", .content = "x"}, {.name = "c/d", .content = "y"}});
  ASSERT_TRUE(ConvertLayer(tar, Path("1"), {}, 7).ok());
  ASSERT_TRUE(ConvertLayer(CompressWith("gzip", tar), Path("2"), {}, 100'000).ok());
  EXPECT_EQ(*ReadFile(Path("1")), *ReadFile(Path("2")));
}

}  // namespace
}  // namespace slipway::image
