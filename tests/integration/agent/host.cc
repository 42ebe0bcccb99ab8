#include "tests/integration/agent/host.h"

#include <dirent.h>
#include <fcntl.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/os/file.h"
#include "base/rpc/channel.h"
#include "runtime-agent/domain/tree.h"
#include "runtime-agent/network/bridge_network.h"

namespace slipway::agent {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr char kAgent[] = "runtime-agent/slipway-agent";
constexpr char kSupervisor[] = "runtime-agent/supervisor/slipway-supervisor";
constexpr char kArchiver[] = "runtime-agent/archive/slipway-archive";
constexpr char kImage[] = "image-service/slipway-image";
constexpr char kLog[] = "services/log/slipway-log";

std::string Absolute(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  std::string result = resolved == nullptr ? path : resolved;
  free(resolved);
  return result;
}

std::string RandomHex(size_t bytes) {
  static std::random_device device;
  std::string text;
  for (size_t i = 0; i < bytes; ++i) text.push_back(static_cast<char>(device()));
  return absl::BytesToHexString(text);
}

void SetDeadline(grpc::ClientContext& context, int seconds = 60) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(seconds));
  context.set_wait_for_ready(true);
}

std::vector<std::string> CgroupRoots() {
  std::vector<std::string> roots = {"/sys/fs/cgroup"};
  DIR* stream = opendir("/sys/fs/cgroup");
  while (const dirent* entry = stream == nullptr ? nullptr : readdir(stream)) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
      roots.push_back(absl::StrCat("/sys/fs/cgroup/", entry->d_name));
    }
  }
  if (stream != nullptr) closedir(stream);
  return roots;
}

void AddDirectories(const std::string& path, std::set<std::string>* found) {
  DIR* stream = opendir(path.c_str());
  while (const dirent* entry = stream == nullptr ? nullptr : readdir(stream)) {
    if (entry->d_name[0] == '.' || (entry->d_type != DT_DIR && entry->d_type != DT_REG)) continue;
    if (entry->d_type == DT_REG && absl::StrContains(path, "cgroup")) continue;
    found->insert(absl::StrCat(path, "/", entry->d_name));
  }
  if (stream != nullptr) closedir(stream);
}

}  // namespace

Host::Host(std::vector<std::string> agent_flags) : agent_flags_(std::move(agent_flags)) {
  char directory[] = "/var/tmp/sa-XXXXXX";
  dir_ = mkdtemp(directory);
  chmod(dir_.c_str(), 0755);
  const std::string random = RandomHex(3);
  prefix_ = absl::StrCat("sa", random);
  const int third = static_cast<int>(std::strtoul(random.c_str(), nullptr, 16) % 250);
  subnet_ = absl::StrCat("172.27.", third, ".0/24");
  gateway_ = absl::StrCat("172.27.", third, ".1");
  MakeDirectories(dir_ + "/run").IgnoreError();
  const std::string run = absl::StrCat("--run_dir=", dir_, "/run");
  pids_["image"] =
      Launch("image", kImage, {run, absl::StrCat("--root=", dir_, "/image"), "--metrics_address="});
  StartLog();
  image_channel_ = NewChannel(dir_ + "/run/image.sock");
  log_channel_ = NewChannel(dir_ + "/run/log.sock");
  agent_channel_ = NewChannel(dir_ + "/run/agent.sock");
  ImportBusybox();
  StartAgent();
  watcher_ = std::thread([this] { WatchEvents(); });
}

Host::~Host() {
  if (pids_["agent"] == 0) StartAgent();
  if (pids_["log"] == 0) StartLog();
  std::vector<std::string> removed;
  for (const auto& container : List()) {
    if (Remove(container.container_id()).ok()) removed.push_back(container.container_id());
  }
  for (const std::string& id : removed) AwaitRemoved(id);
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
    if (watch_ != nullptr) watch_->TryCancel();
  }
  watcher_.join();
  End("agent", SIGTERM);
  End("image", SIGTERM);
  End("log", SIGTERM);
  const pid_t shutdown =
      Launch("shutdown", kSupervisor, {absl::StrCat("--run-dir=", dir_, "/run"), "--shutdown"});
  waitpid(shutdown, nullptr, 0);
  RemoveBridgeNetwork({.prefix = prefix_, .subnet = subnet_}).IgnoreError();
  for (const std::string& root : CgroupRoots()) rmdir(absl::StrCat(root, "/", prefix_).c_str());
  if (getenv("KEEP") == nullptr) RemoveTree(dir_).IgnoreError();
}

