#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netpacket/packet.h>
#include <sys/stat.h>

#include <cerrno>
#include <iostream>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/os/file.h"
#include "gtest/gtest.h"
#include "runtime-agent/network/address_pool.h"
#include "runtime-agent/network/attached_network.h"
#include "runtime-agent/network/bridge_network.h"
#include "runtime-agent/network/firewall.h"
#include "runtime-agent/network/links.h"
#include "runtime-agent/network/resolver_sockets.h"
#include "runtime-agent/network/testing.h"

// Several networks of one host. Each test is a host of its own, as in bridge_network_test.cc.
namespace slipway::agent {
namespace {

constexpr const char* kId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd0";

NetworkDefinition Network(int number, const std::string& subnet) {
  NetworkDefinition definition{
      .id = absl::StrCat(number, kId), .name = absl::StrCat("n", number), .driver = "bridge"};
  definition.subnets = {{.subnet = subnet}};
  return definition;
}

class HostNetworksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "needs root: " << errno;
    auto socket = NetlinkSocket::Open(NETLINK_ROUTE);
    ASSERT_TRUE(socket.ok());
    NetlinkBatch batch;
    SetLinkUp(batch, 1);
    ASSERT_TRUE(socket->Run(batch).ok());
    options_ = {.prefix = "swtest", .ready_connected = 0, .ready_isolated = 0};
    Start({}, {});
  }

  void Start(const std::vector<NetworkDefinition>& networks, const std::vector<Endpoint>& live) {
    driver_.reset();
    auto driver = NewBridgeNetwork(options_);
    ASSERT_TRUE(driver.ok()) << driver.status();
    driver_ = *std::move(driver);
    const absl::Status recovered = driver_->Recover(networks, live);
    ASSERT_TRUE(recovered.ok()) << recovered;
  }
  NetworkDefinition Put(NetworkDefinition definition) {
    const absl::Status put = driver_->PutNetwork(definition, false);
    EXPECT_TRUE(put.ok()) << put;
    return definition;
  }
  ConnectedNamespace Container(const std::string& id, const NetworkDefinition& network,
                               std::vector<PublishedPort> ports = {}) {
    auto made = driver_->CreateConnectedNamespace(
        {.id = id, .ports = std::move(ports), .network_id = network.id});
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *std::move(made) : ConnectedNamespace{};
  }

  BridgeOptions options_;
  std::unique_ptr<NetworkDriver> driver_;
};

