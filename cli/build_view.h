#ifndef CLI_BUILD_VIEW_H_
#define CLI_BUILD_VIEW_H_

#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <vector>

#include "slipway/build/v1/build.pb.h"

namespace slipway::cli {

// Shows how a build gets on. On a terminal a line for each step, drawn anew as they change, with
// the last lines of what runs below it; otherwise lines one behind the other, each with the number
// of its step. Not thread-safe.
class BuildView {
 public:
  BuildView(std::FILE* out, bool terminal) : out_(out), terminal_(terminal) {}

  void Take(const build::v1::BuildImageResponse& response);
  // For times that run on.
  void Tick();
  // The last drawing stays; of a step that failed, all of its output that is known.
  void End();

 private:
  struct Step {
    build::v1::BuildStep state;
    std::deque<std::string> lines;  // the last ones
    std::string partial;            // a line that has not ended
    int drawn = 0;
  };

  void TakeStep(const build::v1::BuildStep& update);
  void TakeOutput(const build::v1::BuildOutput& output);
  void Draw();
  std::string Title(const Step& step) const;

  std::FILE* const out_;
  const bool terminal_;
  std::vector<Step> steps_;
  std::vector<std::string> warnings_;
  int drawn_lines_ = 0;
};

// The plan as a graph for dot(1).
std::string GraphOf(const build::v1::BuildPlan& plan);

}  // namespace slipway::cli

#endif  // CLI_BUILD_VIEW_H_
