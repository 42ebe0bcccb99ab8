#include "gateway/buildkit/copy_sink.h"

#include <sys/stat.h>

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gateway/buildkit/session_testing.h"
#include "gateway/buildkit/tar_text.h"

namespace slipway::gateway {
namespace {

using fsutil::types::Packet;
using fsutil::types::Stat;

struct Given {
  Stat stat;
  std::string content;
};

Given Entry(const std::string& path, uint32_t mode, std::string content = "",
            const std::string& link = "") {
  Given given;
  given.stat.set_path(path);
  given.stat.set_mode(GoModeOf(mode));
  given.stat.set_linkname(link);
  given.stat.set_size(static_cast<int64_t>(content.size()));
  given.content = std::move(content);
  return given;
}

Packet Request(uint32_t id) {
  Packet packet;
  packet.set_type(Packet::PACKET_REQ);
  packet.set_id(id);
  return packet;
}

// A client as fsutil has it: it asks for each file that it is told of, at once or, as its threads
// may, the other way round.
struct Receiver {
  bool backwards = false;
  std::vector<Stat> told;
  std::map<uint32_t, std::string> contents;
  std::set<uint32_t> ended;

  void operator()(ServerStream& stream) {
    Packet packet;
    std::deque<uint32_t> later;
    while (stream.Read(&packet)) {
      if (packet.type() == Packet::PACKET_FIN) return;
      if (packet.type() == Packet::PACKET_DATA) {
        EXPECT_FALSE(ended.contains(packet.id()));
        contents[packet.id()] += packet.data();
        if (packet.data().empty()) ended.insert(packet.id());
      } else if (!packet.has_stat()) {
        Packet end;
        end.set_type(Packet::PACKET_FIN);
        stream.Write(end);
      } else {
        told.push_back(packet.stat());
        const auto id = static_cast<uint32_t>(told.size() - 1);
        if (!S_ISREG(ModeOfGo(packet.stat().mode())) || !packet.stat().linkname().empty()) continue;
        later.push_front(id);
        // Two by two.
        if (backwards && later.size() < 2) continue;
        for (const uint32_t asked : later) stream.Write(Request(asked));
        later.clear();
      }
    }
  }
};

class CopySinkTest : public SessionTest {
 protected:
  // The status of the sink, and of the call.
  std::pair<absl::Status, absl::Status> Send(const std::vector<Given>& files) {
    const auto send = [&]() -> Awaitable<absl::Status> {
      const FileSyncQuery query{.directory = "x"};
      CO_ASSIGN_OR_RETURN(FileSyncStream stream,
                          OpenFileSync(calls_, *session_, query, CallOptions()));
      CopySink sink(stream);
      absl::Status status = co_await Fill(sink, files);
      if (status.ok()) {
        stream->WritesDone();
        Packet ignored;
        while (co_await stream->Next(ignored)) continue;
      }
      call_ = co_await stream->Finish();
      co_return status;
    };
    const absl::Status status = Wait(send());
    return {status, call_};
  }

  absl::Status SendTo(std::function<void(ServerStream&)> script, const std::vector<Given>& files) {
    client_.script = std::move(script);
    return Send(files).first;
  }

