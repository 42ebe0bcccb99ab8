#include "runtime-agent/streams/log_shipper.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/os/thread.h"
#include "runtime-agent/spool/reader.h"

namespace slipway::agent {
namespace {

constexpr uint64_t kReleaseStepBytes = 256 << 10;
constexpr uint64_t kTrimStepBytes = 1 << 20;
constexpr uint64_t kHeldBytes = 4 << 10;
constexpr absl::Duration kMaxBackoff = absl::Seconds(1);
// How long a flush waits while nothing moves.
constexpr absl::Duration kFlushPatience = absl::Seconds(2);

}  // namespace

LogShipper::LogShipper(Options options)
    : options_(std::move(options)), thread_([this] { Run(); }) {}

LogShipper::~LogShipper() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
    if (cancel_ != nullptr) cancel_->Cancel();
    changed_.SignalAll();
    acknowledged_.SignalAll();
  }
  thread_.join();
}

void LogShipper::Follow(std::shared_ptr<Output> output,
                        std::shared_ptr<const LoggedContainer> container, bool fresh) {
  absl::MutexLock lock(&mutex_);
  FeedPtr& feed = feeds_[output->id()];
  if (feed == nullptr || feed->output != output) {
    feed = std::make_shared<Feed>();
    feed->output = std::move(output);
    feed->container = std::move(container);
    feed->position_known = fresh || !feed->output->stored();
    feed->released = feed->output->trimmed();
  }
  ++feed->run;
  feed->told_by = 0;
  feed->since = absl::Now();
  wake_ = true;
  changed_.Signal();
}

void LogShipper::Forget(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  feeds_.erase(id);
  acknowledged_.SignalAll();
}

void LogShipper::Wake() {
  absl::MutexLock lock(&mutex_);
  wake_ = true;
  changed_.Signal();
}

absl::Status LogShipper::Flush(const std::string& id, absl::Time deadline, bool announce) {
  uint64_t target = 0;
  uint64_t seen = 0;
  absl::Time patience = absl::Now() + kFlushPatience;
  absl::MutexLock lock(&mutex_);
  if (const auto found = feeds_.find(id); found != feeds_.end()) {
    target = found->second->output->Committed();
    if (announce) found->second->wanted = true;
  }
  wake_ = true;
  changed_.Signal();
  while (!stop_) {
    const auto found = feeds_.find(id);
    if (found == feeds_.end()) return absl::OkStatus();  // all of an ended run, or removed
    const FeedPtr held = found->second;                  // it may be forgotten meanwhile
    const Feed& feed = *held;
    const bool all_shipped = feed.output->running() && feed.held_committed >= target &&
                             feed.acknowledged >= feed.held_position;
    const bool told = !announce || IsTold(feed);
    if (told && feed.known && (feed.acknowledged >= target || all_shipped)) return absl::OkStatus();
    if (feed.acknowledged != seen) {
      seen = feed.acknowledged;
      patience = absl::Now() + kFlushPatience;
    }
    if (acknowledged_.WaitWithDeadline(&mutex_, std::min(deadline, patience)) &&
        absl::Now() >= std::min(deadline, patience)) {
      return absl::DeadlineExceededError(absl::StrCat("the log service has not stored the last ",
                                                      target - std::min(target, feed.acknowledged),
                                                      " bytes of ", id, " yet"));
    }
  }
  return absl::UnavailableError("the agent is stopping");
}

absl::Status LogShipper::FlushAll(absl::Time deadline) {
  std::vector<std::string> ids;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, feed] : feeds_) ids.push_back(id);
  }
  absl::Status status;
  for (const std::string& id : ids) status.Update(Flush(id, deadline));
  return status;
}

uint64_t LogShipper::lag_bytes() const {
  std::vector<std::pair<std::shared_ptr<Output>, uint64_t>> all;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, feed] : feeds_) all.emplace_back(feed->output, feed->acknowledged);
  }
  uint64_t lag = 0;
  for (const auto& [output, acknowledged] : all) {
    const uint64_t committed = output->Committed();
    if (committed > acknowledged) lag += committed - acknowledged;
  }
  return lag;
}

// Each batch is answered, in the order in which they were written.
void LogShipper::OnAnswer(const std::string& id, uint64_t offset) {
  {
    absl::MutexLock lock(&mutex_);
    const auto found = feeds_.find(id);
    if (found != feeds_.end() && found->second->answered < found->second->written) {
      ++found->second->answered;
    }
  }
  OnAcknowledged(id, offset);
}

