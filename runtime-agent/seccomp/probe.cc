// Installs the default profile, with Docker's default capabilities less what is named in argv, in
// this process and reports what system calls then say: one "name errno" a line.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "runtime-agent/seccomp/compiler.h"

int main(int argc, char** argv) {
  slipway::agent::LibseccompCompiler compiler;
  const uint64_t capabilities = argc > 1 ? std::strtoull(argv[1], nullptr, 16) : 0;
  const auto program = compiler.Compile("", capabilities);
  if (!program.ok()) {
    std::fprintf(stderr, "%s\n", std::string(program.status().message()).c_str());
    return 1;
  }
  sock_fprog filter = {static_cast<unsigned short>((*program)->size() / sizeof(sock_filter)),
                       reinterpret_cast<sock_filter*>(const_cast<char*>((*program)->data()))};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) {
    std::perror("seccomp");
    return 1;
  }
  const auto report = [](const char* name, long result) {
    std::printf("%s %d\n", name, result >= 0 ? 0 : errno);
  };
  report("getpid", syscall(SYS_getpid));
  report("mount", mount("none", "/nowhere", "tmpfs", 0, nullptr));
  report("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
  report("personality", personality(0xffffffff));
  report("personality_bad", personality(0x40000));
  report("kexec_load", syscall(SYS_kexec_load, 0, 0, nullptr, 0));
  report("unknown", syscall(9999));
  const int audit = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 9);
  report("socket_audit", audit);
  const int plain = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
  report("socket_route", plain);
  return 0;
}
