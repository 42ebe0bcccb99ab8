#include "gateway/buildkit/file_sync.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gateway/buildkit/session_testing.h"
#include "gateway/buildkit/tar_text.h"
#include "gtest/gtest.h"

namespace slipway::gateway {
namespace {

using fsutil::types::Packet;
using fsutil::types::Stat;

constexpr uint32_t kDir = 1u << 31;
constexpr uint32_t kSymlink = 1u << 27;

struct SentFile {
  Stat stat;
  std::string content;
};

SentFile File(const std::string& path, std::string content, uint32_t mode = 0644) {
  SentFile file;
  file.stat.set_path(path);
  file.stat.set_mode(mode);
  file.stat.set_size(static_cast<int64_t>(content.size()));
  file.content = std::move(content);
  return file;
}

Packet StatOf(const SentFile& file) {
  Packet packet;
  *packet.mutable_stat() = file.stat;
  return packet;
}

Packet Data(uint32_t id, const std::string& data) {
  Packet packet;
  packet.set_type(Packet::PACKET_DATA);
  packet.set_id(id);
  packet.set_data(data);
  return packet;
}

Packet Of(Packet::PacketType type) {
  Packet packet;
  packet.set_type(type);
  return packet;
}

// A client that does what it should: four files at a time, in pieces that mix.
void SendAll(ServerStream& stream, const std::vector<SentFile>& files, size_t piece = 10'000) {
  absl::Mutex mu;
  std::deque<Packet> requests;
  std::thread reader([&] {
    Packet request;
    while (stream.Read(&request)) {
      absl::MutexLock lock(&mu);
      requests.push_back(request);
      if (request.type() == Packet::PACKET_FIN) return;
    }
    absl::MutexLock lock(&mu);
    requests.emplace_back().set_type(Packet::PACKET_FIN);
  });
  for (const SentFile& file : files) stream.Write(StatOf(file));
  stream.Write(Packet());
  struct Open {
    uint32_t id;
    size_t at = 0;
  };
  std::vector<Open> open;
  while (true) {
    {
      const auto any = [&] { return !requests.empty() || !open.empty(); };
      absl::MutexLock lock(&mu);
      mu.Await(absl::Condition(&any));
      while (open.size() < 4 && !requests.empty() &&
             requests.front().type() != Packet::PACKET_FIN) {
        open.push_back({requests.front().id()});
        requests.pop_front();
      }
      if (open.empty()) break;
    }
    std::reverse(open.begin(), open.end());
    for (Open& one : open) {
      const std::string& content = files[one.id].content;
      stream.Write(Data(one.id, content.substr(std::min(one.at, content.size()), piece)));
      if (one.at >= content.size()) one.id = UINT32_MAX;
      one.at += piece;
    }
    open.erase(std::remove_if(open.begin(), open.end(),
                              [](const Open& one) { return one.id == UINT32_MAX; }),
               open.end());
  }
  reader.join();
  stream.Write(Of(Packet::PACKET_FIN));
}

class ListSink : public FileSink {
 public:
  Awaitable<absl::Status> Begin(const Stat& stat, uint64_t size) override {
    EXPECT_EQ(left, 0u) << stat.path();
    left = size;
    names.push_back(stat.path());
    contents.emplace_back();
    co_return absl::OkStatus();
  }
  Awaitable<absl::Status> Append(absl::string_view content) override {
    left -= content.size();
    absl::StrAppend(&contents.back(), content);
    co_return absl::OkStatus();
  }
  std::vector<std::string> names;
  std::vector<std::string> contents;
  uint64_t left = 0;
};

class FileSyncTest : public SessionTest {
 protected:
  absl::Status Receive(FileSink& sink, const FileSyncQuery& query = {.directory = "context"}) {
    const auto receive = [&]() -> Awaitable<absl::Status> {
      CO_ASSIGN_OR_RETURN(FileSyncStream stream,
                          OpenFileSync(calls_, *session_, query, CallOptions()));
      uint64_t received = 0;
      co_return co_await ReceiveFiles(stream, sink, received);
    };
    return Wait(receive());
  }