void LogShipper::OnAcknowledged(const std::string& id, uint64_t offset) {
  absl::MutexLock lock(&mutex_);
  const auto found = feeds_.find(id);
  if (found == feeds_.end()) return;
  found->second->acknowledged = std::max(found->second->acknowledged, offset);
  found->second->known = true;
  wake_ = true;
  changed_.Signal();
  acknowledged_.SignalAll();
}

// Whether the service knows that the run goes on, if it does. Called with the mutex held.
bool LogShipper::IsTold(const Feed& feed) {
  return feed.container == nullptr || !feed.output->running() ||
         (feed.told_by != 0 && feed.answered >= feed.told_by);
}

uint64_t LogShipper::RunOf(const Feed& feed) const {
  absl::MutexLock lock(&mutex_);
  return feed.run;
}

void LogShipper::CountWrite(Feed& feed, uint64_t run) {
  absl::MutexLock lock(&mutex_);
  ++feed.written;
  if (feed.run == run && feed.told_by == 0) feed.told_by = feed.written;
}

bool LogShipper::IsAcknowledged(const Feed& feed, uint64_t offset) const {
  absl::MutexLock lock(&mutex_);
  return feed.known && feed.acknowledged >= offset;
}

void LogShipper::Run() {
  NameThread("shipper");
  while (true) {
    std::vector<FeedPtr> feeds;
    {
      absl::MutexLock lock(&mutex_);
      while (!wake_ && !stop_) {
        const absl::Time retry = retry_at_ > absl::Now() ? retry_at_ : absl::InfiniteFuture();
        if (changed_.WaitWithDeadline(&mutex_, std::min(retry, look_at_))) break;
      }
      if (stop_) break;
      wake_ = false;
      for (const auto& [id, feed] : feeds_) feeds.push_back(feed);
    }
    DropBrokenStream();
    look_at_ = absl::InfiniteFuture();
    const bool wrote = Turns(feeds);
    for (const FeedPtr& feed : feeds) Settle(*feed);
    if (wrote) Wake();
  }
  absl::MutexLock lock(&mutex_);
  cancel_ = nullptr;
}

bool LogShipper::Turns(const std::vector<FeedPtr>& feeds) {
  bool wrote = false;
  std::vector<FeedPtr> large;
  for (const FeedPtr& feed : feeds) {
    if (feed->output->Committed() > feed->position + kLittleBytes) {
      large.push_back(feed);
    } else {
      wrote |= Turn(*feed);
    }
  }
  // They come in the order of their ids: on behind the one that had the last turn.
  const auto first = std::find_if(large.begin(), large.end(), [this](const FeedPtr& feed) {
    return feed->output->id() > last_turn_;
  });
  std::rotate(large.begin(), first, large.end());
  for (const FeedPtr& feed : large) {
    if (feed->container != nullptr && Unacknowledged(feeds) >= kWindowBytes) break;
    if (!Turn(*feed)) continue;
    wrote = true;
    last_turn_ = feed->output->id();
  }
  return wrote;
}

uint64_t LogShipper::Unacknowledged(const std::vector<FeedPtr>& feeds) const {
  uint64_t bytes = 0;
  absl::MutexLock lock(&mutex_);
  for (const FeedPtr& feed : feeds) {
    // What broke is shipped again, or was acknowledged.
    if (feed->position_known && feed->position > feed->acknowledged)
      bytes += feed->position - feed->acknowledged;
  }
  return bytes;
}

bool LogShipper::Paced(const Feed& feed, uint64_t committed) {
  if (!feed.output->running() || committed >= feed.position + kBatchBytes) return false;
  const absl::Time due = feed.shipped_at + kPace;
  if (absl::Now() >= due) return false;
  look_at_ = std::min(look_at_, due);
  return true;
}

// What was under way on a broken stream may or may not have arrived: the service is asked.
void LogShipper::DropBrokenStream() {
  if (stream_ == nullptr || !stream_->broken()) return;
  {
    absl::MutexLock lock(&mutex_);
    cancel_ = nullptr;
    for (auto& [id, feed] : feeds_) {
      feed->position_known &= feed->position == 0;
      if (feed->answered < feed->told_by) feed->told_by = 0;  // it is told anew
      feed->answered = feed->written;
    }
  }
  stream_.reset();
  retry_at_ = std::max(retry_at_, absl::Now() + backoff_);
  backoff_ = std::min(backoff_ * 2, kMaxBackoff);
}