TEST_F(HostNetworksTest, RefusesWhatIsNoNetwork) {
  NetworkDefinition bad = Network(1, "10.1.0.0/24");
  for (const auto& [option, value] : std::map<std::string, std::string>{
           {"com.docker.network.bridge.name", "a/b"},
           {"com.docker.network.driver.mtu", "9"},
           {"com.docker.network.bridge.enable_icc", "perhaps"},
           {"com.docker.network.bridge.host_binding_ipv4", "here"}}) {
    bad.options = {{option, value}};
    EXPECT_TRUE(absl::IsInvalidArgument(driver_->PutNetwork(bad, false))) << option;
  }
  bad.options = {};
  bad.subnets = {};
  EXPECT_TRUE(absl::IsInvalidArgument(driver_->PutNetwork(bad, false)));
  bad = Network(1, "10.1.0.0/24");
  bad.driver = "macvlan";
  bad.options["parent"] = "nothere";
  EXPECT_TRUE(absl::IsInvalidArgument(driver_->PutNetwork(bad, false)));
  EXPECT_TRUE(driver_->ListNetworks().empty());
  // The default bridge is a route of the host.
  EXPECT_TRUE(absl::IsAlreadyExists(driver_->PutNetwork(Network(1, "172.29.5.0/24"), true)));
  EXPECT_TRUE(driver_->PutNetwork(Network(1, "10.1.0.0/24"), true).ok());
  EXPECT_TRUE(driver_->PutNetwork(Network(1, "10.1.0.0/24"), true).ok()) << "again";
  EXPECT_TRUE(absl::IsAlreadyExists(driver_->PutNetwork(Network(1, "10.2.0.0/24"), false)));
  EXPECT_TRUE(absl::IsNotFound(
      driver_->CreateConnectedNamespace({.id = "x", .network_id = "nobody"}).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(driver_->RemoveNetwork(kDefaultNetworkId)));
}

// IPv6 ones come by themselves.
std::vector<LinkAddress> AddressesOf(const std::string& name) {
  NetlinkSocket socket = *NetlinkSocket::Open(NETLINK_ROUTE);
  auto all = *ListAddresses(socket, static_cast<int>(if_nametoindex(name.c_str())));
  std::erase_if(all, [](const LinkAddress& one) { return one.bytes.size() != 4; });
  return all;
}

NetworkDefinition OnBridge(NetworkDefinition definition, const std::string& name) {
  definition.options["com.docker.network.bridge.name"] = name;
  return definition;
}

TEST_F(HostNetworksTest, TakesNoInterfaceThatIsNoBridge) {
  NetlinkSocket socket = *NetlinkSocket::Open(NETLINK_ROUTE);
  NetlinkBatch batch;
  AddCable(batch, {.first_name = "hosteth0", .second_name = "far0"});
  ASSERT_TRUE(socket.Run(batch).ok());
  for (const std::string name : {"hosteth0", "lo"}) {
    const std::vector<LinkAddress> before = AddressesOf(name);
    const absl::Status put = driver_->PutNetwork(OnBridge(Network(1, "10.1.0.0/24"), name), false);
    EXPECT_TRUE(absl::IsFailedPrecondition(put)) << put;
    EXPECT_EQ(put.message(), "existing interface " + name + " is not a bridge");
    EXPECT_EQ(AddressesOf(name).size(), before.size());
    EXPECT_NE(if_nametoindex(name.c_str()), 0u);
  }
  // Nor when it was saved by an agent that did.
  Start({OnBridge(Network(1, "10.1.0.0/24"), "hosteth0")}, {});
  EXPECT_TRUE(AddressesOf("hosteth0").empty());
  EXPECT_TRUE(driver_->RemoveNetwork(Network(1, "").id).ok());
  EXPECT_NE(if_nametoindex("hosteth0"), 0u);
}

TEST_F(HostNetworksTest, TakesNoNameOfItsOwn) {
  const NetworkDefinition one = Put(OnBridge(Network(1, "10.1.0.0/24"), "named0"));
  const NetworkDefinition two = Put(Network(2, "10.2.0.0/24"));
  ConnectedNamespace made = Container("a", one);
  const std::string veth = made.lease.endpoint().host_interface;
  for (const std::string& name :
       {std::string("swtest0"), std::string("named0"), std::string("swtes-201234567"), veth,
        std::string("swtesb1-012345"), std::string("swtes0a0b0c0d")}) {
    const absl::Status put = driver_->PutNetwork(OnBridge(Network(3, "10.3.0.0/24"), name), false);
    EXPECT_TRUE(absl::IsPermissionDenied(put)) << name << ": " << put;
  }
  EXPECT_EQ(driver_->PutNetwork(OnBridge(Network(3, "10.3.0.0/24"), "named0"), false).message(),
            absl::StrCat("cannot create network ", Network(3, "").id,
                         " (named0): conflicts with network ", one.id,
                         " (named0): networks have same bridge name"));
  // Nothing of the others was touched.
  PeerNameServer server(made.network_namespace.fd(), kStream, 80);
  EXPECT_EQ(Ask(kStream, made.lease.endpoint().address, 80), "10.1.0.1");
  for (const char* name : {"swtes", "swtesbridge", "swtes-mine", "swtesb-012345"}) {
    EXPECT_FALSE(IsNameOfOurs("swtest", name)) << name;
  }
}

TEST_F(HostNetworksTest, LeavesABridgeOfSomebodyElsesAsItWas) {
  NetlinkSocket socket = *NetlinkSocket::Open(NETLINK_ROUTE);
  NetlinkBatch batch;
  AddBridge(batch, "theirs0", {2, 0, 0, 0, 0, 1}, 1500, "");
  ASSERT_TRUE(socket.Run(batch).ok());
  NetlinkBatch addresses;
  AddAddress(addresses, static_cast<int>(if_nametoindex("theirs0")), *ParseIpv4("10.9.0.1"), 24);
  ASSERT_TRUE(socket.Run(addresses).ok());
  const size_t before = AddressesOf("theirs0").size();
  // With an address of the network's own, also by an agent that is another by then, and with one
  // that was there.
  for (const bool restart : {false, true}) {
    const NetworkDefinition network = Put(OnBridge(Network(1, "10.1.0.0/24"), "theirs0"));
    EXPECT_EQ(AddressesOf("theirs0").size(), before + 1);
    if (restart) Start({network}, {});
    EXPECT_TRUE(driver_->RemoveNetwork(network.id).ok());
    EXPECT_EQ(AddressesOf("theirs0").size(), before) << "restart: " << restart;
    const NetworkDefinition present = Put(OnBridge(Network(2, "10.9.0.0/24"), "theirs0"));
    EXPECT_EQ(AddressesOf("theirs0").size(), before);
    EXPECT_TRUE(driver_->RemoveNetwork(present.id).ok());
    EXPECT_EQ(AddressesOf("theirs0").size(), before);
  }
  EXPECT_NE(if_nametoindex("theirs0"), 0u);
}

// As an earlier version let them be made.
TEST_F(HostNetworksTest, OneOfTwoNetworksOfABridgeGoesAlone) {
  NetlinkSocket socket = *NetlinkSocket::Open(NETLINK_ROUTE);
  NetlinkBatch batch;
  AddBridge(batch, "theirs0", {2, 0, 0, 0, 0, 1}, 1500, "");
  ASSERT_TRUE(socket.Run(batch).ok());
  const NetworkDefinition one = OnBridge(Network(1, "10.1.0.0/24"), "theirs0");
  const NetworkDefinition two = OnBridge(Network(2, "10.2.0.0/24"), "theirs0");
  Start({one, two}, {});
  ConnectedNamespace client = Container("client", two);
  ConnectedNamespace server = Container("server", two);
  EXPECT_TRUE(driver_->RemoveNetwork(one.id).ok());
  PeerNameServer names(server.network_namespace.fd(), kStream, 80);
  const ConnectedNamespace other = Container("other", Put(Network(3, "10.3.0.0/24")),
                                             {{.container_port = 80, .host_port = 8080}});
  PeerNameServer published(other.network_namespace.fd(), kStream, 80);
  // The bridge is still one of ours: nobody else's container is reached but by a port.
  EXPECT_EQ(AskFrom(client.network_namespace.fd(), kStream, server.lease.endpoint().address, 80),
            client.lease.endpoint().address);
  EXPECT_EQ(
      AskFrom(other.network_namespace.fd(), kStream, server.lease.endpoint().address, 80, 300), "");
  EXPECT_NE(AskFrom(client.network_namespace.fd(), kStream, "10.2.0.1", 8080), "");
}

TEST_F(HostNetworksTest, WhoComesBackHasTheSameAddress) {
  const NetworkDefinition network = Put(Network(1, "10.1.0.0/29"));
  ConnectedNamespace first = Container("first", network);
  ConnectedNamespace second = Container("second", network);
  EXPECT_EQ(second.lease.endpoint().address, "10.1.0.3");
  first = {};
  second = {};
  // At once, and others meanwhile get others.
  ConnectedNamespace third = Container("third", network);
  EXPECT_EQ(third.lease.endpoint().address, "10.1.0.4");
  const absl::Time start = absl::Now();
  second = Container("second", network);
  std::cout << "[ NUMBER   ] connected again after " << absl::Now() - start << "\n";
  EXPECT_EQ(second.lease.endpoint().address, "10.1.0.3");
  PeerNameServer server(second.network_namespace.fd(), kStream, 80);
  EXPECT_EQ(AskFrom(third.network_namespace.fd(), kStream, "10.1.0.3", 80), "10.1.0.4");
  // One that does not come back leaves its address to the round.
  driver_->ForgetAddresses("first");
  std::set<std::string> rest;
  std::vector<ConnectedNamespace> more;
  for (int i = 0; i < 3; ++i) {
    more.push_back(Container(absl::StrCat("more", i), network));
    rest.insert(more.back().lease.endpoint().address);
  }
  EXPECT_EQ(rest, (std::set<std::string>{"10.1.0.2", "10.1.0.5", "10.1.0.6"}));
  // After a restart of the agent too.
  const Endpoint saved = second.lease.Release();
  for (ConnectedNamespace* one : {&third, &more[0], &more[1], &more[2]}) *one = {};
  Start({network}, {saved});
  ASSERT_TRUE(driver_->Disconnect("second").ok());
  EXPECT_EQ(Container("other", network).lease.endpoint().address, "10.1.0.2");
  EXPECT_EQ(Container("second", network).lease.endpoint().address, "10.1.0.3");
}

TEST_F(HostNetworksTest, ReservedAddressesAreInUse) {
  NetworkDefinition network = Network(1, "10.85.1.0/24");
  network.subnets[0].reserved = {"10.85.1.65"};
  network.subnets.push_back({.subnet = "fd85::/64", .reserved = {"fd85::65"}});
  network.enable_ipv6 = true;
  Put(network);
  const auto connect = [&](EndpointRequest request) {
    request.id = "a";
    request.network_id = network.id;
    return driver_->CreateConnectedNamespace(request).status();
  };
  for (const char* address : {"10.85.1.65", "10.85.1.0", "10.85.1.1", "10.85.1.255"}) {
    const absl::Status status = connect({.address = address});
    EXPECT_TRUE(absl::IsAlreadyExists(status)) << address;
    EXPECT_EQ(status.message(), absl::StrCat("address ", address, " is already in use"));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(connect({.address = "10.85.2.1"})));
  EXPECT_TRUE(absl::IsAlreadyExists(connect({.address6 = "fd85::65"})));
  EXPECT_TRUE(absl::IsAlreadyExists(connect({.address6 = "fd85::1"})));
  EXPECT_TRUE(absl::IsInvalidArgument(connect({.address6 = "fd86::1"})));
}

TEST_F(HostNetworksTest, NetworksAreApartButForPublishedPorts) {
  const NetworkDefinition one = Put(Network(1, "10.1.0.0/24"));
  const NetworkDefinition two = Put(Network(2, "10.2.0.0/24"));
  ConnectedNamespace client = Container("client", one);
  ConnectedNamespace friend_ = Container("friend", one);
  ConnectedNamespace server = Container("server", two, {{.container_port = 80, .host_port = 8080}});
  PeerNameServer near(friend_.network_namespace.fd(), kStream, 80);
  PeerNameServer far(server.network_namespace.fd(), kStream, 80);
  const int from = client.network_namespace.fd();
  EXPECT_EQ(AskFrom(from, kStream, friend_.lease.endpoint().address, 80),
            client.lease.endpoint().address);
  EXPECT_EQ(AskFrom(from, kStream, server.lease.endpoint().address, 80, 300), "");
  // By the host's port, and it sees who asks.
  EXPECT_EQ(AskFrom(from, kStream, "10.1.0.1", 8080), client.lease.endpoint().address);
  EXPECT_EQ(Ask(kStream, "127.0.0.1", 8080), "10.2.0.1");
}

// Such a container would answer by the other network, where its address is a stranger's.
TEST_F(HostNetworksTest, ReachesAPortByTheGatewayOfAnotherNetworkOfItsContainer) {
  const NetworkDefinition first = Put(Network(1, "10.1.0.0/24"));
  const NetworkDefinition second = Put(Network(2, "10.2.0.0/24"));
  ConnectedNamespace made = Container("a", first, {{.container_port = 80, .host_port = 8080}});
  auto more = driver_->Connect({.id = "a", .network_id = second.id, .interface = "eth1"},
                               made.network_namespace.fd());
  ASSERT_TRUE(more.ok()) << more.status();
  PeerNameServer server(made.network_namespace.fd(), kStream, 80);
  EXPECT_EQ(Ask(kStream, "10.2.0.1", 8080), "10.1.0.1");
  EXPECT_EQ(Ask(kStream, "10.1.0.1", 8080), "10.1.0.1");
}

TEST_F(HostNetworksTest, InternalNetworksLeadNowhere) {
  NetworkDefinition inner = Network(1, "10.1.0.0/24");
  inner.internal = true;
  Put(inner);
  const NetworkDefinition outer = Put(Network(2, "10.2.0.0/24"));
  ConnectedNamespace inside = Container("inside", inner);
  ConnectedNamespace other = Container("other", outer, {{.container_port = 80, .host_port = 8080}});
  EXPECT_EQ(inside.lease.endpoint().gateway, "");
  PeerNameServer server(other.network_namespace.fd(), kStream, 80);
  EXPECT_EQ(AskFrom(inside.network_namespace.fd(), kStream, "10.2.0.2", 80, 200), "");
  EXPECT_EQ(AskFrom(inside.network_namespace.fd(), kStream, "10.1.0.1", 8080, 200), "");
}

TEST_F(HostNetworksTest, PublishesInBothFamiliesAndMovesPorts) {
  NetworkDefinition dual = Network(1, "10.1.0.0/24");
  dual.subnets.push_back({.subnet = "fd01::/64"});
  dual.enable_ipv6 = true;
  Put(dual);
  const NetworkDefinition other = Put(Network(2, "10.2.0.0/24"));
  ConnectedNamespace made = Container("a", dual, {{.container_port = 80}});
  const std::vector<PublishedPort> ports = made.lease.endpoint().ports;
  ASSERT_EQ(ports.size(), 2u);
  EXPECT_EQ(ports[1].host_address, "::");
  EXPECT_EQ(ports[0].host_port, ports[1].host_port);
  EXPECT_EQ(made.lease.endpoint().address6, "fd01::2");
  PeerNameServer server(made.network_namespace.fd(), kStream, 80);
  EXPECT_EQ(Ask(kStream, "127.0.0.1", ports[0].host_port), "10.1.0.1");
  EXPECT_EQ(Ask(kStream, "::1", ports[1].host_port), "10.1.0.1");
  auto second = driver_->Connect({.id = "a", .network_id = other.id, .interface = "eth1"},
                                 made.network_namespace.fd());
  ASSERT_TRUE(second.ok()) << second.status();
  ASSERT_TRUE(driver_->Publish(dual.id, "a", {}).ok());
  EXPECT_EQ(Ask(kStream, "127.0.0.1", ports[0].host_port, 200), "");
  auto moved =
      driver_->Publish(other.id, "a", {{.container_port = 80, .host_port = ports[0].host_port}});
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(Ask(kStream, "127.0.0.1", ports[0].host_port), "10.2.0.1");
}

TEST_F(HostNetworksTest, PortsOfARangeAreTakenInTurn) {
  const NetworkDefinition network = Put(Network(1, "10.1.0.0/24"));
  const PublishedPort range{.container_port = 80, .host_port = 9000, .host_port_last = 9001};
  ConnectedNamespace first = Container("a", network, {range});
  ConnectedNamespace second = Container("b", network, {range});
  EXPECT_EQ(first.lease.endpoint().ports[0].host_port, 9000);
  EXPECT_EQ(second.lease.endpoint().ports[0].host_port, 9001);
  EXPECT_TRUE(absl::IsAlreadyExists(
      driver_->CreateConnectedNamespace({.id = "c", .ports = {range}, .network_id = network.id})
          .status()));
}

// A frame as a container with CAP_NET_RAW can send it, from `source` to everybody.
void SendFrame(int netns_fd, const MacAddress& source_mac, const std::string& source,
               const std::string& target, bool arp) {
  Inside(netns_fd, [&] {
    UniqueFd fd(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
    std::string frame(6, '\xff');
    frame.append(reinterpret_cast<const char*>(source_mac.data()), 6);
    const uint32_t from = inet_addr(source.c_str()), to = inet_addr(target.c_str());
    const auto add = [&](const void* data, size_t size) {
      frame.append(static_cast<const char*>(data), size);
    };
    if (arp) {
      frame += std::string("\x08\x06\x00\x01\x08\x00\x06\x04\x00\x02", 10);
      add(source_mac.data(), 6);
      add(&from, 4);
      frame += std::string(6, '\xff');
      add(&to, 4);
    } else {
      frame += std::string("\x08\x00", 2);
      iphdr header = {};
      header.version = 4;
      header.ihl = 5;
      header.ttl = 9;
      header.protocol = 253;
      header.tot_len = htons(sizeof(header));
      header.saddr = from;
      header.daddr = to;
      // br_netfilter looks at it.
      uint32_t sum = 0;
      const auto* words = reinterpret_cast<const uint16_t*>(&header);
      for (size_t i = 0; i < sizeof(header) / 2; ++i) sum += words[i];
      while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
      header.check = static_cast<uint16_t>(~sum);
      add(&header, sizeof(header));
    }
    sockaddr_ll to_link = {.sll_family = AF_PACKET,
                           .sll_ifindex = static_cast<int>(if_nametoindex("eth0")),
                           .sll_halen = 6};
    ASSERT_EQ(sendto(fd.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to_link),
                     sizeof(to_link)),
              static_cast<ssize_t>(frame.size()));
  });
}

TEST_F(HostNetworksTest, NobodyTakesAnothersAddress) {
  const NetworkDefinition network = Put(Network(1, "10.1.0.0/24"));
  ConnectedNamespace thief = Container("thief", network);
  ConnectedNamespace victim = Container("victim", network);
  UniqueFd ears;
  Inside(victim.network_namespace.fd(),
         [&] { ears = UniqueFd(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL))); });
  const auto heard = [&](const MacAddress& mac) {
    int count = 0;
    char frame[256];
    pollfd wait = {.fd = ears.get(), .events = POLLIN};
    while (poll(&wait, 1, 50) > 0) {
      const ssize_t size = recv(ears.get(), frame, sizeof(frame), 0);
      if (size >= 14 && memcmp(frame + 6, mac.data(), 6) == 0 &&
          (frame[12] == 8 && (frame[13] == 6 || frame[23] == static_cast<char>(253)))) {
        ++count;
      }
    }
    return count;
  };
  const MacAddress own = {0x02, 0x42, 10, 1, 0, 2}, other = {0x02, 0x42, 10, 1, 0, 99};
  const int from = thief.network_namespace.fd();
  heard(own);
  for (const bool arp : {false, true}) {
    SendFrame(from, own, "10.1.0.2", "10.1.0.3", arp);
    EXPECT_EQ(heard(own), 1) << "its own";
    SendFrame(from, own, "10.1.0.1", "10.1.0.3", arp);
    EXPECT_EQ(heard(own), 0) << "the gateway's address, arp: " << arp;
    SendFrame(from, other, "10.1.0.2", "10.1.0.3", arp);
    EXPECT_EQ(heard(other), 0) << "a MAC that is not its own, arp: " << arp;
  }
}

