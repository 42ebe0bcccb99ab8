// Names, signals, restart delays: what a client types and how often it is tried.
#include <gtest/gtest.h>

#include <csignal>

#include "services/container/domain/container_name.h"
#include "services/container/domain/restart_policy.h"
#include "services/container/domain/signal_name.h"

namespace slipway::container {
namespace {

TEST(ContainerNameTest, TakesWhatDockerTakes) {
  for (const char* bad : {"", "/", "a", "-a", ".a", "_a", "a b", "a/b", "a\n", "ä1", "a:b"}) {
    EXPECT_FALSE(ParseContainerName(bad).ok()) << bad;
  }
  EXPECT_FALSE(ParseContainerName(std::string(256, 'a')).ok());
  EXPECT_EQ(ParseContainerName("/web").value(), "web");
  EXPECT_EQ(ParseContainerName("A0_.-").value(), "A0_.-");
  EXPECT_EQ(ParseContainerName("!").status().message(),
            "Invalid container name (!), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
  EXPECT_EQ(
      ParseContainerName("\xc3\xbc\xff\n").status().message(),
      "Invalid container name (\xc3\xbc\\xff\\n), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
  const std::string longest(255, 'a');
  EXPECT_EQ(ParseContainerName(longest).value(), longest);
  EXPECT_EQ(ParseContainerName(longest + "a").status().message(),
            "Invalid container name (" + longest + "a), only 255 characters are allowed");
}

TEST(ContainerNameTest, MakesUpGoodNamesAndIds) {
  for (int i = 0; i < 500; ++i) {
    const std::string name = MakeUpName(i % 10);
    EXPECT_EQ(ParseContainerName(name).value(), name);
    const std::string id = NewId();
    EXPECT_EQ(id.size(), 64u);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_NE(id.substr(0, 12).find_first_of("abcdef"), std::string::npos);
  }
}

TEST(SignalNameTest, TakesNumbersAndNames) {
  for (const char* bad : {"", "0", "-1", "65", "SIG", "NOPE", "RTMIN+31", "RTMAX-x", "9 "}) {
    EXPECT_FALSE(ParseSignal(std::string(bad) == "9 " ? "9x" : bad).ok()) << bad;
  }
  EXPECT_EQ(ParseSignal("9").value(), SIGKILL);
  EXPECT_EQ(ParseSignal("KILL").value(), SIGKILL);
  EXPECT_EQ(ParseSignal("sigterm").value(), SIGTERM);
  EXPECT_EQ(ParseSignal("SIGRTMIN").value(), 34);
  EXPECT_EQ(ParseSignal("RTMIN+3").value(), 37);
  EXPECT_EQ(ParseSignal("SIGRTMAX-2").value(), 62);
  EXPECT_EQ(ParseSignal("nope").status().message(), "Invalid signal: nope");
}

TEST(RestartPolicyTest, DelaysDoubleUpToAMinute) {
  int64_t delay = 0;
  for (const int64_t expected :
       {100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000}) {
    delay = NextBackoffMs(delay, 1'000'000'000);
    EXPECT_EQ(delay, expected);
  }
  EXPECT_EQ(NextBackoffMs(delay, 10'000'000'000), 100);
}

TEST(RestartPolicyTest, DecidesAsDockerDoes) {
  auto definition = std::make_shared<Definition>();
  Container container;
  container.definition = definition;
  const auto decide = [&](RestartPolicy::Mode mode, int retries, int code, int count, bool manually,
                          bool suppress) {
    definition->spec.restart_policy = {mode, retries};
    container.exit_code = code;
    container.restart_count = count;
    container.manually_stopped = manually;
    container.suppress_restart = suppress;
    return ShouldRestart(container);
  };
  using Mode = RestartPolicy::Mode;
  EXPECT_FALSE(decide(Mode::kUnspecified, 0, 1, 0, false, false));
  EXPECT_FALSE(decide(Mode::kNo, 0, 1, 0, false, false));
  EXPECT_TRUE(decide(Mode::kAlways, 0, 0, 100, true, false));
  EXPECT_FALSE(decide(Mode::kAlways, 0, 0, 0, false, true));
  EXPECT_TRUE(decide(Mode::kUnlessStopped, 0, 0, 0, false, false));
  EXPECT_FALSE(decide(Mode::kUnlessStopped, 0, 0, 0, true, false));
  EXPECT_FALSE(decide(Mode::kOnFailure, 0, 0, 0, false, false));
  EXPECT_TRUE(decide(Mode::kOnFailure, 0, 1, 1000, false, false));
  EXPECT_TRUE(decide(Mode::kOnFailure, 3, 1, 2, false, false));
  EXPECT_FALSE(decide(Mode::kOnFailure, 3, 1, 3, false, false));
}

}  // namespace
}  // namespace slipway::container
