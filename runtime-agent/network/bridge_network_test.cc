#include "runtime-agent/network/bridge_network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <iostream>
#include <optional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/os/file.h"
#include "gtest/gtest.h"
#include "runtime-agent/network/address_pool.h"
#include "runtime-agent/network/connection_tracking.h"
#include "runtime-agent/network/firewall.h"
#include "runtime-agent/network/links.h"
#include "runtime-agent/network/testing.h"

// Each test is a host of its own: a new network namespace that the test's thread enters before
// anything else is started, so that nothing of the machine is touched.
namespace slipway::agent {
namespace {

PublishedPort Publish(uint16_t host_port, uint16_t container_port,
                      PortProtocol protocol = PortProtocol::kTcp,
                      const std::string& host_address = "") {
  return {container_port, protocol, host_address, host_port};
}

class BridgeNetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "needs root: " << errno;
    auto socket = NetlinkSocket::Open(NETLINK_ROUTE);
    ASSERT_TRUE(socket.ok());
    NetlinkBatch batch;
    SetLinkUp(batch, 1);
    ASSERT_TRUE(socket->Run(batch).ok());
    visitor_ = *NamespaceVisitor::Start();
    options_.prefix = "swtest";
    options_.ready_connected = 0;
    options_.ready_isolated = 0;
  }

  void StartNetwork(const std::vector<Endpoint>& live = {}) {
    network_.reset();
    auto network = NewBridgeNetwork(options_);
    ASSERT_TRUE(network.ok()) << network.status();
    network_ = *std::move(network);
    absl::Status recovered = network_->Recover({}, live);
    ASSERT_TRUE(recovered.ok()) << recovered;
  }

  ConnectedNamespace Container(const std::string& id, std::vector<PublishedPort> ports = {}) {
    auto made = network_->CreateConnectedNamespace({.id = id, .ports = std::move(ports)});
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *std::move(made) : ConnectedNamespace{};
  }

  // Another machine, 198.51.100.2, on a cable to the host, which is 198.51.100.1.
  NetworkNamespace Outside() {
    NetworkNamespace outside = *visitor_->CreateNamespace();
    NetlinkSocket host = *NetlinkSocket::Open(NETLINK_ROUTE);
    NetlinkBatch bridge;
    AddBridge(bridge, "cable0", {2, 0, 0, 0, 0, 1}, 1500, "");
    EXPECT_TRUE(host.Run(bridge).ok());
    int index = *FindLink(host, "cable0");
    NetlinkBatch batch;
    AddAddress(batch, index, *ParseIpv4("198.51.100.1"), 24);
    AddVethPair(batch, {"cable1", "cable0", index, "eth0", outside.fd(), {2, 0, 0, 0, 0, 2}, 1500});
    EXPECT_TRUE(host.Run(batch).ok());
    Inside(outside.fd(), [] {
      NetlinkSocket inside = *NetlinkSocket::Open(NETLINK_ROUTE);
      int eth0 = *FindLink(inside, "eth0");
      NetlinkBatch configuration;
      SetLinkUp(configuration, eth0);
      AddAddress(configuration, eth0, *ParseIpv4("198.51.100.2"), 24);
      AddDefaultRoute(configuration, *ParseIpv4("198.51.100.1"), eth0);
      EXPECT_TRUE(inside.Run(configuration).ok());
    });
    return outside;
  }

  BridgeOptions options_;
  std::unique_ptr<NamespaceVisitor> visitor_;
  std::unique_ptr<NetworkDriver> network_;
};

