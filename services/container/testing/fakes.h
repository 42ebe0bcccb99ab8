#ifndef SERVICES_CONTAINER_TESTING_FAKES_H_
#define SERVICES_CONTAINER_TESTING_FAKES_H_

#include <csignal>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "services/container/ports/agent_port.h"
#include "services/container/ports/clock.h"
#include "services/container/ports/image_port.h"
#include "services/container/ports/observer.h"

// A host, an image store and a clock that a test holds in its hand. They outlive the service under
// test, as the real ones outlive its process. Thread-safe.
namespace slipway::container {

class FakeAgent : public AgentPort {
 public:
  struct One {
    Actual actual;
    std::string name;
    bool ignores_term = false;
  };

  absl::StatusOr<HostInfo> GetHost() override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    return HostInfo{"host-1", "testhost", 4};
  }

  std::function<absl::StatusOr<std::vector<std::string>>()> BeginPrepare(
      const PrepareCommand& command) override {
    return [prepared = Prepare(command)] { return prepared; };
  }
  absl::StatusOr<std::vector<std::string>> Prepare(const PrepareCommand& command) {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    if (!prepare_error.ok()) return prepare_error;
    One& one = containers_[command.definition->id];
    one.actual.container_id = command.definition->id;
    one.actual.status = Actual::Status::kPrepared;
    one.name = command.name;
    for (const Mount& mount : command.definition->spec.mounts) {
      if (mount.type == Mount::Type::kVolume) volumes.emplace(mount.source, VolumeSource());
    }
    return std::vector<std::string>{};
  }

  absl::StatusOr<StartResult> Start(const std::string& id, const StartExtras& extras) override {
    absl::MutexLock lock(&mu_);
    last_extras = extras;
    if (down_) return Down();
    ++starts;
    const auto found = containers_.find(id);
    if (found == containers_.end()) return absl::NotFoundError(id);
    if (!start_error.ok()) return start_error;
    Actual& actual = found->second.actual;
    const bool was_running = actual.status == Actual::Status::kRunning;
    if (!was_running) {
      actual.status = Actual::Status::kRunning;
      actual.pid = ++next_pid_;
      actual.started_unix_ns = ++time_;
      actual.finished_unix_ns = 0;
      actual.exit_code = 0;
      actual.endpoints.clear();
      for (const HostAttachment& attachment : extras.attachments) {
        ConnectLocked(attachment, actual);
      }
      Append(ContainerStarted{actual});
      if (exit_at_once >= 0) ExitLocked(found->second, exit_at_once);
    }
    return StartResult{actual.pid, actual.started_unix_ns, actual.endpoints, was_running};
  }

