#include "services/log/domain/outlet_runner.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/status/status_macros.h"
#include "services/log/domain/log_reading.h"

namespace slipway::log {
namespace {

constexpr int kThreads = 4;
constexpr size_t kBatchBytes = 256 << 10;
constexpr size_t kBatchLines = 4096;
// As Docker's drivers cut lines.
constexpr size_t kPieceBytes = 16 << 10;
constexpr absl::Duration kLeastPause = absl::Milliseconds(250);
constexpr absl::Duration kLongestPause = absl::Seconds(30);

// Lines that wait to be sent.
class Pending : public EntrySink {
 public:
  void Add(const Entry& entry) override {
    if (entry.dropped_bytes != 0) {
      dropped_bytes += entry.dropped_bytes;
      return;
    }
    const bool newline = !entry.data.empty() && entry.data.back() == '\n';
    pieces_.push_back({.time = entry.time_unix_ns,
                       .stream = entry.stream,
                       .begin = bytes_.size(),
                       .size = entry.data.size() - (newline ? 1 : 0),
                       .partial = entry.continued,
                       .terminated = newline});
    bytes_.append(entry.data.data(), entry.data.size());
  }
  bool Full() const override {
    return bytes_.size() >= kBatchBytes || pieces_.size() >= kBatchLines;
  }

  std::vector<OutletLine> Lines() const {
    std::vector<OutletLine> lines;
    lines.reserve(pieces_.size());
    for (const Piece& piece : pieces_) {
      lines.push_back({.time_unix_ns = piece.time,
                       .stream = piece.stream,
                       .text = absl::string_view(bytes_).substr(piece.begin, piece.size),
                       .partial = piece.partial,
                       .terminated = piece.terminated});
    }
    return lines;
  }
  bool empty() const { return pieces_.empty() && dropped_bytes == 0; }
  size_t bytes() const { return bytes_.size(); }
  size_t size() const { return pieces_.size(); }
  // What an idle outlet keeps is small.
  void Clear() {
    pieces_ = {};
    bytes_ = {};
    dropped_bytes = 0;
  }

  uint64_t dropped_bytes = 0;

 private:
  struct Piece {
    int64_t time;
    StdStream stream;
    size_t begin;
    size_t size;
    bool partial;
    bool terminated;
  };
  std::vector<Piece> pieces_;
  std::string bytes_;
};

ReadBuffer& Buffer() {
  static thread_local ReadBuffer buffer;
  return buffer;
}

}  // namespace

// Due times of feeds, by id; the empty id is the look for new logs.
struct OutletRunner::Bell {
  void At(const std::string& id, absl::Time due) {
    absl::MutexLock lock(&mu);
    // Whoever is at work on it takes its turn again afterwards.
    if (busy.contains(id)) {
      again.insert(id);
      return;
    }
    auto [at, added] = wanted.try_emplace(id, due);
    if (!added) at->second = std::min(at->second, due);
    changed.Signal();
  }
  void Now(const std::string& id) { At(id, absl::InfinitePast()); }

  absl::Mutex mu;
  absl::CondVar changed;
  bool stopping ABSL_GUARDED_BY(mu) = false;
  std::map<std::string, absl::Time> wanted ABSL_GUARDED_BY(mu);
  std::set<std::string> busy ABSL_GUARDED_BY(mu);
  std::set<std::string> again ABSL_GUARDED_BY(mu);
};

// One container's way to its outlet. Step is called by one thread at a time.
class OutletRunner::Feed {
 public:
  enum class Next { kNow, kLater, kWoken, kGone };

  Feed(ContainerId id, std::shared_ptr<const LogDescription> description)
      : id_(std::move(id)), description_(std::move(description)) {}

