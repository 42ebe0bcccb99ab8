// slipway-build: Dockerfiles become images. Unprivileged; files come from the image service,
// containers from the container service.

#include <cstdlib>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/service/service.h"
#include "services/build/server.h"

ABSL_FLAG(std::string, image_socket, "", "Image service (default: <run_dir>/image.sock).");
ABSL_FLAG(std::string, container_socket, "",
          "Container service (default: <run_dir>/container.sock).");
ABSL_FLAG(std::string, agent_socket, "", "Agent's streams (default: <run_dir>/agent.sock).");

namespace {

std::string SocketOr(const std::string& flag, const std::string& run_dir, const char* name) {
  return flag.empty() ? absl::StrCat(run_dir, "/", name, ".sock") : flag;
}

}  // namespace

int main(int argc, char** argv) {
  const slipway::ServiceOptions options =
      slipway::InitService(argc, argv, "build", "127.0.0.1:9484");
  const std::string& run_dir = options.run_dir;
  const auto server = slipway::build::Server::Start(
      {.root = options.root,
       .socket = options.socket,
       .metrics_address = options.metrics_address,
       .image_socket = SocketOr(absl::GetFlag(FLAGS_image_socket), run_dir, "image"),
       .container_socket = SocketOr(absl::GetFlag(FLAGS_container_socket), run_dir, "container"),
       .agent_socket = SocketOr(absl::GetFlag(FLAGS_agent_socket), run_dir, "agent")});
  if (!server.ok()) return slipway::ExitCode(server.status());
  slipway::Log(slipway::LogLevel::kInfo, "serving", {{"socket", options.socket}});
  slipway::WaitForTermination();
  return 0;
}
