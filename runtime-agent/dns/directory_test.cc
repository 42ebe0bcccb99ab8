#include "runtime-agent/dns/directory.h"

#include "gtest/gtest.h"
#include "runtime-agent/dns/cache.h"

namespace slipway::dns {
namespace {

const std::string kOne("\x0a\x01\x00\x02", 4), kTwo("\x0a\x01\x00\x03", 4), kSix(16, '\x06');

EndpointRecord Endpoint(const std::string& network, const std::string& id,
                        std::vector<std::string> names, const std::string& address,
                        const std::string& address6 = "") {
  return {network, network + "net", id, std::move(names), address, address6};
}

TEST(DirectoryTest, NamesAreOfTheirNetworkOnly) {
  Directory directory;
  directory.Put(Endpoint("a", "one", {"web", "Alias"}, kOne));
  const SandboxRecord inside{.id = "s", .network_ids = {"a", "c"}};
  const SandboxRecord outside{.id = "t", .network_ids = {"b"}};
  EXPECT_EQ(directory.Find(inside, "web", kTypeA).records.at(0).data, kOne);
  EXPECT_EQ(directory.Find(inside, "alias", kTypeA).records.size(), 1u);
  EXPECT_EQ(directory.Find(inside, "web.anet", kTypeA).records.size(), 1u);
  EXPECT_FALSE(directory.Find(inside, "web.bnet", kTypeA).known);
  EXPECT_FALSE(directory.Find(inside, ".anet", kTypeA).known);
  EXPECT_FALSE(directory.Find(outside, "web", kTypeA).known);
  EXPECT_FALSE(directory.Find(outside, "2.0.1.10.in-addr.arpa", kTypePtr).known);
}

TEST(DirectoryTest, KnownWithoutSuchARecordIsNotPassedOn) {
  Directory directory;
  directory.Put(Endpoint("a", "one", {"web"}, kOne));
  const SandboxRecord sandbox{.id = "s", .network_ids = {"a"}};
  const auto found = directory.Find(sandbox, "web", kTypeAaaa);
  EXPECT_TRUE(found.known);
  EXPECT_TRUE(found.records.empty());
  directory.Put(Endpoint("a", "one", {"web"}, kOne, kSix));
  EXPECT_EQ(directory.Find(sandbox, "web", kTypeAaaa).records.at(0).data, kSix);
  EXPECT_EQ(directory.Find(sandbox, "web", kTypeAny).records.size(), 2u);
}

TEST(DirectoryTest, AServiceHasAllItsAddressesInTurn) {
  Directory directory;
  directory.Put(Endpoint("a", "one", {"c1", "service"}, kOne));
  directory.Put(Endpoint("a", "two", {"c2", "service"}, kTwo));
  const SandboxRecord sandbox{.id = "s", .network_ids = {"a"}};
  const auto first = directory.Find(sandbox, "service", kTypeA);
  const auto second = directory.Find(sandbox, "service", kTypeA);
  ASSERT_EQ(first.records.size(), 2u);
  EXPECT_NE(first.records[0].data, second.records[0].data);
  directory.Remove("a", "one");
  EXPECT_EQ(directory.Find(sandbox, "service", kTypeA).records.size(), 1u);
  EXPECT_FALSE(directory.Find(sandbox, "c1", kTypeA).known);
  directory.Remove("a", "two");
  directory.Remove("a", "nobody");
  EXPECT_FALSE(directory.Find(sandbox, "service", kTypeA).known);
}

TEST(DirectoryTest, LinksAreOnesOwn) {
  Directory directory;
  directory.Put(Endpoint("a", "one", {"web"}, kOne));
  directory.Put(Endpoint("a", "two", {"db"}, kTwo));
  const SandboxRecord sandbox{.id = "s", .network_ids = {"a"}, .links = {{"db", "one"}}};
  EXPECT_EQ(directory.Find(sandbox, "db", kTypeA).records.at(0).data, kOne);
}

TEST(DirectoryTest, ReverseNamesHaveTheNetwork) {
  Directory directory;
  directory.Put(Endpoint("a", "one", {"web"}, kOne));
  const SandboxRecord sandbox{.id = "s", .network_ids = {"a"}};
  const auto found = directory.Find(sandbox, "2.0.1.10.in-addr.arpa", kTypePtr);
  ASSERT_EQ(found.records.size(), 1u);
  EXPECT_EQ(found.records[0].data, EncodeName("web.anet"));
}

TEST(CacheTest, KeepsWhatCountsForAsLongAsItCounts) {
  Cache cache(4096);
  Answer answer{.ttl_seconds = 10, .ttl_offsets = {0}};
  std::string message(40, '\0');
  Write32(message, 0, 10);
  cache.Put("k", answer, message, 100);
  EXPECT_EQ(Read32(cache.Find("k", 104), 0), 6u);
  EXPECT_EQ(cache.Find("k", 110), "");
  EXPECT_EQ(cache.size(), 0u);
  answer.truncated = true;
  cache.Put("k", answer, message, 100);
  answer = {.rcode = kServFail, .ttl_seconds = 10};
  cache.Put("k", answer, message, 100);
  EXPECT_EQ(cache.size(), 0u);
}

TEST(CacheTest, IsBounded) {
  Cache cache(4096);
  const Answer answer{.rcode = kNxDomain, .ttl_seconds = 10};
  for (int i = 0; i < 1000; ++i) {
    cache.Put("key" + std::to_string(i), answer, std::string(100, 'x'), 1);
  }
  EXPECT_LT(cache.size(), 20u);
  EXPECT_NE(cache.Find("key999", 1), "");
  EXPECT_EQ(cache.Find("key0", 1), "");
}

TEST(ControlTest, SurvivesTheWayAndNothingElseDoes) {
  const SandboxRecord sandbox{"s", {"a", "b"}, {{"l", "id"}}, {"10.0.0.1"}};
  const std::string bytes = EncodeControl(sandbox);
  const auto read = DecodeControl(bytes);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(std::get<SandboxRecord>(*read).links.at("l"), "id");
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeControl(bytes.substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(DecodeControl(bytes + "x").has_value());
  EXPECT_FALSE(DecodeControl("?").has_value());
}

}  // namespace
}  // namespace slipway::dns
