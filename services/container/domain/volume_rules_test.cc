#include "services/container/domain/volume_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slipway::container {
namespace {

using ::testing::HasSubstr;

TEST(VolumeNameTest, Refusals) {
  for (const std::string& bad : {std::string(""), std::string("v"), std::string("../up"),
                                 std::string("-v"), std::string("a b"), std::string(256, 'a')}) {
    EXPECT_FALSE(CheckVolumeName(bad).ok()) << bad;
  }
  EXPECT_TRUE(CheckVolumeName("data_1.old-x").ok());
}

TEST(ParseRamBytesTest, Refusals) {
  for (const char* bad : {"", "k", "-1", "1x", "1kk", "ten", "1e3", "99999999999g"}) {
    EXPECT_FALSE(ParseRamBytes(bad).ok()) << bad;
  }
}

TEST(ParseRamBytesTest, Units) {
  EXPECT_EQ(ParseRamBytes("10").value(), 10);
  EXPECT_EQ(ParseRamBytes("10b").value(), 10);
  EXPECT_EQ(ParseRamBytes("64k").value(), 64 << 10);
  EXPECT_EQ(ParseRamBytes("1.5m").value(), 1536 << 10);
  EXPECT_EQ(ParseRamBytes("10MiB").value(), 10 << 20);
  EXPECT_EQ(ParseRamBytes("2 G").value(), int64_t{2} << 30);
}

TEST(VolumeOptionsTest, Refusals) {
  const auto refusal = [](StringMap options) {
    return std::string(ParseVolumeOptions(options).status().message());
  };
  EXPECT_EQ(refusal({{"foo", "bar"}}), "invalid option: \"foo\"");
  EXPECT_EQ(refusal({{"type", "tmpfs"}}), "missing required option: \"device\"");
  EXPECT_EQ(refusal({{"device", "tmpfs"}}), "missing required option: \"type\"");
  EXPECT_THAT(refusal({{"o", "ro"}}), HasSubstr("missing required option"));
  EXPECT_THAT(refusal({{"size", "many"}}), HasSubstr("invalid size"));
  EXPECT_THAT(refusal({{"size", "1k"}}), HasSubstr("at least"));
  EXPECT_THAT(refusal({{"size", "10m"}, {"type", "tmpfs"}, {"device", "tmpfs"}}),
              HasSubstr("conflicting options"));
  EXPECT_THAT(refusal({{"type", "a\nb"}, {"device", "d"}}), HasSubstr("invalid value"));
}

TEST(VolumeOptionsTest, Kinds) {
  EXPECT_TRUE(ParseVolumeOptions({})->plain());
  EXPECT_EQ(ParseVolumeOptions({{"size", "16m"}})->size_bytes, 16 << 20);
  const auto nfs = ParseVolumeOptions({{"type", "nfs"}, {"device", ":/x"}, {"o", "addr=1.2.3.4"}});
  EXPECT_EQ(nfs->mount_options, "addr=1.2.3.4");
  EXPECT_FALSE(nfs->plain());
}

}  // namespace
}  // namespace slipway::container
