#include "runtime-agent/domain/stats_sampler.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/os/file.h"

namespace slipway::agent {
namespace {

// A difference over less says little; a sample that is younger is given again.
constexpr absl::Duration kShortest = absl::Milliseconds(20);
// A former sample that is older says nothing about now.
constexpr absl::Duration kLongest = absl::Seconds(10);
constexpr absl::Duration kKept = absl::Seconds(30);
constexpr size_t kInterfacesBytes = 16 << 10;

uint64_t SystemNs(uint32_t cpus) {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return (static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 +
          static_cast<uint64_t>(time.tv_nsec)) *
         cpus;
}

}  // namespace

StatsSampler::StatsSampler(Host host) : host_(std::move(host)), thread_(1) {}

void StatsSampler::Watch(std::vector<std::string> ids, absl::Duration interval,
                         bool without_previous, Callback callback) {
  auto watcher = std::make_shared<Watcher>(
      Watcher{std::move(ids), interval, without_previous, std::move(callback)});
  thread_.Post([this, watcher] { Tick(watcher, true); });
}

std::vector<std::string> StatsSampler::IdsOf(const Watcher& watcher) const {
  return watcher.ids.empty() ? host_.running() : watcher.ids;
}

// Takes the first sample of those that have none, too.
bool StatsSampler::HasPrevious(const std::vector<std::string>& ids) {
  bool all = true;
  for (const std::string& id : ids) {
    const SamplePair pair = Sample(id, false);
    all = all && (!pair.now->running || pair.previous != nullptr);
  }
  return all;
}

void StatsSampler::Tick(const std::shared_ptr<Watcher>& watcher, bool first) {
  const std::vector<std::string> ids = IdsOf(*watcher);
  if (first && !watcher->without_previous && !HasPrevious(ids)) {
    thread_.After(kShortest, [this, watcher] { Tick(watcher, false); });
    return;
  }
  std::vector<SamplePair> samples;
  samples.reserve(ids.size());
  for (const std::string& id : ids) samples.push_back(Sample(id, watcher->without_previous));
  if (++ticks_ % 64 == 0) DropUnused();
  if (!watcher->callback(samples) || watcher->interval <= absl::ZeroDuration()) return;
  // Watchers meet at the same moments, so that one sample serves all.
  const absl::Duration into = (absl::Now() - absl::UnixEpoch()) % watcher->interval;
  absl::Duration next = watcher->interval - into;
  if (next < watcher->interval / 2) next += watcher->interval;
  thread_.After(next, [this, watcher] { Tick(watcher, false); });
}

SamplePair StatsSampler::Sample(const std::string& id, bool without_previous) {
  const std::optional<Subject> subject = host_.find(id);
  if (!subject.has_value()) {
    states_.erase(id);
    auto none = std::make_shared<ContainerSample>();
    none->id = id;
    none->read_ns = absl::GetCurrentTimeNanos();
    return {.now = std::move(none)};
  }
  State& state = states_[id];
  if (state.subject.run != subject->run) state = State{.subject = *subject};
  state.used = absl::Now();
  const int64_t now_ns = absl::ToUnixNanos(state.used);
  const bool fresh =
      state.last != nullptr && absl::Nanoseconds(now_ns - state.last->read_ns) < kShortest;
  if (!fresh) {
    std::shared_ptr<ContainerSample> sample = Read(id, state);
    state.before_last = std::exchange(state.last, std::move(sample));
  }
  SamplePair pair{.now = state.last};
  const bool comparable = state.before_last != nullptr &&
                          absl::Nanoseconds(now_ns - state.before_last->read_ns) < kLongest;
  if (!without_previous && comparable) pair.previous = state.before_last;
  return pair;
}

std::shared_ptr<ContainerSample> StatsSampler::Read(const std::string& id, State& state) {
  auto sample = std::make_shared<ContainerSample>();
  sample->id = id;
  sample->online_cpus = static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_ONLN));
  if (state.reader == nullptr) {
    auto opened = host_.cgroups->OpenStats(state.subject.group);
    if (opened.ok()) state.reader = *std::move(opened);
    if (state.subject.has_interfaces) {
      auto file = OpenFile(absl::StrCat("/proc/", state.subject.pid, "/net/dev"), O_RDONLY);
      if (file.ok()) state.interfaces = *std::move(file);
    }
  }
  sample->system_ns = SystemNs(sample->online_cpus);
  sample->read_ns = absl::GetCurrentTimeNanos();
  if (state.reader == nullptr) return sample;
  auto counters = state.reader->Read();
  // It has just ended.
  if (!counters.ok()) return sample;
  sample->counters = *std::move(counters);
  sample->running = true;
  ReadInterfaces(state, *sample);
  return sample;
}

// proc(5), /proc/net/dev: two lines of titles, then "eth0: " and sixteen numbers.
void StatsSampler::ReadInterfaces(State& state, ContainerSample& sample) {
  if (!state.interfaces.ok()) return;
  state.buffer.resize(kInterfacesBytes);
  const ssize_t size = pread(state.interfaces.get(), state.buffer.data(), state.buffer.size(), 0);
  if (size <= 0) return;
  const absl::string_view text(state.buffer.data(), static_cast<size_t>(size));
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const size_t colon = line.find(':');
    if (colon == absl::string_view::npos) continue;
    InterfaceCounters counters;
    counters.name = std::string(absl::StripAsciiWhitespace(line.substr(0, colon)));
    if (counters.name == "lo") continue;
    const std::vector<absl::string_view> numbers =
        absl::StrSplit(line.substr(colon + 1), ' ', absl::SkipEmpty());
    if (numbers.size() < 12) continue;
    for (size_t i = 0; i < 4; ++i) {
      (void)absl::SimpleAtoi(numbers[i], &counters.received[i]);
      (void)absl::SimpleAtoi(numbers[8 + i], &counters.sent[i]);
    }
    sample.interfaces.push_back(std::move(counters));
  }
}

void StatsSampler::DropUnused() {
  const absl::Time now = absl::Now();
  for (auto state = states_.begin(); state != states_.end();) {
    const auto current = state++;
    if (now - current->second.used > kKept) states_.erase(current);
  }
}

}  // namespace slipway::agent
