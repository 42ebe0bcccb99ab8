#include "gateway/buildkit/build_progress.h"

#include <map>

#include "absl/strings/match.h"
#include "gateway/buildkit/status_queue.h"
#include "gtest/gtest.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::build::v1;
namespace bk = moby::buildkit::v1;

// What a client knows at the end: the last that was told of each vertex, by name.
struct Screen {
  std::map<std::string, bk::Vertex> vertices;
  std::map<std::string, std::string> names;  // by digest
  std::string log;

  void Take(const bk::StatusResponse& status) {
    for (const bk::Vertex& vertex : status.vertexes()) {
      vertices[vertex.name()] = vertex;
      names[vertex.digest()] = vertex.name();
    }
    for (const bk::VertexLog& line : status.logs()) {
      log += names[line.vertex()] + ": " + line.msg();
    }
  }
};

void AddStep(pb::BuildPlan& plan, const std::string& stage, const std::string& name,
             std::initializer_list<uint32_t> depends_on) {
  pb::BuildStep& step = *plan.add_steps();
  step.set_number(static_cast<uint32_t>(plan.steps_size()));
  step.set_stage(stage);
  step.set_name(name);
  for (const uint32_t needed : depends_on) step.add_depends_on(needed);
}

TEST(BuildProgressTest, StepsBecomeVertices) {
  Screen screen;
  BuildProgress progress([&](const bk::StatusResponse& status) { screen.Take(status); });
  pb::BuildImageResponse plan;
  AddStep(*plan.mutable_plan(), "one", "FROM base", {});
  AddStep(*plan.mutable_plan(), "one", "ENV a=b", {1});
  AddStep(*plan.mutable_plan(), "one", "run it", {2});
  AddStep(*plan.mutable_plan(), "1", "FROM scratch", {});
  AddStep(*plan.mutable_plan(), "1", "COPY --from=one /a /", {4, 3});
  progress.Take(plan);
  ASSERT_EQ(screen.vertices.size(), 4u);
  const bk::Vertex& run = screen.vertices.at("[one 2/2] run it");
  ASSERT_EQ(run.inputs_size(), 1);
  EXPECT_EQ(screen.names[run.inputs(0)], "[one 1/2] FROM base");
  EXPECT_EQ(screen.vertices.at("[stage-1 2/2] COPY --from=one /a /").inputs_size(), 2);
  EXPECT_FALSE(run.has_started());

  pb::BuildImageResponse update;
  update.mutable_step()->set_number(1);
  update.mutable_step()->set_state(pb::BuildStep::STATE_CACHED);
  progress.Take(update);
  EXPECT_TRUE(screen.vertices.at("[one 1/2] FROM base").cached());
  EXPECT_TRUE(screen.vertices.at("[one 1/2] FROM base").has_completed());
  update.mutable_step()->set_number(3);
  update.mutable_step()->set_state(pb::BuildStep::STATE_RUNNING);
  progress.Take(update);
  pb::BuildImageResponse output;
  output.mutable_output()->set_step(3);
  output.mutable_output()->set_data("hello\n");
  progress.Take(output);
  EXPECT_EQ(screen.log, "[one 2/2] run it: hello\n");
  update.mutable_step()->set_state(pb::BuildStep::STATE_FAILED);
  progress.Take(update);
  progress.Fail(absl::FailedPreconditionError("no luck"));
  EXPECT_EQ(screen.vertices.at("[one 2/2] run it").error(), "no luck");
  EXPECT_TRUE(screen.vertices.at("[one 2/2] run it").has_completed());
  EXPECT_FALSE(screen.vertices.at("[stage-1 1/2] FROM scratch").has_completed());
}

TEST(BuildProgressTest, NumbersThatAreNoSteps) {
  BuildProgress progress([](const bk::StatusResponse&) {});
  pb::BuildImageResponse response;
  response.mutable_step()->set_number(4'000'000'000);
  progress.Take(response);
  response.mutable_output()->set_step(0);
  progress.Take(response);
  AddStep(*response.mutable_plan(), "0", "FROM x", {7, 0});
  progress.Take(response);
}

TEST(StatusQueueTest, LeavesOutputOutForASlowClient) {
  StatusQueue queue;
  int woken = 0;
  queue.OnChange([&] { ++woken; });
  bk::StatusResponse log;
  log.add_logs()->set_msg(std::string(1 << 20, 'x'));
  for (int i = 0; i < 100; ++i) queue.Push(log);
  bk::StatusResponse vertex;
  vertex.add_vertexes()->set_name("v");
  queue.Push(vertex);
  queue.Close();
  EXPECT_EQ(woken, 1);
  size_t bytes = 0;
  int clipped = 0;
  bool told = false;
  while (const auto status = queue.Take()) {
    bytes += status->ByteSizeLong();
    if (status->logs_size() > 0) clipped += absl::StrContains(status->logs(0).msg(), "clipped");
    told = status->vertexes_size() > 0;
  }
  EXPECT_LT(bytes, 9u << 20);
  EXPECT_EQ(clipped, 1);
  EXPECT_TRUE(told);
  EXPECT_TRUE(queue.closed());
}

}  // namespace
}  // namespace slipway::gateway
