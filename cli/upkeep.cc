#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/rpc/status_conversion.h"
#include "cli/context.h"
#include "cli/format.h"

// pause, unpause, update, top, stats, diff, cp: what is done with containers that exist.
namespace slipway::cli {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr size_t kPieceBytes = 256 << 10;

// The full id, as the streams of a host want it.
absl::StatusOr<std::string> FindId(Context& context, const std::string& name) {
  grpc::ClientContext call;
  container::v1::GetContainerRequest request;
  request.set_container(name);
  container::v1::GetContainerResponse response;
  const grpc::Status status = context.containers().GetContainer(&call, request, &response);
  if (!status.ok()) return FromGrpc(status);
  return response.container().id();
}

template <typename Call>
void AddForEach(CLI::App& app, Context& context, const char* verb, const char* help, Call call) {
  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* command = app.add_subcommand(verb, help);
  command->add_option("container", *names, "containers")->required();
  command->final_callback([&context, names, call] {
    for (const std::string& name : *names) {
      if (context.Check(call(context.containers(), name))) std::printf("%s\n", name.c_str());
    }
  });
}

void AddPause(CLI::App& app, Context& context) {
  using Stub = container::v1::ContainerService::Stub;
  AddForEach(app, context, "pause", "Freeze the processes of containers",
             [](Stub& stub, const std::string& name) {
               grpc::ClientContext call;
               container::v1::PauseContainerRequest request;
               request.set_container(name);
               container::v1::PauseContainerResponse response;
               return stub.PauseContainer(&call, request, &response);
             });
  AddForEach(app, context, "unpause", "Let frozen containers go on",
             [](Stub& stub, const std::string& name) {
               grpc::ClientContext call;
               container::v1::UnpauseContainerRequest request;
               request.set_container(name);
               container::v1::UnpauseContainerResponse response;
               return stub.UnpauseContainer(&call, request, &response);
             });
}

void AddUpdate(CLI::App& app, Context& context) {
  struct Options {
    std::string name;
    std::string memory;
    double cpus = 0;
    std::optional<int64_t> pids;
  };
  auto options = std::make_shared<Options>();
  CLI::App* update = app.add_subcommand("update", "Change the limits of a container");
  update->add_option("container", options->name, "container")->required();
  update->add_option("-m,--memory", options->memory, "limit of memory, e.g. 512m")
      ->transform(CLI::AsSizeValue(false));
  update->add_option("--cpus", options->cpus, "processors that it may use");
  update->add_option("--pids-limit", options->pids,
                     "processes that it may have, -1 for any number");
  update->final_callback([&context, options] {
    grpc::ClientContext call;
    container::v1::UpdateContainerRequest request;
    request.set_container(options->name);
    if (!options->memory.empty()) {
      request.mutable_resources()->set_memory_bytes(std::stoll(options->memory));
    }
    request.mutable_resources()->set_nano_cpus(static_cast<int64_t>(options->cpus * 1e9));
    if (options->pids) request.set_pids_limit(*options->pids);
    container::v1::UpdateContainerResponse response;
    if (!context.Check(context.containers().UpdateContainer(&call, request, &response))) return;
    for (const std::string& warning : response.warnings()) {
      std::fprintf(stderr, "warning: %s\n", warning.c_str());
    }
  });
}

absl::Status PrintProcesses(Context& context, const std::string& name,
                            const std::vector<std::string>& ps_options) {
  const absl::StatusOr<std::string> id = FindId(context, name);
  if (!id.ok()) return id.status();
  grpc::ClientContext call;
  agent::v1::ListProcessesRequest request;
  request.set_container_id(*id);
  request.mutable_ps_arguments()->Add(ps_options.begin(), ps_options.end());
  agent::v1::ListProcessesResponse response;
  const grpc::Status listed = context.streams().ListProcesses(&call, request, &response);
  if (!listed.ok()) return FromGrpc(listed);
  std::vector<std::vector<std::string>> rows = {
      {response.titles().begin(), response.titles().end()}};
  for (const agent::v1::ProcessRow& row : response.processes()) {
    rows.emplace_back(row.values().begin(), row.values().end());
  }
  std::fputs(Table(rows).c_str(), stdout);
  return absl::OkStatus();
}

double CpuPercent(const agent::v1::ContainerStats& stats) {
  const double used = static_cast<double>(stats.cpu().total_ns()) -
                      static_cast<double>(stats.previous_cpu().total_ns());
  const double possible = static_cast<double>(stats.cpu().system_ns()) -
                          static_cast<double>(stats.previous_cpu().system_ns());
  if (!stats.has_previous_cpu() || possible <= 0) return 0;
  return 100 * used / possible * stats.cpu().online_cpus();
}

void PrintStats(const agent::v1::WatchStatsResponse& sample) {
  std::vector<std::vector<std::string>> rows = {{"CONTAINER", "CPU", "MEMORY", "LIMIT", "PIDS"}};
  for (const agent::v1::ContainerStats& stats : sample.containers()) {
    const auto bytes = [](uint64_t value) { return HumanSize(static_cast<int64_t>(value)); };
    rows.push_back({stats.container_id().substr(0, 12),
                    absl::StrFormat("%.1f%%", CpuPercent(stats)),
                    bytes(stats.memory().usage_bytes()), bytes(stats.memory().limit_bytes()),
                    absl::StrCat(stats.pids_current())});
  }
  std::fputs(Table(rows).c_str(), stdout);
  std::fflush(stdout);
}

absl::Status WatchUsage(Context& context, const std::vector<std::string>& names, bool once) {
  agent::v1::WatchStatsRequest request;
  for (const std::string& name : names) {
    const absl::StatusOr<std::string> id = FindId(context, name);
    if (!id.ok()) return id.status();
    request.add_container_ids(*id);
  }
  if (!once) request.set_interval_ns(kSecondNs);
  grpc::ClientContext call;
  const auto stream = context.streams().WatchStats(&call, request);
  agent::v1::WatchStatsResponse sample;
  while (stream->Read(&sample)) PrintStats(sample);
  return FromGrpc(stream->Finish());
}

absl::Status PrintChanges(Context& context, const std::string& name) {
  const absl::StatusOr<std::string> id = FindId(context, name);
  if (!id.ok()) return id.status();
  grpc::ClientContext call;
  agent::v1::ListChangesRequest request;
  request.set_container_id(*id);
  const auto stream = context.streams().ListChanges(&call, request);
  agent::v1::ListChangesResponse response;
  while (stream->Read(&response)) {
    for (const agent::v1::PathChange& change : response.changes()) {
      const char kind = change.kind() == agent::v1::PathChange::KIND_ADDED     ? 'A'
                        : change.kind() == agent::v1::PathChange::KIND_DELETED ? 'D'
                                                                               : 'C';
      std::printf("%c %s\n", kind, change.path().c_str());
    }
  }
  return FromGrpc(stream->Finish());
}

absl::Status CopyOut(Context& context, const std::string& id, const std::string& path) {
  grpc::ClientContext call;
  agent::v1::ReadArchiveRequest request;
  request.set_container_id(id);
  request.set_path(path);
  const auto stream = context.streams().ReadArchive(&call, request);
  agent::v1::ReadArchiveResponse response;
  while (stream->Read(&response)) {
    if (std::fwrite(response.data().data(), 1, response.data().size(), stdout) !=
        response.data().size()) {
      call.TryCancel();
      return absl::UnavailableError("the archive could not be written");
    }
  }
  return FromGrpc(stream->Finish());
}

absl::Status CopyIn(Context& context, const std::string& id, const std::string& path) {
  grpc::ClientContext call;
  agent::v1::WriteArchiveResponse response;
  const auto stream = context.streams().WriteArchive(&call, &response);
  agent::v1::WriteArchiveRequest message;
  message.mutable_start()->set_container_id(id);
  message.mutable_start()->set_path(path);
  bool taken = stream->Write(message);
  while (taken) {
    std::string& data = *message.mutable_data();
    data.resize(kPieceBytes);
    data.resize(std::fread(data.data(), 1, data.size(), stdin));
    if (data.empty()) break;
    taken = stream->Write(message);
  }
  stream->WritesDone();
  return FromGrpc(stream->Finish());
}

absl::Status Copy(Context& context, const std::string& from, const std::string& to) {
  const std::string& inside = from == "-" ? to : from;
  const size_t colon = inside.find(':');
  if ((from == "-") == (to == "-") || colon == std::string::npos) {
    return absl::InvalidArgumentError("cp takes <container>:<path> and, for a tar, \"-\"");
  }
  const absl::StatusOr<std::string> id = FindId(context, inside.substr(0, colon));
  if (!id.ok()) return id.status();
  const std::string path = inside.substr(colon + 1);
  return from == "-" ? CopyIn(context, *id, path) : CopyOut(context, *id, path);
}

}  // namespace

