#include "base/metrics/metrics.h"

#include <dirent.h>
#include <prometheus/exposer.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <exception>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/os/file.h"

namespace slipway {
namespace {

constexpr absl::Duration kPortTime = absl::Seconds(15);

// process_cpu_seconds_total and its siblings, read from /proc when somebody asks.
class ProcessCollector : public prometheus::Collectable {
 public:
  ProcessCollector() : started_seconds_(absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch())) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<prometheus::MetricFamily> families;
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const double cpu_seconds =
        static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
        static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    Add(families, "process_cpu_seconds_total", "User and system CPU time spent, in seconds.",
        prometheus::MetricType::Counter, cpu_seconds);
    Add(families, "process_start_time_seconds", "Start time since the Unix epoch, in seconds.",
        prometheus::MetricType::Gauge, started_seconds_);
    Add(families, "process_open_fds", "Open file descriptors.", prometheus::MetricType::Gauge,
        CountDescriptors());
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    Add(families, "process_max_fds", "Most file descriptors that may be open.",
        prometheus::MetricType::Gauge, static_cast<double>(limit.rlim_cur));
    AddMemory(families);
    return families;
  }

 private:
  static void Add(std::vector<prometheus::MetricFamily>& families, std::string name,
                  std::string help, prometheus::MetricType type, double value) {
    prometheus::ClientMetric metric;
    if (type == prometheus::MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    families.push_back({std::move(name), std::move(help), type, {std::move(metric)}});
  }

  static double CountDescriptors() {
    DIR* dir = opendir("/proc/self/fd");
    if (dir == nullptr) return 0;
    int count = -3;  // ".", ".." and this directory itself
    while (readdir(dir) != nullptr) ++count;
    closedir(dir);
    return count;
  }

  static void AddMemory(std::vector<prometheus::MetricFamily>& families) {
    const auto statm = ReadFile("/proc/self/statm");
    if (!statm.ok()) return;
    const std::vector<std::string> pages = absl::StrSplit(*statm, ' ');
    double virtual_pages = 0, resident_pages = 0;
    if (pages.size() < 2 || !absl::SimpleAtod(pages[0], &virtual_pages) ||
        !absl::SimpleAtod(pages[1], &resident_pages)) {
      return;
    }
    const double page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));
    Add(families, "process_virtual_memory_bytes", "Virtual memory size, in bytes.",
        prometheus::MetricType::Gauge, virtual_pages * page_bytes);
    Add(families, "process_resident_memory_bytes", "Resident memory size, in bytes.",
        prometheus::MetricType::Gauge, resident_pages * page_bytes);
  }

  const double started_seconds_;
};

}  // namespace

Metrics::Metrics()
    : registry_(std::make_shared<prometheus::Registry>()),
      process_(std::make_shared<ProcessCollector>()) {}

Metrics::~Metrics() = default;

void Metrics::Register(std::shared_ptr<prometheus::Collectable> collectable) {
  others_.push_back(std::move(collectable));
}

absl::Status Metrics::Serve(absl::string_view address) {
  if (address.empty()) return absl::OkStatus();
  const absl::Time give_up = absl::Now() + kPortTime;
  while (exposer_ == nullptr) {
    try {
      exposer_ = std::make_unique<prometheus::Exposer>(std::string(address), 1);
    } catch (const std::exception& e) {
      if (absl::Now() > give_up) {
        return absl::UnavailableError(
            absl::StrCat("listen for metrics on ", address, ": ", e.what()));
      }
      absl::SleepFor(absl::Milliseconds(20));
    }
  }
  exposer_->RegisterCollectable(registry_);
  exposer_->RegisterCollectable(process_);
  for (const auto& other : others_) exposer_->RegisterCollectable(other);
  return absl::OkStatus();
}

std::string Metrics::Text() const {
  std::vector<prometheus::MetricFamily> families = registry_->Collect();
  for (auto& family : process_->Collect()) families.push_back(std::move(family));
  for (const auto& other : others_) {
    for (auto& family : other->Collect()) families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace slipway
