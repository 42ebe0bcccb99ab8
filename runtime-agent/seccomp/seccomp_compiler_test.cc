#include "runtime-agent/seccomp/seccomp_compiler.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "runtime-agent/seccomp/default_profile.h"

namespace slipway::agent {
namespace {

// The errno that `call` gives under the program, 0 when it succeeds, -1 when the process died.
int UnderFilter(const std::string& program, const std::function<long()>& call) {
  const pid_t child = fork();
  if (child == 0) {
    sock_fprog filter{
        .len = static_cast<unsigned short>(program.size() / sizeof(sock_filter)),
        .filter = const_cast<sock_filter*>(reinterpret_cast<const sock_filter*>(program.data()))};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) _exit(200);
    errno = 0;
    _exit(call() == -1 ? errno : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// EINVAL from the kernel when the filter lets it through.
long Quota() { return syscall(SYS_quotactl, -1, nullptr, 0, nullptr); }
long GetPid() { return syscall(SYS_getpid) > 0 ? 0 : -1; }
long Unknown() { return syscall(9999); }

TEST(SeccompCompilerTest, DefaultProfileForbidsWhatItShould) {
  SeccompCompiler compiler;
  const auto program = compiler.Compile("", 0);
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(UnderFilter(**program, GetPid), 0);
  EXPECT_EQ(UnderFilter(**program, Quota), EPERM);
  EXPECT_EQ(UnderFilter(**program, Unknown), ENOSYS);
}

TEST(SeccompCompilerTest, CapabilitiesOpenTheirCalls) {
  SeccompCompiler compiler;
  const auto program = compiler.Compile("", uint64_t{1} << CAP_SYS_ADMIN);
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_NE(UnderFilter(**program, Quota), EPERM);
}

TEST(SeccompCompilerTest, EmbeddedProfileCompiles) {
  SeccompCompiler compiler;
  const auto program = compiler.Compile(kEmbeddedSeccompProfile, 0);
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(UnderFilter(**program, Quota), EPERM);
}

TEST(SeccompCompilerTest, SameRequestSameProgram) {
  SeccompCompiler compiler;
  EXPECT_EQ(compiler.Compile("", 5)->get(), compiler.Compile("", 5)->get());
}

TEST(SeccompCompilerTest, UnconfinedIsEmpty) {
  SeccompCompiler compiler;
  EXPECT_TRUE((*compiler.Compile("unconfined", 0))->empty());
}

TEST(SeccompCompilerTest, OwnProfileWithArguments) {
  SeccompCompiler compiler;
  const auto program = compiler.Compile(R"({
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["personality", "nosuchcall"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7,
                  "args": [{"index": 0, "value": 3, "op": "SCMP_CMP_EQ"}]}]})",
                                        0);
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(UnderFilter(**program, [] { return syscall(SYS_personality, 3); }), 7);
  EXPECT_EQ(UnderFilter(**program, [] { return syscall(SYS_personality, 0xffffffff); }), 0);
}

TEST(SeccompCompilerTest, BadProfilesAreRefused) {
  SeccompCompiler compiler;
  for (
      const char* bad :
      {"{", "[]", "{}", R"({"defaultAction": "SCMP_ACT_SHRUG"})",
       R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [7]})",
       R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_Z80"]})",
       R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [1], "action": "SCMP_ACT_LOG"}]})",
       R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG",
            "args": [{"index": 9, "value": 0, "op": "SCMP_CMP_EQ"}]}]})"}) {
    EXPECT_EQ(compiler.Compile(bad, 0).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(compiler.Compile(std::string(2 << 20, ' '), 0).ok());
  EXPECT_FALSE(compiler.Compile(std::string(100000, '['), 0).ok());
}

}  // namespace
}  // namespace slipway::agent
