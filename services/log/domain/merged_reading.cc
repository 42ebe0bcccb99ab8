#include "services/log/domain/merged_reading.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway::log {
namespace {

// What all logs of a reader read ahead together.
constexpr size_t kAheadBytes = 4 << 20;
constexpr size_t kMostShareBytes = 64 << 10;
constexpr size_t kLeastShareBytes = 1 << 10;
constexpr size_t kTheList = ~size_t{0};

}  // namespace

// Lines of one log that nobody has yet.
class MergedReading::Queue : public EntrySink {
 public:
  void Add(const Entry& entry) override {
    entries_.push_back(entry);
    offsets_.push_back(bytes_.size());
    bytes_.append(entry.data.data(), entry.data.size());
  }
  bool Full() const override { return bytes_.size() + entries_.size() * sizeof(Entry) >= most_; }

  bool empty() const { return next_ == entries_.size(); }
  int64_t time() const { return entries_[next_].time_unix_ns; }
  Entry Pop() {
    Entry entry = entries_[next_];
    entry.data = absl::string_view(bytes_).substr(offsets_[next_], entry.data.size());
    ++next_;
    return entry;
  }
  void Clear(size_t most_bytes) {
    entries_.clear();
    offsets_.clear();
    bytes_.clear();
    next_ = 0;
    most_ = most_bytes;
  }
  size_t held_bytes() const { return bytes_.capacity() + entries_.capacity() * sizeof(Entry); }

 private:
  std::vector<Entry> entries_;
  std::vector<size_t> offsets_;
  std::string bytes_;
  size_t next_ = 0;
  size_t most_ = 0;
};

struct MergedReading::Source {
  std::string id;
  std::unique_ptr<LogReading> reading;
  Queue queue;
  Place place;
  bool ended = false;
  bool waiting = false;  // nothing more for now
  bool watched = false;  // the bell rings when there is
};

struct MergedReading::Bell {
  void Ring(size_t source) {
    std::function<void()> call;
    {
      absl::MutexLock lock(&mu);
      rung.push_back(source);
      call = std::exchange(wake, nullptr);
    }
    if (call != nullptr) call();
  }

  absl::Mutex mu;
  std::vector<size_t> rung ABSL_GUARDED_BY(mu);
  std::function<void()> wake ABSL_GUARDED_BY(mu);
};

MergedReading::MergedReading(LogStore& store, const Selector& selector, const ReadOptions& options)
    : store_(store), selector_(selector), options_(options), bell_(std::make_shared<Bell>()) {}

MergedReading::~MergedReading() = default;

absl::StatusOr<std::unique_ptr<MergedReading>> MergedReading::Start(LogStore& store,
                                                                    const Selector& selector,
                                                                    const ReadOptions& options,
                                                                    std::vector<Place> places,
                                                                    ReadBuffer& buffer) {
  std::unique_ptr<MergedReading> reading(new MergedReading(store, selector, options));
  RETURN_IF_ERROR(reading->AddLogs(places, /*first=*/true, buffer));
  return reading;
}

absl::Status MergedReading::AddLogs(const std::vector<Place>& places, bool first,
                                    ReadBuffer& buffer) {
  auto selected = Select(store_.List(&version_), selector_);
  // A log that is gone ends by itself.
  if (!selected.ok()) return first ? selected.status() : absl::OkStatus();
  for (const DescribedLog& log : *selected) {
    if (!known_.insert(log.container_id).second) continue;
    if (sources_.size() == kMostLogs) {
      return absl::ResourceExhaustedError(absl::StrCat("more than ", kMostLogs, " logs at once"));
    }
    ASSIGN_OR_RETURN(const ContainerId id, ContainerId::Parse(log.container_id));
    auto opened = store_.Open(id);
    if (absl::IsNotFound(opened.status())) continue;
    RETURN_IF_ERROR(opened.status());
    ReadOptions options = options_;
    options.lines = true;
    options.container_id = log.container_id;
    // What comes into being later is wanted from its beginning.
    if (!first) options.tail_lines.reset();
    for (const Place& place : places) {
      if (place.container_id == log.container_id) options.resume = place;
    }
    auto source = std::make_unique<Source>();
    source->id = log.container_id;
    ASSIGN_OR_RETURN(source->reading, LogReading::Start(*std::move(opened), options, buffer));
    source->place = source->reading->Places().front();
    hungry_.push_back(sources_.size());
    sources_.push_back(std::move(source));
  }
  return absl::OkStatus();
}

size_t MergedReading::ShareBytes() const {
  return std::clamp(kAheadBytes / std::max<size_t>(sources_.size(), 1), kLeastShareBytes,
                    kMostShareBytes);
}

absl::Status MergedReading::AnswerBell(ReadBuffer& buffer) {
  std::vector<size_t> rung;
  {
    absl::MutexLock lock(&bell_->mu);
    rung.swap(bell_->rung);
  }
  for (const size_t index : rung) {
    if (index == kTheList) {
      list_watched_ = false;
      RETURN_IF_ERROR(AddLogs({}, /*first=*/false, buffer));
      continue;
    }
    Source& source = *sources_[index];
    source.watched = false;
    if (std::exchange(source.waiting, false)) hungry_.push_back(index);
  }
  return absl::OkStatus();
}

