#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/container/domain/attachments.h"
#include "services/container/testing/world.h"

namespace slipway::container {
namespace {

VirtualNetwork Named(const std::string& name, const std::string& subnet = "") {
  VirtualNetwork network{.name = name};
  if (!subnet.empty()) network.subnets.push_back({.subnet = subnet});
  return network;
}

ContainerSpec On(const std::string& network, Attachment attachment = {}) {
  ContainerSpec spec = World::Spec();
  spec.network.mode = network;
  attachment.network = network;
  spec.network.attachments.push_back(std::move(attachment));
  return spec;
}

TEST(NetworksTest, RefusesWhatMakesNoNetwork) {
  World world;
  for (const char* name : {"", " x", "a/b", "a:b", "a\nb"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(world.CreateNetwork(Named(name)).status())) << name;
  }
  for (const char* name : {"bridge", "host", "none", "default"}) {
    EXPECT_TRUE(absl::IsPermissionDenied(world.CreateNetwork(Named(name)).status())) << name;
  }
  VirtualNetwork network = Named("n");
  network.driver = "weave";
  EXPECT_TRUE(absl::IsNotFound(world.CreateNetwork(network).status()));
  network.driver = "host";
  EXPECT_TRUE(absl::IsPermissionDenied(world.CreateNetwork(network).status()));
  network = Named("n");
  network.options["com.docker.network.driver.mtu"] = "many";
  EXPECT_TRUE(absl::IsInvalidArgument(world.CreateNetwork(network).status()));
  network = Named("n", "10.1.0.0/24");
  network.subnets.push_back({.subnet = "10.1.1.0/24"});
  EXPECT_TRUE(absl::IsInvalidArgument(world.CreateNetwork(network).status()));
  ASSERT_TRUE(world.CreateNetwork(Named("n", "10.1.0.0/24")).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(world.CreateNetwork(Named("n")).status()));
  const absl::Status overlaps = world.CreateNetwork(Named("m", "10.1.0.128/25")).status();
  EXPECT_TRUE(absl::IsPermissionDenied(overlaps));
  EXPECT_EQ(overlaps.message(), "Pool overlaps with other one on this address space");
  EXPECT_EQ(world.agent.NetworkIds().size(), 1u);
  // Also where the other family's block is not the client's choice.
  ASSERT_TRUE(world.CreateNetwork(Named("six", "fd00:1::/64")).ok());
  const absl::Status overlaps6 = world.CreateNetwork(Named("seven", "fd00:1::/80")).status();
  EXPECT_TRUE(absl::IsPermissionDenied(overlaps6)) << overlaps6;
}

TEST(NetworksTest, BridgesHaveNamesOfTheirOwn) {
  World world;
  const auto create = [&](const std::string& name, const std::string& bridge,
                          const std::string& driver = "") {
    VirtualNetwork network = Named(name);
    network.driver = driver;
    network.options["com.docker.network.bridge.name"] = bridge;
    return world.CreateNetwork(network).status();
  };
  for (const char* bridge : {".", "..", "a/b", "a b", "a:b", "a\n", "sixteen-bytes-xx"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(create("n", bridge))) << bridge;
  }
  ASSERT_TRUE(create("n", "fifteen-bytes-x").ok());
  const absl::Status taken = create("m", "fifteen-bytes-x");
  EXPECT_TRUE(absl::IsPermissionDenied(taken)) << taken;
  EXPECT_TRUE(absl::EndsWith(taken.message(),
                             absl::StrCat("conflicts with network ", world.agent.NetworkIds()[0],
                                          " (fifteen-bytes-x): networks have same bridge name")))
      << taken;
  EXPECT_EQ(world.agent.NetworkIds().size(), 1u);
  EXPECT_TRUE(create("other", "other-bridge").ok());
  EXPECT_TRUE(create("wire", "fifteen-bytes-x", "macvlan").ok()) << "it has no bridge";
  ASSERT_TRUE(world.RemoveNetwork("n").ok());
  EXPECT_TRUE(create("m", "fifteen-bytes-x").ok());
}

TEST(NetworksTest, BlocksComeFromThePoolAndKeepOffTheHostsRoutes) {
  World world;
  world.agent.overlaps = 2;
  VirtualNetwork dual = Named("a");
  dual.enable_ipv6 = true;
  const auto id = world.CreateNetwork(dual);
  ASSERT_TRUE(id.ok()) << id.status();
  const NetworkPtr made = world.core().networks().FindById(*id);
  ASSERT_EQ(made->subnets.size(), 2u);
  EXPECT_EQ(made->subnets[0].subnet, "172.30.2.0/24");
  EXPECT_EQ(made->subnets[0].gateway, "172.30.2.1");
  EXPECT_TRUE(absl::StartsWith(made->subnets[1].subnet, "fd"));
  EXPECT_FALSE(made->subnets[0].requested);
}

TEST(NetworksTest, AFailedCreateLeavesNothing) {
  World world;
  world.agent.network_error = absl::InternalError("no such parent");
  EXPECT_FALSE(world.CreateNetwork(Named("n", "10.1.0.0/24")).ok());
  world.agent.network_error = absl::OkStatus();
  EXPECT_TRUE(world.CreateNetwork(Named("n", "10.1.0.0/24")).ok());
}

TEST(NetworksTest, SurviveTheServiceAndAreMadeAgainOnTheHost) {
  World world;
  const std::string id = *world.CreateNetwork(Named("n", "10.1.0.0/24"));
  world.Down();
  ASSERT_TRUE(world.agent.RemoveNetwork(id).ok());
  world.agent.AddNetwork("stranger");
  world.Up();
  EXPECT_EQ(world.agent.NetworkIds(), std::vector<std::string>{id});
  EXPECT_EQ((*world.core().networks().Find("n"))->id, id);
  EXPECT_TRUE(absl::IsPermissionDenied(world.CreateNetwork(Named("m", "10.1.0.0/16")).status()));
}

TEST(NetworksTest, OneInUseStays) {
  World world;
  const std::string id = *world.CreateNetwork(Named("n"));
  world.Run("one", On("n"));
  const absl::Status busy = world.RemoveNetwork("n");
  EXPECT_TRUE(absl::IsPermissionDenied(busy));
  EXPECT_TRUE(absl::EndsWith(busy.message(), " has active endpoints")) << busy;
  EXPECT_EQ(world.PruneNetworks({})->size(), 0u);
  EXPECT_TRUE(absl::IsPermissionDenied(world.RemoveNetwork("bridge")));
  EXPECT_TRUE(absl::IsNotFound(world.RemoveNetwork("nobody")));
  ASSERT_TRUE(world.Kill("one").ok());
  ASSERT_TRUE(world.RemoveNetwork("n").ok());
  const absl::Status gone = world.Start("one").status();
  EXPECT_TRUE(absl::IsNotFound(gone)) << gone;
  // Another of the same name will do.
  ASSERT_TRUE(world.CreateNetwork(Named("n")).ok());
  EXPECT_TRUE(world.Start("one").ok());
}

TEST(NetworksTest, PruneFollowsLabelsAndTimes) {
  World world;
  VirtualNetwork kept = Named("kept");
  kept.labels["keep"] = "yes";
  ASSERT_TRUE(world.CreateNetwork(kept).ok());
  ASSERT_TRUE(world.CreateNetwork(Named("gone")).ok());
  EXPECT_EQ(*world.PruneNetworks({.not_labels = {"keep"}}), std::vector<std::string>{"gone"});
  EXPECT_EQ(world.PruneNetworks({.until_unix_ns = 1})->size(), 0u);
  EXPECT_EQ(*world.PruneNetworks({.labels = {"keep=yes"}}), std::vector<std::string>{"kept"});
}

TEST(NetworksTest, PlacesThatCannotBe) {
  World world;
  ASSERT_TRUE(world.CreateNetwork(Named("own")).ok());
  ASSERT_TRUE(world.CreateNetwork(Named("chosen", "10.1.0.0/24")).ok());
  const auto refused = [&](const ContainerSpec& spec) { return world.Create("", spec).status(); };
  EXPECT_TRUE(absl::IsInvalidArgument(refused(On("bridge", {.aliases = {"x"}}))));
  EXPECT_TRUE(absl::IsInvalidArgument(refused(On("bridge", {.address = "172.29.0.9"}))));
  EXPECT_TRUE(absl::IsInvalidArgument(refused(On("own", {.address = "172.30.0.9"}))));
  EXPECT_TRUE(absl::IsInvalidArgument(refused(On("chosen", {.address = "10.2.0.9"}))));
  EXPECT_TRUE(absl::IsInvalidArgument(refused(On("chosen", {.address = "fd00::9"}))));
  EXPECT_TRUE(absl::IsPermissionDenied(refused(On("chosen", {.address = "10.1.0.1"}))));
  ContainerSpec host = World::Spec();
  host.network.mode = "host";
  host.network.attachments = {{.network = "own"}};
  EXPECT_TRUE(absl::IsInvalidArgument(refused(host)));
  world.Run("joined");
  for (const char* mode : {"host", "none", "container:joined"}) {
    for (const Attachment& with : {Attachment{.network = mode, .address = "1.2.3.4"},
                                   Attachment{.network = mode, .address6 = "fd00::4"}}) {
      ContainerSpec spec = World::Spec();
      spec.network.mode = mode;
      spec.network.attachments = {with};
      EXPECT_EQ(refused(spec),
                absl::InvalidArgumentError(
                    "user specified IP address is supported on user defined networks only"))
          << mode;
    }
  }
  // What is not there is found missing by the start.
  ASSERT_TRUE(world.Create("early", On("later")).ok());
  EXPECT_EQ(world.Start("early").status().message(), "network later not found");
}

TEST(NetworksTest, AContainerIsKnownByItsNamesInItsNetworks) {
  World world;
  const std::string id = *world.CreateNetwork(Named("n"));
  ContainerSpec spec = On("n", {.aliases = {"db", "web"}});
  const std::string container = world.Run("web", spec);
  const std::vector<std::string> names = {"web", "db", container.substr(0, 12)};
  EXPECT_EQ(world.agent.last_attachment.names, names);
  EXPECT_EQ(world.agent.last_attachment.network_id, id);
  ASSERT_TRUE(world.Rename("web", "front").ok());
  EXPECT_EQ(world.agent.last_attachment.names[0], "front");
}

TEST(NetworksTest, ARenameThatTheHostMissedIsToldToIt) {
  World world;
  ASSERT_TRUE(world.CreateNetwork(Named("n")).ok());
  world.Run("web", On("n"));
  world.agent.connect_error = absl::UnavailableError("gone");
  ASSERT_TRUE(world.Rename("web", "front").ok());
  world.agent.connect_error = absl::OkStatus();
  EXPECT_EQ(world.agent.last_attachment.names[0], "web");
  world.Down();
  world.Up();
  EXPECT_TRUE(World::Eventually([&] { return world.agent.last_attachment.names[0] == "front"; }));
  const int connects = world.agent.connects;
  world.Down();
  world.Up();
  EXPECT_EQ(world.agent.connects, connects) << "once is enough";
}

TEST(NetworksTest, LinkingContainersHearOfNewAddresses) {
  World world;
  const std::string db = world.Run("db");
  ContainerSpec spec = World::Spec();
  spec.network.links = {"db:store"};
  const std::string web = world.Run("web", spec);
  const auto line = [&](const std::string& alias) {
    const ContainerPtr now = world.Get("db");
    return absl::StrCat(alias, " ", now->definition->hostname, " db:", now->endpoints[0].address);
  };
  EXPECT_EQ(world.agent.last_extras.extra_hosts, std::vector<std::string>{line("store")});
  EXPECT_TRUE(world.agent.hosts.empty());
  const std::string before = line("store");
  ASSERT_TRUE(world.Kill("db").ok());
  ASSERT_TRUE(world.Start("db").ok());
  ASSERT_NE(line("store"), before);
  EXPECT_EQ(world.agent.hosts[web], std::vector<std::string>{line("store")});
  // Missed by a host that was away.
  world.agent.hosts.clear();
  world.Down();
  world.Up();
  EXPECT_TRUE(World::Eventually(
      [&] { return world.agent.hosts[web] == std::vector<std::string>{line("store")}; }));
  // Who is gone is not told.
  world.agent.hosts.clear();
  ASSERT_TRUE(world.Remove("web", /*force=*/true).ok());
  ASSERT_TRUE(world.Kill("db").ok());
  ASSERT_TRUE(world.Start("db").ok());
  EXPECT_TRUE(world.agent.hosts.empty());
}

TEST(NetworksTest, ConnectAndDisconnectOfWhatRuns) {
  World world;
  const std::string n = *world.CreateNetwork(Named("n"));
  const std::string c = world.Run("one");
  EXPECT_TRUE(absl::IsNotFound(world.Connect("x", "one")));
  EXPECT_TRUE(absl::IsNotFound(world.Connect("n", "x")));
  ASSERT_TRUE(world.Connect("n", "one").ok());
  EXPECT_EQ(world.Get("one")->endpoints.size(), 2u);
  const absl::Status again = world.Connect("n", "one");
  EXPECT_EQ(again.message(), "endpoint with name one already exists in network n");
  ASSERT_TRUE(world.Disconnect("bridge", "one").ok());
  ASSERT_EQ(world.Get("one")->endpoints.size(), 1u);
  EXPECT_EQ(world.Get("one")->endpoints[0].network_id, n);
  EXPECT_FALSE(world.Disconnect("bridge", "one").ok());
  // Kept for later runs, down to nothing.
  ASSERT_TRUE(world.Disconnect("n", "one").ok());
  world.Down();
  world.Up();
  EXPECT_TRUE(AttachmentsOf(*world.Get("one")->definition).empty());
  ASSERT_TRUE(world.Kill("one").ok());
  ASSERT_TRUE(world.Start("one").ok());
  EXPECT_TRUE(world.Get("one")->endpoints.empty());
}

TEST(NetworksTest, ANetworkThatIsGoneCanBeLeft) {
  World world;
  const std::string fm = *world.CreateNetwork(Named("fm"));
  for (const char* name : {"fi", "fo"}) ASSERT_TRUE(world.CreateNetwork(Named(name)).ok());
  world.Make("m1", On("fm"));
  ASSERT_TRUE(world.Connect("fi", "m1").ok());
  ASSERT_TRUE(world.Connect("fo", "m1").ok());
  for (const char* name : {"fm", "fi"}) ASSERT_TRUE(world.RemoveNetwork(name).ok());
  EXPECT_TRUE(absl::IsNotFound(world.Disconnect("nobody", "m1", /*force=*/true)));
  EXPECT_TRUE(absl::IsNotFound(world.Disconnect("fm", "nobody")));
  ASSERT_TRUE(world.Disconnect(fm, "m1").ok());
  EXPECT_TRUE(absl::IsNotFound(world.Disconnect("fm", "m1")));
  EXPECT_TRUE(absl::IsNotFound(world.Start("m1").status()));
  ASSERT_TRUE(world.Disconnect("fi", "m1", /*force=*/true).ok());
  ASSERT_TRUE(world.Start("m1").ok());
  EXPECT_EQ(world.Get("m1")->endpoints.size(), 1u);
}

TEST(NetworksTest, ANetworkMadeAgainIsTheSameToItsContainers) {
  World world;
  ASSERT_TRUE(world.CreateNetwork(Named("pa")).ok());
  world.Run("z2");
  ASSERT_TRUE(world.Connect("pa", "z2").ok());
  const auto make_again = [&] {
    EXPECT_TRUE(world.Kill("z2").ok());
    EXPECT_TRUE(world.Reaches("z2", State::kExited));
    EXPECT_TRUE(world.RemoveNetwork("pa").ok());
    return *world.CreateNetwork(Named("pa"));
  };
  std::string id = make_again();
  ASSERT_TRUE(world.Start("z2").ok());
  EXPECT_EQ(ContainersOf(world.core(), *world.core().networks().FindById(id)).size(), 1u);
  EXPECT_EQ(world.Connect("pa", "z2").message(),
            "endpoint with name z2 already exists in network pa");
  ASSERT_TRUE(world.Disconnect("pa", "z2").ok());
  EXPECT_EQ(world.Get("z2")->endpoints.size(), 1u);
  EXPECT_EQ(AttachmentsOf(*world.Get("z2")->definition).size(), 1u);
  // Connected again before the start it is in it once.
  ASSERT_TRUE(world.Connect("pa", "z2").ok());
  id = make_again();
  ASSERT_TRUE(world.Connect("pa", "z2").ok());
  const std::vector<Attachment> attachments = AttachmentsOf(*world.Get("z2")->definition);
  ASSERT_EQ(attachments.size(), 2u);
  EXPECT_EQ(attachments[1].network, id);
}

TEST(NetworksTest, ConnectingAgainKeepsWhatIsNotNamed) {
  World world;
  ASSERT_TRUE(world.CreateNetwork(Named("fb", "10.83.0.0/16")).ok());
  world.Make("m1");
  ASSERT_TRUE(world.Connect("fb", "m1", {.aliases = {"offline"}, .address = "10.83.2.77"}).ok());
  const auto kept = [&] { return AttachmentsOf(*world.Get("m1")->definition).back(); };
  const Attachment before = kept();
  ASSERT_TRUE(world.Connect("fb", "m1").ok());
  EXPECT_EQ(kept(), before);
  EXPECT_TRUE(absl::IsPermissionDenied(world.Connect("fb", "m1", {.address = "10.83.0.1"})));
  ASSERT_TRUE(world.Connect("fb", "m1", {.address = "10.83.2.78"}).ok());
  EXPECT_EQ(kept().address, "10.83.2.78");
  EXPECT_EQ(kept().aliases, before.aliases);
}

TEST(NetworksTest, WhatLeavesNoneMayBeInOthersAndComeBack) {
  for (const bool runs : {false, true}) {
    World world;
    ASSERT_TRUE(world.CreateNetwork(Named("pa")).ok());
    ContainerSpec spec = World::Spec();
    spec.network.mode = "none";
    const std::string id = runs ? world.Run("nc", spec) : world.Make("nc", spec);
    EXPECT_TRUE(absl::IsInvalidArgument(world.Connect("pa", "nc")));
    ASSERT_TRUE(world.Disconnect("none", "nc").ok());
    EXPECT_FALSE(world.Disconnect("none", "nc").ok());
    ASSERT_TRUE(world.Connect("pa", "nc").ok());
    EXPECT_TRUE(absl::IsInvalidArgument(world.Connect("none", "nc")));
    // Kept, and made so again on a host that has lost it.
    const int connects = world.agent.connects;
    world.Down();
    if (runs) world.agent.LoseEndpoints(id);
    world.Up();
    if (!runs) {
      ASSERT_TRUE(world.Start("nc").ok());
    }
    EXPECT_TRUE(World::Eventually(
        [&] { return world.agent.connects > connects && world.Get("nc")->endpoints.size() == 1; }));
    ASSERT_TRUE(world.Disconnect("pa", "nc").ok());
    EXPECT_TRUE(world.Get("nc")->endpoints.empty());
    ASSERT_TRUE(world.Connect("none", "nc").ok());
    EXPECT_TRUE(IsInNone(*world.Get("nc")->definition));
    EXPECT_TRUE(absl::IsInvalidArgument(world.Connect("pa", "nc")));
  }
  World world;
  world.Make("other");
  EXPECT_FALSE(world.Disconnect("none", "other").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(world.Connect("none", "other")));
}

TEST(NetworksTest, WhatTheHostRefusesIsNotKept) {
  World world;
  ASSERT_TRUE(world.CreateNetwork(Named("n")).ok());
  world.Run("one");
  world.agent.connect_error = absl::PermissionDeniedError("Address already in use");
  EXPECT_TRUE(absl::IsPermissionDenied(world.Connect("n", "one")));
  EXPECT_EQ(AttachmentsOf(*world.Get("one")->definition).size(), 1u);
}

TEST(NetworksTest, WhatWasBegunIsFinishedAfterAGap) {
  World world;
  const std::string n = *world.CreateNetwork(Named("n"));
  const std::string c = world.Run("one");
  // The answer got lost.
  world.agent.connect_error = absl::UnavailableError("gone");
  EXPECT_TRUE(absl::IsUnavailable(world.Connect("n", "one")));
  world.agent.connect_error = absl::OkStatus();
  world.agent.BreakWatch();
  EXPECT_TRUE(World::Eventually([&] { return world.Get("one")->endpoints.size() == 2; }));
  world.Down();
  world.agent.LoseEndpoints(c);
  world.Up();
  EXPECT_TRUE(World::Eventually([&] { return world.Get("one")->endpoints.size() == 2; }));
}

TEST(NetworksTest, ContainersWithNetworksOfOthersHaveNone) {
  World world;
  ASSERT_TRUE(world.CreateNetwork(Named("n")).ok());
  for (const char* mode : {"host", "none"}) {
    ContainerSpec spec = World::Spec();
    spec.network.mode = mode;
    world.Run(mode, spec);
    EXPECT_TRUE(absl::IsInvalidArgument(world.Connect("n", mode))) << mode;
  }
  ContainerSpec spec = World::Spec();
  spec.network.mode = "container:none";
  world.Run("joined", spec);
  EXPECT_TRUE(absl::IsInvalidArgument(world.Connect("n", "joined")));
}

TEST(NetworksTest, EventsTellOfNetworksAndTheirContainers) {
  World world;
  const std::string id = *world.CreateNetwork(Named("n"));
  world.Run("one", On("n"));
  ASSERT_TRUE(world.Kill("one").ok());
  ASSERT_TRUE(world.RemoveNetwork("n").ok());
  EXPECT_EQ(world.Actions(id),
            (std::vector<std::string>{"create", "connect", "disconnect", "destroy"}));
}

}  // namespace
}  // namespace slipway::container
