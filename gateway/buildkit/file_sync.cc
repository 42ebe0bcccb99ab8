#include "gateway/buildkit/file_sync.h"

#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gateway/buildkit/tar_text.h"
#include "gateway/docker/query_escape.h"

namespace slipway::gateway {
namespace {

using fsutil::types::Packet;
using fsutil::types::Stat;
using SyncCalls = moby::filesync::v1::FileSync::StubInterface::async_interface;

constexpr size_t kMaxFiles = 1'000'000;
constexpr size_t kMaxStatBytes = 512 << 20;  // of all that wait
constexpr size_t kMaxRequests = 64;          // under way
constexpr uint64_t kMaxRequested = 4 << 20;  // bytes of files that are under way together
constexpr uint64_t kSmall = 256 << 10;       // a larger file comes alone, and goes on as it comes
constexpr size_t kMaxGrown = 1 << 20;        // of a file that was small when it was told of
constexpr size_t kMaxMemory = 4 << 20;       // of all files of ReadSessionFiles()

absl::Status CheckPath(const std::string& path) {
  bool good = !path.empty() && path.front() != '/';
  for (const absl::string_view part : absl::StrSplit(path, '/')) good = good && part != "..";
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the session sends a file outside its directory: ", path));
}

// One DiffCopy. The client is asked for small files ahead; what comes is passed on in order.
class Receiver {
 public:
  Receiver(FileSyncStream stream, FileSink& sink, uint64_t& received)
      : stream_(std::move(stream)), sink_(sink), received_(received) {}

  Awaitable<absl::Status> Run() {
    Packet packet;
    while (!(all_told_ && files_.empty())) {
      const bool more = co_await stream_->Next(packet);
      if (!more) co_return absl::UnavailableError("the session ended before its files did");
      CO_RETURN_IF_ERROR(Take(packet));
      CO_RETURN_IF_ERROR(co_await PassOn());
      CO_RETURN_IF_ERROR(co_await Request());
    }
    Packet end;
    end.set_type(Packet::PACKET_FIN);
    const bool sent = co_await stream_->Write(std::move(end));
    if (sent) stream_->WritesDone();
    // Its own FIN, and the call's end.
    while (co_await stream_->Next(packet)) continue;
    co_return absl::OkStatus();
  }

 private:
  struct File {
    Stat stat;
    size_t stat_bytes = 0;
    std::string data;
    bool has_content = false;
    bool complete = false;
    bool begun = false;  // the sink has it
    uint64_t passed = 0;
    bool large() const { return static_cast<uint64_t>(stat.size()) > kSmall; }
  };

  absl::Status Take(Packet& packet) {
    switch (packet.type()) {
      case Packet::PACKET_STAT:
        return TakeStat(packet);
      case Packet::PACKET_DATA:
        return TakeData(packet);
      case Packet::PACKET_ERR:
        return absl::InvalidArgumentError(absl::StrCat("error from sender: ", packet.data()));
      default:
        return absl::InvalidArgumentError("the session ended its files too early");
    }
  }

  absl::Status TakeStat(Packet& packet) {
    if (!packet.has_stat()) {
      all_told_ = true;
      return absl::OkStatus();
    }
    if (all_told_) return absl::InvalidArgumentError("a file after the last one");
    RETURN_IF_ERROR(CheckPath(packet.stat().path()));
    stat_bytes_ += packet.stat().SpaceUsedLong();
    if (first_ + files_.size() >= kMaxFiles || stat_bytes_ > kMaxStatBytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the build context has more than ", kMaxFiles, " files"));
    }
    File file;
    file.stat_bytes = packet.stat().SpaceUsedLong();
    file.stat = std::move(*packet.mutable_stat());
    file.has_content =
        S_ISREG(ModeOfGo(file.stat.mode())) && file.stat.linkname().empty() && file.stat.size() > 0;
    files_.push_back(std::move(file));
    return absl::OkStatus();
  }

  absl::Status TakeData(Packet& packet) {
    if (packet.id() < first_ || packet.id() >= next_request_) {
      return absl::InvalidArgumentError("content of a file that was not asked for");
    }
    File& file = files_[packet.id() - first_];
    if (!file.has_content || file.complete) {
      return absl::InvalidArgumentError(absl::StrCat("unexpected content of ", file.stat.path()));
    }
    if (packet.data().empty()) {
      file.complete = true;
      --requests_;
      requested_ -= static_cast<uint64_t>(file.stat.size());
      return absl::OkStatus();
    }
    received_ += packet.data().size();
    if (file.data.empty()) {
      file.data = std::move(*packet.mutable_data());
    } else {
      file.data += packet.data();
    }
    if (!file.large() && file.data.size() > kSmall + kMaxGrown) return Changed(file);
    return absl::OkStatus();
  }

  static absl::Status Changed(const File& file) {
    return absl::InvalidArgumentError(
        absl::StrCat("file changed while the build context was sent: ", file.stat.path()));
  }

