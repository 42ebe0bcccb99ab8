// Layers that must not be, are damaged, or do not fit: each is refused by name, and nothing is
// left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "image-service/layer/layer_fixture.h"
#include "image-service/layer/layer_writer.h"
#include "image-service/layer/tar_builder.h"

namespace slipway::image {
namespace {

using absl::StatusCode;
using testing::AllOf;
using testing::HasSubstr;

class HostileLayerTest : public testing::Test {
 protected:
  absl::Status Convert(const std::string& blob, LayerLimits limits = {}, size_t piece = 10'000) {
    const absl::Status status =
        ConvertLayer(blob, scratch_.path() + "/layer", {.limits = limits}, piece).status();
    EXPECT_EQ(scratch_.CountNames(), status.ok() ? 1 : 0);
    return status;
  }

  void ExpectRefused(const std::vector<TarEntry>& entries, const std::string& name,
                     const std::string& reason, LayerLimits limits = {}) {
    const absl::Status status = Convert(BuildTar(entries), limits);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(absl::StrCat("layer entry \"", name)), HasSubstr(reason)));
  }

  ScratchDirectory scratch_;
};

TEST_F(HostileLayerTest, NamesThatLeadOutOfTheRoot) {
  for (const std::string name : {"../evil", "a/../../evil", "/../evil", "./../evil", ".."}) {
    ExpectRefused({{.name = name, .content = "x"}}, name, "leads out of the layer's root");
  }
}

TEST_F(HostileLayerTest, HardLinksThatLeadOutOrNowhere) {
  ExpectRefused({{.name = "l", .target = "../etc/passwd", .is_hard_link = true}}, "l",
                "\"../etc/passwd\": the path leads out");
  ExpectRefused({{.name = "l", .target = "/etc/shadow", .is_hard_link = true}}, "l",
                "etc is not in the layer");
  ExpectRefused({{.name = "l", .target = "missing", .is_hard_link = true}}, "l",
                "not in the layer");
  ExpectRefused(
      {{.name = "d/x", .content = "x"}, {.name = "l", .target = "d", .is_hard_link = true}}, "l",
      "is a directory");
  ExpectRefused({{.name = ".wh.w"}, {.name = "l", .target = "w", .is_hard_link = true}}, "l",
                "not in the layer");
}

TEST_F(HostileLayerTest, ParentsThatAreNoDirectories) {
  ExpectRefused({{.name = "f", .content = "x"}, {.name = "f/below", .content = "x"}}, "f/below",
                "f in the path is not a directory");
  ExpectRefused({{.name = "a", .type = S_IFLNK, .target = "b"},
                 {.name = "b", .type = S_IFLNK, .target = "a"},
                 {.name = "a/x", .content = "x"}},
                "a/x", "too many symlinks");
  ExpectRefused({{.name = "./", .type = S_IFLNK, .target = "b"}}, "./", "not a directory");
}

TEST_F(HostileLayerTest, SymlinksStayInsideTheLayer) {
  ASSERT_TRUE(Convert(BuildTar({{.name = "out", .type = S_IFLNK, .target = "/../../../../tmp"},
                                {.name = "out/written", .content = "x"}}))
                  .ok());
  const Snapshot layer = TakeSnapshot(MountLayer(scratch_.path() + "/layer")->get());
  EXPECT_EQ(layer.count("tmp/written"), 1u);
}

TEST_F(HostileLayerTest, MeaninglessWhiteouts) {
  ExpectRefused({{.name = "a/.wh."}}, "a/.wh.", "names nothing");
  ExpectRefused({{.name = "a/.wh..."}}, "a/.wh...", "names nothing");
  ExpectRefused({{.name = ".wh.a/b", .content = "x"}}, ".wh.a/b", "below a whiteout");
}

TEST_F(HostileLayerTest, OwnersAndDevicesThatLinuxDoesNotHave) {
  ExpectRefused({{.name = "u", .content = "x", .uid = 4294967295}}, "u", "not a valid user");
  ExpectRefused({{.name = "u", .content = "x", .gid = int64_t{1} << 40}}, "u", "not a valid user");
  ExpectRefused({{.name = "d", .type = S_IFCHR, .device_major = 5000}}, "d", "device number");
}