void AddUpkeep(CLI::App& app, Context& context) {
  AddPause(app, context);
  AddUpdate(app, context);

  auto name = std::make_shared<std::string>();
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* top = app.add_subcommand("top", "Show the processes of a container");
  top->add_option("container", *name, "container")->required();
  top->add_option("options", *words, "of ps");
  top->prefix_command();
  top->final_callback([&context, top, name, words] {
    std::vector<std::string> options = *words;
    for (const std::string& more : top->remaining()) options.push_back(more);
    context.Check(PrintProcesses(context, *name, options));
  });

  auto names = std::make_shared<std::vector<std::string>>();
  auto once = std::make_shared<bool>(false);
  CLI::App* stats = app.add_subcommand("stats", "Show what containers use, every second");
  stats->add_option("container", *names, "containers; all that run when none is named");
  stats->add_flag("--no-stream", *once, "once");
  stats->final_callback(
      [&context, names, once] { context.Check(WatchUsage(context, *names, *once)); });

  auto changed = std::make_shared<std::string>();
  CLI::App* diff = app.add_subcommand("diff", "Show what a container changed in its image");
  diff->add_option("container", *changed, "container")->required();
  diff->final_callback([&context, changed] { context.Check(PrintChanges(context, *changed)); });

  auto from = std::make_shared<std::string>();
  auto to = std::make_shared<std::string>();
  CLI::App* copy = app.add_subcommand("cp", "Copy a tar out of a container (to -) or into it");
  copy->add_option("from", *from, "<container>:<path> or -")->required();
  copy->add_option("to", *to, "<container>:<path> or -")->required();
  copy->final_callback([&context, from, to] { context.Check(Copy(context, *from, *to)); });
}

}  // namespace slipway::cli
