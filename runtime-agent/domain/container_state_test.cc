#include "runtime-agent/domain/container_state.h"

#include <gtest/gtest.h>

namespace slipway::agent {
namespace {

TEST(ContainerState, EveryPairIsInTheTableOrAnErrorThatNamesBoth) {
  for (size_t s = 0; s < kContainerStates; ++s) {
    for (size_t e = 0; e < kContainerEvents; ++e) {
      const auto state = static_cast<ContainerState>(s);
      const auto event = static_cast<ContainerEvent>(e);
      int rows = 0;
      ContainerState to = state;
      for (const Transition& transition : kTransitions) {
        if (transition.from != state || transition.event != event) continue;
        ++rows;
        to = transition.to;
      }
      ASSERT_LE(rows, 1);
      const auto next = NextState(state, event);
      if (rows == 1) {
        ASSERT_TRUE(next.ok());
        EXPECT_EQ(*next, to);
        continue;
      }
      ASSERT_EQ(next.status().code(), absl::StatusCode::kFailedPrecondition);
      const std::string message(next.status().message());
      EXPECT_NE(message.find(ContainerStateName(state)), std::string::npos);
      EXPECT_NE(message.find(ContainerEventName(event)), std::string::npos);
    }
  }
}

TEST(ContainerState, NothingLeavesRemoving) {
  for (const Transition& transition : kTransitions) {
    if (transition.from != ContainerState::kRemoving) continue;
    EXPECT_EQ(transition.to, ContainerState::kRemoving);
  }
}

}  // namespace
}  // namespace slipway::agent
