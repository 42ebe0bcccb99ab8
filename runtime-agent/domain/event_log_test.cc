#include "runtime-agent/domain/event_log.h"

#include <gtest/gtest.h>

namespace slipway::agent {
namespace {

class FakeStore : public RecordStore {
 public:
  absl::StatusOr<StoredState> Load() override { return StoredState(); }
  absl::Status Save(const RecordChange& change) override {
    if (fail) return absl::ResourceExhaustedError("full");
    if (change.event != nullptr) saved.push_back(change.event->sequence);
    forgotten = change.forget_events_through;
    return absl::OkStatus();
  }
  absl::Status SaveHostId(const std::string&) override { return absl::OkStatus(); }

  bool fail = false;
  std::vector<uint64_t> saved;
  uint64_t forgotten = 0;
};

HostEvent Removed(const std::string& id) {
  HostEvent event{.kind = HostEvent::Kind::kRemoved};
  event.container.id = id;
  return event;
}

TEST(EventLog, WhatCannotBeSavedDidNotHappen) {
  FakeStore store;
  EventLog log(&store, {});
  store.fail = true;
  EXPECT_FALSE(log.Append(Removed("a"), {}).ok());
  EXPECT_EQ(log.last_sequence(), 0u);
  store.fail = false;
  ASSERT_TRUE(log.Append(Removed("a"), {}).ok());
  EXPECT_EQ(store.saved, std::vector<uint64_t>{1});
}

TEST(EventLog, AFutureSequenceIsDataLoss) {
  FakeStore store;
  EventLog log(&store, {});
  EXPECT_EQ(log.After(1, 10).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(log.After(0, 10).value().empty());
}

TEST(EventLog, IsBoundedAndSaysWhatItLost) {
  FakeStore store;
  EventLog log(&store, {});
  for (size_t i = 0; i < EventLog::kKept + 5; ++i) {
    ASSERT_TRUE(log.Append(Removed("x"), {}).ok());
  }
  EXPECT_EQ(store.forgotten, 5u);
  EXPECT_EQ(log.After(4, 10).status().code(), absl::StatusCode::kDataLoss);
  const auto events = log.After(5, 3).value();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].sequence, 6u);
}

TEST(EventLog, GoesOnAfterARestart) {
  FakeStore store;
  HostEvent old = Removed("a");
  old.sequence = 41;
  EventLog log(&store, {old});
  int told = 0;
  const uint64_t watch = log.Watch([&told] { ++told; });
  ASSERT_TRUE(log.Append(Removed("b"), {}).ok());
  EXPECT_EQ(log.After(41, 10).value()[0].sequence, 42u);
  EXPECT_EQ(told, 1);
  log.Unwatch(watch);
  ASSERT_TRUE(log.Append(Removed("c"), {}).ok());
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace slipway::agent
