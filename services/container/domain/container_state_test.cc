#include "services/container/domain/container_state.h"

#include <gtest/gtest.h>

#include <string>

namespace slipway::container {
namespace {

Container In(State state) {
  auto definition = std::make_shared<Definition>();
  definition->id = "abc";
  Container container;
  container.definition = definition;
  container.state = state;
  return container;
}

TEST(ContainerStateTest, EveryPairIsAsDocumented) {
  // A row per state, a column per transition, in the order of the enums; digits are states, '-' is
  // illegal. Written down a second time on purpose.
  const std::string table[kStateCount] = {
      "1-2--0---77---08", "1-206416--7---18", "2-2--426--723-28",
      "--3--436--7--238", "4-4--446--74--48", "512--66---7---58",
      "1-2--6--577---68", "--7----7-77----7", "--2--8---77---88",
  };
  for (int state = 0; state < kStateCount; ++state) {
    ASSERT_EQ(table[state].size(), static_cast<size_t>(kTransitionCount));
    for (int transition = 0; transition < kTransitionCount; ++transition) {
      const std::optional<State> next =
          Next(static_cast<State>(state), static_cast<Transition>(transition));
      const char found = next.has_value() ? static_cast<char>('0' + static_cast<int>(*next)) : '-';
      EXPECT_EQ(found, table[state][static_cast<size_t>(transition)])
          << StateName(static_cast<State>(state)) << " × " << transition;
    }
  }
}

TEST(ContainerStateTest, EveryIllegalPairNamesTheContainerOrTheReason) {
  for (int state = 0; state < kStateCount; ++state) {
    for (int transition = 0; transition < kTransitionCount; ++transition) {
      const Container container = In(static_cast<State>(state));
      const auto next = Follow(container, static_cast<Transition>(transition));
      if (next.ok()) continue;
      EXPECT_EQ(next.status().code(), absl::StatusCode::kFailedPrecondition);
      EXPECT_FALSE(next.status().message().empty());
    }
  }
}

TEST(ContainerStateTest, SaysItInDockersWords) {
  const auto why = [](State state, Transition transition) {
    return std::string(Follow(In(state), transition).status().message());
  };
  EXPECT_EQ(why(State::kPaused, Transition::kStart),
            "cannot start a paused container, try unpause instead");
  EXPECT_EQ(why(State::kDead, Transition::kStart),
            "container is marked for removal and cannot be started");
  EXPECT_EQ(why(State::kRunning, Transition::kRemove),
            "You cannot remove a running container abc. Stop the container before attempting "
            "removal or force remove");
  EXPECT_EQ(why(State::kPaused, Transition::kRemove),
            "You cannot remove a paused container abc. Unpause and then stop the container before "
            "attempting removal or force remove");
  EXPECT_EQ(why(State::kExited, Transition::kExec), "Container abc is not running");
  EXPECT_EQ(why(State::kPaused, Transition::kExec),
            "Container abc is paused, unpause the container before exec");
  EXPECT_EQ(why(State::kRestarting, Transition::kExec),
            "Container abc is restarting, wait until the container is running");
  EXPECT_EQ(why(State::kExited, Transition::kPause), "Container abc is not running");
  EXPECT_EQ(why(State::kPaused, Transition::kPause), "Container abc is already paused");
  EXPECT_EQ(why(State::kRestarting, Transition::kPause),
            "Container abc is restarting, wait until the container is running");
  EXPECT_EQ(why(State::kCreated, Transition::kKill),
            "Cannot kill container: abc: Container abc is not running");
}

TEST(ContainerStateTest, IntentsLookLikeWhatTheyWere) {
  Container container = In(State::kStarting);
  EXPECT_EQ(DockerStatus(container), "created");
  container.started_unix_ns = 1;
  EXPECT_EQ(DockerStatus(container), "exited");
  container.restart_count = 1;
  EXPECT_EQ(DockerStatus(container), "restarting");
  EXPECT_EQ(DockerStatus(In(State::kStopping)), "running");
  EXPECT_EQ(DockerStatus(In(State::kRemoving)), "removing");
}

}  // namespace
}  // namespace slipway::container
