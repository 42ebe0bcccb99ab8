#ifndef CLI_CONTEXT_H_
#define CLI_CONTEXT_H_

#include <grpcpp/channel.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "slipway/agent/v1/agent.grpc.pb.h"
#include "slipway/build/v1/build.grpc.pb.h"
#include "slipway/container/v1/container.grpc.pb.h"
#include "slipway/container/v1/volume.grpc.pb.h"
#include "slipway/image/v1/image.grpc.pb.h"
#include "slipway/log/v1/log.grpc.pb.h"

namespace slipway::cli {

// What every verb needs: the platform's address and stubs made when first used. Not thread-safe;
// the stubs are.
class Context {
 public:
  std::string host = "unix:///run/slipway/slipway.sock";
  // What main returns; a verb sets it.
  int exit_code = 0;

  image::v1::ImageService::Stub& images();
  container::v1::ContainerService::Stub& containers();
  container::v1::VolumeService::Stub& volumes();
  log::v1::LogService::Stub& logs();
  build::v1::BuildService::Stub& builds();
  agent::v1::StreamService::Stub& streams();

  // Prints "slipway: <message>" and sets the exit code when `status` is not OK. True when it is OK.
  bool Check(const grpc::Status& status, int failure_code = 1);
  bool Check(const absl::Status& status, int failure_code = 1);

 private:
  std::shared_ptr<grpc::Channel> channel();

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<image::v1::ImageService::Stub> images_;
  std::unique_ptr<container::v1::ContainerService::Stub> containers_;
  std::unique_ptr<container::v1::VolumeService::Stub> volumes_;
  std::unique_ptr<log::v1::LogService::Stub> logs_;
  std::unique_ptr<agent::v1::StreamService::Stub> streams_;
  std::unique_ptr<build::v1::BuildService::Stub> builds_;
};

// Verbs, a file each. Each adds its subcommands to the application.
void AddRun(CLI::App& app, Context& context);
void AddExec(CLI::App& app, Context& context);
void AddLifecycle(CLI::App& app, Context& context);  // start, stop, restart, kill, rm, wait, rename
void AddUpkeep(CLI::App& app, Context& context);     // pause, unpause, update, top, stats, diff, cp
void AddPs(CLI::App& app, Context& context);
void AddLogs(CLI::App& app, Context& context);
void AddImages(CLI::App& app, Context& context);  // images, rmi, tag, commit
void AddPull(CLI::App& app, Context& context);
void AddBuild(CLI::App& app, Context& context);
void AddPush(CLI::App& app, Context& context);  // push, save
void AddLoad(CLI::App& app, Context& context);  // load, import
void AddInspect(CLI::App& app, Context& context);
void AddVolumes(CLI::App& app, Context& context);
void AddEvents(CLI::App& app, Context& context);
void AddVersion(CLI::App& app, Context& context);

// Pulls an image and shows progress on stderr; for `pull` and for `run` of an image that is not
// there.
absl::Status Pull(Context& context, const std::string& reference, bool quiet);

}  // namespace slipway::cli

#endif  // CLI_CONTEXT_H_
