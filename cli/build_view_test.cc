#include "cli/build_view.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "cli/context_tar.h"

namespace slipway::cli {
namespace {

build::v1::BuildImageResponse Plan() {
  build::v1::BuildImageResponse response;
  auto& first = *response.mutable_plan()->add_steps();
  first.set_number(1);
  first.set_stage("a");
  first.set_name("FROM \"x\"");
  auto& second = *response.mutable_plan()->add_steps();
  second.set_number(2);
  second.set_stage("b");
  second.set_name("RUN y");
  second.set_line(7);
  second.add_depends_on(1);
  return response;
}

build::v1::BuildImageResponse Step(uint32_t number, build::v1::BuildStep::State state,
                                   int64_t started, int64_t finished) {
  build::v1::BuildImageResponse response;
  response.mutable_step()->set_number(number);
  response.mutable_step()->set_state(state);
  response.mutable_step()->set_started_unix_ns(started);
  response.mutable_step()->set_finished_unix_ns(finished);
  return response;
}

build::v1::BuildImageResponse Output(uint32_t number, const std::string& text) {
  build::v1::BuildImageResponse response;
  response.mutable_output()->set_step(number);
  response.mutable_output()->set_data(text);
  return response;
}

std::string Shown(bool terminal) {
  std::FILE* out = std::tmpfile();
  BuildView view(out, terminal);
  view.Take(Output(9, "of no step\n"));
  view.Take(Plan());
  view.Take(Step(3, build::v1::BuildStep::STATE_DONE, 1, 2));
  view.Take(Step(1, build::v1::BuildStep::STATE_RUNNING, 1, 0));
  view.Take(Step(1, build::v1::BuildStep::STATE_CACHED, 0, 1'500'000'001));
  view.Take(Step(2, build::v1::BuildStep::STATE_RUNNING, 1, 0));
  view.Take(Output(2, "half"));
  view.Take(Output(2, " a line\nrest\x1b[2J"));
  view.Take(Step(2, build::v1::BuildStep::STATE_FAILED, 0, 1'000'000'001));
  view.End();
  std::string text(static_cast<size_t>(std::ftell(out)), '\0');
  std::rewind(out);
  text.resize(std::fread(text.data(), 1, text.size(), out));
  std::fclose(out);
  return text;
}

TEST(BuildView, LinesOneBehindTheOther) {
  EXPECT_EQ(
      Shown(false),
      "#1 [a 1/2] FROM \"x\"\n#1 CACHED 1.5s\n#2 [b 2/2] RUN y\n#2 half a line\n#2 ERROR 1.0s\n"
      "#2 rest[2J\nDockerfile:7\n--------------------\n >>> RUN y\n--------------------\n");
}

TEST(BuildView, OnATerminalItIsDrawnAnew) {
  const std::string text = Shown(true);
  EXPECT_TRUE(absl::StrContains(text, "\x1b[2A\r\x1b[J"));
  EXPECT_FALSE(absl::StrContains(text, "rest\x1b[2J"));
  EXPECT_TRUE(absl::StrContains(text, "  | half a line"));
}

TEST(GraphOf, HasEdgesAndStages) {
  const std::string graph = GraphOf(Plan().plan());
  EXPECT_TRUE(absl::StrContains(graph, "s1 -> s2;"));
  EXPECT_TRUE(absl::StrContains(graph, "label=\"FROM \\\"x\\\"\""));
}

TEST(SendContext, LeavesOutWhatIsIgnored) {
  char name[] = "/tmp/context-XXXXXX";
  const std::string directory = mkdtemp(name);
  std::filesystem::create_directories(directory + "/out/keep");
  for (const char* file : {"/Dockerfile", "/a", "/out/b", "/out/keep/c", "/x.log"}) {
    std::ofstream(directory + file) << "content of " << file;
  }
  std::ofstream(directory + "/.dockerignore") << "out\n!out/keep\n*.log\nDockerfile\n";
  std::string tar;
  const auto send = [&tar](std::string bytes) {
    tar += bytes;
    return true;
  };
  ASSERT_TRUE(SendContext(directory, "Dockerfile", send).ok());
  for (const char* there : {"content of /Dockerfile", "content of /a", "content of /out/keep/c"}) {
    EXPECT_TRUE(absl::StrContains(tar, there)) << there;
  }
  for (const char* gone : {"content of /out/b", "content of /x.log"}) {
    EXPECT_FALSE(absl::StrContains(tar, gone)) << gone;
  }
  EXPECT_FALSE(SendContext(directory + "/none", "Dockerfile", send).ok());
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace slipway::cli
