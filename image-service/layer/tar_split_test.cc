// The tar that a layer file gives back has to be the one that it was made of, byte by byte.
#include "image-service/layer/tar_split.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "image-service/layer/layer_fixture.h"
#include "image-service/layer/layer_writer.h"
#include "image-service/layer/tar_builder.h"

namespace slipway::image {
namespace {

class TarSplitTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return scratch_.path() + "/" + name; }

  static std::string Read(const std::string& path) {
    return ReadFile(path, size_t{1} << 30).value();
  }

  // What the layer file at `path` gives back.
  static absl::StatusOr<std::string> TarOf(const std::string& path, const LayerResult& layer) {
    const UniqueFd fd = OpenFile(path, O_RDONLY).value();
    std::string tar;
    const absl::Status status = ReadSplitTar(fd.get(), path, layer.image_bytes, layer.tar_bytes,
                                             [&](absl::string_view bytes) {
                                               tar.append(bytes.data(), bytes.size());
                                               return absl::OkStatus();
                                             });
    if (!status.ok()) return status;
    return tar;
  }

  // Converts `blob`, whose tar is `tar`, and puts the tar together again. The split's size.
  uint64_t ExpectBack(absl::string_view blob, const std::string& tar, size_t piece_bytes = 10'000) {
    const auto kept = ConvertLayer(blob, Path("kept.erofs"), {.keep_split = true}, piece_bytes);
    const auto plain = ConvertLayer(blob, Path("plain.erofs"), {}, piece_bytes);
    EXPECT_TRUE(kept.ok()) << kept.status();
    EXPECT_TRUE(plain.ok()) << plain.status();
    if (!kept.ok() || !plain.ok()) return 0;
    EXPECT_EQ(kept->diff_id, plain->diff_id);
    EXPECT_EQ(kept->image_bytes, plain->image_bytes);
    const std::string file = Read(Path("kept.erofs"));
    EXPECT_EQ(file.size(), kept->image_bytes + kept->split_bytes);
    EXPECT_TRUE(file.substr(0, kept->image_bytes) == Read(Path("plain.erofs")));
    const absl::StatusOr<std::string> back = TarOf(Path("kept.erofs"), *kept);
    EXPECT_TRUE(back.ok()) << back.status();
    EXPECT_TRUE(back.ok() && *back == tar) << "of " << tar.size() << " bytes";
    return kept->split_bytes;
  }

  // The same for what GNU tar makes of its arguments.
  uint64_t ExpectTarBack(const std::string& arguments, const std::string& compressor = "cat") {
    EXPECT_EQ(RunShell(absl::StrCat("tar -cf - ", arguments, " | tee ", Path("tar"), " | ",
                                    compressor, " > ", Path("blob"))),
              0);
    return ExpectBack(Read(Path("blob")), Read(Path("tar")));
  }

  ScratchDirectory scratch_;
};

TEST_F(TarSplitTest, RealTreesInEveryFormatAndCompression) {
  ExpectTarBack("--format=pax --xattrs -C /etc .");
  ExpectTarBack("--format=gnu -C /etc .", "gzip -1");
  ExpectTarBack("--format=ustar -C /usr/share/perl5 .", "zstd -q");
  // The split of large files is next to nothing.
  EXPECT_LT(ExpectTarBack("--format=gnu -C /usr/bin bash tar perl"), 4096u);
}

TEST_F(TarSplitTest, EveryFileSizeAroundTheLimitsOfTheLayout) {
  std::filesystem::create_directory(Path("in"));
  std::mt19937 random(1);
  for (const int base :
       {0, 512, 1984, 2048, 4032, 4096, 6144, 8192, 16384, 18432, 131072, 262144}) {
    for (int delta = -2; delta <= 2; ++delta) {
      if (base + delta < 0) continue;
      std::ofstream out(Path(absl::StrCat("in/", base + delta)));
      for (int i = 0; i < base + delta; ++i) out.put(static_cast<char>(random()));
    }
  }
  ExpectTarBack("--format=pax -C " + Path("in") + " .");
}