  Awaitable<absl::Status> PassOn() {
    while (!files_.empty()) {
      File& file = files_.front();
      if (file.has_content && !file.complete && !(file.large() && !file.data.empty())) break;
      if (!file.begun) {
        // A small file is as long as what came; a large one as long as was told.
        const uint64_t size =
            file.large() ? static_cast<uint64_t>(file.stat.size()) : file.data.size();
        file.begun = true;
        CO_RETURN_IF_ERROR(co_await sink_.Begin(file.stat, file.has_content ? size : 0));
      }
      file.passed += file.data.size();
      if (file.large() && file.has_content &&
          file.passed > static_cast<uint64_t>(file.stat.size())) {
        co_return Changed(file);
      }
      if (!file.data.empty()) {
        CO_RETURN_IF_ERROR(co_await sink_.Append(file.data));
        file.data.clear();
      }
      if (file.has_content && !file.complete) break;
      if (file.large() && file.has_content &&
          file.passed != static_cast<uint64_t>(file.stat.size())) {
        co_return Changed(file);
      }
      stat_bytes_ -= file.stat_bytes;
      files_.pop_front();
      ++first_;
    }
    co_return absl::OkStatus();
  }

  Awaitable<absl::Status> Request() {
    if (next_request_ < first_) next_request_ = first_;
    while (next_request_ < first_ + files_.size()) {
      const File& file = files_[next_request_ - first_];
      if (file.has_content) {
        const auto size = static_cast<uint64_t>(file.stat.size());
        if (file.large() || large_under_way_) {
          if (requests_ > 0) break;
        } else if (requests_ >= kMaxRequests || requested_ + size > kMaxRequested) {
          break;
        }
        Packet ask;
        ask.set_type(Packet::PACKET_REQ);
        ask.set_id(next_request_);
        ++requests_;
        requested_ += size;
        large_under_way_ = file.large();
        const bool sent = co_await stream_->Write(std::move(ask));
        if (!sent) co_return absl::UnavailableError("the session ended before its files did");
      }
      ++next_request_;
    }
    co_return absl::OkStatus();
  }

  FileSyncStream stream_;
  FileSink& sink_;
  uint64_t& received_;
  std::deque<File> files_;  // from number `first_` on
  uint32_t first_ = 0;
  uint32_t next_request_ = 0;
  size_t requests_ = 0;
  uint64_t requested_ = 0;
  bool large_under_way_ = false;
  size_t stat_bytes_ = 0;
  bool all_told_ = false;
};

class MemorySink : public FileSink {
 public:
  Awaitable<absl::Status> Begin(const Stat& stat, uint64_t size) override {
    current_ = nullptr;
    if (!S_ISREG(ModeOfGo(stat.mode()))) co_return absl::OkStatus();
    used_ += size + stat.path().size();
    if (used_ > kMaxMemory) {
      co_return absl::ResourceExhaustedError(absl::StrCat(stat.path(), " is too large"));
    }
    current_ = &files[stat.path()];
    co_return absl::OkStatus();
  }
  Awaitable<absl::Status> Append(absl::string_view content) override {
    if (current_ != nullptr) absl::StrAppend(current_, content);
    co_return absl::OkStatus();
  }
  std::map<std::string, std::string> files;

 private:
  std::string* current_ = nullptr;
  uint64_t used_ = 0;
};

}  // namespace

absl::StatusOr<FileSyncStream> OpenFileSync(CallTracker& calls, const BuildSession& session,
                                            const FileSyncQuery& query,
                                            const CallOptions& options) {
  if (!session.Offers("/moby.filesync.v1.FileSync/DiffCopy")) {
    return absl::FailedPreconditionError("the build session offers no files");
  }
  CallOptions with = options;
  // As BuildKit does: where one value is more than ASCII, all of that name are escaped.
  const auto add = [&with](const std::string& name, const std::vector<std::string>& values) {
    const bool plain = std::all_of(values.begin(), values.end(), IsMetadataText);
    for (const std::string& value : values) {
      with.metadata.emplace_back(name, plain ? value : QueryEscape(value));
    }
    if (!plain) with.metadata.emplace_back(name + "-encoded", "1");
  };
  add("dir-name", {query.directory});
  add("exclude-patterns", query.exclude);
  add("followpaths", query.follow);
  const std::unique_ptr<moby::filesync::v1::FileSync::StubInterface> stub =
      moby::filesync::v1::FileSync::NewStub(session.channel);
  return OpenBidi(calls, stub->async(), &SyncCalls::DiffCopy, with);
}

Awaitable<absl::Status> ReceiveFiles(FileSyncStream stream, FileSink& sink, uint64_t& received) {
  Receiver receiver(stream, sink, received);
  absl::Status status = co_await receiver.Run();
  const absl::Status finished = co_await stream->Finish();
  // The call's own outcome says why it ended early.
  if (absl::IsUnavailable(status) && !finished.ok()) status = finished;
  co_return status;
}

Awaitable<absl::StatusOr<std::map<std::string, std::string>>> ReadSessionFiles(
    CallTracker& calls, BuildSessionPtr session, FileSyncQuery query, CallOptions options) {
  CO_ASSIGN_OR_RETURN(FileSyncStream stream, OpenFileSync(calls, *session, query, options));
  MemorySink sink;
  uint64_t received = 0;
  CO_RETURN_IF_ERROR(co_await ReceiveFiles(stream, sink, received));
  co_return std::move(sink.files);
}

}  // namespace slipway::gateway
