#include "gateway/docker/create_network.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace slipway::gateway {
namespace {

namespace json = boost::json;

TEST(CreateNetworkTest, RefusesWhatIsNoRequest) {
  for (const char* text : {"[]", "null", "7", R"({"Name":7})", R"({"IPAM":[]})",
                           R"({"IPAM":{"Config":[1]}})", R"({"IPAM":{"Config":[{"Subnet":1}]}})",
                           R"({"Options":{"a":1}})", R"({"Internal":"yes"})"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(NetworkFromJson(json::parse(text)).status())) << text;
  }
  for (const char* text : {R"({"Ingress":true})", R"({"ConfigOnly":true})", R"({"Scope":"swarm"})",
                           R"({"ConfigFrom":{"Network":"x"}})", R"({"EnableIPv4":false})"}) {
    EXPECT_TRUE(absl::IsUnimplemented(NetworkFromJson(json::parse(text)).status())) << text;
  }
}

TEST(CreateNetworkTest, ReadsEverything) {
  const auto network = NetworkFromJson(json::parse(R"({
    "Name": "n", "Driver": "bridge", "Internal": true, "Attachable": true, "EnableIPv6": true,
    "Scope": "local", "CheckDuplicate": true, "EnableIPv4": true, "ConfigFrom": {"Network": ""},
    "Options": {"com.docker.network.driver.mtu": "1400"}, "Labels": {"a": "b"},
    "IPAM": {"Driver": "default", "Options": {"x": "y"}, "Config": [
      {"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.254", "IPRange": "10.1.0.128/25",
       "AuxiliaryAddresses": {"router": "10.1.0.5"}}, {"Subnet": "fd00::/64"}]}})"));
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_TRUE(network->internal() && network->attachable() && network->enable_ipv6());
  EXPECT_EQ(network->options().at("com.docker.network.driver.mtu"), "1400");
  EXPECT_EQ(network->labels().at("a"), "b");
  ASSERT_EQ(network->subnets_size(), 2);
  EXPECT_EQ(network->subnets(0).ip_range(), "10.1.0.128/25");
  EXPECT_EQ(network->subnets(0).auxiliary_addresses().at("router"), "10.1.0.5");
}

TEST(CreateNetworkTest, ReadsEndpoints) {
  const auto connect = ConnectFromJson(json::parse(R"({"Container": "c", "EndpointConfig": {
    "Aliases": ["a"], "Links": ["x:y"], "GwPriority": 7, "DriverOpts": {"k": "v"},
    "IPAMConfig": {"IPv4Address": "10.1.0.9", "IPv6Address": "fd00::9"}}})"));
  ASSERT_TRUE(connect.ok()) << connect.status();
  EXPECT_EQ(connect->attachment().address(), "10.1.0.9");
  EXPECT_EQ(connect->attachment().gateway_priority(), 7);
  EXPECT_TRUE(absl::IsUnimplemented(
      ConnectFromJson(
          json::parse(R"({"EndpointConfig":{"IPAMConfig":{"LinkLocalIPs":["169.254.1.1"]}}})"))
          .status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      ConnectFromJson(json::parse(R"({"EndpointConfig":{"GwPriority":99999999999}})")).status()));
  EXPECT_TRUE(DisconnectFromJson(json::parse(R"({"Container":"c","Force":true})"))->force());
}

}  // namespace
}  // namespace slipway::gateway
