#include "services/container/domain/references.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

namespace slipway::container {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

Container Linked(std::vector<std::string> ports, std::vector<std::string> env) {
  auto definition = std::make_shared<Definition>();
  definition->effective.exposed_ports = std::move(ports);
  definition->effective.env = std::move(env);
  Container container;
  container.definition = std::move(definition);
  container.name = "database";
  return container;
}

TEST(LinkEnvironmentTest, NothingIsExposed) {
  EXPECT_THAT(LinkEnvironment("web", "my-db", Linked({}, {"NOVALUE"}), "1.2.3.4"),
              ElementsAre("MY_DB_NAME=/web/my-db"));
}

TEST(LinkEnvironmentTest, PortsAndVariables) {
  EXPECT_THAT(LinkEnvironment("web", "db",
                              Linked({"80/tcp", "53/udp", "bad"}, {"A=1", "HOME=/x", "PATH=/y"}),
                              "1.2.3.4"),
              ElementsAre("DB_PORT=udp://1.2.3.4:53", "DB_PORT_53_UDP=udp://1.2.3.4:53",
                          "DB_PORT_53_UDP_ADDR=1.2.3.4", "DB_PORT_53_UDP_PORT=53",
                          "DB_PORT_53_UDP_PROTO=udp", "DB_PORT_80_TCP=tcp://1.2.3.4:80",
                          "DB_PORT_80_TCP_ADDR=1.2.3.4", "DB_PORT_80_TCP_PORT=80",
                          "DB_PORT_80_TCP_PROTO=tcp", "DB_NAME=/web/db", "DB_ENV_A=1"));
}

TEST(LinkEnvironmentTest, NeighbouringPortsAreARangeToo) {
  const auto env =
      LinkEnvironment("web", "db", Linked({"8001/tcp", "8000/tcp", "8002/tcp"}, {}), "a");
  EXPECT_THAT(env, SizeIs(1 + 4 + 3 * 4 + 1));
  EXPECT_THAT(std::vector<std::string>(env.begin(), env.begin() + 5),
              ElementsAre("DB_PORT=tcp://a:8000", "DB_PORT_8000_TCP_START=tcp://a:8000",
                          "DB_PORT_8000_TCP_PORT_START=8000", "DB_PORT_8000_TCP_END=tcp://a:8002",
                          "DB_PORT_8000_TCP_PORT_END=8002"));
}

TEST(CompleteMountsTest, VolumesGetNamesAndPlaces) {
  ContainerSpec spec;
  spec.mounts = {{.type = Mount::Type::kVolume, .source = "data", .target = "/a/../b/"},
                 {.type = Mount::Type::kVolume, .target = "/c"},
                 {.type = Mount::Type::kTmpfs, .target = "/d"}};
  CompleteMounts({"/b", "/d/", "/e/.", "/e"}, "/v", spec);
  ASSERT_THAT(spec.mounts, SizeIs(4));
  EXPECT_EQ(spec.mounts[0].target, "/b");
  EXPECT_EQ(spec.mounts[0].host_path, "/v/data/_data");
  EXPECT_FALSE(spec.mounts[0].anonymous);
  EXPECT_THAT(spec.mounts[1].source, SizeIs(64));
  EXPECT_TRUE(spec.mounts[1].anonymous);
  EXPECT_EQ(spec.mounts[2].host_path, "");
  EXPECT_EQ(spec.mounts[3].target, "/e");
  EXPECT_TRUE(spec.mounts[3].anonymous);
  EXPECT_EQ(spec.mounts[3].host_path, "/v/" + spec.mounts[3].source + "/_data");
}

}  // namespace
}  // namespace slipway::container