TEST_F(BridgeNetworkTest, RefusesBadOptionsAndRequests) {
  for (const char* prefix : {"", "a/b", "fourteen-chars"}) {
    BridgeOptions bad = options_;
    bad.prefix = prefix;
    EXPECT_TRUE(absl::IsInvalidArgument(NewBridgeNetwork(bad).status())) << prefix;
  }
  auto early = NewBridgeNetwork(options_);
  ASSERT_TRUE(early.ok()) << early.status();
  EXPECT_TRUE(absl::IsFailedPrecondition((*early)->CreateConnectedNamespace({.id = "x"}).status()));
  StartNetwork();
  auto connect = [&](EndpointRequest request) {
    return network_->CreateConnectedNamespace(request).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(connect({.id = ""})));
  EXPECT_TRUE(absl::IsInvalidArgument(connect({.id = "a", .address = "10.0.0.5"})));
  EXPECT_TRUE(absl::IsAlreadyExists(connect({.id = "a", .address = "172.29.0.1"})));
  EXPECT_TRUE(absl::IsInvalidArgument(connect({.id = "a", .mac_address = "zz"})));
  EXPECT_TRUE(absl::IsInvalidArgument(connect({.id = "a", .mac_address = "01:00:00:00:00:01"})));
  EXPECT_TRUE(absl::IsInvalidArgument(connect({.id = "a", .ports = {Publish(80, 0)}})));
  EXPECT_TRUE(absl::IsInvalidArgument(
      connect({.id = "a", .ports = {Publish(80, 80, PortProtocol::kTcp, "203.0.113.9")}})));
  EXPECT_TRUE(network_->Disconnect("nobody").ok());
}

TEST_F(BridgeNetworkTest, ConnectsWithRequestedAddressAndMac) {
  StartNetwork();
  auto made = network_->CreateConnectedNamespace(
      {.id = "a", .address = "172.29.7.9", .mac_address = "02:00:00:00:00:77"});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->lease.endpoint().address, "172.29.7.9");
  EXPECT_EQ(made->lease.endpoint().mac_address, "02:00:00:00:00:77");
  EXPECT_EQ(made->lease.endpoint().gateway, "172.29.0.1");
  PeerNameServer server(made->network_namespace.fd(), kStream, 80);
  EXPECT_EQ(Ask(kStream, "172.29.7.9", 80), "172.29.0.1");
  EXPECT_TRUE(absl::IsAlreadyExists(network_->CreateConnectedNamespace({.id = "a"}).status()));
  // Again the same is the same, another is refused.
  auto again = network_->Connect({.id = "a"}, made->network_namespace.fd());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->Release().address, "172.29.7.9");
  EXPECT_TRUE(absl::IsAlreadyExists(
      network_->Connect({.id = "a", .address = "172.29.7.8"}, made->network_namespace.fd())
          .status()));
}

TEST_F(BridgeNetworkTest, PublishedPortIsReachedFromEverywhere) {
  StartNetwork();
  NetworkNamespace outside = Outside();
  ConnectedNamespace server =
      Container("server", {Publish(8080, 80), Publish(8053, 53, PortProtocol::kUdp)});
  ConnectedNamespace client = Container("client");
  PeerNameServer tcp(server.network_namespace.fd(), kStream, 80);
  PeerNameServer udp(server.network_namespace.fd(), kDatagram, 53);
  PeerNameServer hidden(server.network_namespace.fd(), kStream, 81);
  const std::string address = server.lease.endpoint().address;
  const int inside = client.network_namespace.fd();

  for (int type : {kStream, kDatagram}) {
    SCOPED_TRACE(type == kStream ? "tcp" : "udp");
    uint16_t host_port = type == kStream ? 8080 : 8053;
    uint16_t port = type == kStream ? 80 : 53;
    EXPECT_EQ(Ask(type, "127.0.0.1", host_port), "172.29.0.1");
    EXPECT_EQ(Ask(type, "127.0.0.2", host_port), "172.29.0.1");
    EXPECT_EQ(Ask(type, "172.29.0.1", host_port), "172.29.0.1");
    EXPECT_NE(Ask(type, "198.51.100.1", host_port), "");
    EXPECT_EQ(AskFrom(inside, type, address, port), client.lease.endpoint().address);
    EXPECT_EQ(AskFrom(inside, type, "172.29.0.1", host_port), "172.29.0.1");
    EXPECT_EQ(AskFrom(inside, type, "198.51.100.1", host_port), "172.29.0.1");
    EXPECT_EQ(AskFrom(server.network_namespace.fd(), type, "198.51.100.1", host_port),
              "172.29.0.1");
    EXPECT_EQ(AskFrom(outside.fd(), type, "198.51.100.1", host_port), "198.51.100.2");
  }
  EXPECT_EQ(AskFrom(outside.fd(), kStream, address, 81, 300), "") << "not published";
  EXPECT_EQ(AskFrom(inside, kStream, address, 81), client.lease.endpoint().address);
}

