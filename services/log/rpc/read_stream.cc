#include "services/log/rpc/read_stream.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"
#include "services/log/domain/log_reading.h"
#include "services/log/domain/merged_reading.h"
#include "services/log/rpc/convert.h"
#include "services/log/rpc/cursor.h"

namespace slipway::log {
namespace {

// What all readers hold together, but for the least that each may: an answer, and the pieces of
// lines that are not finished. Each new answer takes a part of what is left.
constexpr int64_t kPendingBytes = 2 << 20;
constexpr size_t kLeastAnswerBytes = 4 << 10;
constexpr size_t kMostAnswerBytes = 256 << 10;
constexpr size_t kMostPieceBytes = 512 << 10;

class ResponseSink : public EntrySink {
 public:
  ResponseSink(v1::ReadLogResponse& response, size_t enough_bytes, uint64_t most_entries)
      : response_(response), enough_(enough_bytes), most_(most_entries) {}

  void Add(const Entry& entry) override {
    AddEntry(entry, response_);
    data_bytes_ += entry.data.size();
    // An entry's own cost in memory.
    bytes_ += entry.data.size() + 64;
  }
  bool Full() const override {
    return bytes_ >= enough_ || static_cast<uint64_t>(response_.entries_size()) >= most_;
  }
  size_t data_bytes() const { return data_bytes_; }

