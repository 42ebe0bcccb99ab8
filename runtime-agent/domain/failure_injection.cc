#include <signal.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/os/file.h"
#include "runtime-agent/domain/runtime.h"

// For tests of what a start leaves behind when it fails: --fail_start_at_file names a file whose
// text is the step at which every start fails (or connect and disconnect do); "kill <step>" ends
// the agent there instead. Without the flag, which nothing but a test gives, none of this reads or
// changes anything.
namespace slipway::agent {

std::string Runtime::StepToFail() const {
  if (settings_.fail_start_at_file.empty()) return "";
  const auto text = ReadFile(settings_.fail_start_at_file, 256);
  return text.ok() ? std::string(absl::StripAsciiWhitespace(*text)) : "";
}

// After a step of the agent's own was done: as if it had failed in its very end.
absl::Status Runtime::InjectedFailure(const char* step) const {
  if (settings_.fail_start_at_file.empty()) return absl::OkStatus();
  const std::string wanted = StepToFail();
  if (wanted == absl::StrCat("kill ", step)) kill(getpid(), SIGKILL);
  if (wanted != step) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("injected failure at step ", step));
}

// A step of the process itself fails in its place, with EIO.
void Runtime::InjectFailure(Plan& plan) const {
  const std::string wanted = StepToFail();
  if (wanted.empty()) return;
  for (uint32_t step = 0x0100; step < 0xff00; ++step) {
    if (PlanStepName(static_cast<PlanStep>(step)) == wanted) {
      SetFailingStep(plan, static_cast<PlanStep>(step));
    }
  }
}

}  // namespace slipway::agent
