#ifndef SERVICES_CONTAINER_TESTING_WORLD_H_
#define SERVICES_CONTAINER_TESTING_WORLD_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "services/container/domain/core.h"
#include "services/container/domain/host_sync.h"
#include "services/container/domain/network_verbs.h"
#include "services/container/domain/verbs.h"
#include "services/container/domain/volumes.h"
#include "services/container/store/rocksdb_store.h"
#include "services/container/testing/fakes.h"

namespace slipway::container {

// The whole service but its wire, on a real store in a directory of its own, with a host and an
// image store that survive it. Down() is what a kill leaves; Up() is the next process.
class World {
 public:
  World() {
    char path[] = "/tmp/slipway_container_XXXXXX";
    directory_ = mkdtemp(path);
    Up();
  }
  ~World() {
    Down();
    std::filesystem::remove_all(directory_);
  }

  void Up() {
    agent.AllowWatch();
    auto store = RocksDbStore::Open(directory_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    executor_ = std::make_unique<Executor>(64);
    auto loaded = Core::Load(Ports{agent, images, *store_, clock, observer_, *executor_});
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    core_ = *std::move(loaded);
    sync_ = std::make_unique<HostSync>(*core_);
    sync_->Start();
    ASSERT_TRUE(sync_->WaitForFirst(absl::Seconds(10)));
  }
  void Down() {
    if (sync_ == nullptr) return;
    sync_->Stop();
    clock.DropTasks();
    executor_->Shutdown();
    sync_.reset();
    core_.reset();
    store_.reset();
    executor_.reset();
  }

  Core& core() { return *core_; }

  static ContainerSpec Spec() {
    ContainerSpec spec;
    spec.image = "busybox";
    return spec;
  }
  absl::StatusOr<CreateResult> Create(const std::string& name, ContainerSpec spec = Spec()) {
    return Await<CreateResult>([&](Done<CreateResult> done) {
      CreateContainer(core(), CreateCommand{.name = name, .spec = std::move(spec)},
                      std::move(done));
    });
  }
  // A container that exists, or an empty id and a failed test.
  std::string Make(const std::string& name, ContainerSpec spec = Spec()) {
    const auto created = Create(name, std::move(spec));
    EXPECT_TRUE(created.ok()) << created.status();
    return created.ok() ? created->id : "";
  }
  std::string Run(const std::string& name, ContainerSpec spec = Spec()) {
    const std::string id = Make(name, std::move(spec));
    const auto started = Start(id);
    EXPECT_TRUE(started.ok()) << started.status();
    return id;
  }
  absl::StatusOr<bool> Start(const std::string& reference) {
    return Await<bool>(
        [&](Done<bool> done) { StartContainer(core(), reference, std::move(done)); });
  }
  absl::StatusOr<bool> Stop(StopCommand command) {
    return Await<bool>([&](Done<bool> done) { StopContainer(core(), command, std::move(done)); });
  }
  absl::Status Restart(StopCommand command) {
    return AwaitStatus(
        [&](DoneStatus done) { RestartContainer(core(), command, std::move(done)); });
  }
  absl::Status Kill(const std::string& reference, const std::string& signal = "") {
    return AwaitStatus(
        [&](DoneStatus done) { KillContainer(core(), reference, signal, std::move(done)); });
  }
  absl::Status Remove(const std::string& reference, bool force = false) {
    return AwaitStatus([&](DoneStatus done) {
      RemoveContainer(core(), reference, {.force = force}, std::move(done));
    });
  }
  absl::Status RemoveWithVolumes(const std::string& reference) {
    return AwaitStatus([&](DoneStatus done) {
      RemoveContainer(core(), reference, {.volumes = true}, std::move(done));
    });
  }
  absl::StatusOr<UsedVolume> CreateVolume(CreateVolumeCommand command) {
    return Await<UsedVolume>([&](Done<UsedVolume> done) {
      ::slipway::container::CreateVolume(core(), command, std::move(done));
    });
  }
  absl::Status RemoveVolume(const std::string& name, bool force = false) {
    return AwaitStatus([&](DoneStatus done) {
      ::slipway::container::RemoveVolume(core(), name, force, std::move(done));
    });
  }
  absl::StatusOr<PruneVolumesResult> PruneVolumes(PruneVolumesCommand command) {
    return Await<PruneVolumesResult>([&](Done<PruneVolumesResult> done) {
      ::slipway::container::PruneVolumes(core(), command, std::move(done));
    });
  }
  absl::StatusOr<std::string> Commit(CommitCommand command) {
    return Await<std::string>(
        [&](Done<std::string> done) { CommitContainer(core(), command, std::move(done)); });
  }
  absl::Status Pause(const std::string& reference) {
    return AwaitStatus(
        [&](DoneStatus done) { PauseContainer(core(), reference, std::move(done)); });
  }
  absl::Status Unpause(const std::string& reference) {
    return AwaitStatus(
        [&](DoneStatus done) { UnpauseContainer(core(), reference, std::move(done)); });
  }
  absl::StatusOr<std::vector<std::string>> Update(UpdateCommand command) {
    return Await<std::vector<std::string>>([&](Done<std::vector<std::string>> done) {
      UpdateContainer(core(), command, std::move(done));
    });
  }
  absl::StatusOr<PruneResult> Prune(PruneCommand command) {
    return Await<PruneResult>(
        [&](Done<PruneResult> done) { PruneContainers(core(), command, std::move(done)); });
  }
  absl::StatusOr<std::string> CreateNetwork(VirtualNetwork network) {
    return Await<std::string>([&](Done<std::string> done) {
      ::slipway::container::CreateNetwork(core(), std::move(network), std::move(done));
    });
  }
  absl::Status RemoveNetwork(const std::string& reference) {
    return AwaitStatus([&](DoneStatus done) {
      ::slipway::container::RemoveNetwork(core(), reference, std::move(done));
    });
  }
  absl::StatusOr<std::vector<std::string>> PruneNetworks(PruneNetworksCommand command) {
    return Await<std::vector<std::string>>([&](Done<std::vector<std::string>> done) {
      ::slipway::container::PruneNetworks(core(), command, std::move(done));
    });
  }
  absl::Status Connect(const std::string& network, const std::string& container,
                       Attachment attachment = {}) {
    return AwaitStatus([&](DoneStatus done) {
      ConnectNetwork(core(), network, container, attachment, std::move(done));
    });
  }
  absl::Status Disconnect(const std::string& network, const std::string& container,
                          bool force = false) {
    return AwaitStatus([&](DoneStatus done) {
      DisconnectNetwork(core(), network, container, force, std::move(done));
    });
  }
  bool HealthIs(const std::string& reference, Health::Status status) {
    return Eventually([&] {
      const ContainerPtr now = Get(reference);
      return now != nullptr && now->health != nullptr && now->health->status == status;
    });
  }
  absl::Status Rename(const std::string& reference, const std::string& name) {
    return AwaitStatus(
        [&](DoneStatus done) { RenameContainer(core(), reference, name, std::move(done)); });
  }
  absl::StatusOr<StartExecResult> StartExec(const std::string& exec_id) {
    return Await<StartExecResult>([&](Done<StartExecResult> done) {
      ::slipway::container::StartExec(core(), {.exec_id = exec_id}, std::move(done));
    });
  }
  absl::StatusOr<ExecRecord> GetExec(const std::string& exec_id) {
    return Await<ExecRecord>([&](Done<ExecRecord> done) {
      ::slipway::container::GetExec(core(), exec_id, std::move(done));
    });
  }
  // The snapshot; null when there is none.
  ContainerPtr Get(const std::string& reference) {
    const auto entry = core().table().Find(reference);
    return entry.ok() ? (*entry)->snapshot() : nullptr;
  }
  // Waits until it has the state.
  bool Reaches(const std::string& reference, State state) {
    return Eventually([&] {
      const ContainerPtr now = Get(reference);
      return now != nullptr && now->state == state;
    });
  }
  template <typename Condition>
  static bool Eventually(Condition condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (absl::Now() < deadline) {
      if (condition()) return true;
      absl::SleepFor(absl::Milliseconds(1));
    }
    return condition();
  }
  // Actions of one container's events, in order.
  std::vector<std::string> Actions(const std::string& id) {
    std::vector<std::string> actions;
    const auto events = core().events().Read(0, 100000);
    if (!events.ok()) return {"error"};
    for (const EventPtr& event : *events) {
      if (event->actor_id == id) actions.push_back(event->action);
    }
    return actions;
  }

  FakeAgent agent;
  FakeImages images;
  FakeClock clock;

 private:
  template <typename T, typename Call>
  static absl::StatusOr<T> Await(Call call) {
    auto done = std::make_shared<absl::Notification>();
    auto result = std::make_shared<absl::StatusOr<T>>(absl::UnknownError("no answer"));
    call([done, result](absl::StatusOr<T> outcome) {
      *result = std::move(outcome);
      done->Notify();
    });
    if (!done->WaitForNotificationWithTimeout(absl::Seconds(20))) {
      return absl::DeadlineExceededError("the test waited too long");
    }
    return *result;
  }
  template <typename Call>
  static absl::Status AwaitStatus(Call call) {
    return Await<bool>([&](Done<bool> done) {
             call([done = std::move(done)](absl::Status status) {
               status.ok() ? done(true) : done(status);
             });
           })
        .status();
  }

  std::string directory_;
  QuietObserver observer_;
  std::unique_ptr<RocksDbStore> store_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<HostSync> sync_;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_TESTING_WORLD_H_
