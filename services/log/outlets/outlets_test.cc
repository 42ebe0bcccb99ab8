#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/os/file.h"
#include "base/os/unique_fd.h"
#include "services/log/domain/outlet_runner.h"
#include "services/log/outlets/drivers.h"
#include "services/log/outlets/fluentd.h"
#include "services/log/outlets/http_push.h"
#include "services/log/outlets/journald.h"
#include "services/log/outlets/json_file.h"
#include "services/log/outlets/kubernetes_file.h"
#include "services/log/outlets/syslog.h"
#include "services/log/testing/log_fixture.h"

namespace slipway::log {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr int64_t kTime = 1'700'000'000'120'000'000;

OutletLine Line(absl::string_view text, bool partial = false,
                StdStream stream = StdStream::kStdout) {
  return {.time_unix_ns = kTime, .stream = stream, .text = text, .partial = partial};
}

// A socket that a test listens on.
class Listener {
 public:
  Listener(int family, int type) : type_(type), fd_(socket(family, type | SOCK_CLOEXEC, 0)) {
    if (family == AF_UNIX) {
      path_ = directory_.path() + "/s";
      sockaddr_un at = {};
      at.sun_family = AF_UNIX;
      memcpy(at.sun_path, path_.data(), path_.size());
      EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&at), sizeof(at)), 0);
    } else {
      sockaddr_in at = {};
      at.sin_family = AF_INET;
      at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&at), sizeof(at)), 0);
      socklen_t size = sizeof(at);
      getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&at), &size);
      path_ = absl::StrCat("127.0.0.1:", ntohs(at.sin_port));
    }
    if (type == SOCK_STREAM) {
      EXPECT_EQ(listen(fd_.get(), 4), 0);
    }
  }
  const std::string& address() const { return path_; }

  // Of the next connection, or the next datagram.
  std::string Receive(size_t at_least, const std::string& answer = "") {
    if (type_ == SOCK_DGRAM) return Once(fd_.get());
    if (!peer_.ok()) peer_ = UniqueFd(accept(fd_.get(), nullptr, nullptr));
    std::string all;
    while (all.size() < at_least) {
      const std::string more = Once(peer_.get());
      if (more.empty()) break;
      all += more;
    }
    if (!answer.empty()) {
      EXPECT_GT(write(peer_.get(), answer.data(), answer.size()), 0);
    }
    return all;
  }

 private:
  static std::string Once(int fd) {
    pollfd waited = {fd, POLLIN, 0};
    if (poll(&waited, 1, 5000) <= 0) return "";
    char bytes[65536];
    const ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
    return n > 0 ? std::string(bytes, static_cast<size_t>(n)) : "";
  }

  TemporaryDirectory directory_;
  const int type_;
  UniqueFd fd_;
  UniqueFd peer_;
  std::string path_;
};

LogDescription Described(const std::string& driver,
                         std::map<std::string, std::string> options = {}) {
  return {.name = "web",
          .image = "nginx",
          .image_id = "sha256:0123456789abcdef",
          .labels = {{"zone", "a"}, {"secret", "x"}},
          .env = {"LEVEL=3"},
          .driver = driver,
          .options = std::move(options),
          .hostname = "host"};
}

TEST(JsonFileTest, LinesAreAsDockerWritesThem) {
  EXPECT_EQ(JsonLine(Line("hi"), {}),
            "{\"log\":\"hi\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:20.12Z\"}\n");
  EXPECT_EQ(JsonLine(Line("a\t<&>\"\\\xff\xe2\x80\xa8\x01", true, StdStream::kStderr),
                     {{"b", "c"}, {"d", "e"}}),
            "{\"log\":\"a\\u0009\\u003c\\u0026\\u003e\\\"\\\\\\ufffd\\u2028\\u0001\","
            "\"stream\":\"stderr\",\"attrs\":{\"b\":\"c\",\"d\":\"e\"},"
            "\"time\":\"2023-11-14T22:13:20.12Z\"}\n");
}

TEST(JsonFileTest, RotatesAndCutsOffWhatWasNotNoted) {
  TemporaryDirectory directory;
  const JsonFileOptions options{
      .path = directory.path() + "/d/x-json.log", .max_bytes = 200, .max_files = 3};
  auto file = *JsonFile::Open(options, "");
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(file->Send({Line(absl::StrCat("line ", i))}).ok());
  EXPECT_THAT(*ReadFile(options.path), HasSubstr("line 19"));
  EXPECT_TRUE(std::filesystem::exists(options.path + ".2"));
  EXPECT_FALSE(std::filesystem::exists(options.path + ".3"));
  const std::string noted = file->State();
  const std::string before = *ReadFile(options.path);
  ASSERT_TRUE(file->Send({Line("x")}).ok());
  file = *JsonFile::Open(options, noted);
  EXPECT_EQ(*ReadFile(options.path), before);
}

