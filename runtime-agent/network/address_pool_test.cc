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
  for (const char* text : {"10.1.2.8", "10.1.1.255"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(pool.ReserveAddress(*ParseIpv4(text)))) << text;
    pool.Release(*ParseIpv4(text));
  }
  // Network, gateway and broadcast address are as good as taken.
  for (const char* text : {"10.1.2.0", "10.1.2.1", "10.1.2.7"}) {
    const absl::Status taken = pool.ReserveAddress(*ParseIpv4(text));
    EXPECT_TRUE(absl::IsAlreadyExists(taken));
    EXPECT_EQ(taken.message(), "address " + std::string(text) + " is already in use");
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

TEST(AddressPoolTest, AnOwnerGetsItsAddressAgainForAsLongAsThereAreOthers) {
  AddressPool pool(*Subnet::Parse("10.1.2.0/29"));
  const auto reserve = [&](const std::string& owner) { return FormatIpv4(*pool.Reserve(owner)); };
  EXPECT_EQ(reserve("a"), "10.1.2.2");
  EXPECT_EQ(reserve("b"), "10.1.2.3");
  pool.Release(*ParseIpv4("10.1.2.2"));
  pool.Release(*ParseIpv4("10.1.2.3"));
  EXPECT_EQ(pool.free_count(), 5u);
  EXPECT_EQ(pool.LastOf("a"), *ParseIpv4("10.1.2.2"));
  EXPECT_EQ(pool.LastOf("c"), std::nullopt);
  // The round passes over both.
  EXPECT_EQ(reserve("c"), "10.1.2.4");
  EXPECT_EQ(reserve("a"), "10.1.2.2");
  EXPECT_EQ(reserve(""), "10.1.2.5");
  EXPECT_EQ(reserve(""), "10.1.2.6");
  EXPECT_EQ(pool.free_count(), 1u);
  // Then there is no other.
  EXPECT_EQ(reserve("d"), "10.1.2.3");
  EXPECT_EQ(pool.LastOf("b"), std::nullopt);
  EXPECT_TRUE(absl::IsResourceExhausted(pool.Reserve("b").status()));
  pool.Release(*ParseIpv4("10.1.2.6"));
  EXPECT_EQ(reserve("b"), "10.1.2.6");
}

TEST(AddressPoolTest, WhoIsForgottenHasNoAddress) {
  AddressPool pool(*Subnet::Parse("10.1.2.0/29"));
  EXPECT_TRUE(pool.ReserveAddress(*ParseIpv4("10.1.2.3"), "a").ok());
  pool.Forget("a");
  pool.Forget("nobody");
  EXPECT_EQ(pool.LastOf("a"), std::nullopt);
  pool.Release(*ParseIpv4("10.1.2.3"));
  std::set<std::string> seen;
  for (int i = 0; i < 2; ++i) seen.insert(FormatIpv4(*pool.Reserve("b" + std::to_string(i))));
  EXPECT_TRUE(seen.contains("10.1.2.3"));
  // One that was asked for by name is remembered too, and by another name the first is free.
  EXPECT_TRUE(pool.ReserveAddress(*ParseIpv4("10.1.2.5"), "c").ok());
  pool.Release(*ParseIpv4("10.1.2.5"));
  EXPECT_TRUE(pool.ReserveAddress(*ParseIpv4("10.1.2.6"), "c").ok());
  EXPECT_EQ(pool.LastOf("c"), *ParseIpv4("10.1.2.6"));
  EXPECT_EQ(FormatIpv4(*pool.Reserve()), "10.1.2.4");
  EXPECT_EQ(FormatIpv4(*pool.Reserve()), "10.1.2.5");
  EXPECT_EQ(pool.free_count(), 0u);
}

TEST(AddressPoolTest, KeepsToItsRangeWithOwnersOutsideOfIt) {
  AddressPool pool(*Subnet::Parse("10.1.2.0/24"), *ParseIpv4("10.1.2.1"),
                   *Subnet::Parse("10.1.2.128/30"), {*ParseIpv4("10.1.2.128")});
  EXPECT_TRUE(pool.ReserveAddress(*ParseIpv4("10.1.2.9"), "a").ok());
  pool.Release(*ParseIpv4("10.1.2.9"));
  EXPECT_EQ(pool.free_count(), 3u);
  EXPECT_EQ(FormatIpv4(*pool.Reserve("a")), "10.1.2.129");
  EXPECT_TRUE(absl::IsAlreadyExists(pool.ReserveAddress(*ParseIpv4("10.1.2.128"))));
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
