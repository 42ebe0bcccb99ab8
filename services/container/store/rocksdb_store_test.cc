#include "services/container/store/rocksdb_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/os/file.h"

namespace slipway::container {
namespace {

class RocksDbStoreTest : public testing::Test {
 protected:
  RocksDbStoreTest() {
    char path[] = "/tmp/slipway_store_XXXXXX";
    directory_ = mkdtemp(path);
  }
  ~RocksDbStoreTest() override { std::filesystem::remove_all(directory_); }
  std::unique_ptr<RocksDbStore> Open() {
    auto store = RocksDbStore::Open(directory_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  std::string directory_;
};

std::shared_ptr<Container> Make(const std::string& id) {
  auto definition = std::make_shared<Definition>();
  definition->id = id;
  definition->spec.image = "redis";
  definition->spec.entrypoint = std::vector<std::string>{};
  definition->spec.mounts = {{Mount::Type::kBind, "/a", "/b", true, "rshared"}};
  definition->spec.restart_policy = {RestartPolicy::Mode::kOnFailure, 3};
  definition->spec.stop_timeout_seconds = 0;
  definition->spec.security.masked_paths = std::vector<std::string>{"/proc/kcore"};
  definition->effective.healthcheck = Healthcheck{.test = {"CMD", "x"}, .retries = 2};
  auto container = std::make_shared<Container>();
  container->definition = definition;
  container->name = absl::StrCat("name-", id);
  container->state = State::kStopping;
  container->stop_has_deadline = true;
  container->stop_deadline_unix_ns = 77;
  container->endpoints = {{.network = "bridge", .address = "1.2.3.4", .ports = {{80, "tcp"}}}};
  container->agent_sequence = 9;
  return container;
}

EventPtr MakeEvent(uint64_t sequence) {
  auto event = std::make_shared<Event>();
  event->sequence = sequence;
  event->action = "start";
  event->attributes = {{"name", "x"}};
  return event;
}

TEST_F(RocksDbStoreTest, KeepsEverything) {
  {
    auto store = Open();
    const auto container = Make("abc");
    ASSERT_TRUE(store
                    ->Write({.put_definition = container->definition,
                             .put_container = container,
                             .put_intent = "def",
                             .events = {MakeEvent(255), MakeEvent(256), MakeEvent(257)},
                             .agent_host = "host",
                             .agent_sequence = 12},
                            Durability::kSynced)
                    .ok());
    ASSERT_TRUE(
        store->Write({.delete_event = 1, .delete_event_last = 255}, Durability::kSoon).ok());
  }
  const auto contents = Open()->Load();
  ASSERT_TRUE(contents.ok()) << contents.status();
  ASSERT_EQ(contents->containers.size(), 1u);
  const Container& container = contents->containers[0];
  const ContainerSpec& spec = container.definition->spec;
  EXPECT_EQ(container.id(), "abc");
  EXPECT_EQ(container.name, "name-abc");
  EXPECT_EQ(container.state, State::kStopping);
  EXPECT_EQ(container.stop_deadline_unix_ns, 77);
  EXPECT_EQ(container.endpoints[0].ports[0].container_port, 80u);
  EXPECT_EQ(container.agent_sequence, 9u);
  ASSERT_TRUE(spec.entrypoint.has_value());
  EXPECT_TRUE(spec.entrypoint->empty());
  EXPECT_EQ(spec.mounts[0].propagation, "rshared");
  EXPECT_EQ(spec.restart_policy.maximum_retries, 3);
  EXPECT_EQ(spec.stop_timeout_seconds, 0);
  EXPECT_FALSE(spec.security.read_only_paths.has_value());
  EXPECT_EQ(spec.security.masked_paths->at(0), "/proc/kcore");
  EXPECT_EQ(container.definition->effective.healthcheck->retries, 2);
  EXPECT_EQ(contents->intents, std::vector<std::string>{"def"});
  ASSERT_EQ(contents->events.size(), 2u);
  EXPECT_EQ(contents->events[0]->sequence, 256u);
  EXPECT_EQ(contents->events[1]->attributes.at("name"), "x");
  ASSERT_EQ(contents->agent_sequences.size(), 1u);
  EXPECT_EQ(contents->agent_sequences[0].second, 12u);
}

TEST_F(RocksDbStoreTest, DeletesBothHalvesAndTheIntent) {
  auto store = Open();
  const auto container = Make("abc");
  ASSERT_TRUE(store
                  ->Write({.put_definition = container->definition,
                           .put_container = container,
                           .put_intent = "abc"},
                          Durability::kSynced)
                  .ok());
  ASSERT_TRUE(
      store->Write({.delete_container = "abc", .delete_intent = "abc"}, Durability::kSoon).ok());
  const auto contents = store->Load();
  EXPECT_TRUE(contents->containers.empty());
  EXPECT_TRUE(contents->intents.empty());
}

TEST_F(RocksDbStoreTest, RefusesWhatItDoesNotUnderstand) {
  const std::string file = absl::StrCat(directory_, "/file");
  ASSERT_TRUE(WriteFileAtomically(file, "x").ok());
  EXPECT_FALSE(RocksDbStore::Open(file).ok());
  auto store = Open();
  const auto container = Make("abc");
  // Half a record.
  ASSERT_TRUE(store->Write({.put_container = container}, Durability::kSynced).ok());
  EXPECT_EQ(store->Load().status().code(), absl::StatusCode::kDataLoss);
}

// A child writes as fast as it can and reports each acknowledged write; it is killed in the middle.
// Everything that it reported must be there, whole, in both kinds of durability.
TEST_F(RocksDbStoreTest, AKilledProcessLosesNothingAcknowledged) {
  for (int round = 0; round < 5; ++round) {
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(pipe_fds[0]);
      auto store = RocksDbStore::Open(directory_);
      if (!store.ok()) _exit(1);
      for (int i = 0;; ++i) {
        const auto container = Make(absl::StrCat("r", round, "i", i));
        const absl::Status written =
            (*store)->Write({.put_definition = container->definition,
                             .put_container = container,
                             .events = {MakeEvent(static_cast<uint64_t>(round * 1000000 + i + 1))}},
                            i % 4 == 0 ? Durability::kSynced : Durability::kSoon);
        if (!written.ok() || write(pipe_fds[1], &i, sizeof(i)) != sizeof(i)) _exit(2);
      }
    }
    close(pipe_fds[1]);
    int last = -1;
    const absl::Time end = absl::Now() + absl::Milliseconds(50 + 30 * round);
    while (absl::Now() < end || last < 0) {
      ASSERT_EQ(read(pipe_fds[0], &last, sizeof(last)), static_cast<ssize_t>(sizeof(last)));
    }
    kill(child, SIGKILL);
    int more = 0;
    while (read(pipe_fds[0], &more, sizeof(more)) == static_cast<ssize_t>(sizeof(more)))
      last = more;
    close(pipe_fds[0]);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    const auto contents = Open()->Load();
    ASSERT_TRUE(contents.ok()) << contents.status();
    int found = 0;
    for (const Container& container : contents->containers) {
      if (container.id().rfind(absl::StrCat("r", round, "i"), 0) == 0) ++found;
    }
    EXPECT_GE(found, last + 1);
    EXPECT_LE(found, last + 2);
    EXPECT_EQ(contents->events.size(), contents->containers.size());
  }
}

TEST_F(RocksDbStoreTest, ConcurrentSyncedWritesShareSyncs) {
  auto store = Open();
  const auto time = [&store](int threads, int writes) {
    const absl::Time begin = absl::Now();
    std::vector<std::thread> workers;
    for (int i = 0; i < threads; ++i) {
      workers.emplace_back([&store, i, writes] {
        for (int j = 0; j < writes; ++j) {
          ASSERT_TRUE(
              store->Write({.put_intent = absl::StrCat(i, "-", j)}, Durability::kSynced).ok());
        }
      });
    }
    for (std::thread& worker : workers) worker.join();
    return absl::ToDoubleMilliseconds(absl::Now() - begin) / (threads * writes);
  };
  const double alone = time(1, 100);
  const double together = time(32, 20);
  std::printf("synced write: %.3f ms alone, %.3f ms each with 32 at once\n", alone, together);
  EXPECT_EQ(store->Load()->intents.size(), 720u);
}

}  // namespace
}  // namespace slipway::container