// One UDP client that never changes its port meets the successor of a removed container.
TEST_F(BridgeNetworkTest, UdpClientIsNotSentToARemovedContainer) {
  StartNetwork();
  EXPECT_TRUE((*ConnectionTracking::Open())->ForgetThoseTo(*ParseIpv4("172.29.200.200")).ok());
  UniqueFd client(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  timeval timeout = {.tv_sec = 0, .tv_usec = 100000};
  setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  sockaddr_in remote = SocketAddress("127.0.0.1", 8053);
  ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&remote), sizeof(remote)), 0);
  for (const char* id : {"first", "second"}) {
    ConnectedNamespace server = Container(id, {Publish(8053, 53, PortProtocol::kUdp)});
    PeerNameServer udp(server.network_namespace.fd(), kDatagram, 53);
    bool answered = false;
    for (int attempt = 0; attempt < 30 && !answered; ++attempt) {
      char answer[64];
      send(client.get(), "?", 1, 0);
      answered = recv(client.get(), answer, sizeof(answer), 0) > 0;
    }
    EXPECT_TRUE(answered) << id;
  }
}

class UdpClientTest : public BridgeNetworkTest {
 protected:
  void ExpectKeepsBeingHeard() {
    StartNetwork();
    NetworkNamespace outside = Outside();
    const auto start = [&](int round) {
      std::vector<PublishedPort> ports = {Publish(8053, 53, PortProtocol::kUdp),
                                          Publish(8054, 53, PortProtocol::kUdp, "198.51.100.1")};
      // More than are looked for one by one.
      for (uint16_t i = 0; round == 2 && i < 40; ++i) {
        ports.push_back(Publish(static_cast<uint16_t>(9000 + i), 53, PortProtocol::kUdp));
      }
      return Container(absl::StrCat("c", round), ports);
    };
    std::vector<UniqueFd> clients;
    Inside(outside.fd(), [&] {
      for (const uint16_t port : {8053, 8054}) {
        UniqueFd& client = clients.emplace_back(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        timeval timeout = {.tv_sec = 0, .tv_usec = 100000};
        setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
        sockaddr_in remote = SocketAddress("198.51.100.1", port);
        ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&remote), sizeof(remote)), 0);
      }
    });
    const auto is_answered = [](const UniqueFd& client) {
      char answer[64];
      while (recv(client.get(), answer, sizeof(answer), MSG_DONTWAIT) > 0) continue;
      send(client.get(), "?", 1, 0);
      return recv(client.get(), answer, sizeof(answer), 0) > 0;
    };
    for (const int round : {1, 2}) {
      for (const UniqueFd& client : clients) EXPECT_FALSE(is_answered(client)) << "nobody is there";
      ConnectedNamespace server = start(round);
      PeerNameServer udp(server.network_namespace.fd(), kDatagram, 53);
      for (const UniqueFd& client : clients) {
        bool answered = false;
        for (int i = 0; i < 10 && !answered; ++i) answered = is_answered(client);
        EXPECT_TRUE(answered) << "round " << round;
      }
      // What was translated is forgotten with its container.
      server = {};
      absl::SleepFor(absl::Milliseconds(600));
    }
  }
};

// Nor is one black-holed that never paused while nobody had the port.
TEST_F(UdpClientTest, KeepsSendingAndIsHeardByTheNextContainer) { ExpectKeepsBeingHeard(); }

TEST_F(UdpClientTest, IsHeardOnAKernelThatDeletesOneByOne) {
  options_.filtered_forgetting = false;
  ExpectKeepsBeingHeard();
}