  Next Step(OutletRunner& runner, absl::Time& due) {
    const absl::Status opened = Open(runner);
    if (absl::IsNotFound(opened) && reading_ == nullptr) return Next::kGone;
    if (!opened.ok()) return Fail(runner, opened, due);
    if (batch_.empty()) {
      const auto progress = reading_->Fill(Buffer(), kPieceBytes, batch_);
      if (!progress.ok()) return Fail(runner, progress.status(), due);
      if (batch_.empty()) {
        const absl::Status reopened = ReopenIfWanted();
        if (!reopened.ok()) return Fail(runner, reopened, due);
        if (*progress == Reading::Progress::kDone) return Next::kGone;
        if (*progress == Reading::Progress::kMore) return Next::kNow;
        const bool waits =
            reading_->Wait([bell = runner.bell_, id = id_.value()] { bell->Now(id); });
        return waits ? Next::kWoken : Next::kNow;
      }
    }
    const absl::Status sent = batch_.size() == 0 ? absl::OkStatus() : outlet_->Send(batch_.Lines());
    // What the other side will never take must not hold up what follows.
    if (!sent.ok() && !absl::IsInvalidArgument(sent)) return Fail(runner, sent, due);
    Sent(runner, sent);
    const absl::Status saved = runner.store_.SaveOutlet(id_, position_);
    if (!saved.ok() && !absl::IsNotFound(saved)) return Fail(runner, saved, due);
    const absl::Status reopened = ReopenIfWanted();
    if (!reopened.ok()) return Fail(runner, reopened, due);
    return Next::kNow;
  }

  OutletStats Stats() const {
    absl::MutexLock lock(&mu_);
    return stats_;
  }
  void WantReopen() {
    absl::MutexLock lock(&mu_);
    reopen_ = true;
  }
  const ContainerId& id() const { return id_; }
  const LogDescription& description() const { return *description_; }

 private:
  absl::Status Open(OutletRunner& runner) {
    if (reading_ == nullptr) {
      ReadOptions options{
          .follow = true, .beyond_end = true, .lines = true, .container_id = id_.value()};
      auto position = runner.store_.LoadOutlet(id_);
      if (position.ok()) {
        position_ = *std::move(position);
        options.resume = Place{.container_id = id_.value(), .streams = position_.streams};
        KeepStats();
      } else if (!absl::IsNotFound(position.status())) {
        Log(LogLevel::kWarning, position.status().message());
      }
      ASSIGN_OR_RETURN(std::shared_ptr<ReadableLog> log, runner.store_.Open(id_));
      ASSIGN_OR_RETURN(reading_, LogReading::Start(std::move(log), options, Buffer()));
    }
    if (outlet_ != nullptr) return absl::OkStatus();
    auto outlet = runner.factory_.Open(id_, *description_, position_.state);
    if (absl::IsNotFound(outlet.status())) return absl::UnavailableError(outlet.status().message());
    RETURN_IF_ERROR(outlet.status());
    outlet_ = *std::move(outlet);
    return absl::OkStatus();
  }

  absl::Status ReopenIfWanted() {
    {
      absl::MutexLock lock(&mu_);
      if (!std::exchange(reopen_, false)) return absl::OkStatus();
    }
    const absl::Status reopened = outlet_->Reopen();
    if (!reopened.ok()) WantReopen();
    return reopened;
  }

  void Sent(OutletRunner& runner, const absl::Status& refused) {
    position_.streams = reading_->Places().front().streams;
    position_.state = outlet_->State();
    position_.dropped_bytes += batch_.dropped_bytes + (refused.ok() ? 0 : batch_.bytes());
    if (refused.ok()) {
      position_.sent_entries += batch_.size();
      position_.sent_bytes += batch_.bytes();
      runner.counters_.outlet_sent_bytes += batch_.bytes();
    }
    runner.counters_.outlet_dropped_bytes +=
        batch_.dropped_bytes + (refused.ok() ? 0 : batch_.bytes());
    batch_.Clear();
    pause_ = kLeastPause;
    KeepStats();
    absl::MutexLock lock(&mu_);
    if (!refused.ok()) stats_.last_error = std::string(refused.message());
  }

  void KeepStats() {
    absl::MutexLock lock(&mu_);
    stats_.sent_entries = position_.sent_entries;
    stats_.sent_bytes = position_.sent_bytes;
    stats_.dropped_bytes = position_.dropped_bytes;
  }

  Next Fail(OutletRunner& runner, const absl::Status& status, absl::Time& due) {
    ++runner.counters_.outlet_failures;
    if (pause_ == kLeastPause) {
      Log(LogLevel::kWarning, "an outlet does not take a container's output",
          {{"container", id_.value()},
           {"driver", description_->driver},
           {"error", std::string(status.message())}});
    }
    due = absl::Now() + pause_;
    pause_ = std::min(2 * pause_, kLongestPause);
    absl::MutexLock lock(&mu_);
    ++stats_.failures;
    stats_.last_error = std::string(status.message());
    return Next::kLater;
  }

