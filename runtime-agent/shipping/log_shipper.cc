#include "runtime-agent/shipping/log_shipper.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

constexpr absl::Duration kMinBackoff = absl::Milliseconds(100);
constexpr absl::Duration kMaxBackoff = absl::Seconds(2);
constexpr std::chrono::seconds kCallTimeout(5);

void AppendRecord(const SpoolRecord& record, log::v1::AppendLogRequest& batch) {
  if (record.type == SpoolRecordType::kEnd) return;
  log::v1::LogRecord& out = *batch.add_records();
  out.set_time_unix_ns(static_cast<int64_t>(record.time_ns));
  const common::v1::StdStream stream =
      record.stream == 2 ? common::v1::STD_STREAM_STDERR : common::v1::STD_STREAM_STDOUT;
  if (record.type == SpoolRecordType::kGap) {
    out.mutable_gap()->set_stream(stream);
    out.mutable_gap()->set_dropped_bytes(record.gap.dropped_bytes);
    return;
  }
  out.mutable_chunk()->set_stream(stream);
  out.mutable_chunk()->set_data(record.data);
}

}  // namespace

LogShipper::LogShipper(std::shared_ptr<grpc::Channel> log_channel, std::string host_id,
                       prometheus::Registry& registry)
    : stub_(log::v1::LogService::NewStub(std::move(log_channel))),
      host_id_(std::move(host_id)),
      shipped_bytes_(prometheus::BuildCounter()
                         .Name("slipway_agent_log_shipped_bytes_total")
                         .Help("Bytes of spools that the log service acknowledged.")
                         .Register(registry)
                         .Add({})),
      reconnects_(prometheus::BuildCounter()
                      .Name("slipway_agent_log_connections_total")
                      .Help("Connections made to the log service.")
                      .Register(registry)
                      .Add({})),
      lag_bytes_(prometheus::BuildGauge()
                     .Name("slipway_agent_log_lag_bytes")
                     .Help("Bytes committed to spools and not acknowledged by the log service.")
                     .Register(registry)
                     .Add({})),
      loop_([this] { Loop(); }) {}

LogShipper::~LogShipper() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    if (connection_ != nullptr) connection_->context.TryCancel();
  }
  loop_.join();
}

void LogShipper::Add(Spool spool) {
  auto tail = std::make_shared<Tail>();
  const std::string id = spool.container_id;
  tail->spool = std::move(spool);
  absl::MutexLock lock(&mu_);
  TailPtr& place = tails_[id];
  if (place != nullptr) place->removed = true;
  place = std::move(tail);
  poked_ = true;
}

void LogShipper::Remove(const std::string& container_id) {
  absl::MutexLock lock(&mu_);
  const auto found = tails_.find(container_id);
  if (found == tails_.end()) return;
  found->second->removed = true;
  in_flight_bytes_ -= found->second->sent - found->second->acked;
  tails_.erase(found);
}

void LogShipper::EndOfRun(const std::string& container_id, uint64_t committed) {
  absl::MutexLock lock(&mu_);
  const auto found = tails_.find(container_id);
  if (found == tails_.end()) return;
  found->second->end_of_run = committed;
  poked_ = true;
}

void LogShipper::Poke() {
  absl::MutexLock lock(&mu_);
  poked_ = true;
}

void LogShipper::Delete(const std::string& container_id) {
  Remove(container_id);
  absl::MutexLock lock(&mu_);
  deletions_.insert(container_id);
  poked_ = true;
}

absl::Status LogShipper::Flush(const std::string& container_id, uint64_t committed,
                               absl::Time deadline) {
  absl::MutexLock lock(&mu_);
  const auto found = tails_.find(container_id);
  if (found == tails_.end()) {
    return absl::NotFoundError(absl::StrCat("no log of container ", container_id, " is followed"));
  }
  const TailPtr tail = found->second;
  poked_ = true;
  const auto done = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return tail->removed || tail->acked >= committed ||
           (tail->idle_at >= committed && tail->acked >= tail->sent);
  };
  if (mu_.AwaitWithDeadline(absl::Condition(&done), deadline)) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat("the log service has not stored the last ",
                                                  committed - tail->acked, " bytes of container ",
                                                  container_id));
}

std::vector<LogShipper::TailPtr> LogShipper::Tails() {
  absl::MutexLock lock(&mu_);
  std::vector<TailPtr> tails;
  tails.reserve(tails_.size());
  for (const auto& [id, tail] : tails_) tails.push_back(tail);
  return tails;
}

