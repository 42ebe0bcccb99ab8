// start, stop, restart, kill, rm, wait, rename: verbs over one or more containers.

#include <cstdio>
#include <optional>

#include "base/rpc/status_conversion.h"
#include "cli/context.h"

namespace slipway::cli {
namespace {

using Stub = container::v1::ContainerService::Stub;

// A verb that is done to each named container; the name is printed when it worked.
CLI::App* AddEach(CLI::App& app, Context& context, const std::string& verb, const std::string& help,
                  std::function<grpc::Status(Stub&, const std::string&)> call) {
  CLI::App* command = app.add_subcommand(verb, help);
  auto names = std::make_shared<std::vector<std::string>>();
  command->add_option("container", *names, "containers")->required();
  command->final_callback([&context, names, call = std::move(call)] {
    for (const std::string& name : *names) {
      if (context.Check(call(context.containers(), name))) std::printf("%s\n", name.c_str());
    }
  });
  return command;
}

void AddStopAndRestart(CLI::App& app, Context& context) {
  auto timeout = std::make_shared<std::optional<int>>();
  auto signal = std::make_shared<std::string>();
  CLI::App* stop = AddEach(app, context, "stop", "Ask containers to end, then make them",
                           [timeout, signal](Stub& stub, const std::string& name) {
                             grpc::ClientContext call;
                             container::v1::StopContainerRequest request;
                             request.set_container(name);
                             request.set_signal(*signal);
                             if (*timeout) request.set_timeout_seconds(**timeout);
                             container::v1::StopContainerResponse response;
                             return stub.StopContainer(&call, request, &response);
                           });
  CLI::App* restart = AddEach(app, context, "restart", "Stop and start containers",
                              [timeout, signal](Stub& stub, const std::string& name) {
                                grpc::ClientContext call;
                                container::v1::RestartContainerRequest request;
                                request.set_container(name);
                                request.set_signal(*signal);
                                if (*timeout) request.set_timeout_seconds(**timeout);
                                container::v1::RestartContainerResponse response;
                                return stub.RestartContainer(&call, request, &response);
                              });
  for (CLI::App* command : {stop, restart}) {
    command->add_option("-t,--time", *timeout, "seconds of grace, -1 for ever");
    command->add_option("-s,--signal", *signal, "signal to ask with");
  }
}

void AddKillAndRemove(CLI::App& app, Context& context) {
  auto signal = std::make_shared<std::string>();
  CLI::App* kill = AddEach(app, context, "kill", "Send a signal, KILL unless told otherwise",
                           [signal](Stub& stub, const std::string& name) {
                             grpc::ClientContext call;
                             container::v1::KillContainerRequest request;
                             request.set_container(name);
                             request.set_signal(*signal);
                             container::v1::KillContainerResponse response;
                             return stub.KillContainer(&call, request, &response);
                           });
  kill->add_option("-s,--signal", *signal, "name or number");

  auto force = std::make_shared<bool>(false);
  auto volumes = std::make_shared<bool>(false);
  CLI::App* remove = AddEach(app, context, "rm", "Remove containers",
                             [force, volumes](Stub& stub, const std::string& name) {
                               grpc::ClientContext call;
                               container::v1::RemoveContainerRequest request;
                               request.set_container(name);
                               request.set_force(*force);
                               request.set_remove_volumes(*volumes);
                               container::v1::RemoveContainerResponse response;
                               return stub.RemoveContainer(&call, request, &response);
                             });
  remove->add_flag("-f,--force", *force, "running ones too");
  remove->add_flag("-v,--volumes", *volumes, "their anonymous volumes too");
}

absl::Status PrintExitCode(Context& context, const std::string& name) {
  grpc::ClientContext call;
  container::v1::WaitContainerRequest request;
  request.set_container(name);
  request.set_condition(container::v1::WaitContainerRequest::CONDITION_NOT_RUNNING);
  auto stream = context.containers().WaitContainer(&call, request);
  container::v1::WaitContainerResponse response;
  while (stream->Read(&response)) {
    if (!response.registered()) std::printf("%d\n", response.exit_code());
  }
  return FromGrpc(stream->Finish());
}

}  // namespace

void AddLifecycle(CLI::App& app, Context& context) {
  AddEach(app, context, "start", "Start stopped containers",
          [](Stub& stub, const std::string& name) {
            grpc::ClientContext call;
            container::v1::StartContainerRequest request;
            request.set_container(name);
            container::v1::StartContainerResponse response;
            return stub.StartContainer(&call, request, &response);
          });
  AddStopAndRestart(app, context);
  AddKillAndRemove(app, context);

  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* wait = app.add_subcommand("wait", "Wait for containers to end, print their exit codes");
  wait->add_option("container", *names, "containers")->required();
  wait->final_callback([&context, names] {
    for (const std::string& name : *names) context.Check(PrintExitCode(context, name));
  });

  auto from = std::make_shared<std::string>(), to = std::make_shared<std::string>();
  CLI::App* rename = app.add_subcommand("rename", "Give a container another name");
  rename->add_option("container", *from, "container")->required();
  rename->add_option("name", *to, "new name")->required();
  rename->final_callback([&context, from, to] {
    grpc::ClientContext call;
    container::v1::RenameContainerRequest request;
    request.set_container(*from);
    request.set_name(*to);
    container::v1::RenameContainerResponse response;
    context.Check(context.containers().RenameContainer(&call, request, &response));
  });
}

}  // namespace slipway::cli