 private:
  v1::ReadLogResponse& response_;
  const size_t enough_;
  const uint64_t most_;
  size_t bytes_ = 0;
  size_t data_bytes_ = 0;
};

class ReadStream : public grpc::ServerWriteReactor<v1::ReadLogResponse>,
                   public std::enable_shared_from_this<ReadStream> {
 public:
  ReadStream(LogStore& store, WorkerPool& workers, Counters& counters)
      : store_(store), workers_(workers), counters_(counters) {}

  void Begin(const v1::ReadLogRequest& request) {
    self_ = shared_from_this();
    if (++counters_.readers > kMostReaders) {
      Finish(ToGrpc(
          absl::ResourceExhaustedError(absl::StrCat("more than ", kMostReaders, " streams read"))));
      return;
    }
    workers_.Schedule([this, request] {
      const absl::Status opened = Open(request);
      if (!opened.ok()) {
        Finish(ToGrpc(opened));
        return;
      }
      Step();
    });
  }

  void OnWriteDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::CANCELLED);
      return;
    }
    workers_.Schedule([this] { Step(); });
  }

  // Tasks and writes find out themselves.
  void OnCancel() override {
    {
      absl::MutexLock lock(&mu_);
      cancelled_ = true;
      if (!std::exchange(waiting_, false)) return;
    }
    --counters_.waiting_followers;
    Finish(grpc::Status::CANCELLED);
  }

  void OnDone() override {
    --counters_.readers;
    SetPending(0);
    // The log may still have a waiter that refers to this weakly.
    reading_.reset();
    const std::shared_ptr<ReadStream> last = std::move(self_);
  }

 private:
  static ReadBuffer& Buffer() {
    static thread_local ReadBuffer buffer;
    return buffer;
  }

  absl::Status Open(const v1::ReadLogRequest& request) {
    ASSIGN_OR_RETURN(ReadOptions options, ParseReadOptions(request));
    std::vector<Place> places;
    if (!request.cursor().empty()) {
      ASSIGN_OR_RETURN(places, DecodeCursor(request.cursor()));
    }
    with_cursors_ = request.with_cursors();
    if (request.limit() != 0) left_ = request.limit();
    if (request.has_selector()) {
      ASSIGN_OR_RETURN(reading_, MergedReading::Start(store_, ParseSelector(request.selector()),
                                                      options, std::move(places), Buffer()));
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const ContainerId id, ContainerId::Parse(request.container_id()));
    options.container_id = id.value();
    for (const Place& place : places) {
      if (place.container_id == id.value()) options.resume = place;
    }
    if (!places.empty() && !options.resume.has_value()) {
      return absl::InvalidArgumentError("cursor is of another container");
    }
    ASSIGN_OR_RETURN(std::shared_ptr<ReadableLog> log, store_.Open(id));
    ASSIGN_OR_RETURN(reading_, LogReading::Start(std::move(log), options, Buffer()));
    return absl::OkStatus();
  }

  void Step() {
    {
      absl::MutexLock lock(&mu_);
      if (cancelled_) {
        Finish(grpc::Status::CANCELLED);
        return;
      }
    }
    const int64_t left = std::max<int64_t>(kPendingBytes - counters_.pending_bytes, 0);
    const size_t share = std::max(static_cast<size_t>(left / 8), kLeastAnswerBytes);
    if (share < kMostAnswerBytes) {
      response_ = {};
    } else {
      response_.Clear();
    }
    ResponseSink sink(response_, std::min(share, kMostAnswerBytes), left_);
    const auto progress = reading_->Fill(Buffer(), std::min(share, kMostPieceBytes), sink);
    counters_.read_bytes += sink.data_bytes();
    SetPending(static_cast<int64_t>(sink.data_bytes() + reading_->held_bytes()));
    if (response_.entries_size() > 0) {
      if (with_cursors_) response_.set_cursor(EncodeCursor(reading_->Places()));
      left_ -= std::min<uint64_t>(left_, static_cast<uint64_t>(response_.entries_size()));
      // An error or the end comes up again in the next step.
      StartWrite(&response_);
      return;
    }
    if (!progress.ok()) {
      Finish(ToGrpc(progress.status()));
    } else if (*progress == Reading::Progress::kDone || left_ == 0) {
      Finish(grpc::Status::OK);
    } else if (*progress == Reading::Progress::kMore) {
      workers_.Schedule([this] { Step(); });
    } else {
      Wait();
    }
  }

  void SetPending(int64_t bytes) {
    counters_.pending_bytes += bytes - pending_bytes_;
    pending_bytes_ = bytes;
  }

  void Wait() {
    // A follower that waits has no use for what its last answer took.
    response_ = {};
    // As soon as mu_ is free, OnCancel may finish the call, and with it end this object.
    const std::shared_ptr<ReadStream> keep = shared_from_this();
    const std::weak_ptr<ReadStream> weak = keep;
    {
      absl::MutexLock lock(&mu_);
      // Under mu_, so that Wake sees `waiting_` as it is meant; the log's own lock is short.
      waiting_ = !cancelled_ && reading_->Wait([weak] {
        if (const std::shared_ptr<ReadStream> stream = weak.lock()) stream->Wake();
      });
      if (waiting_) {
        ++counters_.waiting_followers;
        return;
      }
    }
    workers_.Schedule([this] { Step(); });
  }

  void Wake() {
    {
      absl::MutexLock lock(&mu_);
      if (!std::exchange(waiting_, false)) return;
    }
    --counters_.waiting_followers;
    workers_.Schedule([this] { Step(); });
  }

  LogStore& store_;
  WorkerPool& workers_;
  Counters& counters_;
  std::shared_ptr<ReadStream> self_;
  std::unique_ptr<Reading> reading_;
  bool with_cursors_ = false;
  uint64_t left_ = ~uint64_t{0};  // entries that are wanted still
  v1::ReadLogResponse response_;
  int64_t pending_bytes_ = 0;
  absl::Mutex mu_;
  bool waiting_ ABSL_GUARDED_BY(mu_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

grpc::ServerWriteReactor<v1::ReadLogResponse>* NewReadStream(const v1::ReadLogRequest& request,
                                                             LogStore& store, WorkerPool& workers,
                                                             Counters& counters) {
  const auto stream = std::make_shared<ReadStream>(store, workers, counters);
  stream->Begin(request);
  return stream.get();
}

}  // namespace slipway::log