void LogShipper::Loop() {
  absl::Duration backoff = kMinBackoff;
  bool trouble = false;
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return stopping_ || poked_ || broken_;
      };
      const auto stopped = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_; };
      if (trouble) {
        // Being poked does not bring the log service back: wait the time out.
        mu_.AwaitWithTimeout(absl::Condition(&stopped), backoff);
      } else {
        mu_.Await(absl::Condition(&ready));
      }
      if (stopping_) break;
      poked_ = false;
    }
    const bool idle = [this] {
      absl::MutexLock lock(&mu_);
      return tails_.empty() && deletions_.empty();
    }();
    if (idle && connection_ == nullptr) {
      trouble = false;
      continue;
    }
    const bool good = Connect() && PositionAll() && DeletePending() && ShipAll();
    if (!good) Disconnect();
    backoff = good || !trouble ? kMinBackoff : std::min(backoff * 2, kMaxBackoff);
    trouble = !good;
  }
  Disconnect();
}

bool LogShipper::Connect() {
  {
    absl::MutexLock lock(&mu_);
    if (connection_ != nullptr) return !broken_;
  }
  auto connection = std::make_unique<Connection>();
  connection->stream = stub_->AppendLog(&connection->context);
  reconnects_.Increment();
  connection->reader = std::thread([this, stream = connection->stream.get()] { ReadAcks(stream); });
  absl::MutexLock lock(&mu_);
  connection_ = std::move(connection);
  return !broken_;
}

void LogShipper::Disconnect() {
  std::unique_ptr<Connection> connection;
  {
    absl::MutexLock lock(&mu_);
    connection = std::move(connection_);
  }
  if (connection != nullptr) {
    connection->context.TryCancel();
    connection->reader.join();
    const grpc::Status status = connection->stream->Finish();
    Log(LogLevel::kDebug, "the stream to the log service ended",
        {{"error", status.error_message()}});
  }
  absl::MutexLock lock(&mu_);
  broken_ = false;
  in_flight_bytes_ = 0;
  for (auto& [id, tail] : tails_) {
    // What was stored and not acknowledged any more is asked for: batches are cut anew.
    tail->positioned = false;
    tail->sent = tail->acked;
    tail->idle_at = 0;
    tail->reader.reset();
  }
}

void LogShipper::ReadAcks(Stream* stream) {
  log::v1::AppendLogResponse response;
  while (stream->Read(&response)) {
    TailPtr tail;
    uint64_t acked = 0;
    {
      absl::MutexLock lock(&mu_);
      const auto found = tails_.find(response.container_id());
      if (found == tails_.end()) continue;
      tail = found->second;
      acked = std::min(response.acknowledged_offset_bytes(), tail->sent);
      if (acked <= tail->acked) continue;
      shipped_bytes_.Increment(static_cast<double>(acked - tail->acked));
      in_flight_bytes_ -= acked - tail->acked;
      tail->acked = acked;
      poked_ = true;
    }
    tail->spool.on_acked(acked);
  }
  absl::MutexLock lock(&mu_);
  broken_ = true;
}

bool LogShipper::PositionAll() {
  for (const TailPtr& tail : Tails()) {
    if (tail->positioned) continue;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
    log::v1::GetLogPositionRequest request;
    request.set_container_id(tail->spool.container_id);
    log::v1::GetLogPositionResponse response;
    const grpc::Status status = stub_->GetLogPosition(&context, request, &response);
    if (!status.ok() && status.error_code() != grpc::StatusCode::NOT_FOUND) return false;
    const uint64_t acked = response.acknowledged_offset_bytes();
    {
      absl::MutexLock lock(&mu_);
      tail->positioned = true;
      tail->acked = tail->sent = std::max(tail->acked, acked);
    }
    if (acked > 0) tail->spool.on_acked(acked);
  }
  return true;
}

bool LogShipper::DeleteOne(const std::string& container_id) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  log::v1::DeleteLogRequest request;
  request.set_container_id(container_id);
  log::v1::DeleteLogResponse response;
  const grpc::Status status = stub_->DeleteLog(&context, request, &response);
  return status.ok() || status.error_code() == grpc::StatusCode::NOT_FOUND;
}