  const ContainerId id_;
  const std::shared_ptr<const LogDescription> description_;
  std::unique_ptr<LogReading> reading_;
  std::unique_ptr<Outlet> outlet_;
  Pending batch_;
  OutletPosition position_;
  absl::Duration pause_ = kLeastPause;
  mutable absl::Mutex mu_;
  bool reopen_ ABSL_GUARDED_BY(mu_) = false;
  OutletStats stats_ ABSL_GUARDED_BY(mu_);
};

OutletRunner::OutletRunner(LogStore& store, OutletFactory& factory, Counters& counters)
    : store_(store), factory_(factory), counters_(counters), bell_(std::make_shared<Bell>()) {
  bell_->Now("");
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Run(); });
}

OutletRunner::~OutletRunner() {
  {
    absl::MutexLock lock(&bell_->mu);
    bell_->stopping = true;
    bell_->changed.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

void OutletRunner::FindLogs() {
  uint64_t version = 0;
  const std::vector<DescribedLog> logs = store_.List(&version);
  for (const DescribedLog& log : logs) {
    if (!factory_.Has(*log.description)) continue;
    const auto id = ContainerId::Parse(log.container_id);
    if (!id.ok()) continue;
    absl::MutexLock lock(&mu_);
    std::shared_ptr<Feed>& feed = feeds_[log.container_id];
    if (feed != nullptr) continue;
    feed = std::make_shared<Feed>(*id, log.description);
    ++counters_.outlets;
    bell_->Now(log.container_id);
  }
  if (!store_.WaitForChange(version, [bell = bell_] { bell->Now(""); })) bell_->Now("");
}

void OutletRunner::Run() {
  while (true) {
    std::string id;
    {
      absl::MutexLock lock(&bell_->mu);
      while (true) {
        if (bell_->stopping) return;
        const auto next =
            std::min_element(bell_->wanted.begin(), bell_->wanted.end(),
                             [](const auto& a, const auto& b) { return a.second < b.second; });
        const absl::Time due = next == bell_->wanted.end() ? absl::InfiniteFuture() : next->second;
        if (due <= absl::Now()) {
          id = next->first;
          bell_->wanted.erase(next);
          bell_->busy.insert(id);
          break;
        }
        bell_->changed.WaitWithDeadline(&bell_->mu, due);
      }
    }
    absl::Time due = absl::InfinitePast();
    Feed::Next next = Feed::Next::kWoken;
    if (id.empty()) {
      FindLogs();
    } else {
      std::shared_ptr<Feed> feed;
      {
        absl::MutexLock lock(&mu_);
        if (const auto at = feeds_.find(id); at != feeds_.end()) feed = at->second;
      }
      if (feed != nullptr) next = feed->Step(*this, due);
      if (feed != nullptr && next == Feed::Next::kGone) {
        factory_.Remove(feed->id());
        --counters_.outlets;
        absl::MutexLock lock(&mu_);
        feeds_.erase(id);
      }
    }
    bool again = false;
    {
      absl::MutexLock lock(&bell_->mu);
      bell_->busy.erase(id);
      again = bell_->again.erase(id) > 0;
    }
    if (next == Feed::Next::kLater) {
      bell_->At(id, due);
    } else if (again || next == Feed::Next::kNow) {
      bell_->Now(id);
    }
  }
}

std::optional<OutletStats> OutletRunner::Stats(const std::string& id) const {
  std::shared_ptr<Feed> feed;
  {
    absl::MutexLock lock(&mu_);
    const auto at = feeds_.find(id);
    if (at == feeds_.end()) return std::nullopt;
    feed = at->second;
  }
  OutletStats stats = feed->Stats();
  stats.driver = feed->description().driver;
  stats.path = factory_.Path(feed->id(), feed->description());
  return stats;
}

absl::Status OutletRunner::Reopen(const std::string& id) {
  {
    absl::MutexLock lock(&mu_);
    const auto at = feeds_.find(id);
    if (at == feeds_.end()) {
      return absl::NotFoundError(absl::StrCat("container ", id, " has no outlet"));
    }
    at->second->WantReopen();
  }
  bell_->Now(id);
  return absl::OkStatus();
}

}  // namespace slipway::log
