#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/logging/logging.h"
#include "base/service/service.h"
#include "image-service/server.h"

ABSL_FLAG(std::string, registry_ca_file, "",
          "PEM file of certificate authorities to trust for registries, besides the system's.");
ABSL_FLAG(
    std::string, certs_dir, "/etc/docker/certs.d",
    "Directory with <host[:port]>/*.crt, which are trusted for that registry, and NAME.cert with "
    "NAME.key, which it is shown.");
ABSL_FLAG(std::vector<std::string>, insecure_registries, {},
          "host[:port] of registries that may be spoken to without TLS; those on loopback may.");
ABSL_FLAG(std::vector<std::string>, registry_mirrors, {},
          "NAME=URL: pulls from registry NAME (docker.io) try URL first, in order.");
ABSL_FLAG(absl::Duration, registry_connect_timeout, absl::Seconds(10),
          "For connecting to a registry.");
ABSL_FLAG(absl::Duration, registry_stall_timeout, absl::Seconds(30),
          "How long a registry may send nothing.");
ABSL_FLAG(int, registry_attempts, 5, "Attempts at what fails for now.");
ABSL_FLAG(int, max_layers_at_once, 6,
          "Layer downloads of all pulls together, and layer uploads of all pushes.");
ABSL_FLAG(
    int64_t, upload_chunk_bytes, INT64_MAX,
    "Most bytes of a layer in one upload request, for registries behind proxies with a limit.");

ABSL_FLAG(int64_t, max_layer_bytes, int64_t{128} << 30,
          "Most bytes that a layer may have after decompression.");
ABSL_FLAG(int64_t, disk_quota_bytes, 0,
          "Most bytes that all images may take on the disk; 0: as many as there is room for.");

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
  for (const std::string& mirror : absl::GetFlag(FLAGS_registry_mirrors)) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(mirror, absl::MaxSplits('=', 1));
    if (const auto url = slipway::image::Url::Parse(parts.second); !url.ok()) {
      return slipway::ExitCode(url.status());
    }
    options.registry.mirrors[parts.first].push_back(parts.second);
  }
  options.registry.max_attempts = absl::GetFlag(FLAGS_registry_attempts);
  options.registry.upload_chunk_bytes = absl::GetFlag(FLAGS_upload_chunk_bytes);
  options.max_layers_at_once = absl::GetFlag(FLAGS_max_layers_at_once);
  options.content.layer_bytes = absl::GetFlag(FLAGS_max_layer_bytes);
  options.content.quota_bytes = absl::GetFlag(FLAGS_disk_quota_bytes);
  auto server = slipway::image::Server::Start(options);
  if (!server.ok()) return slipway::ExitCode(server.status());
  slipway::Log(slipway::LogLevel::kInfo, "serving", {{"socket", options.service.socket}});
  slipway::WaitForTermination();
  server->reset();
  return 0;
}
