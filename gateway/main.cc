// slipway-gateway: the doors of the platform. Unprivileged, without state of its own.

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/service/service.h"
#include "gateway/server.h"

ABSL_FLAG(std::string, docker_socket, "",
          "Unix socket of the Docker API (default: <run_dir>/docker.sock).");
ABSL_FLAG(std::string, native_socket, "",
          "Unix socket of the native gRPC API (default: <run_dir>/slipway.sock).");
ABSL_FLAG(std::string, http_address, "127.0.0.1:9480",
          "address:port of the web page and /metrics; empty for none.");
ABSL_FLAG(std::string, image_socket, "", "Image service (default: <run_dir>/image.sock).");
ABSL_FLAG(std::string, container_socket, "",
          "Container service (default: <run_dir>/container.sock).");
ABSL_FLAG(std::string, log_socket, "", "Log service (default: <run_dir>/log.sock).");
ABSL_FLAG(std::string, build_socket, "", "Build service (default: <run_dir>/build.sock).");
ABSL_FLAG(std::string, agent_socket, "", "Agent's streams (default: <run_dir>/agent.sock).");

namespace {

std::string SocketOr(const std::string& flag, const std::string& run_dir, const char* name) {
  return flag.empty() ? absl::StrCat(run_dir, "/", name, ".sock") : flag;
}

}  // namespace

int main(int argc, char** argv) {
  const slipway::ServiceOptions service = slipway::InitService(argc, argv, "gateway", "");
  const std::string& run_dir = service.run_dir;
  slipway::gateway::ServerOptions options;
  options.docker_socket = SocketOr(absl::GetFlag(FLAGS_docker_socket), run_dir, "docker");
  options.native_socket = SocketOr(absl::GetFlag(FLAGS_native_socket), run_dir, "slipway");
  options.http_address = absl::GetFlag(FLAGS_http_address);
  options.backends.image = SocketOr(absl::GetFlag(FLAGS_image_socket), run_dir, "image");
  options.backends.container =
      SocketOr(absl::GetFlag(FLAGS_container_socket), run_dir, "container");
  options.backends.log = SocketOr(absl::GetFlag(FLAGS_log_socket), run_dir, "log");
  options.backends.build = SocketOr(absl::GetFlag(FLAGS_build_socket), run_dir, "build");
  options.backends.files = service.root;
  options.backends.agent = SocketOr(absl::GetFlag(FLAGS_agent_socket), run_dir, "agent");
  absl::StatusOr<std::unique_ptr<slipway::gateway::Server>> server =
      slipway::gateway::Server::Start(options);
  if (!server.ok()) return slipway::ExitCode(server.status());
  slipway::Log(slipway::LogLevel::kInfo, "serving",
               {{"docker_socket", options.docker_socket},
                {"native_socket", options.native_socket},
                {"http_address", options.http_address}});
  slipway::WaitForTermination();
  (*server)->Stop();
  // There is no state to save, and gRPC's own shutdown can take 10 s (it waits for a poller).
  std::_Exit(0);
}
