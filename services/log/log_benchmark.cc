#include <benchmark/benchmark.h>
#include <grpcpp/client_context.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/rpc/channel.h"
#include "services/log/domain/line_matcher.h"
#include "services/log/server.h"
#include "services/log/testing/log_fixture.h"
#include "slipway/log/v1/log.grpc.pb.h"

// bazel run -c opt //services/log:log_benchmark. Reads are of 211 MB, what a container of the
// project's measurements writes, tails and times are sought in 2 GB.
namespace slipway::log {
namespace {

constexpr size_t kChunkBytes = 64 << 10;

// Lines of 100 bytes.
std::string ChunkText() {
  std::string text;
  while (text.size() < kChunkBytes) text += std::string(99, 'l') + "\n";
  text.resize(kChunkBytes - 1);
  return text + "\n";
}

// What a web server logs.
std::string WebText() {
  std::string text;
  uint32_t random = 1;
  while (text.size() < kChunkBytes - 200) {
    random = random * 1664525 + 1013904223;
    absl::StrAppend(&text, "10.", random >> 24, ".", (random >> 16) & 255, ".", (random >> 8) & 255,
                    " - - [26/Nov/2023:10:00:00 +0000] \"GET /shop/item/", (random >> 12) % 5000,
                    " HTTP/1.1\" 200 ", (random >> 10) % 90000,
                    " \"-\" \"Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Firefox/115.0\"\n");
  }
  return text;
}

class FilledStore {
 public:
  explicit FilledStore(uint64_t bytes, bool sealed = false, const std::string& text = ChunkText()) {
    store_ =
        *SegmentStore::Open(directory_.path(), {.container_bytes = uint64_t{4} << 30}, counters_);
    for (uint64_t at = 0; at < bytes; at += text.size()) {
      const auto offset = store_->Append(
          TestId(), {at, at + text.size(), {Out(text, static_cast<int64_t>(at + 1))}});
      if (!offset.ok()) abort();
    }
    if (sealed) store_->AwaitSealed();
  }
  std::shared_ptr<ReadableLog> log() { return *store_->Open(TestId()); }