TEST_F(HostileLayerTest, LimitsNameTheEntry) {
  ExpectRefused({{.name = std::string(256, 'n'), .content = "x"}}, "nnn", "limit of 255 bytes");
  std::string deep;
  for (int i = 0; i < 1500; ++i) absl::StrAppend(&deep, "d/");
  ExpectRefused({{.name = deep + "f", .content = "x"}}, "d/d/", "limit of 1024 levels");
  for (int i = 0; i < 2000; ++i) absl::StrAppend(&deep, "d/");
  ExpectRefused({{.name = deep, .type = S_IFDIR}}, "d/d/", "limit of 4096 bytes");
  LayerLimits few;
  few.max_entries = 3;
  ExpectRefused({{.name = "1/2/3", .content = "x"}, {.name = "4", .content = "x"}}, "4",
                "limit of 3 entries", few);
  LayerLimits small;
  small.max_image_bytes = 1 << 20;
  ExpectRefused({{.name = "big", .content = std::string(2 << 20, 'x')}}, "big",
                "limit of 1048576 bytes", small);
  LayerLimits forgetful;
  forgetful.max_metadata_bytes = 1000;
  ExpectRefused({{.name = "l", .type = S_IFLNK, .target = std::string(990, 'x')},
                 {.name = "another-name", .content = "x"}},
                "another-name", "limit of 1000 bytes", forgetful);
  LayerLimits bare;
  bare.max_xattr_bytes = 100;
  ExpectRefused({{.name = "x", .xattrs = {{"user.a", std::string(100, 'x')}}}}, "x",
                "extended attributes pass the limit of 100 bytes", bare);
  ExpectRefused({{.name = "x", .xattrs = {{"user.a", std::string(70'000, 'x')}}}}, "x", "user.a");
  const absl::Status root = Convert(
      BuildTar({{.name = "./", .type = S_IFDIR, .xattrs = {{"user.a", std::string(5000, 'x')}}}}));
  EXPECT_EQ(root.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(root.message()), HasSubstr("attributes of the root directory pass"));
}

TEST_F(HostileLayerTest, BombsStopAtTheLimit) {
  const std::string tar = BuildTar({{.name = "zeros", .content = std::string(50 << 20, '\0')}});
  LayerLimits limits;
  limits.max_tar_bytes = 10 << 20;
  for (const char* filter : {"gzip", "zstd"}) {
    const std::string blob = CompressWith(filter, tar);
    ASSERT_LT(blob.size(), 100'000u);
    const absl::Status status = Convert(blob, limits);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("passes the limit of 10485760 bytes"));
  }
}

TEST_F(HostileLayerTest, TruncatedAnywhere) {
  std::string content;
  for (int i = 0; i < 5000; ++i) absl::StrAppend(&content, i * 7919 % 10007, " ");
  const std::string tar =
      BuildTar({{.name = "a", .content = content}, {.name = "b", .content = "b"}});
  for (const char* filter : {"gzip", "zstd"}) {
    const std::string blob = CompressWith(filter, tar);
    ASSERT_TRUE(Convert(blob).ok());
    ASSERT_EQ(RunShell("rm " + scratch_.path() + "/layer"), 0);
    for (size_t size = 4; size < blob.size();
         size += size < 64 || size + 64 > blob.size() ? 1 : 101) {
      const absl::Status status = Convert(blob.substr(0, size));
      ASSERT_EQ(status.code(), StatusCode::kDataLoss) << filter << " " << size << " " << status;
      ASSERT_THAT(std::string(status.message()), HasSubstr("truncated"));
    }
  }
  for (size_t size = 513; size < content.size(); size += 1000) {
    ASSERT_EQ(Convert(tar.substr(0, size)).code(), StatusCode::kDataLoss) << size;
  }
}

TEST_F(HostileLayerTest, DamagedOrFollowedByGarbage) {
  const std::string tar = BuildTar({{.name = "a", .content = "content"}});
  for (const char* filter : {"gzip", "zstd"}) {
    const std::string blob = CompressWith(filter, tar);
    EXPECT_EQ(Convert(blob + "garbage").code(), StatusCode::kDataLoss) << filter;
    EXPECT_EQ(Convert(blob + std::string(512, '\0')).code(), StatusCode::kDataLoss) << filter;
  }
  std::string wrong_sum = CompressWith("gzip", tar);
  wrong_sum[wrong_sum.size() - 8] ^= 1;
  EXPECT_THAT(std::string(Convert(wrong_sum).message()), HasSubstr("wrong checksum"));
  std::string wrong_header = tar;
  wrong_header[100] ^= 1;
  EXPECT_EQ(Convert(wrong_header).code(), StatusCode::kDataLoss);
  EXPECT_EQ(Convert("this is not a tar at all, nor compressed").code(), StatusCode::kDataLoss);
  EXPECT_EQ(Convert(CompressWith("gzip", std::string(5000, 'x'))).code(), StatusCode::kDataLoss);
  EXPECT_THAT(std::string(Convert(CompressWith("xz", tar)).message()),
              HasSubstr("not compressed with xz"));
}

TEST_F(HostileLayerTest, FullDisk) {
  ASSERT_EQ(mount("tmpfs", scratch_.path().c_str(), "tmpfs", 0, "size=1m"), 0);
  const absl::Status status =
      Convert(BuildTar({{.name = "big", .content = std::string(4 << 20, 'x')}}));
  EXPECT_EQ(umount(scratch_.path().c_str()), 0);
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(scratch_.path()), HasSubstr("ENOSPC")));
}

TEST_F(HostileLayerTest, MisuseAndAbandonment) {
  EXPECT_EQ(LayerWriter::Create({.directory = "/nonexistent"}).status().code(),
            StatusCode::kNotFound);
  auto writer = LayerWriter::Create({.directory = scratch_.path()});
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ((*writer)->Commit(scratch_.path() + "/x").code(), StatusCode::kFailedPrecondition);
  // Abandoned with work in every queue.
  const std::string tar = BuildTar({{.name = "big", .content = std::string(8 << 20, 'x')}});
  ASSERT_TRUE((*writer)->Append(tar.substr(0, 3 << 20)).ok());
  writer->reset();
  EXPECT_EQ(scratch_.CountNames(), 0);
}

// Every way to cut a stream of two members into two appends, and byte by byte.
TEST_F(HostileLayerTest, SeveralMembersInPiecesOfAnySize) {
  const std::string tar = BuildTar({{.name = "a", .content = "content"}});
  const std::string plain_diff_id = ConvertLayer(tar, scratch_.path() + "/layer")->diff_id;
  for (const char* filter : {"gzip", "zstd"}) {
    const std::string blob = CompressWith(filter, tar.substr(0, 700)) + CompressWith(filter, "") +
                             CompressWith(filter, tar.substr(700));
    for (size_t piece = 1; piece <= blob.size(); ++piece) {
      const auto result = ConvertLayer(blob, scratch_.path() + "/layer", {}, piece);
      ASSERT_TRUE(result.ok()) << filter << " " << piece << " " << result.status();
      ASSERT_EQ(result->diff_id, plain_diff_id);
    }
  }
}

TEST_F(HostileLayerTest, ImportTakesWhatDockerImportTakes) {
  const std::string tar = BuildTar({{.name = "a", .content = std::string(1'000'000, 'x')}});
  for (const char* filter : {"gzip", "zstd", "xz", "bzip2"}) {
    const std::string blob = CompressWith(filter, tar);
    const LayerOptions options = {.accept_xz_and_bzip2 = true};
    const auto result = ConvertLayer(blob, scratch_.path() + "/layer", options);
    ASSERT_TRUE(result.ok()) << filter << " " << result.status();
    EXPECT_EQ(CompressionName(result->compression), filter);
    EXPECT_EQ(result->tar_bytes, tar.size());
    const auto cut =
        ConvertLayer(blob.substr(0, blob.size() / 2), scratch_.path() + "/cut", options);
    EXPECT_EQ(cut.status().code(), StatusCode::kDataLoss) << filter << " " << cut.status();
  }
}

}  // namespace
}  // namespace slipway::image