TEST(KubernetesFileTest, FullAndPartialLinesAndReopen) {
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/0.log";
  const auto file = *KubernetesFile::Open(path);
  ASSERT_TRUE(
      file->Send({Line("one", true), Line("two"), Line("e", false, StdStream::kStderr)}).ok());
  ASSERT_EQ(rename(path.c_str(), (path + ".old").c_str()), 0);
  ASSERT_TRUE(file->Send({Line("still the old file")}).ok());
  ASSERT_TRUE(file->Reopen().ok());
  ASSERT_TRUE(file->Send({Line("new")}).ok());
  EXPECT_EQ(*ReadFile(path + ".old"),
            "2023-11-14T22:13:20.120000000Z stdout P one\n"
            "2023-11-14T22:13:20.120000000Z stdout F two\n"
            "2023-11-14T22:13:20.120000000Z stderr F e\n"
            "2023-11-14T22:13:20.120000000Z stdout F still the old file\n");
  EXPECT_EQ(*ReadFile(path), "2023-11-14T22:13:20.120000000Z stdout F new\n");
}

TEST(SyslogTest, FormatsAndTransports) {
  Listener udp(AF_INET, SOCK_DGRAM);
  auto options = *ParseSyslogOptions(
      TestId(), Described("syslog", {{"syslog-address", "udp://" + udp.address()},
                                     {"syslog-facility", "local1"},
                                     {"tag", "{{.Name}}/{{.ID}} x"}}));
  ASSERT_TRUE(Syslog(options).Send({Line("hello"), Line("no", false, StdStream::kStderr)}).ok());
  EXPECT_EQ(udp.Receive(1), absl::StrCat("<142>1 2023-11-14T22:13:20Z host web/aaaaaaaaaaaa_x ",
                                         getpid(), " web/aaaaaaaaaaaa_x - hello"));
  EXPECT_THAT(udp.Receive(1), StartsWith("<139>1 "));

  Listener tcp(AF_INET, SOCK_STREAM);
  options = *ParseSyslogOptions(TestId(),
                                Described("syslog", {{"syslog-address", "tcp://" + tcp.address()},
                                                     {"syslog-format", "rfc5424micro"}}));
  ASSERT_TRUE(Syslog(options).Send({Line("a"), Line("b")}).ok());
  const std::string got = tcp.Receive(100);
  EXPECT_THAT(got, HasSubstr("2023-11-14T22:13:20.120000Z"));
  EXPECT_THAT(got, HasSubstr(" - a\n<30>1 "));

  Listener local(AF_UNIX, SOCK_DGRAM);
  options = *ParseSyslogOptions(
      TestId(), Described("syslog", {{"syslog-address", "unix://" + local.address()}}));
  ASSERT_TRUE(Syslog(options).Send({Line("local")}).ok());
  EXPECT_EQ(local.Receive(1),
            absl::StrCat("<30>Nov 14 22:13:20 aaaaaaaaaaaa[", getpid(), "]: local"));
}

TEST(SyslogTest, NobodyThere) {
  const auto options = *ParseSyslogOptions(
      TestId(), Described("syslog", {{"syslog-address", "unix:///no/such/socket"}}));
  EXPECT_FALSE(Syslog(options).Send({Line("x")}).ok());
}

TEST(JournaldTest, AnEntryIsADatagram) {
  Listener journal(AF_UNIX, SOCK_DGRAM);
  JournaldOptions options =
      ParseJournaldOptions(TestId(), Described("journald", {{"labels", "zone"}, {"env", "LEVEL"}}));
  options.socket = journal.address();
  ASSERT_TRUE(Journald(options).Send({Line("hello", true)}).ok());
  const std::string entry = journal.Receive(1);
  for (const char* field :
       {"MESSAGE=hello\n", "PRIORITY=6\n", "CONTAINER_NAME=web\n", "ZONE=a\n", "LEVEL=3\n",
        "CONTAINER_ID=aaaaaaaaaaaa\n", "IMAGE_NAME=nginx\n", "CONTAINER_PARTIAL_MESSAGE=true\n"}) {
    EXPECT_THAT(entry, HasSubstr(field));
  }
  EXPECT_THAT(entry, testing::Not(HasSubstr("SECRET")));
  const std::string binary = JournalEntry(options, Line("a\nb"));
  EXPECT_THAT(binary, StartsWith(std::string("MESSAGE\n\3\0\0\0\0\0\0\0a\nb\n", 20)));
}

TEST(FluentdTest, ForwardMessagesAndAcknowledgements) {
  Listener fluentd(AF_INET, SOCK_STREAM);
  const auto options =
      ParseFluentdOptions(TestId(), Described("fluentd", {{"fluentd-address", fluentd.address()},
                                                          {"fluentd-request-ack", "true"},
                                                          {"tag", "t.{{.Name}}"}}));
  Fluentd outlet(options);
  std::string got;
  std::thread other([&] {
    got = fluentd.Receive(1,
                          "\x81\xa3"
                          "ack"
                          "\xa9"
                          "slipway-0");
  });
  EXPECT_TRUE(outlet.Send({Line("hello")}).ok());
  other.join();
  EXPECT_THAT(got, StartsWith(std::string("\xdd\0\0\0\3\xa5t.web\xdd\0\0\0\1", 16)));
  EXPECT_THAT(got, HasSubstr("\xa3log\xa5hello"));
  EXPECT_THAT(got, HasSubstr("\xa6source\xa6stdout"));
  EXPECT_THAT(got, HasSubstr("container_name\xa4/web"));
}