TEST_F(TarSplitTest, SparseLinkedReplacedAndOddEntries) {
  ASSERT_EQ(RunShell("set -e; cd " + scratch_.path() + R"sh(; mkdir in; cd in
      truncate -s 3M hole; printf tail >> hole; printf head | dd of=hole conv=notrunc status=none
      truncate -s 1M empty; printf abc > a; ln a b; ln -s a c; mkfifo pipe; mkdir d
      printf x > $(printf 'n%.0s' $(seq 250)))sh"),
            0);
  const std::string in = "-C " + Path("in") + " .";
  for (const char* format : {"gnu", "pax"}) {
    ExpectTarBack(absl::StrCat("-S --format=", format, " ", in));
    ExpectTarBack(absl::StrCat("--format=", format, " ", in));
  }
  // A name that comes twice, and bytes behind the end mark.
  ASSERT_EQ(RunShell("cd " + Path("in") + " && tar -cf ../twice.tar a b && tar -rf ../twice.tar a"),
            0);
  const std::string tar = Read(Path("twice.tar")) + std::string(5000, '\0') + "more";
  for (const size_t piece_bytes : {1u, 511u, 512u, 1000u, 65536u}) {
    ExpectBack(tar, tar, piece_bytes);
  }
}

TEST_F(TarSplitTest, NothingButZerosAndNothingAtAll) {
  ExpectBack(std::string(1024, '\0'), std::string(1024, '\0'));
  ExpectBack("", "");
}

TEST_F(TarSplitTest, ManySmallFilesGoThroughTheSpill) {
  std::mt19937_64 random(2);
  std::vector<TarEntry> entries;
  for (int i = 0; i < 60'000; ++i) {
    // Names that compress badly.
    entries.push_back({.name = absl::StrCat(absl::Hex(random()), absl::Hex(random())),
                       .content = absl::StrCat("file ", i)});
  }
  const std::string tar = BuildTar(entries);
  EXPECT_GT(ExpectBack(tar, tar, 300'000), uint64_t{1} << 20);
  EXPECT_EQ(scratch_.CountNames(), 2);
}

TEST_F(TarSplitTest, DamageIsSeen) {
  const std::string tar = BuildTar(
      {{.name = "a", .content = std::string(100'000, 'x')}, {.name = "b", .content = "small"}});
  const LayerResult layer = ConvertLayer(tar, Path("layer.erofs"), {.keep_split = true}).value();
  const std::string whole = Read(Path("layer.erofs"));
  ASSERT_TRUE(*TarOf(Path("layer.erofs"), layer) == tar);
  const auto expect_loss = [&](const std::string& file, const LayerResult& result) {
    std::ofstream(Path("damaged.erofs")) << file;
    const absl::StatusOr<std::string> back = TarOf(Path("damaged.erofs"), result);
    EXPECT_TRUE(absl::IsDataLoss(back.status())) << back.status();
  };
  // Cut off anywhere, and every byte of the split changed.
  for (size_t size = layer.image_bytes; size < whole.size(); ++size) {
    expect_loss(whole.substr(0, size), layer);
  }
  for (size_t at = layer.image_bytes; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x41);
    std::ofstream(Path("damaged.erofs")) << changed;
    const absl::StatusOr<std::string> back = TarOf(Path("damaged.erofs"), layer);
    // A bit that does not matter may be there; another tar may not come out.
    EXPECT_TRUE(back.ok() ? *back == tar : absl::IsDataLoss(back.status())) << back.status();
  }
  for (const int64_t wrong : {-1, 1, 512}) {
    LayerResult other = layer;
    other.tar_bytes += static_cast<uint64_t>(wrong);
    expect_loss(whole, other);
  }
}

}  // namespace
}  // namespace slipway::image