 private:
  TemporaryDirectory directory_;
  Counters counters_;
  std::unique_ptr<SegmentStore> store_;
};

class CountingSink : public EntrySink {
 public:
  void Add(const Entry& entry) override { bytes += entry.data.size(); }
  bool Full() const override { return false; }
  size_t bytes = 0;
};

void ReadWhole(benchmark::State& state, const ReadOptions& options, FilledStore& store) {
  ReadBuffer buffer;
  int64_t bytes = 0;
  for (auto _ : state) {
    CountingSink sink;
    const auto reading = *LogReading::Start(store.log(), options, buffer);
    while (*reading->Fill(buffer, 1 << 20, sink) == LogReading::Progress::kMore) {
    }
    bytes += static_cast<int64_t>(sink.bytes);
  }
  state.SetBytesProcessed(bytes);
}

FilledStore& Store211Mb() {
  static FilledStore store(211'000'000);
  return store;
}

FilledStore& Store2Gb() {
  static FilledStore store(2'000'000'000);
  return store;
}

FilledStore& StoreWeb1Gb() {
  static FilledStore store(1'000'000'000, /*sealed=*/true, WebText());
  return store;
}

void Search(benchmark::State& state, const SearchOptions& search) {
  ReadWhole(state, {.matcher = *LineMatcher::Create(search)}, StoreWeb1Gb());
}
void BM_StoreSearch1GB(benchmark::State& state) { Search(state, {.substring = "/needle"}); }
void BM_StoreSearchRegex1GB(benchmark::State& state) {
  Search(state, {.regex = "GET /needle.* 5\\d\\d "});
}
void BM_StoreSearchIgnoreCase1GB(benchmark::State& state) {
  Search(state, {.substring = "/needle", .ignore_case = true});
}
void BM_StoreSearchWithContext1GB(benchmark::State& state) {
  Search(state, {.substring = "/needle", .lines_before = 2, .lines_after = 2});
}
void BM_StoreReadSealedChunks1GB(benchmark::State& state) { ReadWhole(state, {}, StoreWeb1Gb()); }

void BM_StoreReadChunks211MB(benchmark::State& state) { ReadWhole(state, {}, Store211Mb()); }
void BM_StoreReadLines211MB(benchmark::State& state) {
  ReadWhole(state, {.lines = true}, Store211Mb());
}
void BM_StoreTail1000Of2GB(benchmark::State& state) {
  ReadWhole(state, {.tail_lines = 1000, .lines = true}, Store2Gb());
}
void BM_StoreTail1MillionLinesOf2GBStart(benchmark::State& state) {
  ReadBuffer buffer;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        LogReading::Start(Store2Gb().log(), {.tail_lines = 1'000'000}, buffer).ok());
  }
}
void BM_StoreSinceLastMegabyteOf2GB(benchmark::State& state) {
  ReadWhole(state, {.since_unix_ns = 1'999'000'000, .lines = true}, Store2Gb());
}

void BM_StoreAppend256KiB(benchmark::State& state) {
  TemporaryDirectory directory;
  Counters counters;
  const auto store =
      *SegmentStore::Open(directory.path(), {.container_bytes = 256 << 20}, counters);
  const std::string text = ChunkText();
  uint64_t at = 0;
  for (auto _ : state) {
    Batch batch{at, at + 4 * text.size(), {Out(text, 1), Out(text, 1), Out(text, 1), Out(text, 1)}};
    at = *store->Append(TestId(), batch);
  }
  state.SetBytesProcessed(static_cast<int64_t>(at));
}

void BM_StoreReopen100Containers(benchmark::State& state) {
  TemporaryDirectory directory;
  Counters counters;
  const std::string text = ChunkText();
  const auto id = [](int i) {
    return *ContainerId::Parse(absl::StrCat(std::string(61, 'a'), 100 + i));
  };
  {
    const auto store = *SegmentStore::Open(directory.path(), {}, counters);
    for (int i = 0; i < 100; ++i) {
      for (uint64_t at = 0; at < 64; ++at) {
        if (!store->Append(id(i), {at, at + 1, {Out(text, 1)}}).ok()) abort();
      }
    }
  }
  for (auto _ : state) {
    const auto store = *SegmentStore::Open(directory.path(), {}, counters);
    for (int i = 0; i < 100; ++i) benchmark::DoNotOptimize(*store->AcknowledgedOffset(id(i)));
  }
}

// Over gRPC, client and service in one process on the machine's cores.
class Rpc {
 public:
  Rpc() {
    const std::string socket = directory_.path() + "/s";
    server_ = *Server::Start({.root = directory_.path() + "/log", .socket = socket});
    stub = v1::LogService::NewStub(NewChannel(socket));
  }

  void Append(uint64_t bytes) {
    grpc::ClientContext context;
    const auto stream = stub->AppendLog(&context);
    const std::string text = ChunkText();
    v1::AppendLogResponse response;
    for (const uint64_t end = at_ + bytes; at_ < end; at_ += 4 * text.size()) {
      v1::AppendLogRequest request;
      request.set_container_id(std::string(64, 'a'));
      request.set_begin_offset_bytes(at_);
      request.set_end_offset_bytes(at_ + 4 * text.size());
      for (int i = 0; i < 4; ++i) {
        auto* record = request.add_records();
        record->set_time_unix_ns(1);
        record->mutable_chunk()->set_stream(common::v1::STD_STREAM_STDOUT);
        record->mutable_chunk()->set_data(text);
      }
      if (!stream->Write(request) || !stream->Read(&response)) abort();
    }
    stream->WritesDone();
    if (!stream->Finish().ok()) abort();
  }

  uint64_t Read(v1::ReadLogRequest::Cut cut, int64_t tail) {
    grpc::ClientContext context;
    v1::ReadLogRequest request;
    request.set_container_id(std::string(64, 'a'));
    request.set_stdout(true);
    request.set_cut(cut);
    request.set_tail_lines(tail);
    const auto reader = stub->ReadLog(&context, request);
    v1::ReadLogResponse response;
    uint64_t bytes = 0;
    while (reader->Read(&response)) {
      for (const auto& entry : response.entries()) bytes += entry.data().size();
    }
    if (!reader->Finish().ok()) abort();
    return bytes;
  }

  std::unique_ptr<v1::LogService::Stub> stub;

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<Server> server_;
  uint64_t at_ = 0;
};

Rpc& FilledRpc() {
  static Rpc* const rpc = [] {
    static Rpc filled;
    filled.Append(211'000'000);
    return &filled;
  }();
  return *rpc;
}

void RpcRead(benchmark::State& state, v1::ReadLogRequest::Cut cut, int64_t tail) {
  Rpc& rpc = FilledRpc();
  int64_t bytes = 0;
  for (auto _ : state) bytes += static_cast<int64_t>(rpc.Read(cut, tail));
  state.SetBytesProcessed(bytes);
}

void BM_RpcReadChunks211MB(benchmark::State& state) {
  RpcRead(state, v1::ReadLogRequest::CUT_CHUNKS, -1);
}
void BM_RpcReadLines211MB(benchmark::State& state) {
  RpcRead(state, v1::ReadLogRequest::CUT_LINES, -1);
}
void BM_RpcTail1000(benchmark::State& state) {
  RpcRead(state, v1::ReadLogRequest::CUT_LINES, 1000);
}
void BM_RpcAppend64MB(benchmark::State& state) {
  Rpc rpc;
  for (auto _ : state) rpc.Append(64 << 20);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * (64 << 20));
}

BENCHMARK(BM_StoreReadChunks211MB)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_StoreReadLines211MB)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_StoreSearch1GB)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_StoreSearchRegex1GB)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_StoreSearchIgnoreCase1GB)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_StoreSearchWithContext1GB)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_StoreReadSealedChunks1GB)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_StoreTail1000Of2GB)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_StoreTail1MillionLinesOf2GBStart)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_StoreSinceLastMegabyteOf2GB)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_StoreAppend256KiB)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(BM_StoreReopen100Containers)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_RpcReadChunks211MB)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_RpcReadLines211MB)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_RpcTail1000)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(BM_RpcAppend64MB)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace slipway::log

BENCHMARK_MAIN();
