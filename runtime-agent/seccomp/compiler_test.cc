#include "runtime-agent/seccomp/compiler.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/filter.h>

#include <cerrno>
#include <cstdio>
#include <map>

#include "absl/strings/str_cat.h"
#include "runtime-agent/seccomp/profile.h"

namespace slipway::agent {
namespace {

constexpr uint64_t Bit(int number) { return uint64_t{1} << number; }

TEST(SeccompProfile, BadProfilesAreRefused) {
  LibseccompCompiler compiler;
  for (const char* json :
       {"", "{", "[]", "{}", R"({"defaultAction":"SCMP_ACT_BOGUS"})",
        R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ERRNO"}]})",
        R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"x"}]})",
        R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[3]})",
        R"({"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_PDP11"]})",
        R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],
            "action":"SCMP_ACT_ERRNO","args":[{"index":9,"op":"SCMP_CMP_EQ"}]}]})"}) {
    if (*json == '\0') continue;
    const auto program = compiler.Compile(json, 0);
    EXPECT_EQ(program.status().code(), absl::StatusCode::kInvalidArgument) << json;
  }
  EXPECT_FALSE(ParseSeccompProfile(std::string(2 << 20, ' ')).ok());
}

TEST(SeccompCompiler, UnconfinedIsEmpty) {
  LibseccompCompiler compiler;
  EXPECT_TRUE(compiler.Compile("unconfined", 0).value()->empty());
}

TEST(SeccompCompiler, CompilesOncePerProfileAndCapabilities) {
  LibseccompCompiler compiler;
  const auto first = compiler.Compile("", 0).value();
  EXPECT_EQ(first, compiler.Compile("", 0).value());
  EXPECT_NE(first, compiler.Compile("", Bit(CAP_SYS_ADMIN)).value());
  EXPECT_GT(first->size(), 100 * sizeof(sock_filter));
}

std::map<std::string, int> Probe(uint64_t capabilities) {
  const std::string command = absl::StrCat("runtime-agent/seccomp/probe ", absl::Hex(capabilities));
  std::map<std::string, int> result;
  FILE* pipe = popen(command.c_str(), "r");
  char name[64];
  int error = 0;
  while (std::fscanf(pipe, "%63s %d", name, &error) == 2) result[name] = error;
  EXPECT_EQ(pclose(pipe), 0);
  return result;
}

TEST(SeccompProbe, DefaultProfileInTheKernel) {
  std::map<std::string, int> result = Probe(0);
  EXPECT_EQ(result["getpid"], 0);
  EXPECT_EQ(result["kexec_load"], EPERM);
  EXPECT_EQ(result["personality"], 0);
  EXPECT_NE(result["personality_bad"], 0);
  EXPECT_EQ(result["unknown"], ENOSYS);
  EXPECT_EQ(result["socket_route"], 0);
  EXPECT_EQ(result["mount"], EPERM);
  EXPECT_EQ(Probe(Bit(CAP_SYS_ADMIN))["mount"], ENOENT);
}

}  // namespace
}  // namespace slipway::agent