bool LogShipper::EnsureStream() {
  DropBrokenStream();
  if (stream_ != nullptr) return true;
  if (absl::Now() < retry_at_) return false;
  auto opened = options_.sink->OpenStream(
      [this](const std::string& id, uint64_t offset) { OnAnswer(id, offset); }, [this] { Wake(); });
  if (opened.ok()) {
    stream_ = *std::move(opened);
    ++streams_;
    absl::MutexLock lock(&mutex_);
    cancel_ = stream_.get();
    return !stop_;
  }
  retry_at_ = absl::Now() + backoff_;
  backoff_ = std::min(backoff_ * 2, kMaxBackoff);
  return false;
}

// Asks where to go on after an interruption.
bool LogShipper::Locate(Feed& feed) {
  if (feed.position_known) return true;
  auto position = options_.sink->Position(feed.output->id());
  if (!position.ok()) {
    retry_at_ = absl::Now() + backoff_;
    backoff_ = std::min(backoff_ * 2, kMaxBackoff);
    return false;
  }
  backoff_ = absl::Milliseconds(50);
  // What was trimmed was acknowledged; a service that lost it starts behind the hole.
  feed.position = std::max(*position, feed.output->trimmed());
  feed.position_known = true;
  OnAcknowledged(feed.output->id(), feed.position);
  return true;
}

// Many containers are gone before they print anything or anybody asks for their log: it is not
// begun for them.
bool LogShipper::IsSilent(Feed& feed) {
  feed.silent = false;
  if (feed.output->stored() || feed.wanted) return false;
  const bool running = feed.output->running();
  const ShippedBatch batch = ReadBatch(feed);
  for (const ShippedRecord& record : batch.records) {
    if (record.kind != ShippedRecord::Kind::kEnd) return false;
  }
  feed.silent = !running;
  if (!running) return true;
  absl::Time due;
  {
    absl::MutexLock lock(&mutex_);
    due = feed.since + kSilentFor;
  }
  if (absl::Now() >= due) return false;
  look_at_ = std::min(look_at_, due);
  return true;
}

bool LogShipper::Turn(Feed& feed) {
  const uint64_t committed = feed.output->Committed();
  if (feed.container == nullptr) {
    feed.position = committed;
    // Once: it wakes this thread.
    if (!IsAcknowledged(feed, committed)) OnAcknowledged(feed.output->id(), committed);
    return false;
  }
  const uint64_t run = RunOf(feed);
  const bool idle = feed.position_known && feed.position >= committed;
  const auto is_announced = [&] {
    return stream_ != nullptr && feed.announced_on == streams_ && feed.announced_run == run;
  };
  const bool announced = is_announced();
  if (idle && (announced || !feed.output->running())) return false;
  if (IsSilent(feed)) return false;
  if (!EnsureStream() || !Locate(feed)) return false;
  if (announced && Paced(feed, committed)) return false;
  {
    absl::MutexLock lock(&mutex_);
    if (feed.position > feed.acknowledged + kWindowBytes) return false;
  }
  ShippedBatch batch = ReadBatch(feed);
  const bool empty = batch.end_offset <= batch.begin_offset;
  if (empty && (is_announced() || !feed.output->running())) return false;
  if (feed.told_on != streams_) batch.container = feed.container;
  // Behind an end it is to be said anew.
  const bool ends =
      !empty && !batch.records.empty() && batch.records.back().kind == ShippedRecord::Kind::kEnd;
  uint64_t bytes = 0;
  for (const ShippedRecord& record : batch.records) bytes += record.data.size();
  const uint64_t end = batch.end_offset;
  feed.output->MarkStored();
  // What ends a run says nothing of the one that goes on.
  CountWrite(feed, ends ? 0 : run);
  if (!stream_->Write(std::move(batch))) {
    retry_at_ = absl::Now() + backoff_;
    backoff_ = std::min(backoff_ * 2, kMaxBackoff);
    return false;
  }
  feed.position = end;
  feed.shipped_at = absl::Now();
  feed.told_on = streams_;
  feed.announced_on = ends ? 0 : streams_;
  feed.announced_run = run;
  options_.observer->ShippedBytes(bytes);
  return true;
}