TEST(HttpPushTest, LokiAndOtlp) {
  Listener server(AF_INET, SOCK_STREAM);
  const auto loki = ParseHttpPushOptions(
      TestId(), Described("loki", {{"loki-url", "http://" + server.address()}}));
  std::string got;
  std::thread other(
      [&] { got = server.Receive(100, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"); });
  EXPECT_TRUE(HttpPush(loki).Send({Line("a\xff"), Line("b", false, StdStream::kStderr)}).ok());
  other.join();
  EXPECT_THAT(got, StartsWith("POST /loki/api/v1/push HTTP/1.1"));
  const std::string body =
      HttpPushBody(loki, {Line("a\xff"), Line("b", false, StdStream::kStderr)});
  EXPECT_THAT(body, HasSubstr("\"container_name\":\"web\""));
  EXPECT_THAT(body, HasSubstr("\"source\":\"stderr\""));
  EXPECT_THAT(body, HasSubstr("[[\"1700000000120000000\",\"a\xef\xbf\xbd\"]]"));
  const auto otlp =
      ParseHttpPushOptions(TestId(), Described("otlp", {{"otlp-endpoint", "http://x/"}}));
  EXPECT_EQ(otlp.url, "http://x/v1/logs");
  EXPECT_THAT(HttpPushBody(otlp, {Line("a")}), HasSubstr("\"body\":{\"stringValue\":\"a\"}"));
}

// An outlet in memory that can be dead.
class FakeOutlets : public OutletFactory {
 public:
  class Fake : public Outlet {
   public:
    explicit Fake(FakeOutlets* owner) : owner_(owner) {}
    absl::Status Send(const std::vector<OutletLine>& lines) override {
      absl::MutexLock lock(&owner_->mu);
      if (owner_->dead) return absl::UnavailableError("nobody there");
      for (const OutletLine& line : lines) owner_->lines.emplace_back(line.text);
      return absl::OkStatus();
    }
    absl::Status Reopen() override {
      absl::MutexLock lock(&owner_->mu);
      owner_->lines.emplace_back("--reopened");
      return absl::OkStatus();
    }

   private:
    FakeOutlets* const owner_;
  };
  absl::StatusOr<std::unique_ptr<Outlet>> Open(const ContainerId&, const LogDescription&,
                                               const std::string&) override {
    return std::make_unique<Fake>(this);
  }
  bool Has(const LogDescription& description) const override {
    return description.driver == "fake";
  }
  void Remove(const ContainerId&) override { removed = true; }
  std::string Path(const ContainerId&, const LogDescription&) const override { return ""; }

  size_t Count() {
    absl::MutexLock lock(&mu);
    return lines.size();
  }

  absl::Mutex mu;
  bool dead = false;
  std::vector<std::string> lines;
  std::atomic<bool> removed{false};
};

void Await(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (!condition() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_TRUE(condition());
}

class OutletRunnerTest : public StoreTest {
 protected:
  FakeOutlets outlets_;
};

TEST_F(OutletRunnerTest, ADeadOutletLosesNothingAndTheStoreDoesNotWait) {
  ASSERT_TRUE(store_->Describe(TestId(), Described("fake")).ok());
  outlets_.dead = true;
  {
    OutletRunner runner(*store_, outlets_, counters_);
    for (int i = 0; i < 1000; ++i) Append({Out(absl::StrCat(i, "\n"), i + 1)});
    const auto stats = [&] {
      // Nothing until the runner has seen the log.
      return runner.Stats(TestId().value()).value_or(OutletStats{});
    };
    Await([&] { return stats().failures > 0; });
    EXPECT_EQ(stats().last_error, "nobody there");
    {
      absl::MutexLock lock(&outlets_.mu);
      outlets_.dead = false;
    }
    Await([&] { return outlets_.Count() == 1000; });
    Await([&] { return stats().sent_entries == 1000; });
  }
  // Another run of the service goes on where this one was, and the container ended in between.
  Append({End(2000)});
  OutletRunner runner(*store_, outlets_, counters_);
  Append({Out("again\n", 3000)});
  Await([&] { return outlets_.Count() == 1001; });
  ASSERT_TRUE(runner.Reopen(TestId().value()).ok());
  Await([&] { return outlets_.Count() == 1002; });
  {
    absl::MutexLock lock(&outlets_.mu);
    for (int i = 0; i < 1000; ++i)
      EXPECT_EQ(outlets_.lines[static_cast<size_t>(i)], absl::StrCat(i));
    EXPECT_EQ(outlets_.lines[1000], "again");
    EXPECT_EQ(outlets_.lines[1001], "--reopened");
  }
  ASSERT_TRUE(store_->Delete(TestId()).ok());
  Await([&] { return outlets_.removed.load(); });
  EXPECT_EQ(counters_.outlet_sent_bytes, 3896u);
}

}  // namespace
}  // namespace slipway::log
