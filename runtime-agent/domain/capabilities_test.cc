#include "runtime-agent/domain/capabilities.h"

#include <gtest/gtest.h>
#include <linux/capability.h>

namespace slipway::agent {
namespace {

constexpr uint64_t Bit(int number) { return uint64_t{1} << number; }
constexpr uint64_t kEverything = ~uint64_t{0};

TEST(Capabilities, UnknownNamesAreRefused) {
  for (const char* name : {"", "NET_BOGUS", "CAP_", "12", "CAP_12", "net admin"}) {
    const auto grant = ResolveCapabilities({.add = {name}}, kEverything);
    EXPECT_EQ(grant.status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_FALSE(ResolveCapabilities({.drop = {name}}, kEverything).ok()) << name;
  }
}

TEST(Capabilities, DefaultHasFourteen) {
  EXPECT_EQ(__builtin_popcountll(DefaultCapabilities()), 14);
  EXPECT_EQ(ResolveCapabilities({}, kEverything).value().mask, DefaultCapabilities());
}

TEST(Capabilities, AddAndDropTakeAnySpelling) {
  const auto grant =
      ResolveCapabilities({.add = {"net_admin", "CAP_SYS_PTRACE"}, .drop = {"Mknod"}}, kEverything);
  EXPECT_EQ(grant.value().mask,
            (DefaultCapabilities() | Bit(CAP_NET_ADMIN) | Bit(CAP_SYS_PTRACE)) & ~Bit(CAP_MKNOD));
}

TEST(Capabilities, AllAddedWithoutTheDropped) {
  const auto grant = ResolveCapabilities({.add = {"all"}, .drop = {"SYS_ADMIN"}}, kEverything);
  EXPECT_EQ(grant.value().mask & Bit(CAP_SYS_ADMIN), 0u);
  EXPECT_NE(grant.value().mask & Bit(CAP_SYS_MODULE), 0u);
}

TEST(Capabilities, AllDroppedLeavesTheAdded) {
  EXPECT_EQ(ResolveCapabilities({.add = {"CHOWN"}, .drop = {"ALL"}}, kEverything).value().mask,
            Bit(CAP_CHOWN));
  EXPECT_EQ(ResolveCapabilities({.drop = {"ALL"}}, kEverything).value().mask, 0u);
}

TEST(Capabilities, WhatTheAgentLacksIsAWarning) {
  const auto grant =
      ResolveCapabilities({.privileged = true}, kEverything & ~Bit(CAP_SYS_RESOURCE)).value();
  EXPECT_EQ(grant.mask & Bit(CAP_SYS_RESOURCE), 0u);
  ASSERT_EQ(grant.warnings.size(), 1u);
  EXPECT_NE(grant.warnings[0].find("CAP_SYS_RESOURCE"), std::string::npos);
}

TEST(Capabilities, OwnAreReadable) { EXPECT_TRUE(OwnCapabilities().ok()); }

}  // namespace
}  // namespace slipway::agent