  absl::StatusOr<bool> Signal(const std::string& id, int signal) override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    const auto found = containers_.find(id);
    if (found == containers_.end()) return absl::NotFoundError(id);
    signals.emplace_back(id, signal);
    if (found->second.actual.status != Actual::Status::kRunning) return false;
    const bool fatal = signal == SIGKILL || (signal == SIGTERM && !ignore_term);
    if (fatal) ExitLocked(found->second, 128 + signal);
    return true;
  }

  absl::Status Remove(const std::string& id) override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    if (!remove_error.ok()) return remove_error;
    const auto found = containers_.find(id);
    if (found == containers_.end()) return absl::NotFoundError(id);
    if (found->second.actual.status == Actual::Status::kRunning) ExitLocked(found->second, 137);
    containers_.erase(found);
    Append(ContainerRemoved{id});
    return absl::OkStatus();
  }

  absl::Status Pause(const std::string& id) override { return SetPaused(id, true); }
  absl::Status Unpause(const std::string& id) override { return SetPaused(id, false); }

  absl::StatusOr<std::vector<std::string>> Update(const std::string& id,
                                                  const Resources& resources) override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    if (!containers_.contains(id)) return absl::NotFoundError(id);
    updates.emplace_back(id, resources);
    return std::vector<std::string>{};
  }

  absl::StatusOr<int64_t> Measure(const std::string& id) override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    if (!containers_.contains(id)) return absl::NotFoundError(id);
    return 1000;
  }

  absl::Status CreateVolume(const std::string& name, const VolumeSource& source) override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    if (!volume_error.ok()) return volume_error;
    volumes.emplace(name, source);
    return absl::OkStatus();
  }
  absl::Status RemoveVolume(const std::string& name) override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    if (!volume_error.ok()) return volume_error;
    volumes.erase(name);
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::string>> ListVolumes() override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    std::vector<std::string> names;
    for (const auto& [name, source] : volumes) names.push_back(name);
    return names;
  }
  absl::StatusOr<std::vector<int64_t>> MeasureVolumes(
      const std::vector<std::string>& names) override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    std::vector<int64_t> sizes;
    for (const std::string& name : names) sizes.push_back(volumes.contains(name) ? 10 : -1);
    return sizes;
  }

  // Answers at once, as `probe` says.
  void RunProbe(const ProbeCommand& command,
                std::function<void(absl::StatusOr<ProbeResult>)> done) override {
    std::function<absl::StatusOr<ProbeResult>(const ProbeCommand&)> answer;
    {
      absl::MutexLock lock(&mu_);
      ++probes;
      answer = probe;
    }
    done(answer ? answer(command) : absl::UnavailableError("no answer"));
  }

  absl::StatusOr<ActualList> List() override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    ActualList list;
    for (const auto& [id, one] : containers_) list.containers.push_back(one.actual);
    list.sequence = sequence_;
    return list;
  }

  absl::Status PutNetwork(const VirtualNetwork& network, bool refuse_overlap) override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    if (!network_error.ok()) return network_error;
    if (refuse_overlap && overlaps > 0) {
      --overlaps;
      return absl::AlreadyExistsError("the host has a route for it");
    }
    networks_[network.id] = network;
    return absl::OkStatus();
  }

  absl::Status RemoveNetwork(const std::string& id) override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    for (const auto& [container, one] : containers_) {
      for (const Endpoint& endpoint : one.actual.endpoints) {
        if (endpoint.network_id == id && one.actual.status == Actual::Status::kRunning) {
          return absl::FailedPreconditionError("in use");
        }
      }
    }
    networks_.erase(id);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> ListNetworks() override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    std::vector<std::string> ids;
    for (const auto& [id, network] : networks_) ids.push_back(id);
    return ids;
  }

  absl::StatusOr<std::vector<Endpoint>> Connect(const std::string& id,
                                                const HostAttachment& attachment) override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    if (!connect_error.ok()) return connect_error;
    Actual& actual = containers_.at(id).actual;
    ConnectLocked(attachment, actual);
    return actual.endpoints;
  }

  absl::StatusOr<std::vector<Endpoint>> Disconnect(const std::string& id,
                                                   const std::string& network_id) override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    std::vector<Endpoint>& endpoints = containers_.at(id).actual.endpoints;
    std::erase_if(endpoints, [&](const Endpoint& one) { return one.network_id == network_id; });
    return endpoints;
  }

  absl::Status UpdateHosts(const std::string& id,
                           const std::vector<std::string>& extra_hosts) override {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    hosts[id] = extra_hosts;
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> StartExec(const ExecCommand& command) override {
    absl::MutexLock lock(&mu_);
    if (!start_error.ok()) return start_error;
    execs_[command.exec_id] =
        ExecStatus{.container_id = command.container_id, .running = true, .pid = ++next_pid_};
    return next_pid_;
  }

  absl::Status ExportChanges(const std::string& id, const TarSink& sink) override {
    absl::Status export_result;
    {
      absl::MutexLock lock(&mu_);
      if (down_) return Down();
      if (!containers_.contains(id)) return absl::NotFoundError(id);
      paused_at_export = containers_.at(id).actual.paused;
      export_result = export_error;
    }
    for (const char* piece : {"tar of ", "changes"}) {
      const absl::Status taken = sink({.bytes = piece});
      if (!taken.ok()) return taken;
    }
    return export_result;
  }

  absl::StatusOr<ExecStatus> GetExec(const std::string& exec_id) override {
    absl::MutexLock lock(&mu_);
    const auto found = execs_.find(exec_id);
    if (found == execs_.end()) return absl::NotFoundError(exec_id);
    return found->second;
  }

  absl::Status Watch(uint64_t after,
                     const std::function<void(const AgentEvent&)>& on_event) override {
    while (true) {
      AgentEvent event;
      {
        absl::MutexLock lock(&mu_);
        watching_ = true;
        const auto ready = [this, after]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
          return cancelled_ || down_ || broken_ || sequence_ > after;
        };
        mu_.Await(absl::Condition(&ready));
        watching_ = false;
        if (std::exchange(broken_, false)) return absl::UnavailableError("broken");
        if (cancelled_ || down_) return Down();
        if (log_.empty() || log_.front().sequence > after + 1) {
          return absl::DataLossError("not kept");
        }
        event = log_[after + 1 - log_.front().sequence];
      }
      on_event(event);
      after = event.sequence;
    }
  }

  void CancelWatch() override {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
  }

  // For tests.
  void AllowWatch() {
    absl::MutexLock lock(&mu_);
    cancelled_ = false;
  }
  void SetDown(bool down) {
    absl::MutexLock lock(&mu_);
    down_ = down;
  }
  void BreakWatch() {
    absl::MutexLock lock(&mu_);
    broken_ = true;
  }
  void Exit(const std::string& id, int code, int64_t run_ns = 1) {
    absl::MutexLock lock(&mu_);
    time_ += run_ns;
    ExitLocked(containers_.at(id), code);
  }
  void ExitExec(const std::string& exec_id, const std::string& id, int code) {
    absl::MutexLock lock(&mu_);
    execs_[exec_id] = ExecStatus{.container_id = id, .running = false, .exit_code = code};
    Append(ExecExited{exec_id, id, code});
  }
  void ForgetEvents() {
    absl::MutexLock lock(&mu_);
    log_.clear();
  }
  void Forget(const std::string& id) {
    absl::MutexLock lock(&mu_);
    containers_.erase(id);
  }
  void Reboot() {
    absl::MutexLock lock(&mu_);
    for (auto& [id, one] : containers_) {
      one.actual = Actual{.container_id = id, .status = Actual::Status::kPrepared};
    }
  }
  void AddStranger(const std::string& id, Actual::Status status) {
    absl::MutexLock lock(&mu_);
    containers_[id].actual = Actual{.container_id = id, .status = status};
  }
  size_t count() {
    absl::MutexLock lock(&mu_);
    return containers_.size();
  }
  bool Has(const std::string& id) {
    absl::MutexLock lock(&mu_);
    return containers_.contains(id);
  }
  Actual Get(const std::string& id) {
    absl::MutexLock lock(&mu_);
    return containers_.at(id).actual;
  }
  std::vector<int> SignalsOf(const std::string& id) {
    absl::MutexLock lock(&mu_);
    std::vector<int> sent;
    for (const auto& [to, signal] : signals) {
      if (to == id) sent.push_back(signal);
    }
    return sent;
  }

  std::vector<std::string> NetworkIds() {
    absl::MutexLock lock(&mu_);
    std::vector<std::string> ids;
    for (const auto& [id, network] : networks_) ids.push_back(id);
    return ids;
  }
  void AddNetwork(const std::string& id) {
    absl::MutexLock lock(&mu_);
    networks_[id] = {};
  }
  void LoseEndpoints(const std::string& id) {
    absl::MutexLock lock(&mu_);
    containers_.at(id).actual.endpoints.clear();
  }

  // Set while nothing calls.
  absl::Status network_error;
  absl::Status connect_error;
  int connects = 0;
  HostAttachment last_attachment;
  std::map<std::string, std::vector<std::string>> hosts;  // by container
  int overlaps = 0;  // so many blocks have a route of the host's
  absl::Status prepare_error;
  absl::Status start_error;
  StartExtras last_extras;
  absl::Status remove_error;
  absl::Status export_error;
  bool paused_at_export = false;
  int exit_at_once = -1;
  bool ignore_term = false;
  int starts = 0;
  std::vector<std::pair<std::string, int>> signals;
  std::vector<std::pair<std::string, Resources>> updates;
  int probes = 0;
  absl::Status volume_error;
  std::map<std::string, VolumeSource> volumes;
  std::function<absl::StatusOr<ProbeResult>(const ProbeCommand&)> probe;

 private:
  absl::Status SetPaused(const std::string& id, bool paused) {
    absl::MutexLock lock(&mu_);
    if (down_) return Down();
    const auto found = containers_.find(id);
    if (found == containers_.end()) return absl::NotFoundError(id);
    found->second.actual.paused = paused;
    return absl::OkStatus();
  }
  static absl::Status Down() { return absl::UnavailableError("the fake agent is down"); }
  template <typename Kind>
  void Append(Kind kind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    log_.push_back(AgentEvent{++sequence_, ++time_, std::move(kind)});
  }
  void ConnectLocked(const HostAttachment& attachment, Actual& actual)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    ++connects;
    last_attachment = attachment;
    actual.names[attachment.network_id] = attachment.names;
    for (const Endpoint& endpoint : actual.endpoints) {
      if (endpoint.network_id == attachment.network_id) return;
    }
    actual.endpoints.push_back(
        {.address = absl::StrCat("10.0.0.", ++next_address_), .network_id = attachment.network_id});
  }
  void ExitLocked(One& one, int code) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (one.actual.status != Actual::Status::kRunning) return;
    one.actual.status = Actual::Status::kExited;
    one.actual.exit_code = code;
    one.actual.finished_unix_ns = ++time_;
    one.actual.pid = 0;
    Append(ContainerExited{one.actual});
  }

  absl::Mutex mu_;
  std::map<std::string, One> containers_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, VirtualNetwork> networks_ ABSL_GUARDED_BY(mu_);
  int next_address_ ABSL_GUARDED_BY(mu_) = 1;
  std::map<std::string, ExecStatus> execs_ ABSL_GUARDED_BY(mu_);
  std::deque<AgentEvent> log_ ABSL_GUARDED_BY(mu_);
  uint64_t sequence_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t next_pid_ ABSL_GUARDED_BY(mu_) = 1000;
  int64_t time_ ABSL_GUARDED_BY(mu_) = 1'000'000'000'000;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  bool down_ ABSL_GUARDED_BY(mu_) = false;
  bool broken_ ABSL_GUARDED_BY(mu_) = false;
  bool watching_ ABSL_GUARDED_BY(mu_) = false;
};

