#include "base/metrics/metrics.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

TEST(MetricsTest, ProcessFiguresAreThere) {
  Metrics metrics;
  const std::string text = metrics.Text();
  for (const char* name : {"process_cpu_seconds_total", "process_resident_memory_bytes",
                           "process_open_fds", "process_start_time_seconds"}) {
    EXPECT_NE(text.find(std::string("\n") + name + " "), std::string::npos) << name << "\n" << text;
  }
}

TEST(MetricsTest, AddressInUseIsAnErrorThatNamesIt) {
  Metrics metrics;
  const absl::Status status = metrics.Serve("256.0.0.1:1");
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("256.0.0.1:1"), std::string::npos);
}

}  // namespace
}  // namespace slipway
