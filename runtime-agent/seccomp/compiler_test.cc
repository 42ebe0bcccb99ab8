#include "runtime-agent/seccomp/compiler.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "runtime-agent/seccomp/condense.h"
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
  EXPECT_GT(first->size(), 50 * sizeof(sock_filter));
}

// The kernel's answer to a call, by the program as it is installed and as libseccomp wrote it.
void ExpectSame(absl::Span<const sock_filter> whole, absl::Span<const sock_filter> shorter) {
  std::set<uint32_t> numbers = {0, UINT32_MAX};
  for (const sock_filter& instruction : whole) {
    if (BPF_CLASS(instruction.code) != BPF_JMP) continue;
    for (uint32_t near = 0; near < 3; ++near) numbers.insert(instruction.k + near - 1);
  }
  std::mt19937_64 random(7);
  for (const uint32_t architecture :
       {uint32_t{AUDIT_ARCH_X86_64}, uint32_t{AUDIT_ARCH_I386}, uint32_t{AUDIT_ARCH_AARCH64}}) {
    for (const uint32_t number : numbers) {
      for (int round = 0; round < 24; ++round) {
        seccomp_data data = {};
        data.nr = static_cast<int>(number);
        data.arch = architecture;
        // Small numbers and single bits, which rules are about, and any others.
        for (auto& argument : data.args) {
          const uint64_t bits = random();
          argument = round % 3 == 0 ? bits % 48 : round % 3 == 1 ? uint64_t{1} << bits % 64 : bits;
        }
        const Decision expected = Decide(whole, data, true);
        const Decision got = Decide(shorter, data, true);
        ASSERT_EQ(expected.decided, Decided::kYes);
        ASSERT_EQ(got.decided, Decided::kYes) << number;
        ASSERT_EQ(got.action, expected.action) << number << " of " << architecture;
      }
    }
  }
}

TEST(SeccompCompiler, TheShorterProgramDecidesAlike) {
  LibseccompCompiler compiler;
  constexpr char kFew[] = R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
      {"names":["mkdir","clone"],"action":"SCMP_ACT_ERRNO"},
      {"names":["personality"],"action":"SCMP_ACT_KILL","args":
       [{"index":0,"value":8,"op":"SCMP_CMP_EQ"}]}]})";
  for (const char* profile : {"", kFew}) {
    for (const uint64_t capabilities : {uint64_t{0}, Bit(CAP_SYS_ADMIN), ~uint64_t{0}}) {
      const auto whole = CompileAsWritten(profile, capabilities).value();
      const auto bytes = compiler.Compile(profile, capabilities).value();
      const absl::Span<const sock_filter> shorter(
          reinterpret_cast<const sock_filter*>(bytes->data()), bytes->size() / sizeof(sock_filter));
      ExpectSame(whole, shorter);
      if (*profile == '\0') {
        EXPECT_LT(shorter.size() * 2, whole.size());
      }
      RecordProperty(absl::StrCat("size", *profile == '\0', capabilities == 0),
                     absl::StrCat(whole.size(), " to ", shorter.size()));
    }
  }
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