class FakeImages : public ImagePort {
 public:
  FakeImages() {
    image.id = "sha256:1234567890abcdef";
    image.config.command = {"/bin/true"};
    image.config.env = {"PATH=/bin"};
    image.config.labels = {{"from", "image"}};
    image.layer_diff_ids = {"sha256:aa"};
  }
  absl::StatusOr<Image> Acquire(const std::string& reference, const std::string& owner) override {
    absl::MutexLock lock(&mu_);
    if (reference != "busybox" && reference != image.id) {
      return absl::NotFoundError(absl::StrCat("No such image: ", reference, ":latest"));
    }
    owners_.insert(owner);
    return image;
  }
  std::function<absl::StatusOr<Image>()> BeginAcquire(const std::string& reference,
                                                      const std::string& owner) override {
    return [acquired = Acquire(reference, owner)] { return acquired; };
  }
  absl::Status Release(const std::string& owner) override {
    absl::MutexLock lock(&mu_);
    owners_.erase(owner);
    return absl::OkStatus();
  }
  std::function<absl::Status()> BeginRelease(const std::string& owner) override {
    return [released = Release(owner)] { return released; };
  }
  absl::StatusOr<std::vector<std::string>> ListOwners() override {
    absl::MutexLock lock(&mu_);
    return std::vector<std::string>(owners_.begin(), owners_.end());
  }
  absl::StatusOr<int64_t> SizeOf(const std::string&) override { return 5000; }
  absl::StatusOr<std::string> Resolve(const std::string& reference) override {
    if (reference != "busybox") return absl::NotFoundError(reference);
    return image.id;
  }
  absl::StatusOr<std::string> Commit(
      const NewImage& made, const std::function<absl::Status(const TarSink&)>& produce) override {
    std::string tar;
    const absl::Status produced = produce([&tar](const TarPiece& piece) {
      tar += piece.bytes;
      return absl::OkStatus();
    });
    if (!produced.ok()) return produced;
    absl::MutexLock lock(&mu_);
    committed.push_back(made);
    layers.push_back(tar);
    return absl::StrCat("sha256:", committed.size());
  }
  size_t owner_count() {
    absl::MutexLock lock(&mu_);
    return owners_.size();
  }

