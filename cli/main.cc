// slipway: the native command-line client.

#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "cli/context.h"

namespace {

// "slipway: <message>", as every other error; a verb that nobody knows is named.
std::string FailureMessage(const CLI::App* app, const CLI::Error& error) {
  const std::vector<std::string> rest = app->remaining();
  std::string message = error.what();
  if (app->get_subcommands().empty() && !rest.empty()) {
    message = "\"" + rest.front() + "\" is not a slipway command";
  }
  return "slipway: " + message + "\nSee \"slipway --help\".\n";
}

}  // namespace

int main(int argc, char** argv) {
  // A reader that goes away (`slipway logs | head`) shows as a failed write.
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("Slipway: containers, images and logs of this machine.", "slipway");
  app.failure_message(FailureMessage);
  slipway::cli::Context context;
  app.add_option("-H,--host", context.host, "address of the platform")
      ->envname("SLIPWAY_HOST")
      ->capture_default_str();
  app.require_subcommand(1);
  slipway::cli::AddRun(app, context);
  slipway::cli::AddExec(app, context);
  slipway::cli::AddLifecycle(app, context);
  slipway::cli::AddUpkeep(app, context);
  slipway::cli::AddPs(app, context);
  slipway::cli::AddLogs(app, context);
  slipway::cli::AddImages(app, context);
  slipway::cli::AddPull(app, context);
  slipway::cli::AddBuild(app, context);
  slipway::cli::AddPush(app, context);
  slipway::cli::AddLoad(app, context);
  slipway::cli::AddInspect(app, context);
  slipway::cli::AddVolumes(app, context);
  slipway::cli::AddEvents(app, context);
  slipway::cli::AddVersion(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    // The client's own errors are 125, as with docker, so that a container's exit codes stay apart.
    return code == 0 ? 0 : 125;
  }
  return context.exit_code;
}
