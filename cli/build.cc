// build: an image of a Dockerfile.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/os/file.h"
#include "base/rpc/status_conversion.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "cli/build_view.h"
#include "cli/context.h"
#include "cli/context_tar.h"
#include "cli/ssh_agents.h"
#include "cli/terminal.h"

namespace slipway::cli {
namespace {

namespace pb = build::v1;

struct BuildCommand {
  std::string path, file, target, network, platform, progress = "auto", id_file;
  std::vector<std::string> tags, build_args, labels, hosts, secrets, ssh;
  bool no_cache = false, pull = false, quiet = false, graph = false, squash = false;
};

std::pair<std::string, std::string> Halves(const std::string& text) {
  const size_t equals = text.find('=');
  return {text.substr(0, equals), equals == std::string::npos ? "" : text.substr(equals + 1)};
}

// "id=x,src=path" or "id=x,env=NAME".
absl::Status AddSecret(const std::string& text, pb::BuildOptions& options) {
  std::string id, source, variable;
  for (const absl::string_view field : absl::StrSplit(text, ',')) {
    const auto [key, value] = Halves(std::string(field));
    if (key == "id") {
      id = value;
    } else if (key == "src" || key == "source") {
      source = value;
    } else if (key == "env") {
      variable = value;
    } else if (key != "type") {
      return absl::InvalidArgumentError(absl::StrCat("--secret: unknown key ", key));
    }
  }
  if (id.empty()) return absl::InvalidArgumentError("--secret needs id=NAME");
  if (source.empty()) {
    const char* value = std::getenv((variable.empty() ? id : variable).c_str());
    if (value == nullptr) {
      return absl::NotFoundError(absl::StrCat("--secret ", id, ": neither src= nor a variable"));
    }
    (*options.mutable_secrets())[id] = value;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN((*options.mutable_secrets())[id], ReadFile(source, 1 << 20));
  return absl::OkStatus();
}

// Also of git repositories, as docker tells them.
bool IsUrl(const std::string& path) {
  for (const char* prefix : {"http://", "https://", "git://", "git@", "ssh://", "github.com/"}) {
    if (absl::StartsWith(path, prefix)) return true;
  }
  return false;
}

absl::StatusOr<pb::BuildOptions> Options(const BuildCommand& command) {
  pb::BuildOptions options;
  options.mutable_tags()->Add(command.tags.begin(), command.tags.end());
  for (const std::string& text : command.build_args) {
    auto [name, value] = Halves(text);
    if (!absl::StrContains(text, '=')) {
      // As docker does: the client's own variable, where it has one.
      const char* own = std::getenv(name.c_str());
      if (own == nullptr) continue;
      value = own;
    }
    (*options.mutable_build_args())[name] = value;
  }
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch != nullptr) {
    options.mutable_build_args()->insert({"SOURCE_DATE_EPOCH", epoch});
  }
  for (const std::string& text : command.labels) {
    const auto [name, value] = Halves(text);
    auto& label = *options.add_labels();
    label.set_name(name);
    label.set_value(value);
  }
  for (const std::string& secret : command.secrets) {
    RETURN_IF_ERROR(AddSecret(secret, options));
  }
  options.mutable_extra_hosts()->Add(command.hosts.begin(), command.hosts.end());
  options.set_target_stage(command.target);
  options.set_network_mode(command.network);
  options.set_no_cache(command.no_cache);
  options.set_pull(command.pull);
  options.set_squash(command.squash);
  options.set_plan_only(command.graph);
  if (!command.platform.empty()) {
    const std::vector<std::string> parts = absl::StrSplit(command.platform, '/');
    options.mutable_platform()->set_os(parts[0]);
    if (parts.size() > 1) options.mutable_platform()->set_architecture(parts[1]);
    if (parts.size() > 2) options.mutable_platform()->set_variant(parts[2]);
  }
  if (IsUrl(command.path)) {
    options.set_remote(command.path);
    options.set_dockerfile(command.file);
    return options;
  }
  if (command.path == "-") {
    options.set_dockerfile(command.file);
    return options;
  }
  const std::string file =
      command.file.empty() ? absl::StrCat(command.path, "/Dockerfile") : command.file;
  ASSIGN_OR_RETURN(*options.mutable_dockerfile_content(), ReadFile(file, 2 << 20));
  return options;
}

absl::Status SendStdin(const std::function<bool(std::string)>& send) {
  while (true) {
    std::string piece(1 << 20, '\0');
    const ssize_t n = read(STDIN_FILENO, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "read stdin");
    if (n == 0) return absl::OkStatus();
    piece.resize(static_cast<size_t>(n));
    if (!send(std::move(piece))) return absl::OkStatus();
  }
}

absl::Status SendFiles(const BuildCommand& command, const std::function<bool(std::string)>& send) {
  if (command.graph || IsUrl(command.path)) return absl::OkStatus();
  if (command.path == "-") return SendStdin(send);
  return SendContext(command.path, "Dockerfile", send);
}

// Redraws now and then, so that times run on.
class Ticker {
 public:
  Ticker(std::mutex& mu, BuildView& view)
      : mu_(mu), thread_([this, &view] {
          std::unique_lock<std::mutex> lock(mu_);
          while (!stop_) {
            changed_.wait_for(lock, std::chrono::milliseconds(200));
            if (!stop_) view.Tick();
          }
        }) {}
  ~Ticker() {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

 private:
  std::mutex& mu_;
  std::condition_variable changed_;
  bool stop_ = false;
  std::thread thread_;
};

absl::Status Build(Context& context, const BuildCommand& command, pb::BuildResult& result) {
  pb::BuildImageRequest first;
  ASSIGN_OR_RETURN(*first.mutable_options(), Options(command));
  ASSIGN_OR_RETURN(auto agents, ParseSshAgents(command.ssh));
  for (const auto& [id, socket] : agents) first.mutable_options()->add_ssh_agents(id);
  const bool has_agents = !agents.empty();
  grpc::ClientContext call;
  const auto stream = context.builds().BuildImage(&call);
  std::mutex writing;
  const auto write = [&](const pb::BuildImageRequest& request) {
    const std::lock_guard<std::mutex> lock(writing);
    return stream->Write(request);
  };
  absl::Status sent;
  std::thread sender([&] {
    bool open = write(first);
    sent = SendFiles(command, [&](std::string bytes) {
      pb::BuildImageRequest piece;
      if (bytes.empty()) return open;
      *piece.mutable_context() = std::move(bytes);
      open = open && write(piece);
      return open;
    });
    if (!sent.ok()) {
      call.TryCancel();
    } else if (has_agents) {
      // The agents' answers come behind the context.
      pb::BuildImageRequest end;
      end.set_context("");
      write(end);
    } else {
      stream->WritesDone();
    }
  });
  std::optional<SshConnections> connections;
  connections.emplace(std::move(agents), [&](pb::AgentBytes bytes) {
    pb::BuildImageRequest answer;
    *answer.mutable_agent() = std::move(bytes);
    write(answer);
  });
  const bool terminal = command.progress == "auto" && IsTerminal(STDERR_FILENO);
  BuildView view(stderr, terminal);
  std::mutex mu;
  {
    std::optional<Ticker> ticker;
    if (terminal && !command.quiet) ticker.emplace(mu, view);
    pb::BuildImageResponse response;
    while (stream->Read(&response)) {
      if (response.has_agent()) {
        connections->Take(response.agent());
        continue;
      }
      if (response.has_result()) result = response.result();
      if (command.graph && response.has_plan()) {
        std::printf("%s", GraphOf(response.plan()).c_str());
      }
      if (command.quiet || command.graph) continue;
      const std::lock_guard<std::mutex> lock(mu);
      view.Take(response);
    }
  }
  if (!command.quiet && !command.graph) view.End();
  sender.join();
  connections.reset();
  const absl::Status status = FromGrpc(stream->Finish());
  return sent.ok() ? status : sent;
}

void RunBuild(Context& context, const BuildCommand& command) {
  pb::BuildResult result;
  if (!context.Check(Build(context, command, result)) || command.graph) return;
  for (const std::string& name : result.unused_build_args()) {
    std::fprintf(stderr, "warning: build argument %s was not consumed\n", name.c_str());
  }
  if (!command.id_file.empty()) {
    context.Check(WriteFileAtomically(command.id_file, result.image_id()));
  }
  std::printf("%s\n", result.image_id().c_str());
}

}  // namespace

void AddBuild(CLI::App& app, Context& context) {
  auto command = std::make_shared<BuildCommand>();
  CLI::App* build = app.add_subcommand("build", "Make an image of a Dockerfile");
  build->add_option("-f,--file", command->file,
                    "the Dockerfile (default: Dockerfile in the context)");
  build->add_option("-t,--tag", command->tags, "name[:tag]")->allow_extra_args(false);
  build->add_option("--build-arg", command->build_args, "NAME=value")->allow_extra_args(false);
  build->add_option("--label", command->labels, "NAME=value")->allow_extra_args(false);
  build->add_option("--target", command->target, "stage to build");
  build->add_option("--secret", command->secrets, "id=NAME,src=FILE or id=NAME,env=VARIABLE")
      ->allow_extra_args(false);
  build->add_option("--ssh", command->ssh, "default or id=SOCKET: an SSH agent for RUN steps")
      ->allow_extra_args(false);
  build->add_option("--network", command->network, "of RUN steps: default, none, host");
  build->add_option("--add-host", command->hosts, "NAME:ADDRESS")->allow_extra_args(false);
  build->add_option("--platform", command->platform, "os/architecture");
  build->add_option("--progress", command->progress, "auto or plain")
      ->check(CLI::IsMember({"auto", "plain"}));
  build->add_option("--iidfile", command->id_file, "file that gets the image's id");
  build->add_flag("--no-cache", command->no_cache, "make every step anew");
  build->add_flag("--pull", command->pull, "ask for newer base images");
  build->add_flag("--squash", command->squash, "make the new layers one");
  build->add_flag("-q,--quiet", command->quiet, "only the image's id");
  build->add_flag("--graph", command->graph, "print the plan for dot(1) and build nothing");
  build->add_option("context", command->path, "directory, URL, or - for a tar on stdin")
      ->required();
  build->final_callback([&context, command] { RunBuild(context, *command); });
}

}  // namespace slipway::cli
