#include "runtime-agent/supervisor/plan.h"

#include <sched.h>
#include <string.h>

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "runtime-agent/supervisor/plan_builder.h"

namespace slipway::agent {
namespace {

Plan Sample() {
  PlanBuilder builder;
  builder.Arguments({"sh", "-c", "true"});
  builder.Environment({"A=b"});
  builder.User(1, 2, {3, 4});
  builder.Hostname("h");
  builder.Root(builder.AddFd());
  builder.NewNamespaces(CLONE_NEWNS | CLONE_NEWCGROUP);
  builder.Mount({"proc", "proc", "/proc", 0, ""});
  auto plan = builder.Build();
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

TEST(PlanBuilderTest, RefusesWhatCannotWork) {
  PlanBuilder empty;
  EXPECT_FALSE(empty.Build().ok());

  PlanBuilder nul;
  nul.Arguments({std::string("a\0b", 3)});
  EXPECT_FALSE(nul.Build().ok());

  PlanBuilder root;
  root.Arguments({"x"});
  root.Root(root.AddFd());
  EXPECT_FALSE(root.Build().ok());  // without a mount namespace

  PlanBuilder fd;
  fd.Arguments({"x"});
  fd.JoinCgroup(3);
  EXPECT_FALSE(fd.Build().ok());

  PlanBuilder both;
  both.Arguments({"x"});
  both.Terminal({});
  both.PassStdio(kNoPlanFd, kNoPlanFd, kNoPlanFd);
  EXPECT_FALSE(both.Build().ok());

  PlanBuilder many;
  many.Arguments({"x"});
  for (uint32_t i = 0; i <= kMaxPlanFds; ++i) many.AddFd();
  EXPECT_FALSE(many.Build().ok());
}

TEST(PlanBuilderTest, StepsComeInTheOrderOfTheirPhases) {
  Plan plan = Sample();
  PlanView view;
  ASSERT_TRUE(view.Parse(plan.bytes.data(), plan.bytes.size(), 1));
  uint16_t last = 0;
  for (uint32_t i = 0; i < view.step_count(); ++i) {
    EXPECT_GE(view.step(i).step >> 8, last);
    last = view.step(i).step >> 8;
  }
  const PlanStepRecord* exec = view.Find(PlanStep::kExec);
  ASSERT_NE(exec, nullptr);
  EXPECT_EQ(exec->a, 3u);
  EXPECT_EQ(memcmp(view.blob(*exec), "sh\0-c\0true\0", 11), 0);
  EXPECT_STREQ(view.text(*view.Find(PlanStep::kHostname), 0), "h");
  EXPECT_STREQ(view.text(*view.Find(PlanStep::kHostname), 1), "");
}

TEST(PlanBuilderTest, OnlyEntriesOfWhatWasEnteredAreMadeByName) {
  PlanBuilder builder;
  builder.Arguments({"x"});
  builder.Mount({"tmpfs", "tmpfs", "/dev", 0, ""});
  builder.EnterFresh();
  builder.Mount({"devpts", "devpts", "/dev/pts", 0, ""});
  for (const char* path : {"/dev/null", "/dev/net/tun", "/dev/..", "/dev/", "/devil", "/x"}) {
    builder.Symlink("", path);
  }
  builder.Mount({"tmpfs", "tmpfs", "/dev/a/b", 0, ""});  // is looked up, and leaves the directory
  builder.Mount({"mqueue", "mqueue", "/dev/mqueue", 0, ""});
  const Plan plan = builder.Build().value();
  PlanView view;
  ASSERT_TRUE(view.Parse(plan.bytes.data(), plan.bytes.size(), 0));
  std::vector<std::string> here;
  for (uint32_t i = 0; i < view.step_count(); ++i) {
    if ((view.step(i).flags & kPlanHere) != 0) here.emplace_back(view.text(view.step(i), 1));
  }
  EXPECT_EQ(here, (std::vector<std::string>{"/dev/pts", "/dev/null"}));
  EXPECT_EQ(view.Find(PlanStep::kMount)->flags, kPlanEnter);

  PlanBuilder nothing;
  nothing.Arguments({"x"});
  nothing.EnterFresh();
  EXPECT_FALSE(nothing.Build().ok());
}

TEST(PlanViewTest, RefusesCutAndWrongPlans) {
  Plan plan = Sample();
  PlanView view;
  for (size_t size = 0; size < plan.bytes.size(); ++size) {
    EXPECT_FALSE(view.Parse(plan.bytes.data(), size, 1)) << size;
  }
  EXPECT_FALSE(view.Parse(plan.bytes.data(), plan.bytes.size(), 0));
  EXPECT_FALSE(view.Parse(plan.bytes.data(), plan.bytes.size(), 2));
}

// Whatever Parse() accepts can be read in full: run it under asan.
TEST(PlanViewTest, FlippedBytesAreRefusedOrHarmless) {
  Plan plan = Sample();
  std::mt19937 random(5);
  size_t sum = 0;
  for (int round = 0; round < 100000; ++round) {
    std::string bytes = plan.bytes;
    for (unsigned flips = 1 + random() % 4; flips > 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    PlanView view;
    if (!view.Parse(bytes.data(), bytes.size(), 1)) continue;
    for (uint32_t i = 0; i < view.step_count(); ++i) {
      for (int which = 0; which < 4; ++which) sum += strlen(view.text(view.step(i), which));
      sum += view.step(i).blob_size;
    }
  }
  EXPECT_GT(sum, 0u);
}

}  // namespace
}  // namespace slipway::agent