  absl::Status Receive(std::function<void(ServerStream&)> script) {
    client_.script = std::move(script);
    ListSink sink;
    return Receive(sink);
  }
};

TEST_F(FileSyncTest, FilesComeInOrderWhateverIsSentFirst) {
  std::vector<SentFile> files;
  files.push_back(File("a", "", kDir | 0755));
  for (int i = 100; i < 400; ++i) {
    files.push_back(File(absl::StrCat("a/", i), std::string(static_cast<size_t>(i) * 37, 'x')));
  }
  files.push_back(File("empty", ""));
  files.push_back(File("large", std::string(5'000'000, 'l')));
  files.push_back(File("link", "", kSymlink | 0777));
  files.back().stat.set_linkname("a");
  files.push_back(File("twin", ""));
  files.back().stat.set_linkname("large");
  files.push_back(File("z", std::string(300'000, 'z')));
  client_.script = [&](ServerStream& stream) { SendAll(stream, files); };
  ListSink sink;
  const absl::Status status =
      Receive(sink, {.directory = "context", .exclude = {"*.log", "!ü"}, .follow = {"a"}});
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(sink.names.size(), files.size());
  for (size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(sink.names[i], files[i].stat.path());
    EXPECT_TRUE(sink.contents[i] == files[i].content) << files[i].stat.path();
  }
  EXPECT_EQ(client_.metadata.find("dir-name")->second, "context");
  EXPECT_EQ(client_.metadata.find("followpaths")->second, "a");
  // Where one value is more than ASCII, all of its name are escaped.
  EXPECT_EQ(client_.metadata.count("exclude-patterns"), 2u);
  EXPECT_EQ(client_.metadata.find("exclude-patterns")->second, "%2A.log");
  EXPECT_EQ(client_.metadata.find("exclude-patterns-encoded")->second, "1");
}

TEST_F(FileSyncTest, SmallFilesMayHaveChangedMeanwhile) {
  SentFile grown = File("grown", "abc");
  grown.content = std::string(10'000, 'g');
  SentFile gone = File("gone", "abc");
  gone.content = "";
  const std::vector<SentFile> files = {grown, gone};
  client_.script = [&](ServerStream& stream) { SendAll(stream, files); };
  ListSink sink;
  ASSERT_TRUE(Receive(sink).ok());
  EXPECT_EQ(sink.contents[0].size(), 10'000u);
  EXPECT_EQ(sink.contents[1], "");
}

TEST_F(FileSyncTest, WhatIsHostileIsRefused) {
  for (const std::string path : {"../x", "a/../../x", "/etc/passwd", ""}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Receive([&](ServerStream& stream) {
      stream.Write(StatOf(File(path, "x")));
    }))) << path;
  }
  // Content that nobody asked for, or twice ended, or of a directory.
  EXPECT_TRUE(
      absl::IsInvalidArgument(Receive([](ServerStream& stream) { stream.Write(Data(7, "x")); })));
  EXPECT_TRUE(absl::IsInvalidArgument(Receive([](ServerStream& stream) {
    stream.Write(StatOf(File("d", "", kDir)));
    stream.Write(StatOf(File("a", "x")));
    Packet request;
    stream.Read(&request);
    stream.Write(Data(0, "x"));
  })));
  EXPECT_TRUE(absl::IsInvalidArgument(Receive([](ServerStream& stream) {
    stream.Write(StatOf(File("early", "x")));
    stream.Write(Packet());
    stream.Write(StatOf(File("late", "x")));
    Packet request;
    stream.Read(&request);
  })));
  EXPECT_TRUE(absl::IsInvalidArgument(
      Receive([](ServerStream& stream) { stream.Write(Of(Packet::PACKET_FIN)); })));
  Packet error = Of(Packet::PACKET_ERR);
  error.set_data("out of paper");
  EXPECT_EQ(Receive([&](ServerStream& stream) { stream.Write(error); }).message(),
            "error from sender: out of paper");
}

TEST_F(FileSyncTest, FilesThatDoNotEndAreRefused) {
  // One that was told to be small.
  const auto flood = [](uint64_t told) {
    return [told](ServerStream& stream) {
      SentFile file = File("f", "");
      file.stat.set_size(static_cast<int64_t>(told));
      stream.Write(StatOf(file));
      Packet request;
      stream.Read(&request);
      const std::string piece(100'000, 'f');
      for (int i = 0; i < 1'000 && stream.Write(Data(0, piece)); ++i) continue;
    };
  };
  EXPECT_TRUE(absl::IsInvalidArgument(Receive(flood(10))));
  EXPECT_TRUE(absl::IsInvalidArgument(Receive(flood(1'000'000))));
  // One that ends too early.
  EXPECT_TRUE(absl::IsInvalidArgument(Receive([](ServerStream& stream) {
    SentFile file = File("f", "");
    file.stat.set_size(1'000'000);
    stream.Write(StatOf(file));
    Packet request;
    stream.Read(&request);
    stream.Write(Data(0, "short"));
    stream.Write(Data(0, ""));
    stream.Read(&request);
  })));
  EXPECT_TRUE(absl::IsUnavailable(Receive([](ServerStream&) {})));
}

TEST_F(FileSyncTest, SmallFilesInMemory) {
  const std::vector<SentFile> files = {File("Dockerfile", "FROM x\n"), File("d", "", kDir),
                                       File("d/y", "1")};
  client_.script = [&](ServerStream& stream) { SendAll(stream, files); };
  const auto read = Wait(
      ReadSessionFiles(calls_, session_, FileSyncQuery{.directory = "dockerfile"}, CallOptions()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, (std::map<std::string, std::string>{{"Dockerfile", "FROM x\n"}, {"d/y", "1"}}));
  SentFile large = File("Dockerfile", "");
  large.stat.set_size(1 << 30);
  client_.script = [&](ServerStream& stream) {
    stream.Write(StatOf(large));
    Packet request;
    stream.Read(&request);
    stream.Write(Data(0, std::string(10'000, 'x')));
    stream.Read(&request);
  };
  EXPECT_TRUE(absl::IsResourceExhausted(
      Wait(ReadSessionFiles(calls_, session_, FileSyncQuery{.directory = "dockerfile"},
                            CallOptions()))
          .status()));
}

TEST(TarTextTest, ModesOfGo) {
  EXPECT_EQ(ModeOfGo(0644), 0100644u);
  EXPECT_EQ(ModeOfGo(kDir | 1u << 20 | 0777), 0041777u);
  EXPECT_EQ(ModeOfGo(kSymlink | 0777), 0120777u);
  EXPECT_EQ(ModeOfGo(1u << 23 | 0755), 0104755u);
  EXPECT_EQ(ModeOfGo(1u << 26 | 1u << 21 | 0600), 0020600u);
  EXPECT_EQ(ModeOfGo(1u << 26 | 0600), 0060600u);
  for (const uint32_t mode :
       {0100644u, 0041777u, 0120777u, 0104755u, 0102755u, 0020600u, 0060600u, 0010644u, 0140755u}) {
    EXPECT_EQ(ModeOfGo(GoModeOf(mode)), mode);
  }
}

}  // namespace
}  // namespace slipway::gateway