  Image image;
  std::vector<NewImage> committed;
  std::vector<std::string> layers;

 private:
  absl::Mutex mu_;
  std::set<std::string> owners_ ABSL_GUARDED_BY(mu_);
};

// Time passes when the test says so.
class FakeClock : public Clock {
 public:
  int64_t NowUnixNs() override {
    absl::MutexLock lock(&mu_);
    return now_;
  }
  void RunAfter(absl::Duration delay, std::function<void()> task) override {
    absl::MutexLock lock(&mu_);
    tasks_.emplace(now_ + absl::ToInt64Nanoseconds(delay), std::move(task));
  }
  void Advance(absl::Duration time) {
    std::vector<std::function<void()>> due;
    {
      absl::MutexLock lock(&mu_);
      now_ += absl::ToInt64Nanoseconds(time);
      while (!tasks_.empty() && tasks_.begin()->first <= now_) {
        due.push_back(std::move(tasks_.begin()->second));
        tasks_.erase(tasks_.begin());
      }
    }
    for (const auto& task : due) task();
  }
  // When the next task is due, from now; negative when there is none.
  absl::Duration Next() {
    absl::MutexLock lock(&mu_);
    if (tasks_.empty()) return absl::Nanoseconds(-1);
    return absl::Nanoseconds(tasks_.begin()->first - now_);
  }
  void DropTasks() {
    absl::MutexLock lock(&mu_);
    tasks_.clear();
  }

 private:
  absl::Mutex mu_;
  int64_t now_ ABSL_GUARDED_BY(mu_) = 1'700'000'000'000'000'000;
  std::multimap<int64_t, std::function<void()>> tasks_ ABSL_GUARDED_BY(mu_);
};

class QuietObserver : public Observer {
 public:
  void OperationDone(absl::string_view, const absl::Status&, absl::Duration) override {}
  void StateCount(State, int) override {}
  void EventWritten(absl::string_view) override {}
  void WaiterCount(int) override {}
  void WatcherCount(int) override {}
  void Warning(absl::string_view, absl::string_view, const absl::Status&) override {}
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_TESTING_FAKES_H_
