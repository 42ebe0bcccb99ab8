#include "base/os/thread.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace slipway {
namespace {

// struct sched_attr of <linux/sched/types.h>, which glibc's <sched.h> does not go with.
struct SchedulingAttributes {
  uint32_t size_bytes = sizeof(SchedulingAttributes);
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime_ns = 0;
  uint64_t deadline_ns = 0;
  uint64_t period_ns = 0;
};
// Longer than the default of any machine; longer still would only make it wait longer for its turn.
constexpr uint64_t kLongSliceNs = 20'000'000;

}  // namespace

void NameThread(const char* name) { pthread_setname_np(pthread_self(), name); }

void GiveWayToOthers() {
  const SchedulingAttributes attributes{.policy = SCHED_BATCH, .runtime_ns = kLongSliceNs};
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace slipway