pid_t Host::Launch(const std::string& name, const std::string& binary,
                   const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {Absolute(binary)};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& text : all) argv.push_back(text.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::string log = absl::StrCat(dir_, "/", name, ".log");
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, all[0].c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(error, 0) << all[0];
  return pid;
}

void Host::End(const std::string& name, int signal) {
  pid_t& pid = pids_[name];
  if (pid == 0) return;
  kill(pid, signal);
  waitpid(pid, nullptr, 0);
  pid = 0;
}

void Host::StartAgent() {
  std::vector<std::string> flags = {absl::StrCat("--run_dir=", dir_, "/run"),
                                    absl::StrCat("--root=", root()),
                                    absl::StrCat("--prefix=", prefix_),
                                    absl::StrCat("--supervisor=", Absolute(kSupervisor)),
                                    absl::StrCat("--archiver=", Absolute(kArchiver)),
                                    absl::StrCat("--bridge_subnet=", subnet_),
                                    "--metrics_address=",
                                    "--log_level=debug",
                                    absl::StrCat("--fail_start_at_file=", dir_, "/fail-start-at")};
  flags.insert(flags.end(), agent_flags_.begin(), agent_flags_.end());
  pids_["agent"] = Launch("agent", kAgent, flags);
}

void Host::FailStartsAt(const std::string& step) const {
  std::ofstream(dir_ + "/fail-start-at", std::ios::trunc) << step;
}

void Host::StopAgent(int signal) { End("agent", signal); }

// By the status page: a process that is being started looks like the supervisor it was cloned from.
std::vector<pid_t> Host::Supervisors() const {
  std::vector<pid_t> found;
  const auto page = ReadFile(dir_ + "/run/supervisor.status");
  constexpr size_t kPids = 16;  // supervisor_pid and keeper_pid of status_page.h
  if (!page.ok() || page->size() < kPids + 8) return found;
  for (const size_t at : {kPids + 4, kPids}) {
    int32_t pid = 0;
    std::memcpy(&pid, page->data() + at, sizeof(pid));
    const auto command = ReadFile(absl::StrCat("/proc/", pid, "/cmdline"));
    if (command.ok() && absl::StartsWith(*command, "slipway-supervisor")) found.push_back(pid);
  }
  return found;
}

void Host::KillSupervisors() {
  const std::vector<pid_t> pids = Supervisors();
  EXPECT_EQ(pids.size(), 2u);
  for (const pid_t pid : pids) kill(pid, SIGSTOP);  // neither sees the other go first
  for (const pid_t pid : pids) kill(pid, SIGKILL);
  for (const pid_t pid : pids) {
    while (kill(pid, 0) == 0) usleep(1000);
  }
}

void Host::StartLog() {
  pids_["log"] = Launch("log", kLog,
                        {absl::StrCat("--run_dir=", dir_, "/run"),
                         absl::StrCat("--root=", dir_, "/log"), "--metrics_address="});
}

void Host::StopLog(int signal) { End("log", signal); }

void Host::ImportBusybox() {
  grpc::ClientContext context;
  SetDeadline(context);
  image::v1::ImportImageResponse imported;
  const auto stub = image::v1::ImageService::NewStub(image_channel_);
  auto writer = stub->ImportImage(&context, &imported);
  image::v1::ImportImageRequest request;
  request.mutable_options()->set_reference("busybox:test");
  writer->Write(request);
  FILE* tar = popen("deploy/busybox-root", "r");
  std::string block(256 << 10, '\0');
  size_t got = 0;
  while ((got = fread(block.data(), 1, block.size(), tar)) > 0) {
    request.set_data(block.data(), got);
    writer->Write(request);
  }
  EXPECT_EQ(pclose(tar), 0);
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
  grpc::ClientContext get_context;
  SetDeadline(get_context);
  image::v1::GetImageRequest get;
  get.set_reference("busybox:test");
  image::v1::GetImageResponse image;
  ASSERT_TRUE(stub->GetImage(&get_context, get, &image).ok());
  for (const auto& layer : image.image().layers()) layers_.push_back(layer.diff_id());
}