ShippedBatch LogShipper::ReadBatch(Feed& feed) {
  ShippedBatch batch;
  batch.container_id = feed.output->id();
  batch.begin_offset = batch.end_offset = feed.position;
  const uint64_t committed = feed.output->Committed();
  SpoolReader reader(feed.output->fd(), feed.position);
  feed.held_at_end = false;
  while (batch.end_offset - batch.begin_offset < kBatchBytes) {
    auto next = reader.Next(committed);
    if (!next.ok()) {
      if (batch.end_offset > batch.begin_offset) break;
      // Bytes that are no record: say so once and go on behind them.
      Log(LogLevel::kError, "a spool cannot be read",
          {{"container", feed.output->id()}, {"error", std::string(next.status().message())}});
      ShippedRecord gap{.kind = ShippedRecord::Kind::kGap,
                        .time_unix_ns = absl::GetCurrentTimeNanos(),
                        .dropped_bytes = committed - batch.begin_offset};
      batch.records.push_back(std::move(gap));
      batch.end_offset = committed;
      break;
    }
    if (!next->has_value()) break;
    SpoolRecord& record = **next;
    const bool last = record.next_offset >= committed;
    if (record.type == SpoolRecordType::kEnd && last &&
        !feed.output->IsRunEnd(record.next_offset)) {
      // The end of one stream; whether it is the end of the run is known when the run is over.
      feed.held_at_end = true;
      break;
    }
    batch.end_offset = record.next_offset;
    AddRecord(feed, std::move(record), batch);
  }
  return batch;
}

void LogShipper::AddRecord(Feed& feed, SpoolRecord record, ShippedBatch& batch) {
  ShippedRecord shipped{.time_unix_ns = static_cast<int64_t>(record.time_ns),
                        .stream = record.stream};
  switch (record.type) {
    case SpoolRecordType::kStdout:
    case SpoolRecordType::kStderr:
      shipped.data = std::move(record.data);
      break;
    case SpoolRecordType::kGap:
      shipped.kind = ShippedRecord::Kind::kGap;
      shipped.dropped_bytes = record.gap.dropped_bytes;
      options_.observer->DroppedBytes(record.gap.dropped_bytes);
      break;
    case SpoolRecordType::kEnd:
      if (!feed.output->IsRunEnd(record.next_offset)) return;
      shipped.kind = ShippedRecord::Kind::kEnd;
      break;
  }
  batch.records.push_back(std::move(shipped));
}

// Lets go of what is stored, and of outputs that have nothing more to ship.
void LogShipper::Settle(Feed& feed) {
  const std::string& id = feed.output->id();
  const bool running = feed.output->running();
  const uint64_t committed = feed.output->Committed();
  uint64_t acknowledged = 0;
  {
    absl::MutexLock lock(&mutex_);
    acknowledged = feed.acknowledged;
    if (feed.held_at_end) {
      feed.held_position = feed.position;
      feed.held_committed = committed;
      acknowledged_.SignalAll();
    }
  }
  const uint64_t needed = feed.output->Needed(acknowledged, kReaderPatienceBytes);
  // In large steps, unless that is all but ends of streams: a small spool may wait for it.
  const bool release =
      needed >= feed.released + kReleaseStepBytes || needed + kHeldBytes >= committed;
  if (needed > feed.released && running && release) {
    options_.release(id, needed);
    feed.released = needed;
  }
  const bool stored = !running && acknowledged >= committed;
  if (needed >= feed.output->trimmed() + kTrimStepBytes || stored) {
    const absl::Status trimmed = feed.output->Trim(needed);
    if (!trimmed.ok()) {
      Log(LogLevel::kWarning, "a spool cannot be trimmed",
          {{"container", id}, {"error", std::string(trimmed.message())}});
    }
  }
  // What a silent run left is shipped with what a later one prints.
  if (!stored && !(feed.silent && !running)) return;
  absl::MutexLock lock(&mutex_);
  const auto found = feeds_.find(id);
  if (found != feeds_.end() && found->second.get() == &feed && !feed.output->running()) {
    feeds_.erase(found);
    acknowledged_.SignalAll();
  }
}

}  // namespace slipway::agent
