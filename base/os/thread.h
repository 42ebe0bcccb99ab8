#ifndef BASE_OS_THREAD_H_
#define BASE_OS_THREAD_H_

namespace slipway {

// Both are for the calling thread, and best effort.

// What ps -L, gdb and perf show: at most 15 characters.
void NameThread(const char* name);

// Threads that are woken go before this one, which still gets its share of the processors: what it
// holds is not held long, as it would be at a low priority. As such a thread does, it runs for a
// long slice at a time; Linux 6.12 lets shorter ones (those of all others, by default) preempt it,
// and older kernels do not.
void GiveWayToOthers();

}  // namespace slipway

#endif  // BASE_OS_THREAD_H_
