#include "gateway/http/request_metrics.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace slipway::gateway {
namespace {

constexpr absl::string_view kMethods[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};

}  // namespace

RequestMetrics::RequestMetrics(prometheus::Registry& registry)
    : requests_(prometheus::BuildCounter()
                    .Name("http_requests_total")
                    .Help("HTTP requests answered.")
                    .Register(registry)),
      seconds_(prometheus::BuildHistogram()
                   .Name("http_request_duration_seconds")
                   .Help("Time from a request's header to the end of its answer, in seconds.")
                   .Register(registry)),
      in_flight_(prometheus::BuildGauge()
                     .Name("http_requests_in_flight")
                     .Help("HTTP requests being answered.")
                     .Register(registry)
                     .Add({})) {}

RequestMetrics::Timer RequestMetrics::Begin() {
  in_flight_.Increment();
  return std::chrono::steady_clock::now();
}

void RequestMetrics::End(Timer timer, absl::string_view method, absl::string_view handler,
                         int status) {
  in_flight_.Decrement();
  if (std::find(std::begin(kMethods), std::end(kMethods), method) == std::end(kMethods)) {
    method = "other";
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - timer).count();
  prometheus::Counter* counter = nullptr;
  prometheus::Histogram* histogram = nullptr;
  {
    absl::MutexLock lock(&mu_);
    prometheus::Counter*& known = counters_[absl::StrCat(method, " ", handler, " ", status)];
    if (known == nullptr) {
      known = &requests_.Add({{"method", std::string(method)},
                              {"handler", std::string(handler)},
                              {"code", absl::StrCat(status)}});
    }
    counter = known;
    prometheus::Histogram*& buckets = histograms_[std::string(handler)];
    if (buckets == nullptr) {
      buckets =
          &seconds_.Add({{"handler", std::string(handler)}},
                        prometheus::Histogram::BucketBoundaries{.0005, .001, .0025, .005, .01, .025,
                                                                .05, .1, .25, .5, 1, 2.5, 5, 10});
    }
    histogram = buckets;
  }
  counter->Increment();
  histogram->Observe(seconds);
}

}  // namespace slipway::gateway