void MergedReading::Push(size_t source) {
  heap_.push_back(source);
  std::push_heap(heap_.begin(), heap_.end(), [this](size_t a, size_t b) {
    return std::pair(sources_[a]->queue.time(), a) > std::pair(sources_[b]->queue.time(), b);
  });
}

size_t MergedReading::PopEarliest() {
  std::pop_heap(heap_.begin(), heap_.end(), [this](size_t a, size_t b) {
    return std::pair(sources_[a]->queue.time(), a) > std::pair(sources_[b]->queue.time(), b);
  });
  const size_t source = heap_.back();
  heap_.pop_back();
  return source;
}

absl::StatusOr<bool> MergedReading::Refill(ReadBuffer& buffer, size_t piece_bytes) {
  const size_t share = ShareBytes();
  const size_t ahead = buffer.ahead;
  const absl::Cleanup restore = [&] { buffer.ahead = ahead; };
  buffer.ahead = std::max<size_t>(2 * share, 16 << 10);
  std::vector<size_t> again;
  for (const size_t index : std::exchange(hungry_, {})) {
    Source& source = *sources_[index];
    source.queue.Clear(share);
    ASSIGN_OR_RETURN(const Progress progress,
                     source.reading->Fill(buffer, std::min(piece_bytes, 4 * share), source.queue));
    if (!source.queue.empty()) {
      Push(index);
    } else if (progress == Progress::kMore) {
      source.place = source.reading->Places().front();
      again.push_back(index);
    } else if (progress == Progress::kWait) {
      source.place = source.reading->Places().front();
      source.waiting = true;
    } else {
      source.ended = true;
      ++ended_;
    }
  }
  hungry_ = std::move(again);
  return hungry_.empty();
}

absl::StatusOr<Reading::Progress> MergedReading::Fill(ReadBuffer& buffer, size_t piece_bytes,
                                                      EntrySink& sink) {
  RETURN_IF_ERROR(AnswerBell(buffer));
  while (!sink.Full()) {
    ASSIGN_OR_RETURN(const bool all, Refill(buffer, piece_bytes));
    // What is missing may be earlier than what is there.
    if (!all) return Progress::kMore;
    if (heap_.empty()) {
      const bool closed = !options_.follow || !selector_.open();
      return closed && ended_ == sources_.size() ? Progress::kDone : Progress::kWait;
    }
    // As long as the same log has the earliest line, nothing else need be looked at.
    const size_t index = PopEarliest();
    Source& source = *sources_[index];
    const size_t next = heap_.empty() ? kTheList : heap_.front();
    do {
      Entry entry = source.queue.Pop();
      for (size_t stream = 0; stream < kStreams; ++stream) {
        const bool concerned =
            entry.stream == StdStream::kNone || StreamIndex(entry.stream) == stream;
        if (concerned) source.place.streams[stream] = entry.end;
      }
      entry.container_id = source.id;
      sink.Add(entry);
    } while (!sink.Full() && !source.queue.empty() &&
             (next == kTheList || std::pair(source.queue.time(), index) <
                                      std::pair(sources_[next]->queue.time(), next)));
    if (source.queue.empty()) {
      source.place = source.reading->Places().front();
      hungry_.push_back(index);
    } else {
      Push(index);
    }
  }
  return Progress::kMore;
}

bool MergedReading::Wait(std::function<void()> wake) {
  {
    absl::MutexLock lock(&bell_->mu);
    if (!bell_->rung.empty()) return false;
    bell_->wake = std::move(wake);
  }
  bool now = false;
  for (size_t index = 0; index < sources_.size() && !now; ++index) {
    Source& source = *sources_[index];
    if (!source.waiting || source.watched) continue;
    source.watched = true;
    if (source.reading->Wait([bell = bell_, index] { bell->Ring(index); })) continue;
    source.watched = false;
    source.waiting = false;
    hungry_.push_back(index);
    now = true;
  }
  if (!now && options_.follow && selector_.open() && !list_watched_) {
    list_watched_ = true;
    if (!store_.WaitForChange(version_, [bell = bell_] { bell->Ring(kTheList); })) {
      absl::MutexLock lock(&bell_->mu);
      bell_->rung.push_back(kTheList);
      now = true;
    }
  }
  if (!now) return true;
  absl::MutexLock lock(&bell_->mu);
  // Either this was taken by somebody who rang, and is being called, or nobody will call it.
  return std::exchange(bell_->wake, nullptr) == nullptr;
}

size_t MergedReading::held_bytes() const {
  size_t bytes = 0;
  for (const auto& source : sources_) {
    bytes += source->queue.held_bytes() + source->reading->held_bytes();
  }
  return bytes;
}

std::vector<Place> MergedReading::Places() const {
  std::vector<Place> places;
  places.reserve(sources_.size());
  for (const auto& source : sources_) places.push_back(source->place);
  return places;
}

}  // namespace slipway::log