TEST_F(BridgeNetworkTest, ReachesTheOutsideByTheHostsAddress) {
  StartNetwork();
  NetworkNamespace outside = Outside();
  ConnectedNamespace client = Container("client");
  PeerNameServer tcp(outside.fd(), kStream, 80);
  PeerNameServer udp(outside.fd(), kDatagram, 53);
  EXPECT_EQ(AskFrom(client.network_namespace.fd(), kStream, "198.51.100.2", 80), "198.51.100.1");
  EXPECT_EQ(AskFrom(client.network_namespace.fd(), kDatagram, "198.51.100.2", 53), "198.51.100.1");
}

TEST_F(BridgeNetworkTest, PortOfLoopbackIsOnlyForTheHost) {
  StartNetwork();
  NetworkNamespace outside = Outside();
  ConnectedNamespace server =
      Container("server", {Publish(8080, 80, PortProtocol::kTcp, "127.0.0.1")});
  PeerNameServer tcp(server.network_namespace.fd(), kStream, 80);
  EXPECT_EQ(Ask(kStream, "127.0.0.1", 8080), "172.29.0.1");
  EXPECT_EQ(Ask(kStream, "198.51.100.1", 8080, 300), "");
  EXPECT_EQ(AskFrom(outside.fd(), kStream, "198.51.100.1", 8080, 300), "");
  // Another address of the host may have the same port.
  ConnectedNamespace other =
      Container("other", {Publish(8080, 80, PortProtocol::kTcp, "198.51.100.1")});
  PeerNameServer other_tcp(other.network_namespace.fd(), kStream, 80);
  EXPECT_EQ(AskFrom(outside.fd(), kStream, "198.51.100.1", 8080), "198.51.100.2");
}

