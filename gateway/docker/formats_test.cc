#include <gtest/gtest.h>

#include <string>

#include "absl/time/time.h"
#include "gateway/docker/container_json.h"
#include "gateway/docker/event_json.h"
#include "gateway/docker/filters.h"
#include "gateway/docker/http_error.h"
#include "gateway/docker/image_reference.h"
#include "gateway/docker/import_changes.h"
#include "gateway/docker/progress.h"
#include "gateway/docker/registry_auth.h"
#include "gateway/docker/stdcopy.h"
#include "gateway/docker/times.h"

namespace slipway::gateway {
namespace {

using slipway::image::v1::PullLayerProgress;

TEST(HttpErrorTest, MapsCodes) {
  const struct {
    absl::StatusCode code;
    int http;
  } cases[] = {
      {absl::StatusCode::kNotFound, 404},        {absl::StatusCode::kInvalidArgument, 400},
      {absl::StatusCode::kAlreadyExists, 409},   {absl::StatusCode::kFailedPrecondition, 409},
      {absl::StatusCode::kAborted, 409},         {absl::StatusCode::kPermissionDenied, 403},
      {absl::StatusCode::kUnauthenticated, 401}, {absl::StatusCode::kUnimplemented, 501},
      {absl::StatusCode::kUnavailable, 503},     {absl::StatusCode::kInternal, 500},
      {absl::StatusCode::kDataLoss, 500},        {absl::StatusCode::kResourceExhausted, 500},
      {absl::StatusCode::kDeadlineExceeded, 500}};
  for (const auto& c : cases) EXPECT_EQ(HttpStatusOf(absl::Status(c.code, "x")), c.http);
}

TEST(HttpErrorTest, PullDeniedReadsAsDockersNotFound) {
  const absl::Status error =
      PullError(absl::UnauthenticatedError("unauthorized"), "localhost:5000/a/b:tag");
  EXPECT_EQ(HttpStatusOf(error), 404);
  EXPECT_EQ(error.message(),
            "pull access denied for localhost:5000/a/b, repository does not exist or may require "
            "'docker login': unauthorized");
  EXPECT_EQ(HttpStatusOf(PullError(absl::UnavailableError("refused"), "a")), 500);
  EXPECT_EQ(HttpStatusOf(PullError(absl::NotFoundError("x"), "a")), 404);
}

TEST(StdcopyTest, FramesAndRaw) {
  std::string out;
  AppendFrame(Framing::kMultiplexed, slipway::common::v1::STD_STREAM_STDERR, "abc", out);
  EXPECT_EQ(out, std::string("\x02\0\0\0\0\0\0\x03", 8) + "abc");
  out.clear();
  AppendFrame(Framing::kMultiplexed, slipway::common::v1::STD_STREAM_STDOUT, "t ",
              std::string(0x10203, 'x'), out);
  EXPECT_EQ(out.substr(0, 10), std::string("\x01\0\0\0\0\x01\x02\x05t ", 10));
  out.clear();
  AppendFrame(Framing::kMultiplexed, slipway::common::v1::STD_STREAM_STDOUT, "", out);
  EXPECT_EQ(out, "");
  AppendFrame(Framing::kRaw, slipway::common::v1::STD_STREAM_STDERR, "raw", out);
  EXPECT_EQ(out, "raw");
}

TEST(ProgressTest, BarsAreDockers) {
  EXPECT_EQ(ProgressBar(0, 0), "      0B");
  EXPECT_EQ(ProgressBar(1'500, 0), "   1.5kB");
  EXPECT_EQ(ProgressBar(600'000, 1'200'000),
            "[=========================>                         ]     600kB/1.2MB");
  EXPECT_EQ(ProgressBar(7, 7),
            "[==================================================>]        7B/7B");
  EXPECT_EQ(HumanSize(1'234'567), "1.235MB");
}

TEST(ProgressTest, Messages) {
  PullLayerProgress progress;
  progress.set_id("abc");
  progress.set_phase(PullLayerProgress::PHASE_PULLING_FS_LAYER);
  EXPECT_EQ(LayerMessage(progress, false),
            "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"abc\"}\r\n");
  progress.set_phase(PullLayerProgress::PHASE_DOWNLOADING);
  progress.set_current_bytes(1);
  progress.set_total_bytes(2);
  EXPECT_EQ(LayerMessage(progress, false),
            "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":1,\"total\":2},"
            "\"progress\":\"[=========================>                         ]  "
            "      1B/2B\",\"id\":\"abc\"}\r\n");
  EXPECT_EQ(StatusMessage("a \"b\""), "{\"status\":\"a \\\"b\\\"\"}\r\n");
  EXPECT_EQ(ErrorMessage("no\n"),
            "{\"errorDetail\":{\"message\":\"no\\u000a\"},\"error\":\"no\\u000a\"}\r\n");
}

TEST(TimesTest, Rfc3339) {
  EXPECT_EQ(Rfc3339Nano(0), "0001-01-01T00:00:00Z");
  EXPECT_EQ(Rfc3339Nano(1'700'000'000'120'000'000), "2023-11-14T22:13:20.12Z");
  EXPECT_EQ(Rfc3339Nano(1'700'000'000'000'000'000), "2023-11-14T22:13:20Z");
  EXPECT_EQ(Rfc3339NanoFixed(1'700'000'000'000'000'001), "2023-11-14T22:13:20.000000001Z");
}

TEST(TimesTest, ParsesTimestamps) {
  EXPECT_EQ(*ParseTimestamp("since", ""), 0);
  EXPECT_EQ(*ParseTimestamp("since", "12"), 12'000'000'000);
  EXPECT_EQ(*ParseTimestamp("since", "12.5"), 12'500'000'000);
  EXPECT_EQ(*ParseTimestamp("since", "1700000000.000000001"), 1'700'000'000'000'000'001);
  EXPECT_EQ(*ParseTimestamp("since", "-5"), 0);
  EXPECT_EQ(*ParseTimestamp("since", "2023-11-14T22:13:20.5Z"), 1'700'000'000'500'000'000);
  for (const char* bad : {"yesterday", "1.x", "1e9", "99999999999999999999", "--1"}) {
    EXPECT_EQ(ParseTimestamp("since", bad).status().code(), absl::StatusCode::kInvalidArgument)
        << bad;
  }
}

TEST(TimesTest, HumanDurations) {
  const struct {
    absl::Duration duration;
    const char* text;
  } cases[] = {{absl::Milliseconds(450), "Less than a second"},
               {absl::Seconds(1), "1 second"},
               {absl::Seconds(59), "59 seconds"},
               {absl::Seconds(100), "About a minute"},
               {absl::Minutes(45), "45 minutes"},
               {absl::Minutes(65), "About an hour"},
               {absl::Hours(47), "47 hours"},
               {absl::Hours(72), "3 days"},
               {absl::Hours(24 * 20), "2 weeks"},
               {absl::Hours(24 * 100), "3 months"},
               {absl::Hours(24 * 365 * 3), "3 years"},
               {-absl::Seconds(5), "Less than a second"}};
  for (const auto& c : cases) EXPECT_EQ(HumanDuration(c.duration), c.text);
}

TEST(FiltersTest, RefusesWhatIsNotFilters) {
  for (const char* bad : {"x", "[]", "3", "{\"a\":3}", "{\"a\":[3]}", "{\"a\":{\"b\":3}}", "{"}) {
    EXPECT_EQ(Filters::Parse(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(FiltersTest, TakesBothForms) {
  for (const char* text : {R"({"label":["a=b"]})", R"({"label":{"a=b":true,"c":false}})"}) {
    const auto filters = Filters::Parse(text);
    ASSERT_TRUE(filters.ok());
    EXPECT_EQ(filters->Get("label"), std::vector<std::string>{"a=b"});
    EXPECT_TRUE(filters->AllowsLabels(std::map<std::string, std::string>{{"a", "b"}}));
    EXPECT_FALSE(filters->AllowsLabels(std::map<std::string, std::string>{{"a", "c"}}));
    EXPECT_EQ(filters->CheckNames({"x"}).message(), "invalid filter 'label'");
  }
}

TEST(ReferenceTest, JoinsFromImageAndTag) {
  EXPECT_EQ(*JoinReference("redis", "7"), "redis:7");
  EXPECT_EQ(*JoinReference("localhost:5000/a", "b"), "localhost:5000/a:b");
  EXPECT_EQ(*JoinReference("localhost:5000/a:x", "b"), "localhost:5000/a:b");
  EXPECT_EQ(*JoinReference("a", "sha256:12"), "a@sha256:12");
  EXPECT_EQ(*JoinReference("a:b", ""), "a:b");
  EXPECT_EQ(*JoinReference("localhost:5000/a", ""), "localhost:5000/a");
  EXPECT_FALSE(HasTagOrDigest("localhost:5000/a"));
  EXPECT_TRUE(HasTagOrDigest("localhost:5000/a:b"));
  EXPECT_TRUE(HasTagOrDigest("a@sha256:12"));
  for (const char* bad : {"a:b:c", "a@sha256:12", "a@md5:0", "h:5/a:b:c"}) {
    EXPECT_EQ(JoinReference(bad, "x").status().message(), "invalid reference format") << bad;
  }
  EXPECT_EQ(JoinReference("", "x").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ReferenceTest, Platforms) {
  EXPECT_EQ(ParsePlatform("linux/arm/v7")->variant(), "v7");
  EXPECT_EQ(ParsePlatform("linux/x86_64")->architecture(), "amd64");
  EXPECT_EQ(ParsePlatform("arm64")->architecture(), "arm64");
  EXPECT_EQ(ParsePlatform(R"({"os":"linux","architecture":"arm64"})")->architecture(), "arm64");
  for (const char* bad : {"a/b/c/d", "linux/", "{", "/"}) {
    EXPECT_FALSE(ParsePlatform(bad).ok()) << bad;
  }
}

TEST(RegistryAuthTest, DecodesAndKeepsSecretsOutOfErrors) {
  // {"username":"u","password":"p?>"}
  EXPECT_EQ(ParseRegistryAuth("eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InA_PiJ9")->password(), "p?>");
  EXPECT_EQ(ParseRegistryAuth("")->username(), "");
  EXPECT_EQ(ParseRegistryAuth("bnVsbA==")->username(), "");
  for (const char* bad : {"!!!", "W10=", "c2VjcmV0"}) {
    EXPECT_EQ(ParseRegistryAuth(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(ImportChangesTest, AppliesInstructions) {
  slipway::image::v1::ImageConfig config;
  for (const char* change :
       {"CMD [\"/bin/sh\", \"-c\"]", "entrypoint run it", "ENV A=1 B=\"two words\"",
        "ENV C the rest", "ENV A=2", "EXPOSE 80 90/udp", "LABEL k=v", "USER u", "WORKDIR /w",
        "VOLUME [\"/a\"]", "STOPSIGNAL SIGINT"}) {
    EXPECT_TRUE(ApplyChange(change, config).ok()) << change;
  }
  EXPECT_EQ(config.command(1), "-c");
  EXPECT_EQ(config.entrypoint(2), "run it");
  ASSERT_EQ(config.env_size(), 3);
  EXPECT_EQ(config.env(0), "A=2");
  EXPECT_EQ(config.env(1), "B=two words");
  EXPECT_EQ(config.env(2), "C=the rest");
  EXPECT_EQ(config.exposed_ports(1), "90/udp");
  for (const char* bad : {"", "CMD", "RUN true", "EXPOSE x", "ENV A", "LABEL =x", "FROM a"}) {
    EXPECT_EQ(ApplyChange(bad, config).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(EventJsonTest, FormatsAndFilters) {
  slipway::common::v1::Event event;
  event.set_type("container");
  event.set_action("die");
  event.set_actor_id("abc");
  event.set_time_unix_ns(1'700'000'000'000'000'001);
  (*event.mutable_attributes())["image"] = "redis:7";
  (*event.mutable_attributes())["exitCode"] = "3";
  EXPECT_EQ(EventToJson(event),
            "{\"status\":\"die\",\"id\":\"abc\",\"from\":\"redis:7\",\"Type\":\"container\","
            "\"Action\":\"die\",\"Actor\":{\"ID\":\"abc\",\"Attributes\":{\"exitCode\":\"3\","
            "\"image\":\"redis:7\"}},\"scope\":\"local\",\"time\":1700000000,"
            "\"timeNano\":1700000000000000001}\n");
  EXPECT_TRUE(EventPasses(event, *Filters::Parse(R"({"image":["redis"],"event":["die"]})")));
  EXPECT_FALSE(EventPasses(event, *Filters::Parse(R"({"container":["xyz"]})")));
  EXPECT_FALSE(EventPasses(event, *Filters::Parse(R"({"type":["image"]})")));
  EXPECT_FALSE(CheckEventFilters(*Filters::Parse(R"({"colour":["red"]})")).ok());
}

TEST(StatusTextTest, SpeaksAsTheCli) {
  slipway::container::v1::ContainerState state;
  EXPECT_EQ(StatusText(state, 0), "Created");
  state.set_status(slipway::container::v1::CONTAINER_STATUS_RUNNING);
  state.set_started_unix_ns(1);
  EXPECT_EQ(StatusText(state, 5'000'000'001), "Up 5 seconds");
  state.set_status(slipway::container::v1::CONTAINER_STATUS_EXITED);
  state.set_exit_code(137);
  state.set_finished_unix_ns(1);
  EXPECT_EQ(StatusText(state, 180'000'000'001), "Exited (137) 3 minutes ago");
}

}  // namespace
}  // namespace slipway::gateway