TEST_F(HostNetworksTest, MoreContainersThanABridgeHasPorts) {
  options_.ports_per_bridge = 3;
  for (const bool icc : {true, false}) {
    Start({}, {});
    NetworkDefinition network = Network(icc ? 1 : 2, icc ? "10.1.0.0/24" : "10.2.0.0/24");
    network.options["com.docker.network.bridge.enable_icc"] = icc ? "true" : "false";
    Put(network);
    std::vector<ConnectedNamespace> all;
    for (int i = 0; i < 10; ++i) all.push_back(Container(absl::StrCat("c", i), network));
    PeerNameServer server(all.back().network_namespace.fd(), kStream, 80);
    const std::string last = all.back().lease.endpoint().address;
    const std::string gateway = all.back().lease.endpoint().gateway;
    for (const size_t from : {0, 4, 8}) {
      EXPECT_EQ(AskFrom(all[from].network_namespace.fd(), kStream, last, 80, icc ? 1500 : 150),
                icc ? all[from].lease.endpoint().address : "")
          << from;
    }
    EXPECT_EQ(Ask(kStream, last, 80), gateway);
    // Bridges, and the cables between them, go with their network.
    const auto links = [&] {
      absl::StatusOr<NetlinkSocket> socket = NetlinkSocket::Open(NETLINK_ROUTE);
      EXPECT_TRUE(socket.ok());
      return ListAliased(*socket, AliasOf(options_.prefix, network.id))->size();
    };
    const std::string cable = absl::StrCat("swtest1-", network.id.substr(0, 6));
    EXPECT_NE(if_nametoindex(cable.c_str()), 0u);
    EXPECT_GE(links(), 2 * 10 / options_.ports_per_bridge);
    if (icc) {
      all.clear();
      const absl::Status removed = driver_->RemoveNetwork(network.id);
      EXPECT_TRUE(removed.ok()) << removed;
    } else {
      for (ConnectedNamespace& left : all) left.lease.Release();
      EXPECT_TRUE(RemoveBridgeNetwork(options_).ok());
    }
    EXPECT_EQ(if_nametoindex(cable.c_str()), 0u);
    EXPECT_EQ(links(), 0u);
  }
}