void Host::WatchEvents() {
  while (true) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    {
      absl::MutexLock lock(&mutex_);
      if (stop_) return;
      watch_ = &context;
    }
    v1::WatchAgentEventsRequest request;
    request.set_after_sequence(last_sequence_);
    const auto stub = agent();
    auto reader = stub->WatchAgentEvents(&context, request);
    v1::WatchAgentEventsResponse event;
    while (reader->Read(&event)) {
      absl::MutexLock lock(&mutex_);
      EXPECT_EQ(event.sequence(), last_sequence_ + 1);
      last_sequence_ = event.sequence();
      if (event.has_container_exited()) {
        exits_[event.container_exited().container_id()].push_back(event.container_exited());
      }
      if (event.kind_case() == v1::WatchAgentEventsResponse::kContainerRemoved) {
        removed_.insert(event.container_removed());
      }
      changed_.SignalAll();
    }
    reader->Finish();
    absl::MutexLock lock(&mutex_);
    watch_ = nullptr;
    if (stop_) return;
    changed_.WaitWithTimeout(&mutex_, absl::Milliseconds(20));
  }
}

std::string Host::NewId() {
  // As the platform's: twelve digits alone are no name of a host.
  while (true) {
    std::string id = RandomHex(32);
    if (id.find_first_of("abcdef") < 12) return id;
  }
}

v1::PrepareContainerRequest Host::Request(const std::vector<std::string>& argv) const {
  v1::PrepareContainerRequest request;
  request.set_container_id(NewId());
  request.set_name("test");
  for (const std::string& argument : argv) request.add_argv(argument);
  for (const std::string& layer : layers_) request.add_layer_diff_ids(layer);
  request.mutable_spec()->mutable_network()->set_mode("none");
  return request;
}

std::unique_ptr<v1::AgentService::Stub> Host::agent() const {
  return v1::AgentService::NewStub(agent_channel_);
}

std::unique_ptr<v1::StreamService::Stub> Host::streams() const {
  return v1::StreamService::NewStub(agent_channel_);
}

grpc::Status Host::Prepare(const v1::PrepareContainerRequest& request,
                           v1::PrepareContainerResponse* response) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::PrepareContainerResponse ignored;
  return agent()->PrepareContainer(&context, request, response == nullptr ? &ignored : response);
}

grpc::Status Host::Start(const std::string& id, v1::StartContainerResponse* response) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::StartContainerRequest request;
  request.set_container_id(id);
  v1::StartContainerResponse ignored;
  return agent()->StartContainer(&context, request, response == nullptr ? &ignored : response);
}

grpc::Status Host::Signal(const std::string& id, int signal) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::SignalContainerRequest request;
  request.set_container_id(id);
  request.set_signal_number(signal);
  v1::SignalContainerResponse response;
  return agent()->SignalContainer(&context, request, &response);
}

grpc::Status Host::Remove(const std::string& id) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::RemoveContainerRequest request;
  request.set_container_id(id);
  v1::RemoveContainerResponse response;
  return agent()->RemoveContainer(&context, request, &response);
}

std::vector<v1::ContainerActual> Host::List() {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::ListContainersResponse response;
  agent()->ListContainers(&context, v1::ListContainersRequest(), &response);
  return {response.containers().begin(), response.containers().end()};
}

v1::ContainerActual Host::AwaitExit(const std::string& id) {
  const absl::Time deadline = absl::Now() + kPatience;
  absl::MutexLock lock(&mutex_);
  while (exits_[id].size() <= exits_seen_[id]) {
    if (changed_.WaitWithDeadline(&mutex_, deadline)) {
      ADD_FAILURE() << "container " << id << " did not end";
      return {};
    }
  }
  return exits_[id][exits_seen_[id]++];
}

int Host::ExitEvents(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  return static_cast<int>(exits_[id].size());
}

