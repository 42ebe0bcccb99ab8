// Says what the seccomp filters of this process answer to each system call, without making any of
// them: the calls are made in a child whose own filter hands what would be allowed to a tracer,
// which skips it. One line a call:
// "<abi> <number> <arguments> <answer>", the answer being "allow", an errno's number, or "killed".
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <initializer_list>

namespace {

constexpr long kAllowed = -3999;  // no errno
constexpr int kMaxTries = 4096;
constexpr unsigned long kX32 = 0x40000000;

enum class Abi { k64, kX32, k32 };

struct Try {
  Abi abi;
  unsigned long number;
  unsigned long first;
  unsigned long second;
  long answer;
};

struct Shared {
  int count;
  int done;
  Try tries[kMaxTries];
};

Shared* g_shared;

void Add(Abi abi, unsigned long number, unsigned long first = 0, unsigned long second = 0) {
  g_shared->tries[g_shared->count++] = {abi, number, first, second, 1};
}

long Raw64(unsigned long number, unsigned long first, unsigned long second) {
  long result;
  register long r10 asm("r10") = 0;
  register long r8 asm("r8") = 0;
  register long r9 asm("r9") = 0;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(first), "S"(second), "d"(0), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

long Raw32(unsigned long number, unsigned long first, unsigned long second) {
  long result;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(number), "b"(first), "c"(second), "d"(0), "S"(0), "D"(0)
               : "r8", "r9", "r10", "r11", "memory");
  return result;
}

[[noreturn]] void RunChild(int from) {
  ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  raise(SIGSTOP);
  sock_filter instructions[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE)};
  sock_fprog program = {1, instructions};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) _exit(3);
  for (int i = from; i < g_shared->count; ++i) {
    Try& one = g_shared->tries[i];
    one.answer = 2;  // begun
    switch (one.abi) {
      case Abi::k64:
        one.answer = Raw64(one.number, one.first, one.second);
        break;
      case Abi::kX32:
        one.answer = Raw64(one.number | kX32, one.first, one.second);
        break;
      case Abi::k32:
        one.answer = static_cast<int>(Raw32(one.number, one.first, one.second));
        break;
    }
  }
  g_shared->done = 1;
  for (;;) asm volatile("int3");
}

// Where the next one is to begin, or -1 at the end.
int Trace(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  ptrace(PTRACE_SETOPTIONS, pid, nullptr, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL);
  ptrace(PTRACE_CONT, pid, nullptr, nullptr);
  for (;;) {
    waitpid(pid, &status, 0);
    if (g_shared->done != 0) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      return -1;
    }
    if (WIFEXITED(status)) exit(3);
    if (WIFSIGNALED(status)) {
      for (int i = 0; i < g_shared->count; ++i) {
        if (g_shared->tries[i].answer == 2) return i;
      }
      exit(3);
    }
    int signal = 0;
    if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_SECCOMP << 8))) {
      user_regs_struct regs;
      ptrace(PTRACE_GETREGS, pid, nullptr, &regs);
      regs.orig_rax = -1ul;
      regs.rax = static_cast<unsigned long>(kAllowed);
      ptrace(PTRACE_SETREGS, pid, nullptr, &regs);
    } else {
      signal = WSTOPSIG(status);
    }
    ptrace(PTRACE_CONT, pid, nullptr, signal);
  }
}

void AddAll() {
  for (unsigned long number = 0; number < 480; ++number) {
    Add(Abi::k64, number);
    Add(Abi::k32, number);
    Add(Abi::kX32, number);
  }
  Add(Abi::k64, 9999);
  for (unsigned long persona :
       {0x0ul, 0x8ul, 0x20000ul, 0x20008ul, 0xfffffffful, 0x40000ul, 0x1ul}) {
    Add(Abi::k64, SYS_personality, persona);
  }
  for (int bit = 7; bit < 32; ++bit) Add(Abi::k64, SYS_clone, 1ul << bit);
  for (int bit = 7; bit < 32; ++bit) Add(Abi::k64, SYS_unshare, 1ul << bit);
  for (unsigned long family = 0; family < 46; ++family) Add(Abi::k64, SYS_socket, family);
  for (unsigned long type = 0; type < 16; ++type) Add(Abi::k64, SYS_socket, 16, type);
  for (unsigned long command = 0; command < 32; ++command) Add(Abi::k64, SYS_keyctl, command);
  for (unsigned long command = 0; command < 64; ++command) Add(Abi::k64, SYS_prctl, command);
  for (unsigned long request : {0x5412ul, 0x5401ul, 0x541cul}) Add(Abi::k64, SYS_ioctl, 0, request);
  for (unsigned long call = 1; call < 21; ++call) Add(Abi::k32, 102, call);  // socketcall
}

}  // namespace

int main() {
  g_shared = static_cast<Shared*>(
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (g_shared == MAP_FAILED) return 2;
  AddAll();
  for (int from = 0; from >= 0;) {
    pid_t pid = fork();
    if (pid == 0) RunChild(from);
    if (pid < 0) return 2;
    const int killed = Trace(pid);
    if (killed >= 0) g_shared->tries[killed].answer = 3;
    from = killed >= 0 ? killed + 1 : -1;
  }
  static const char* const kAbis[] = {"64", "x32", "32"};
  for (int i = 0; i < g_shared->count; ++i) {
    const Try& one = g_shared->tries[i];
    printf("%s %lu %lx,%lx ", kAbis[static_cast<int>(one.abi)], one.number, one.first, one.second);
    if (one.answer == kAllowed) {
      puts("allow");
    } else if (one.answer == 3) {
      puts("killed");
    } else {
      printf("%ld\n", -one.answer);
    }
  }
  return 0;
}