TEST_F(HostNetworksTest, RestartKnowsNetworksAndRemovesTheRest) {
  const NetworkDefinition kept = Put(Network(1, "10.1.0.0/24"));
  const NetworkDefinition lost = Put(Network(2, "10.2.0.0/24"));
  ConnectedNamespace live = Container("live", kept);
  const Endpoint saved = live.lease.Release();
  Container("leaked", lost).lease.Release();
  Start({kept}, {saved});
  EXPECT_NE(if_nametoindex("swtes-101234567"), 0u);
  EXPECT_EQ(if_nametoindex("swtes-201234567"), 0u);
  EXPECT_EQ(driver_->ListNetworks(), std::vector<std::string>{kept.id});
  EXPECT_TRUE(absl::IsFailedPrecondition(driver_->RemoveNetwork(kept.id)));
  PeerNameServer server(live.network_namespace.fd(), kStream, 80);
  EXPECT_EQ(Ask(kStream, saved.address, 80), "10.1.0.1");
  ASSERT_TRUE(driver_->Disconnect("live").ok());
  EXPECT_TRUE(driver_->RemoveNetwork(kept.id).ok());
  EXPECT_EQ(if_nametoindex("swtes-101234567"), 0u);
  ASSERT_TRUE(RemoveBridgeNetwork(options_).ok());
}

