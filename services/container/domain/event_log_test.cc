#include "services/container/domain/event_log.h"

#include <gtest/gtest.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"

namespace slipway::container {
namespace {

std::vector<Event> Some(int count) {
  return std::vector<Event>(static_cast<size_t>(count), Event{.action = "start"});
}

TEST(EventLogTest, OrderIsThatOfTheNumbersWhoeverFinishesFirst) {
  Executor executor(2);
  EventLog log(10, {}, executor);
  const auto first = log.Begin(Some(1));
  const auto second = log.Begin(Some(2));
  log.Finish(second, true);
  EXPECT_EQ(log.last_sequence(), 0u);
  EXPECT_TRUE(log.Read(0, 10)->empty());
  log.Finish(first, true);
  EXPECT_EQ(log.last_sequence(), 3u);
  EXPECT_EQ(log.Read(1, 10)->size(), 2u);
  EXPECT_EQ(log.Read(1, 1)->front()->sequence, 2u);
}

TEST(EventLogTest, WhatWasNotWrittenIsNotSeen) {
  Executor executor(2);
  EventLog log(10, {}, executor);
  const auto lost = log.Begin(Some(1));
  const auto kept = log.Begin(Some(1));
  log.Finish(lost, false);
  log.Finish(kept, true);
  ASSERT_EQ(log.Read(0, 10)->size(), 1u);
  EXPECT_EQ(log.Read(0, 10)->front()->sequence, 2u);
}

TEST(EventLogTest, IsBoundedAndSaysSo) {
  Executor executor(2);
  EventLog log(10, {}, executor);
  for (int i = 1; i <= 25; ++i) {
    const auto pending = log.Begin(Some(1));
    EXPECT_EQ(pending.trim_last, i > 10 ? static_cast<uint64_t>(i - 10) : 0u);
    log.Finish(pending, true);
  }
  EXPECT_EQ(log.Read(0, 100)->size(), 10u);
  EXPECT_EQ(log.Read(15, 100)->front()->sequence, 16u);
  const absl::Status overtaken = log.Read(14, 100).status();
  EXPECT_EQ(overtaken.code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(std::string(overtaken.message()).find("sequence 16"), std::string::npos);
}

TEST(EventLogTest, WakesOnceAndNotAfterCancel) {
  Executor executor(2);
  EventLog log(10, {}, executor);
  std::atomic<int> woken{0};
  absl::Notification done;
  uint64_t id = 0;
  uint64_t cancelled = 0;
  ASSERT_TRUE(log.NotifyAfter(
      0,
      [&] {
        ++woken;
        done.Notify();
      },
      &id));
  ASSERT_TRUE(log.NotifyAfter(
      0, [&] { woken += 100; }, &cancelled));
  log.Cancel(cancelled);
  log.Finish(log.Begin(Some(1)), true);
  done.WaitForNotification();
  log.Finish(log.Begin(Some(1)), true);
  executor.Shutdown();
  EXPECT_EQ(woken, 1);
  EXPECT_FALSE(log.NotifyAfter(
      0, [] {}, &id));
}

TEST(EventLogTest, GoesOnFromWhatWasKept) {
  Executor executor(2);
  std::vector<EventPtr> kept;
  for (const uint64_t sequence : {7, 8, 10}) {
    auto event = std::make_shared<Event>();
    event->sequence = sequence;
    event->time_unix_ns = static_cast<int64_t>(sequence * 100);
    kept.push_back(event);
  }
  EventLog log(10, kept, executor);
  EXPECT_EQ(log.Begin(Some(1)).events[0]->sequence, 11u);
  EXPECT_EQ(log.Read(0, 10)->size(), 3u);
  EXPECT_EQ(log.Read(5, 10).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(log.SequenceBefore(0), 6u);
  EXPECT_EQ(log.SequenceBefore(750), 7u);
  EXPECT_EQ(log.SequenceBefore(2000), 10u);
}

}  // namespace
}  // namespace slipway::container
