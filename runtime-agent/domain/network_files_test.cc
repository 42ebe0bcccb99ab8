#include "runtime-agent/domain/network_files.h"

#include <gtest/gtest.h>

namespace slipway::agent {
namespace {

TEST(NetworkFiles, BadExtraHosts) {
  for (const char* entry :
       {"", "name", ":1.2.3.4", "name:", "name:300.1.1.1", "a b:1.2.3.4", "a\n6.6.6.6 b:1.2.3.4"}) {
    EXPECT_FALSE(CheckExtraHost(entry).ok()) << entry;
  }
  for (const char* entry : {"name:1.2.3.4", "name:::1", "name:host-gateway"}) {
    EXPECT_TRUE(CheckExtraHost(entry).ok()) << entry;
  }
}

TEST(NetworkFiles, HostsNamesTheContainerLast) {
  const std::string text = HostsFile({.addresses = {"172.29.0.2"},
                                      .hostname = "abc",
                                      .domainname = "lan",
                                      .extra_hosts = {"db:10.0.0.1", "up:host-gateway"},
                                      .gateway = "172.29.0.1"});
  EXPECT_NE(text.find("127.0.0.1\tlocalhost\n"), std::string::npos);
  EXPECT_NE(text.find("10.0.0.1\tdb\n172.29.0.1\tup\n172.29.0.2\tabc.lan abc\n"),
            std::string::npos);
  EXPECT_EQ(HostsFile({.hostname = "abc"}).find("abc"), std::string::npos);
}

TEST(NetworkFiles, TheHostsFileOfASharedNetwork) {
  EXPECT_EQ(
      HostsFile({.hostname = "abc", .extra_hosts = {"db:10.0.0.1"}, .host_text = "1.1.1.1 x"}),
      "1.1.1.1 x\n10.0.0.1\tdb\n");
}

TEST(NetworkFiles, LinkedHostsFollow) {
  const std::string text =
      "127.0.0.1\tlocalhost\n172.29.0.2\tdb abc first\n172.29.0.2\tdb2 abc\n172.29.0.3\tme\n";
  EXPECT_EQ(WithHostAddresses(text, {"db abc first:172.29.0.9", "gone:172.29.0.8"}),
            "127.0.0.1\tlocalhost\n172.29.0.9\tdb abc first\n172.29.0.2\tdb2 abc\n"
            "172.29.0.3\tme\n");
  EXPECT_EQ(WithHostAddresses("", {"db:1.2.3.4"}), "");
  EXPECT_TRUE(CheckLinkedHost("db abc first:172.29.0.9").ok());
  for (const char* entry : {"", "db", ":1.2.3.4", "db:", "db:x", "a\nb:1.2.3.4", "a\tb:1.2.3.4"}) {
    EXPECT_FALSE(CheckLinkedHost(entry).ok()) << entry;
  }
}

TEST(NetworkFiles, ResolvLeavesLoopbackOut) {
  const char host[] =
      "# x\nnameserver 127.0.0.53\nnameserver 10.1.1.1\nsearch a b\noptions ndots:2\n";
  EXPECT_EQ(ResolvFile(host, {}), "search a b\nnameserver 10.1.1.1\noptions ndots:2\n");
  EXPECT_EQ(ResolvFile("nameserver 127.0.0.1\n", {}), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
  EXPECT_EQ(ResolvFile("nameserver 127.0.0.1\n", {.host_network = true}), "nameserver 127.0.0.1\n");
  EXPECT_EQ(ResolvFile(host, {.servers = {"9.9.9.9"}, .search = {"."}, .options = {"rotate"}}),
            "nameserver 9.9.9.9\noptions rotate\n");
}

}  // namespace
}  // namespace slipway::agent