  static Awaitable<absl::Status> Fill(CopySink& sink, const std::vector<Given>& files) {
    for (const Given& file : files) {
      CO_RETURN_IF_ERROR(co_await sink.Begin(file.stat, file.content.size()));
      for (size_t at = 0; at < file.content.size(); at += 100'000) {
        const std::string piece = file.content.substr(at, 100'000);
        CO_RETURN_IF_ERROR(co_await sink.Append(piece));
      }
    }
    co_return co_await sink.Finish();
  }

  absl::Status call_;
};

TEST_F(CopySinkTest, EachFileComesAsItIs) {
  std::vector<Given> files = {Entry("d", S_IFDIR | 0755)};
  for (int i = 100; i < 700; ++i) {
    files.push_back(Entry(absl::StrCat("d/", i), S_IFREG | 0644,
                          std::string(static_cast<size_t>(i % 7 * 3'000), 'x')));
  }
  files.push_back(Entry("empty", S_IFREG | 0600));
  files.push_back(Entry("large", S_IFREG | 04755, std::string(3'000'001, 'l')));
  files.push_back(Entry("larger", S_IFREG | 0644, std::string(5'000'000, 'm')));
  files.push_back(Entry("link", S_IFLNK | 0777, "", "large"));
  files.push_back(Entry("twin", S_IFREG | 04755, "", "large"));
  Receiver receiver;
  client_.script = [&](ServerStream& stream) { receiver(stream); };
  const auto [sent, call] = Send(files);
  ASSERT_TRUE(sent.ok() && call.ok()) << sent << call;
  ASSERT_EQ(receiver.told.size(), files.size());
  for (uint32_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(receiver.told[i].path(), files[i].stat.path());
    const bool has_content =
        S_ISREG(ModeOfGo(files[i].stat.mode())) && files[i].stat.linkname().empty();
    EXPECT_EQ(receiver.ended.contains(i), has_content) << files[i].stat.path();
    EXPECT_TRUE(receiver.contents[i] == files[i].content) << files[i].stat.path();
  }
}

TEST_F(CopySinkTest, SmallFilesMayBeAskedForInAnyOrder) {
  std::vector<Given> files;
  for (int i = 1000; i < 1400; ++i) {
    files.push_back(Entry(absl::StrCat(i), S_IFREG | 0644, absl::StrCat("content ", i)));
  }
  Receiver receiver{.backwards = true};
  client_.script = [&](ServerStream& stream) { receiver(stream); };
  const auto [sent, call] = Send(files);
  ASSERT_TRUE(sent.ok() && call.ok()) << sent << call;
  for (uint32_t i = 0; i < files.size(); ++i) EXPECT_EQ(receiver.contents[i], files[i].content);
}

TEST_F(CopySinkTest, AClientThatAsksForNonsenseGetsNothingMore) {
  const std::vector<Given> small = {Entry("a", S_IFREG | 0644, "a")};
  const std::vector<Given> large = {Entry("a", S_IFREG | 0644, std::string(1'000'000, 'a'))};
  const auto answer = [](Packet packet) {
    return [packet](ServerStream& stream) {
      Packet told;
      stream.Read(&told);
      stream.Write(packet);
      while (stream.Read(&told)) continue;
    };
  };
  Packet end;
  end.set_type(Packet::PACKET_FIN);
  for (const auto* files : {&small, &large}) {
    EXPECT_TRUE(absl::IsInvalidArgument(SendTo(answer(Request(7)), *files)));
    EXPECT_TRUE(absl::IsInvalidArgument(SendTo(answer(end), *files)));
    EXPECT_TRUE(absl::IsInvalidArgument(SendTo(answer(Packet()), *files)));
    EXPECT_TRUE(absl::IsUnavailable(SendTo([](ServerStream&) {}, *files)));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(SendTo(answer(Request(0)), {Entry("d", S_IFDIR | 0755)})));
}

TEST_F(CopySinkTest, WhyAClientFailedIsKnown) {
  Packet error;
  error.set_type(Packet::PACKET_ERR);
  error.set_data("context canceled");
  client_.outcome = grpc::Status(grpc::StatusCode::UNKNOWN, "no space left on device");
  client_.script = [&](ServerStream& stream) {
    Packet told;
    stream.Read(&told);
    stream.Write(error);
  };
  const auto [sent, call] = Send({Entry("a", S_IFREG | 0644, "a")});
  EXPECT_EQ(sent.message(), "error from receiver: context canceled");
  EXPECT_EQ(call.message(), "no space left on device");
}

TEST_F(CopySinkTest, NamesThatTheProtocolDoesNotHave) {
  const absl::Status sent = SendTo(
      [](ServerStream& stream) {
        Packet told;
        while (stream.Read(&told)) continue;
      },
      {Entry("a\xff", S_IFREG | 0644)});
  EXPECT_TRUE(absl::IsInvalidArgument(sent) && absl::StrContains(sent.message(), "UTF-8")) << sent;
}

}  // namespace
}  // namespace slipway::gateway
