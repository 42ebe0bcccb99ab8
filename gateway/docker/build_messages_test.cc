#include "gateway/docker/build_messages.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gateway/docker/build_options.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::build::v1;

absl::StatusOr<pb::BuildOptions> Options(const std::string& query, absl::string_view auth = "") {
  return ReadBuildOptions(*Query::Parse(query), auth);
}

TEST(ReadBuildOptions, RefusesWhatCannotBeRead) {
  for (const char* bad : {"buildargs=x", "buildargs=[]", "buildargs=%7B%22a%22%3A1%7D", "labels=3",
                          "labels=%7B%22a%22%3A1%7D", "ulimits=%7B%7D", "ulimits=[1]", "memory=x",
                          "platform=a/b/c/d"}) {
    EXPECT_EQ(Options(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(Options("", "?").ok());
  EXPECT_FALSE(Options("", "W10=").ok());  // []
}

TEST(ReadBuildOptions, TakesWhatTheStockClientSends) {
  const auto options = Options(
      "buildargs=%7B%22A%22%3A%22b%22%2C%22N%22%3Anull%7D&cachefrom=%5B%5D&cgroupparent=&cpuperiod="
      "0&"
      "dockerfile=D&labels=%7B%22z%22%3A%221%22%2C%22a%22%3A%222%22%7D&memory=5&networkmode=none&"
      "rm=1&"
      "shmsize=7&t=x%3A1&t=y&target=s&ulimits=%5B%7B%22Name%22%3A%22nofile%22%2C%22Hard%22%3A2%2C%"
      "22"
      "Soft%22%3A1%7D%5D&version=1&extrahosts=h%3A1.2.3.4",
      "eyJoOjEiOnsidXNlcm5hbWUiOiJ1IiwicGFzc3dvcmQiOiJwIn19");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->build_args().size(), 1);
  EXPECT_EQ(options->labels(0).name(), "a");
  EXPECT_EQ(options->tags_size(), 2);
  EXPECT_EQ(options->resources().memory_bytes(), 5);
  EXPECT_EQ(options->ulimits(0).soft(), 1);
  EXPECT_FALSE(options->keep_containers());
  EXPECT_EQ(options->auths().at("h:1").username(), "u");
}

pb::BuildImageResponse Plan(int steps) {
  pb::BuildImageResponse response;
  for (int i = 1; i <= steps; ++i) {
    auto& step = *response.mutable_plan()->add_steps();
    step.set_number(i);
    step.set_name(absl::StrCat("NAME ", i));
  }
  return response;
}

pb::BuildImageResponse Update(int number, pb::BuildStep::State state, const char* image = "") {
  pb::BuildImageResponse response;
  response.mutable_step()->set_number(number);
  response.mutable_step()->set_state(state);
  response.mutable_step()->set_image_id(image);
  return response;
}

pb::BuildImageResponse Output(int number, const char* text, bool is_stderr = false) {
  pb::BuildImageResponse response;
  response.mutable_output()->set_step(number);
  response.mutable_output()->set_data(text);
  response.mutable_output()->set_is_stderr(is_stderr);
  return response;
}

TEST(BuildMessages, StepsComeOneAfterTheOther) {
  BuildMessages messages(false);
  EXPECT_EQ(messages.Take(Plan(2)), "");
  EXPECT_EQ(messages.Take(Update(2, pb::BuildStep::STATE_RUNNING)), "");
  EXPECT_EQ(messages.Take(Output(2, "later\n")), "");
  EXPECT_EQ(messages.Take(Update(2, pb::BuildStep::STATE_CACHED, "sha256:2222222222223")), "");
  EXPECT_EQ(messages.Take(Update(1, pb::BuildStep::STATE_RUNNING)),
            "{\"stream\":\"Step 1/2 : NAME 1\"}\r\n{\"stream\":\"\\u000a\"}\r\n");
  EXPECT_EQ(messages.Take(Output(1, "x\xff", true)),
            "{\"stream\":\"\\u001b[91mx\xEF\xBF\xBD\\u001b[0m\"}\r\n");
  const std::string rest =
      messages.Take(Update(1, pb::BuildStep::STATE_DONE, "sha256:1111111111113"));
  EXPECT_TRUE(absl::StartsWith(rest, "{\"stream\":\" ---> 111111111111\\u000a\"}")) << rest;
  EXPECT_TRUE(absl::StrContains(rest, "Step 2/2 : NAME 2")) << rest;
  EXPECT_TRUE(absl::StrContains(rest, "later")) << rest;
  EXPECT_TRUE(absl::StrContains(rest, "Using cache")) << rest;
}

TEST(BuildMessages, AFailureHasTheExitCode) {
  BuildMessages messages(false);
  messages.Take(Plan(3));
  messages.Take(Update(3, pb::BuildStep::STATE_RUNNING));
  messages.Take(Output(3, "why\n"));
  const std::string failed =
      messages.Fail(absl::FailedPreconditionError("The command 'x' returned a non-zero code: 7"));
  EXPECT_TRUE(absl::StrContains(failed, "why")) << failed;
  EXPECT_TRUE(absl::StrContains(failed, "\"errorDetail\":{\"code\":7,\"message\":")) << failed;
}

TEST(BuildMessages, QuietSaysTheIdOnly) {
  BuildMessages messages(true);
  messages.Take(Plan(1));
  EXPECT_EQ(messages.Take(Update(1, pb::BuildStep::STATE_RUNNING)), "");
  EXPECT_EQ(messages.Take(Output(1, "x")), "");
  pb::BuildImageResponse result;
  result.mutable_result()->set_image_id("sha256:1");
  EXPECT_EQ(messages.Take(result), "{\"stream\":\"sha256:1\\u000a\"}\r\n");
}

TEST(BuildMessages, TheResult) {
  BuildMessages messages(false);
  pb::BuildImageResponse result;
  result.mutable_result()->set_image_id("sha256:1234567890123");
  result.mutable_result()->add_tags("localhost:5000/a");
  result.mutable_result()->add_tags("b:1");
  result.mutable_result()->add_unused_build_args("X");
  const std::string text = messages.Take(result);
  for (const char* part :
       {"[Warning] One or more build-args [X] were not consumed",
        "{\"aux\":{\"ID\":\"sha256:1234567890123\"}}", "Successfully built 123456789012\\u000a",
        "Successfully tagged localhost:5000/a:latest\\u000a", "Successfully tagged b:1\\u000a"}) {
    EXPECT_TRUE(absl::StrContains(text, part)) << text;
  }
}

}  // namespace
}  // namespace slipway::gateway