TEST_F(BridgeNetworkTest, PortInUseIsRefusedInDockersWords) {
  StartNetwork();
  ConnectedNamespace first = Container("first", {Publish(8080, 80)});
  auto connect = [&](PublishedPort port) {
    return network_->CreateConnectedNamespace({.id = "second", .ports = {port}}).status();
  };
  absl::Status taken = connect(Publish(8080, 80));
  EXPECT_TRUE(absl::IsAlreadyExists(taken));
  EXPECT_EQ(taken.message(), "Bind for 0.0.0.0:8080 failed: port is already allocated");
  taken = connect(Publish(8080, 80, PortProtocol::kTcp, "127.0.0.1"));
  EXPECT_EQ(taken.message(), "Bind for 127.0.0.1:8080 failed: port is already allocated");

  UniqueFd process(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in local = SocketAddress("0.0.0.0", 9090);
  ASSERT_EQ(bind(process.get(), reinterpret_cast<sockaddr*>(&local), sizeof(local)), 0);
  ASSERT_EQ(listen(process.get(), 1), 0);
  taken = connect(Publish(9090, 80));
  EXPECT_EQ(taken.message(), "listen tcp4 0.0.0.0:9090: bind: address already in use");

  // And a process cannot take a published one, not even with SO_REUSEADDR.
  UniqueFd thief(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int on = 1;
  setsockopt(thief.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  local = SocketAddress("0.0.0.0", 8080);
  EXPECT_NE(bind(thief.get(), reinterpret_cast<sockaddr*>(&local), sizeof(local)), 0);

  // Given back, it is free at once, and a failed attempt has left nothing.
  first = {};
  EXPECT_TRUE(connect(Publish(8080, 80)).ok());
}

TEST_F(BridgeNetworkTest, PicksFreePorts) {
  StartNetwork();
  ConnectedNamespace made = Container("a", {Publish(0, 80), Publish(0, 80, PortProtocol::kUdp),
                                            Publish(0, 80, PortProtocol::kSctp)});
  const std::vector<PublishedPort>& ports = made.lease.endpoint().ports;
  // Each but that of SCTP in IPv6, too.
  ASSERT_EQ(ports.size(), 5u);
  for (const PublishedPort& port : ports) EXPECT_GT(port.host_port, 1024);
  PeerNameServer tcp(made.network_namespace.fd(), kStream, 80);
  EXPECT_EQ(Ask(kStream, "127.0.0.1", ports[0].host_port), "172.29.0.1");
}

TEST_F(BridgeNetworkTest, IsReachedByIpv6WithoutHavingIt) {
  StartNetwork();
  ConnectedNamespace made = Container("a", {Publish(0, 80), Publish(0, 80, PortProtocol::kUdp)});
  const std::vector<PublishedPort> ports = made.lease.endpoint().ports;
  ASSERT_EQ(ports.size(), 4u);
  for (const size_t family6 : {1, 3}) {
    EXPECT_EQ(ports[family6].host_address, "::");
    EXPECT_EQ(ports[family6].host_port, ports[family6 - 1].host_port);
  }
  PeerNameServer tcp(made.network_namespace.fd(), kStream, 80);
  PeerNameServer udp(made.network_namespace.fd(), kDatagram, 80);
  EXPECT_EQ(Ask(kStream, "::1", ports[1].host_port), "172.29.0.1");
  EXPECT_EQ(Ask(kDatagram, "::1", ports[3].host_port), "172.29.0.1");
  // One address of the host alone.
  PublishedPort loopback = Publish(0, 80);
  loopback.host_address = "::1";
  auto republished = network_->Publish("", "a", {loopback});
  ASSERT_TRUE(republished.ok()) << republished.status();
  EXPECT_EQ(Ask(kStream, "::1", republished->ports[0].host_port), "172.29.0.1");
  EXPECT_EQ(Ask(kStream, "::1", ports[1].host_port, 200), "");
}

TEST_F(BridgeNetworkTest, SaysWhenNoAddressIsLeftAndUsesAddressesAgain) {
  options_.subnet = "172.29.5.0/29";
  StartNetwork();
  std::vector<ConnectedNamespace> all;
  for (int i = 0; i < 5; ++i) all.push_back(Container(absl::StrCat("c", i)));
  absl::Status full = network_->CreateConnectedNamespace({.id = "more"}).status();
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  std::string given_back = all[2].lease.endpoint().address;
  all[2] = {};
  ConnectedNamespace next = Container("next");
  EXPECT_EQ(next.lease.endpoint().address, given_back);
}

TEST_F(BridgeNetworkTest, RulesComeBackWhenFlushed) {
  StartNetwork();
  ConnectedNamespace server = Container("server", {Publish(8080, 80)});
  PeerNameServer tcp(server.network_namespace.fd(), kStream, 80);
  ASSERT_EQ(Ask(kStream, "127.0.0.1", 8080), "172.29.0.1");
  ASSERT_TRUE(RemoveFirewall("swtest").ok());
  absl::Time start = absl::Now();
  while (Ask(kStream, "127.0.0.1", 8080, 50).empty()) {
    ASSERT_LT(absl::Now() - start, absl::Seconds(2));
  }
  std::cout << "[ NUMBER   ] rules back after " << absl::Now() - start << "\n";
}

TEST_F(BridgeNetworkTest, RestartTakesOverTheLivingAndReapsTheLeaked) {
  StartNetwork();
  ConnectedNamespace live = Container("live", {Publish(8080, 80)});
  ConnectedNamespace leaked = Container("leaked", {Publish(8081, 80)});
  PeerNameServer tcp(live.network_namespace.fd(), kStream, 80);
  Endpoint saved = live.lease.Release();
  std::string leaked_interface = leaked.lease.Release().host_interface;
  ASSERT_NE(if_nametoindex(leaked_interface.c_str()), 0u);

  StartNetwork({saved});
  EXPECT_EQ(if_nametoindex(leaked_interface.c_str()), 0u);
  EXPECT_NE(if_nametoindex(saved.host_interface.c_str()), 0u);
  EXPECT_EQ(Ask(kStream, "127.0.0.1", 8080), "172.29.0.1");
  EXPECT_EQ(Ask(kStream, "::1", 8080), "172.29.0.1");
  EXPECT_EQ(Ask(kStream, "127.0.0.1", 8081, 300), "");
  EXPECT_TRUE(absl::IsAlreadyExists(
      network_->CreateConnectedNamespace({.id = "new", .address = saved.address}).status()));
  EXPECT_TRUE(absl::IsAlreadyExists(
      network_->CreateConnectedNamespace({.id = "new", .ports = {Publish(8080, 1)}}).status()));
  EXPECT_TRUE(network_->Disconnect("live").ok());
  EXPECT_EQ(Ask(kStream, "127.0.0.1", 8080, 300), "");
  ASSERT_TRUE(RemoveBridgeNetwork(options_).ok());
  EXPECT_EQ(if_nametoindex("swtest0"), 0u);
}

TEST_F(BridgeNetworkTest, AThousandPortsCostNoMoreThanOne) {
  StartNetwork();
  ConnectedNamespace server = Container("server", {Publish(8080, 80)});
  PeerNameServer tcp(server.network_namespace.fd(), kStream, 80);
  auto median_connect = [&] {
    std::vector<absl::Duration> times;
    for (int i = 0; i < 101; ++i) {
      absl::Time start = absl::Now();
      EXPECT_EQ(Ask(kStream, "127.0.0.1", 8080), "172.29.0.1");
      times.push_back(absl::Now() - start);
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  };
  absl::Duration with_one = median_connect();
  ConnectedNamespace many = Container("many");
  std::vector<PublishedPort> ports;
  for (uint16_t i = 0; i < 1000; ++i)
    ports.push_back(Publish(static_cast<uint16_t>(20000 + i), 80));
  absl::Time start = absl::Now();
  ConnectedNamespace publisher = Container("publisher", ports);
  absl::Duration publishing = absl::Now() - start;
  absl::Duration with_thousand = median_connect();
  std::cout << "[ NUMBER   ] connection with 1 port " << with_one << ", with 1001 " << with_thousand
            << "; publishing 1000 at once " << publishing << "\n";
  EXPECT_LT(with_thousand, with_one * 2 + absl::Microseconds(100));
  PeerNameServer last(publisher.network_namespace.fd(), kStream, 80);
  EXPECT_EQ(Ask(kStream, "127.0.0.1", 20999), "172.29.0.1");
  start = absl::Now();
  ConnectedNamespace one_more = Container("one more", {Publish(30000, 80)});
  std::cout << "[ NUMBER   ] a further container with a port " << absl::Now() - start << "\n";
}

TEST_F(BridgeNetworkTest, ReadyNamespacesWorkAndAreCheap) {
  for (size_t ready : {0, 16}) {
    options_.ready_connected = ready;
    options_.ready_isolated = ready;
    StartNetwork();
    absl::SleepFor(absl::Milliseconds(300));
    std::vector<ConnectedNamespace> all;
    std::vector<absl::Duration> connected, isolated;
    for (int i = 0; i < 16; ++i) {
      absl::Time start = absl::Now();
      ASSERT_TRUE(network_->CreateIsolatedNamespace().ok());
      isolated.push_back(absl::Now() - start);
      start = absl::Now();
      all.push_back(
          Container(absl::StrCat("c", i), {Publish(static_cast<uint16_t>(9000 + i), 80)}));
      connected.push_back(absl::Now() - start);
    }
    PeerNameServer tcp(all[3].network_namespace.fd(), kStream, 80);
    EXPECT_EQ(Ask(kStream, "127.0.0.1", 9003), "172.29.0.1");
    std::sort(connected.begin(), connected.end());
    std::sort(isolated.begin(), isolated.end());
    absl::Time start = absl::Now();
    all.clear();
    std::cout << "[ NUMBER   ] pool of " << ready << ": connected namespace " << connected[8]
              << ", isolated " << isolated[8] << " (medians of 16), disconnect "
              << (absl::Now() - start) / 16 << "\n";
  }
}

}  // namespace
}  // namespace slipway::agent