bool LogShipper::DeletePending() {
  while (true) {
    std::string id;
    {
      absl::MutexLock lock(&mu_);
      if (deletions_.empty()) return true;
      id = *deletions_.begin();
    }
    if (!DeleteOne(id)) return false;
    absl::MutexLock lock(&mu_);
    deletions_.erase(id);
  }
}

bool LogShipper::ShipAll() {
  uint64_t lag = 0;
  bool progress = true;
  while (progress) {
    progress = false;
    lag = 0;
    for (const TailPtr& tail : Tails()) {
      {
        absl::MutexLock lock(&mu_);
        if (broken_ || stopping_) return !broken_;
        // The acknowledgments to come poke the loop.
        if (in_flight_bytes_ >= kMaxInFlightBytes) return true;
        // One that was added just now is positioned first, in the next round.
        if (tail->removed || !tail->positioned) continue;
      }
      switch (ShipBatch(*tail)) {
        case Shipped::kBroken:
          return false;
        case Shipped::kSome:
          progress = true;
          break;
        case Shipped::kNothing:
          break;
      }
      absl::MutexLock lock(&mu_);
      const uint64_t committed = tail->spool.committed();
      lag += committed - std::min(committed, tail->acked);
    }
  }
  lag_bytes_.Set(static_cast<double>(lag));
  return true;
}

// Reads records up to the batch's bounds. End-of-stream records at the very end wait: only EndOfRun
// tells whether they end the run, and its LogEnd needs a record whose offset makes it recognisable.
absl::Status LogShipper::FillBatch(Tail& tail, uint64_t committed, log::v1::AppendLogRequest& batch,
                                   bool& at_end) {
  uint64_t end_of_run = 0;
  {
    absl::MutexLock lock(&mu_);
    end_of_run = tail.end_of_run;
    if (tail.reader == nullptr || tail.reader->offset() != tail.sent) {
      tail.reader = std::make_unique<SpoolReader>(tail.spool.fd.get(), tail.sent);
    }
  }
  uint64_t bytes = 0, end = tail.reader->offset();
  batch.set_begin_offset_bytes(end);
  while (bytes < kMaxBatchBytes && batch.records_size() < kMaxBatchRecords) {
    ASSIGN_OR_RETURN(std::optional<SpoolRecord> record, tail.reader->Next(committed));
    if (!record.has_value()) {
      at_end = true;
      break;
    }
    bytes += record->next_offset - record->offset;
    const bool ends_run = record->next_offset == end_of_run;
    AppendRecord(*record, batch);
    if (ends_run) {
      log::v1::LogRecord& mark = *batch.add_records();
      mark.set_time_unix_ns(static_cast<int64_t>(record->time_ns));
      mark.mutable_end();
    }
    if (record->type != SpoolRecordType::kEnd || ends_run) end = record->next_offset;
  }
  batch.set_end_offset_bytes(end);
  return absl::OkStatus();
}

LogShipper::Shipped LogShipper::ShipBatch(Tail& tail) {
  log::v1::AppendLogRequest batch;
  batch.set_container_id(tail.spool.container_id);
  batch.set_host_id(host_id_);
  const uint64_t committed = tail.spool.committed();
  bool at_end = false;
  const absl::Status status = FillBatch(tail, committed, batch, at_end);
  if (!status.ok()) {
    // Bytes that are no record, or were trimmed: say how many are missing and go on behind them.
    at_end = true;
    Log(LogLevel::kError, "spool cannot be read",
        {{"container", tail.spool.container_id}, {"error", std::string(status.message())}});
    log::v1::LogRecord& gap = *batch.add_records();
    gap.set_time_unix_ns(absl::ToUnixNanos(absl::Now()));
    gap.mutable_gap()->set_stream(common::v1::STD_STREAM_STDOUT);
    gap.mutable_gap()->set_dropped_bytes(committed - tail.reader->offset());
    batch.set_end_offset_bytes(committed);
  }
  {
    absl::MutexLock lock(&mu_);
    if (at_end) tail.idle_at = committed;
    if (tail.removed || batch.end_offset_bytes() <= batch.begin_offset_bytes()) {
      return Shipped::kNothing;
    }
    tail.sent = batch.end_offset_bytes();
    in_flight_bytes_ += batch.end_offset_bytes() - batch.begin_offset_bytes();
  }
  return connection_->stream->Write(batch) ? Shipped::kSome : Shipped::kBroken;
}

}  // namespace slipway::agent