void Host::AwaitRemoved(const std::string& id) {
  const absl::Time deadline = absl::Now() + kPatience;
  absl::MutexLock lock(&mutex_);
  while (!removed_.contains(id)) {
    if (changed_.WaitWithDeadline(&mutex_, deadline)) {
      ADD_FAILURE() << "container " << id << " was not reaped";
      return;
    }
  }
}

v1::ContainerActual Host::Run(const v1::PrepareContainerRequest& request) {
  grpc::Status status = Prepare(request);
  EXPECT_TRUE(status.ok()) << status.error_message();
  status = Start(request.container_id());
  EXPECT_TRUE(status.ok()) << status.error_message();
  if (!status.ok()) return {};
  return AwaitExit(request.container_id());
}

std::string Host::Log(const std::string& id, bool standard_out, bool standard_error, bool follow) {
  {
    grpc::ClientContext context;
    SetDeadline(context, 20);
    v1::FlushLogRequest request;
    request.set_container_id(id);
    v1::FlushLogResponse response;
    const grpc::Status status = streams()->FlushLog(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  grpc::ClientContext context;
  SetDeadline(context);
  log::v1::ReadLogRequest request;
  request.set_container_id(id);
  request.set_stdout(standard_out);
  request.set_stderr(standard_error);
  request.set_tail_lines(-1);
  request.set_follow(follow);
  request.set_cut(log::v1::ReadLogRequest::CUT_CHUNKS);
  const auto stub = log::v1::LogService::NewStub(log_channel_);
  auto reader = stub->ReadLog(&context, request);
  log::v1::ReadLogResponse response;
  std::string text;
  while (reader->Read(&response)) {
    for (const auto& entry : response.entries()) text += entry.data();
  }
  const grpc::Status status = reader->Finish();
  EXPECT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::NOT_FOUND)
      << status.error_message();
  return text;
}

grpc::Status Host::StartExec(const v1::StartExecRequest& request, v1::StartExecResponse* response) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::StartExecResponse ignored;
  return agent()->StartExec(&context, request, response == nullptr ? &ignored : response);
}

v1::GetExecResponse Host::AwaitExec(const std::string& exec_id) {
  const absl::Time deadline = absl::Now() + kPatience;
  v1::GetExecResponse response;
  while (absl::Now() < deadline) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::GetExecRequest request;
    request.set_exec_id(exec_id);
    if (agent()->GetExec(&context, request, &response).ok() && !response.running()) return response;
    usleep(5000);
  }
  ADD_FAILURE() << "exec " << exec_id << " did not end";
  return response;
}

std::set<std::string> Host::KernelObjects() const {
  std::set<std::string> found;
  for (const char* path : {"/proc/self/mounts"}) {
    const auto text = ReadFile(path);
    if (!text.ok()) continue;
    for (absl::string_view line : absl::StrSplit(*text, '\n')) {
      // What the agent itself keeps, on kernels where it has to be attached (StagedMount).
      if (absl::StrContains(line, "/stage/slipway-mount-")) continue;
      if (absl::StrContains(line, dir_) || absl::StrContains(line, prefix_)) {
        found.insert(absl::StrCat("mount ", line));
      }
    }
  }
  constexpr size_t kReadyEndpoints = 4;
  std::vector<std::string> veths;
  struct if_nameindex* links = if_nameindex();
  for (struct if_nameindex* link = links; link != nullptr && link->if_index != 0; ++link) {
    char master[512];
    const std::string path = absl::StrCat("/sys/class/net/", link->if_name, "/master");
    const ssize_t length = readlink(path.c_str(), master, sizeof(master) - 1);
    if (length <= 0) continue;
    master[length] = '\0';
    if (absl::EndsWith(master, absl::StrCat("/", prefix_, "0"))) {
      veths.push_back(absl::StrCat("link ", link->if_name));
    }
  }
  if_freenameindex(links);
  if (veths.size() > kReadyEndpoints) found.insert(veths.begin(), veths.end());
  for (const std::string& root : CgroupRoots()) {
    AddDirectories(absl::StrCat(root, "/", prefix_), &found);
  }
  AddDirectories(root() + "/containers", &found);
  AddDirectories(root() + "/spool", &found);
  return found;
}

}  // namespace slipway::agent
