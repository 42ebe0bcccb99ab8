#include "runtime-agent/store/rocksdb_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "runtime-agent/domain/tree.h"
#include "runtime-agent/store/record_codec.h"

namespace slipway::agent {
namespace {

class RocksdbStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/agentdb-XXXXXX";
    dir_ = mkdtemp(name);
    Open();
  }
  void TearDown() override {
    store_.reset();
    EXPECT_TRUE(RemoveTree(dir_).ok());
  }
  void Open() {
    store_.reset();
    auto opened = RocksdbStore::Open(dir_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
  std::string dir_;
  std::unique_ptr<RocksdbStore> store_;
};

Definition Sample() {
  Definition definition;
  definition.id = "abc";
  definition.name = "name";
  definition.layer_diff_ids = {"sha256:1", "sha256:2"};
  definition.argv = {"sh", "-c", "\xff\xfe"};
  definition.env = {"A=b"};
  definition.user = {1, 2, {3, 4}, "/home"};
  definition.tty = true;
  definition.limits.memory_bytes = 1 << 30;
  definition.rlimits = {{7, 10, ~uint64_t{0}}};
  definition.sysctls = {{"net.a", "1"}};
  definition.capabilities = 0xa80425fb;
  definition.host_devices = {{"/dev/x", 0600, 1, 2, 3, 4}};
  definition.network = {NamespaceMode::Kind::kContainer, "other"};
  definition.ports = {{80, PortProtocol::kUdp, "1.2.3.4", 8080}};
  definition.mounts = {
      {.kind = DefinedMount::Kind::kTmpfs, .target = "/t", .tmpfs_data = "size=1"}};
  definition.drop_when_full = true;
  return definition;
}

TEST(RecordCodec, GarbageIsDataLoss) {
  EXPECT_EQ(DecodeDefinition("\xff\xff\xff").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(DecodeActual("\x08\x7f").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(DecodeEvent("\xff").ok());
  EXPECT_FALSE(DecodeExec("\xff").ok());
}

TEST(RecordCodec, DefinitionsComeBackWhole) {
  const std::string bytes = EncodeDefinition(Sample());
  const auto back = DecodeDefinition(bytes);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(EncodeDefinition(*back), bytes);
  EXPECT_EQ(back->argv, Sample().argv);
  EXPECT_EQ(back->user, Sample().user);
  EXPECT_EQ(back->network, Sample().network);
  EXPECT_EQ(back->ports, Sample().ports);
  EXPECT_EQ(back->rlimits[0].hard, ~uint64_t{0});
}

TEST_F(RocksdbStoreTest, EmptyAtFirst) {
  const auto state = store_->Load();
  ASSERT_TRUE(state.ok());
  EXPECT_TRUE(state->containers.empty());
  EXPECT_EQ(state->host_id, "");
}

TEST_F(RocksdbStoreTest, WhatWasSavedIsThereAfterReopening) {
  const Definition definition = Sample();
  Actual actual;
  actual.state = ContainerState::kRunning;
  actual.pid = 7;
  actual.runs = 2;
  actual.run_ends = {100, 200};
  Endpoint endpoint;
  endpoint.address = "172.29.0.2";
  endpoint.network_id = "net";
  endpoint.network_name = "n";
  endpoint.endpoint_id = "e";
  endpoint.interface = "eth1";
  endpoint.address6 = "fd00::2";
  endpoint.names = {"web"};
  endpoint.links = {{"db", "id"}};
  actual.endpoints = {endpoint};
  ASSERT_TRUE(store_->Save({.definition = &definition, .id = "abc", .actual = &actual}).ok());
  HostEvent event{.sequence = 300, .kind = HostEvent::Kind::kStarted};
  event.container = {"abc", actual, definition.network};
  ExecRecord exec{"e", "abc", 9, 0, 0};
  ASSERT_TRUE(store_->Save({.event = &event, .exec = &exec}).ok());
  event.sequence = 5;
  ASSERT_TRUE(store_->Save({.event = &event}).ok());
  ASSERT_TRUE(store_->SaveHostId("host").ok());
  Open();
  const StoredState state = store_->Load().value();
  ASSERT_EQ(state.containers.size(), 1u);
  EXPECT_EQ(state.containers[0].actual.run_ends, actual.run_ends);
  ASSERT_EQ(state.containers[0].actual.endpoints.size(), 1u);
  EXPECT_EQ(state.containers[0].actual.endpoints[0], endpoint);
  ASSERT_EQ(state.events.size(), 2u);
  EXPECT_EQ(state.events[0].sequence, 5u);  // in order of their numbers
  EXPECT_EQ(state.events[1].container.actual.pid, 7);
  ASSERT_EQ(state.execs.size(), 1u);
  EXPECT_EQ(state.host_id, "host");
  ASSERT_TRUE(
      store_->Save({.remove_id = "abc", .forget_events_through = 5, .remove_exec_id = "e"}).ok());
  Open();
  const StoredState after = store_->Load().value();
  EXPECT_TRUE(after.containers.empty());
  EXPECT_EQ(after.events.size(), 1u);
  EXPECT_TRUE(after.execs.empty());
}

}  // namespace
}  // namespace slipway::agent
