#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/service/service.h"
#include "services/container/server.h"

ABSL_FLAG(std::string, image_socket, "",
          "Unix socket of the image service; default <run_dir>/image.sock.");
ABSL_FLAG(std::string, agent_socket, "",
          "Unix socket of the host's agent; default <run_dir>/agent.sock.");
ABSL_FLAG(std::string, network_pool, "172.30.0.0/15",
          "IPv4; networks that nobody chose addresses for get /24 blocks of it.");

namespace {

std::string OrDefault(const std::string& socket, const std::string& run_dir,
                      absl::string_view name) {
  return socket.empty() ? absl::StrCat(run_dir, "/", name, ".sock") : socket;
}

}  // namespace

int main(int argc, char** argv) {
  const slipway::ServiceOptions options =
      slipway::InitService(argc, argv, "container", "127.0.0.1:9482");
  const auto server = slipway::container::Server::Start(
      {.root = options.root,
       .socket = options.socket,
       .image_socket = OrDefault(absl::GetFlag(FLAGS_image_socket), options.run_dir, "image"),
       .agent_socket = OrDefault(absl::GetFlag(FLAGS_agent_socket), options.run_dir, "agent"),
       .metrics_address = options.metrics_address,
       .network_pool = absl::GetFlag(FLAGS_network_pool)});
  if (!server.ok()) return slipway::ExitCode(server.status());
  slipway::Log(slipway::LogLevel::kInfo, "serving", {{"socket", options.socket}});
  slipway::WaitForTermination();
  return 0;
}
