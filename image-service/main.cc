#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "base/logging/logging.h"
#include "base/service/service.h"
#include "image-service/server.h"

ABSL_FLAG(std::string, registry_ca_file, "",
          "PEM file of certificate authorities to trust for registries, besides the system's.");
ABSL_FLAG(std::string, certs_dir, "/etc/docker/certs.d",
          "Directory in which <host[:port]>/ca.crt is trusted for that registry.");
ABSL_FLAG(std::vector<std::string>, insecure_registries, {},
          "host[:port] of registries that may be spoken to without TLS; those on loopback may.");
ABSL_FLAG(absl::Duration, registry_connect_timeout, absl::Seconds(10),
          "For connecting to a registry.");
ABSL_FLAG(absl::Duration, registry_stall_timeout, absl::Seconds(30),
          "How long a registry may send nothing.");
ABSL_FLAG(int, registry_attempts, 5, "Attempts at what fails for now.");
ABSL_FLAG(int, max_layers_at_once, 6, "Layer downloads of all pulls together.");

int main(int argc, char** argv) {
  slipway::image::ServerOptions options;
  options.service = slipway::InitService(argc, argv, "image", "127.0.0.1:9481");
  options.http.ca_file = absl::GetFlag(FLAGS_registry_ca_file);
  options.http.certs_dir = absl::GetFlag(FLAGS_certs_dir);
  options.http.connect_timeout = absl::GetFlag(FLAGS_registry_connect_timeout);
  options.http.stall_timeout = absl::GetFlag(FLAGS_registry_stall_timeout);
  for (const std::string& host : absl::GetFlag(FLAGS_insecure_registries)) {
    options.registry.insecure_registries.insert(host);
  }
  options.registry.max_attempts = absl::GetFlag(FLAGS_registry_attempts);
  options.max_layers_at_once = absl::GetFlag(FLAGS_max_layers_at_once);
  auto server = slipway::image::Server::Start(options);
  if (!server.ok()) return slipway::ExitCode(server.status());
  slipway::Log(slipway::LogLevel::kInfo, "serving", {{"socket", options.service.socket}});
  slipway::WaitForTermination();
  server->reset();
  return 0;
}
