// Prints what one container costs at the agent: medians of prepare, start, from start to the exit
// event, and remove. Arguments: how many containers each (default 200), how many at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "tests/integration/agent/host.h"

namespace slipway::agent {
namespace {

struct Samples {
  std::vector<double> prepare, start, exit, remove, total;
};

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

double SinceMs(absl::Time then) { return absl::ToDoubleMilliseconds(absl::Now() - then); }

void Once(Host& host, const char* network, absl::Mutex& mutex, Samples& samples) {
  auto request = host.Request({"true"});
  request.mutable_spec()->mutable_network()->set_mode(network);
  const absl::Time begin = absl::Now();
  if (!host.Prepare(request).ok()) std::abort();
  const double prepare = SinceMs(begin);
  const absl::Time starting = absl::Now();
  if (!host.Start(request.container_id()).ok()) std::abort();
  const double start = SinceMs(starting);
  const absl::Time waiting = absl::Now();
  host.AwaitExit(request.container_id());
  const double exit = SinceMs(waiting);
  const absl::Time removing = absl::Now();
  if (!host.Remove(request.container_id()).ok()) std::abort();
  const double remove = SinceMs(removing);
  absl::MutexLock lock(&mutex);
  samples.prepare.push_back(prepare);
  samples.start.push_back(start);
  samples.exit.push_back(exit);
  samples.remove.push_back(remove);
  samples.total.push_back(SinceMs(begin));
}

void Measure(Host& host, const char* network, int count, int at_once) {
  absl::Mutex mutex;
  Samples samples;
  const absl::Time begin = absl::Now();
  std::vector<std::thread> threads;
  for (int t = 0; t < at_once; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < count / at_once; ++i) Once(host, network, mutex, samples);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  std::printf(
      "%-7s x%-3d prepare %.2f  start %.2f  exit %.2f  remove %.2f  total %.2f ms  %.0f/s\n",
      network, at_once, Median(samples.prepare), Median(samples.start), Median(samples.exit),
      Median(samples.remove), Median(samples.total),
      static_cast<double>(samples.total.size()) / seconds);
  std::fflush(stdout);
}

}  // namespace
}  // namespace slipway::agent

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 200;
  const int at_once = argc > 2 ? std::atoi(argv[2]) : 1;
  slipway::agent::Host host;
  slipway::agent::Measure(host, "none", 20, 1);  // warm
  std::printf("agent pid %d\n", host.agent_pid());
  for (const char* network : {"host", "none", "bridge"}) {
    slipway::agent::Measure(host, network, count, at_once);
  }
  return 0;
}