TEST_F(HostNetworksTest, FollowsTheGateway) {
  const NetworkDefinition one = Put(Network(1, "10.1.0.0/24"));
  const NetworkDefinition two = Put(Network(2, "10.2.0.0/24"));
  ConnectedNamespace made = Container("a", one);
  auto second = driver_->Connect(
      {.id = "a", .network_id = two.id, .interface = "eth1", .gateway_priority = 7},
      made.network_namespace.fd());
  ASSERT_TRUE(second.ok()) << second.status();
  const auto default_route = [&] {
    std::string text;
    Inside(made.network_namespace.fd(), [&] { text = *ReadFile("/proc/thread-self/net/route"); });
    return text;
  };
  std::vector<Endpoint> endpoints = {made.lease.endpoint(), second->endpoint()};
  ASSERT_TRUE(driver_->Arrange(made.network_namespace.fd(), endpoints).ok());
  EXPECT_NE(default_route().find("eth1\t00000000\t0100020A"), std::string::npos) << default_route();
  endpoints.pop_back();
  ASSERT_TRUE(driver_->DisconnectFrom(two.id, "a", made.network_namespace.fd()).ok());
  second->Release();
  ASSERT_TRUE(driver_->Arrange(made.network_namespace.fd(), endpoints).ok());
  EXPECT_NE(default_route().find("eth0\t00000000\t0100010A"), std::string::npos);
  EXPECT_EQ(default_route().find("eth1"), std::string::npos);
}

