#include "runtime-agent/network/address_pool.h"

#include <set>

#include "gtest/gtest.h"

namespace slipway::agent {
namespace {

TEST(SubnetTest, RefusesWhatIsNoSubnet) {
  for (const char* text : {"", "172.29.0.0", "172.29.0.0/", "172.29.0.0/31", "172.29.0.0/7",
                           "172.29.0.1/16", "999.0.0.0/8", "fd00::/64", "172.29.0.0/16x"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Subnet::Parse(text).status())) << text;
  }
}

TEST(AddressPoolTest, RefusesAddressesThatAreNotForContainers) {
  AddressPool pool(*Subnet::Parse("10.1.2.0/29"));
  for (const char* text : {"10.1.2.0", "10.1.2.1", "10.1.2.7", "10.1.2.8", "10.1.1.255"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(pool.ReserveAddress(*ParseIpv4(text)))) << text;
    pool.Release(*ParseIpv4(text));
  }
  EXPECT_EQ(pool.free_count(), 5u);
}

TEST(AddressPoolTest, HandsOutEveryAddressOnceThenSaysItIsExhausted) {
  AddressPool pool(*Subnet::Parse("10.1.2.0/29"));
  std::set<std::string> seen;
  for (int i = 0; i < 5; ++i) seen.insert(FormatIpv4(*pool.Reserve()));
  EXPECT_EQ(seen,
            (std::set<std::string>{"10.1.2.2", "10.1.2.3", "10.1.2.4", "10.1.2.5", "10.1.2.6"}));
  EXPECT_TRUE(absl::IsResourceExhausted(pool.Reserve().status()));
  EXPECT_TRUE(absl::IsAlreadyExists(pool.ReserveAddress(*ParseIpv4("10.1.2.4"))));
  pool.Release(*ParseIpv4("10.1.2.4"));
  EXPECT_EQ(FormatIpv4(*pool.Reserve()), "10.1.2.4");
}

TEST(AddressPoolTest, UsesAnAddressGivenBackLast) {
  AddressPool pool(*Subnet::Parse("10.1.0.0/16"));
  uint32_t first = *pool.Reserve();
  pool.Release(first);
  size_t others = pool.free_count() - 1;
  for (size_t i = 0; i < others; ++i) ASSERT_NE(*pool.Reserve(), first);
  EXPECT_EQ(*pool.Reserve(), first);
  EXPECT_EQ(pool.free_count(), 0u);
}

}  // namespace
}  // namespace slipway::agent
