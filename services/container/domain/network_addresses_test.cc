#include "services/container/domain/network_addresses.h"

#include <gtest/gtest.h>

#include "services/container/domain/network_table.h"

namespace slipway::container {
namespace {

AddressBlock Block(absl::string_view text) { return *AddressBlock::Parse(text); }

TEST(NetworkAddressesTest, RefusesWhatIsNoBlock) {
  for (const char* text : {"", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "x/8",
                           "10.0.0/24", "fd00::/129", "10.0.0.0/24/1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(AddressBlock::Parse(text).status())) << text;
  }
}

TEST(NetworkAddressesTest, DropsBitsBehindThePrefix) {
  EXPECT_EQ(Block("10.1.2.3/16").ToString(), "10.1.0.0/16");
  EXPECT_EQ(Block("10.1.2.3/20").ToString(), "10.1.0.0/20");
  EXPECT_EQ(Block("fd00::5/64").ToString(), "fd00::/64");
  EXPECT_EQ(FormatAddress(Block("10.1.255.0/24").At(256)), "10.2.0.0");
}

TEST(NetworkAddressesTest, KnowsOverlaps) {
  EXPECT_TRUE(Block("10.0.0.0/8").Overlaps(Block("10.9.0.0/24")));
  EXPECT_TRUE(Block("10.9.0.0/24").Overlaps(Block("10.0.0.0/8")));
  EXPECT_FALSE(Block("10.0.0.0/24").Overlaps(Block("10.0.1.0/24")));
  EXPECT_FALSE(Block("0.0.0.0/0").Overlaps(Block("::/0")));
}

TEST(NetworkAddressesTest, FindsTheFirstFreeBlockUntilThereIsNone) {
  const AddressBlock pool = Block("172.30.0.0/23");
  std::vector<AddressBlock> taken = {Block("172.30.0.128/25")};
  EXPECT_EQ(FindFreeBlock(pool, 24, taken)->ToString(), "172.30.1.0/24");
  taken.push_back(Block("172.30.1.7/32"));
  EXPECT_TRUE(absl::IsResourceExhausted(FindFreeBlock(pool, 24, taken).status()));
  EXPECT_EQ(FindFreeBlock(Block("fd01:2:3::/48"), 64, {Block("fd01:2:3::/64")})->ToString(),
            "fd01:2:3:1::/64");
}

TEST(NetworkAddressesTest, APoolOfSmallBlocksIsLarge) {
  std::vector<AddressBlock> taken;
  for (int i = 0; i < 512; ++i) taken.push_back(*FindFreeBlock(Block("172.30.0.0/15"), 24, taken));
  EXPECT_EQ(taken.back().ToString(), "172.31.255.0/24");
  EXPECT_TRUE(absl::IsResourceExhausted(FindFreeBlock(Block("172.30.0.0/15"), 24, taken).status()));
}

TEST(NetworkAddressesTest, ChecksWhatBelongsToASubnet) {
  const Subnet bad[] = {{.subnet = "10.0.0.0/31"},
                        {.subnet = "10.0.0.0/7"},
                        {.subnet = "fd00::/127"},
                        {.subnet = "10.0.0.0/24", .gateway = "10.0.1.1"},
                        {.subnet = "10.0.0.0/24", .gateway = "fd00::1"},
                        {.subnet = "10.0.0.0/24", .ip_range = "10.0.0.0/23"},
                        {.subnet = "10.0.0.0/24", .ip_range = "10.0.1.0/28"},
                        {.subnet = "10.0.0.0/24", .auxiliary_addresses = {{"x", "10.0.1.1"}}}};
  for (Subnet subnet : bad) {
    EXPECT_TRUE(absl::IsInvalidArgument(CompleteSubnet(subnet))) << subnet.subnet;
  }
  Subnet good{.subnet = "10.0.0.9/24", .ip_range = "10.0.0.130/25"};
  ASSERT_TRUE(CompleteSubnet(good).ok());
  EXPECT_EQ(good.subnet, "10.0.0.0/24");
  EXPECT_EQ(good.gateway, "10.0.0.1");
  EXPECT_EQ(good.ip_range, "10.0.0.128/25");
}

TEST(NetworkAddressesTest, AddressesThatAreNobodysToGive) {
  const Subnet bad[] = {{.subnet = "10.86.1.0/24", .gateway = "10.86.1.0"},
                        {.subnet = "10.86.1.0/24", .gateway = "10.86.1.255"},
                        {.subnet = "10.86.0.0/15", .gateway = "10.87.255.255"},
                        {.subnet = "10.86.3.0/24", .auxiliary_addresses = {{"a", "10.86.3.0"}}},
                        {.subnet = "10.86.3.0/24", .auxiliary_addresses = {{"a", "10.86.3.1"}}},
                        {.subnet = "10.86.3.0/24", .auxiliary_addresses = {{"a", "10.86.3.255"}}},
                        {.subnet = "10.86.3.0/30",
                         .gateway = "10.86.3.2",
                         .auxiliary_addresses = {{"a", "10.86.3.2"}}},
                        {.subnet = "fd00::/64", .auxiliary_addresses = {{"a", "fd00::1"}}}};
  for (Subnet subnet : bad) {
    EXPECT_TRUE(absl::IsPermissionDenied(CompleteSubnet(subnet))) << subnet.subnet;
  }
  Subnet gateway = bad[0];
  EXPECT_EQ(CompleteSubnet(gateway).message(),
            "failed to allocate gateway (10.86.1.0): Address already in use");
  Subnet auxiliary = bad[4];
  EXPECT_EQ(CompleteSubnet(auxiliary).message(),
            "failed to allocate secondary ip address (a:10.86.3.1): Address already in use");
  Subnet good[] = {{.subnet = "10.86.0.0/23", .gateway = "10.86.0.255"},
                   {.subnet = "10.86.0.0/30", .auxiliary_addresses = {{"a", "10.86.0.2"}}},
                   {.subnet = "fd00::/64", .auxiliary_addresses = {{"a", "fd00::"}}}};
  for (Subnet& subnet : good) EXPECT_TRUE(CompleteSubnet(subnet).ok()) << subnet.subnet;
}

TEST(NetworkAddressesTest, EveryHostHasAPoolOfItsOwn) {
  const AddressBlock one = UniqueLocalPool("a");
  EXPECT_EQ(one.first.bytes[0], 0xfd);
  EXPECT_NE(one.ToString(), UniqueLocalPool("b").ToString());
}

TEST(NetworkTableTest, ClaimsNamesAndAddresses) {
  NetworkTable table;
  table.SetBridge("172.29.0.0/16", "172.29.0.1");
  const auto network = [](const char* id, const char* name, const char* subnet) {
    return std::make_shared<const VirtualNetwork>(
        VirtualNetwork{.id = id, .name = name, .subnets = {{.subnet = subnet}}});
  };
  EXPECT_TRUE(absl::IsPermissionDenied(table.Claim(network("aa", "a", "172.29.5.0/24"))));
  ASSERT_TRUE(table.Claim(network("aa1", "a", "10.0.0.0/24")).ok());
  EXPECT_TRUE(absl::IsNotFound(table.Find("a").status())) << "not before it is made";
  EXPECT_TRUE(absl::IsAlreadyExists(table.Claim(network("bb", "a", "10.0.1.0/24"))));
  EXPECT_TRUE(absl::IsPermissionDenied(table.Claim(network("bb", "b", "10.0.0.0/8"))));
  table.Add(network("aa1", "a", "10.0.0.0/24"));
  table.Add(network("aa2", "aa1x", "10.0.2.0/24"));
  EXPECT_EQ((*table.Find("a"))->id, "aa1");
  EXPECT_EQ((*table.Find("aa2"))->name, "aa1x");
  EXPECT_TRUE(absl::IsInvalidArgument(table.Find("aa").status()));
  EXPECT_EQ((*table.Find("bridge"))->subnets[0].subnet, "172.29.0.0/16");
  table.Erase("aa1");
  EXPECT_TRUE(table.Claim(network("cc", "a", "10.0.0.0/24")).ok());
}

}  // namespace
}  // namespace slipway::container
