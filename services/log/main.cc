#include <cstdint>
#include <string>

#include "absl/flags/flag.h"
#include "base/logging/logging.h"
#include "base/service/service.h"
#include "services/log/server.h"

ABSL_FLAG(uint64_t, max_segment_bytes, uint64_t{16} << 20,
          "A container's log is kept in files of about this size; retention deletes whole files.");
ABSL_FLAG(uint64_t, max_container_bytes, uint64_t{2} << 30,
          "Most bytes kept of one container; the oldest go first.");
ABSL_FLAG(uint64_t, max_total_bytes, uint64_t{20} << 30,
          "Most bytes kept of all containers; the oldest go first.");

ABSL_FLAG(absl::Duration, max_age, absl::ZeroDuration(),
          "Older output is deleted, e.g. 720h; zero keeps it however old.");

ABSL_FLAG(std::string, journald_socket, "", "Where journald listens, unless where systemd has it.");

int main(int argc, char** argv) {
  const slipway::ServiceOptions options = slipway::InitService(argc, argv, "log", "127.0.0.1:9483");
  const auto server =
      slipway::log::Server::Start({.root = options.root,
                                   .socket = options.socket,
                                   .metrics_address = options.metrics_address,
                                   .max_segment_bytes = absl::GetFlag(FLAGS_max_segment_bytes),
                                   .max_container_bytes = absl::GetFlag(FLAGS_max_container_bytes),
                                   .max_total_bytes = absl::GetFlag(FLAGS_max_total_bytes),
                                   .max_age = absl::GetFlag(FLAGS_max_age),
                                   .journald_socket = absl::GetFlag(FLAGS_journald_socket)});
  if (!server.ok()) return slipway::ExitCode(server.status());
  slipway::Log(slipway::LogLevel::kInfo, "serving", {{"socket", options.socket}});
  slipway::WaitForTermination();
  return 0;
}
