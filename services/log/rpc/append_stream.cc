#include "services/log/rpc/append_stream.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"
#include "services/log/rpc/convert.h"

namespace slipway::log {
namespace {

// Each holds a request of up to 16 MiB at the worst; there is one per host.
constexpr int64_t kMostStreams = 64;

class AppendStream : public grpc::ServerBidiReactor<v1::AppendLogRequest, v1::AppendLogResponse> {
 public:
  AppendStream(LogStore& store, WorkerPool& workers, Counters& counters)
      : store_(store), workers_(workers), counters_(counters) {
    if (++counters_.append_streams > kMostStreams) {
      Finish(ToGrpc(absl::ResourceExhaustedError(
          absl::StrCat("more than ", kMostStreams, " streams append"))));
      return;
    }
    StartRead(&request_);
  }

  // A read, a write or a task is always under way, and the end of it finds out about a cancelled
  // call; so there is nothing to do in OnCancel.
  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::OK);
      return;
    }
    workers_.Schedule([this] { Store(); });
  }

  void OnWriteDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::CANCELLED);
      return;
    }
    StartRead(&request_);
  }

  void OnDone() override {
    --counters_.append_streams;
    delete this;
  }

 private:
  absl::StatusOr<uint64_t> Append() {
    ASSIGN_OR_RETURN(const ContainerId id, ContainerId::Parse(request_.container_id()));
    ASSIGN_OR_RETURN(const Batch batch, ParseBatch(request_));
    if (request_.has_description()) {
      ASSIGN_OR_RETURN(const LogDescription description, ParseDescription(request_.description()));
      RETURN_IF_ERROR(store_.Describe(id, description));
    }
    return store_.Append(id, batch);
  }

  void Store() {
    const absl::StatusOr<uint64_t> offset = Append();
    if (!offset.ok()) {
      // The agent comes again, at most once a second; meanwhile output waits in its spools.
      Log(LogLevel::kError, "output cannot be stored",
          {{"container", request_.container_id()},
           {"error", std::string(offset.status().message())}});
      Finish(ToGrpc(offset.status()));
      return;
    }
    response_.set_container_id(request_.container_id());
    response_.set_acknowledged_offset_bytes(*offset);
    // Protobuf keeps the memory of a large request for the next one otherwise.
    request_ = {};
    StartWrite(&response_);
  }

  LogStore& store_;
  WorkerPool& workers_;
  Counters& counters_;
  v1::AppendLogRequest request_;
  v1::AppendLogResponse response_;
};

}  // namespace

grpc::ServerBidiReactor<v1::AppendLogRequest, v1::AppendLogResponse>* NewAppendStream(
    LogStore& store, WorkerPool& workers, Counters& counters) {
  return new AppendStream(store, workers, counters);
}

}  // namespace slipway::log