TEST_F(HostNetworksTest, MacvlanContainersShareAWire) {
  NetworkDefinition network = Network(1, "10.1.0.0/24");
  network.driver = "macvlan";
  Put(network);
  ConnectedNamespace one = Container("one", network);
  ConnectedNamespace two = Container("two", network);
  PeerNameServer server(two.network_namespace.fd(), kStream, 80);
  EXPECT_EQ(AskFrom(one.network_namespace.fd(), kStream, "10.1.0.3", 80), "10.1.0.2");
  EXPECT_TRUE(driver_->DisconnectFrom(network.id, "two", two.network_namespace.fd()).ok());
  EXPECT_EQ(AskFrom(one.network_namespace.fd(), kStream, "10.1.0.3", 80, 200), "");
}

TEST_F(HostNetworksTest, LimitsRates) {
  const NetworkDefinition network = Put(Network(1, "10.1.0.0/24"));
  auto made = driver_->CreateConnectedNamespace({.id = "a",
                                                 .network_id = network.id,
                                                 .ingress_bytes_per_second = 125'000,
                                                 .egress_bytes_per_second = 125'000});
  ASSERT_TRUE(made.ok()) << made.status();
  UniqueFd sink(socket(AF_INET, SOCK_DGRAM, 0));
  sockaddr_in local = SocketAddress("10.1.0.1", 5000);
  ASSERT_EQ(bind(sink.get(), reinterpret_cast<sockaddr*>(&local), sizeof(local)), 0);
  int huge = 8 << 20;
  setsockopt(sink.get(), SOL_SOCKET, SO_RCVBUFFORCE, &huge, sizeof(huge));
  const absl::Time start = absl::Now();
  Inside(made->network_namespace.fd(), [&] {
    UniqueFd source(socket(AF_INET, SOCK_DGRAM, 0));
    const std::string payload(1000, 'x');
    while (absl::Now() - start < absl::Milliseconds(500)) {
      sendto(source.get(), payload.data(), payload.size(), MSG_DONTWAIT,
             reinterpret_cast<sockaddr*>(&local), sizeof(local));
      absl::SleepFor(absl::Microseconds(200));
    }
  });
  size_t received = 0;
  char buffer[2000];
  for (ssize_t size; (size = recv(sink.get(), buffer, sizeof(buffer), MSG_DONTWAIT)) > 0;) {
    received += static_cast<size_t>(size);
  }
  // Half a second at 125 kB/s, and a burst.
  EXPECT_GT(received, 40'000u);
  EXPECT_LT(received, 190'000u);
}

TEST_F(HostNetworksTest, ResolverSocketsHearPort53AndCanBeTakenOver) {
  const NetworkDefinition network = Put(Network(1, "10.1.0.0/24"));
  ConnectedNamespace made = Container("a", network);
  const int netns = made.network_namespace.fd();
  auto sockets = driver_->OpenResolver(netns);
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  const auto hears = [&](int fd) {
    Inside(netns, [&] {
      UniqueFd client(socket(AF_INET, SOCK_DGRAM, 0));
      sockaddr_in server = SocketAddress("127.0.0.11", 53);
      sendto(client.get(), "?", 1, 0, reinterpret_cast<sockaddr*>(&server), sizeof(server));
    });
    pollfd wait = {.fd = fd, .events = POLLIN};
    char byte;
    return poll(&wait, 1, 500) == 1 && recv(fd, &byte, 1, 0) == 1;
  };
  EXPECT_TRUE(hears(sockets->udp.get()));
  struct stat home = {};
  ASSERT_EQ(fstat(netns, &home), 0);
  auto taken = TakeOverResolverSockets(getpid());
  ASSERT_TRUE(taken.contains(home.st_ino));
  sockets = absl::UnknownError("gone");
  EXPECT_TRUE(hears(taken[home.st_ino].udp.get()));
  auto again = driver_->OpenResolver(netns);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(hears(again->udp.get())) << "the redirection is replaced";
}

}  // namespace
}  // namespace slipway::agent
