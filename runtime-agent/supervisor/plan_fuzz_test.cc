#include <string.h>

#include <memory>

#include "runtime-agent/supervisor/plan.h"

// PlanView must read no byte outside of the plan, whatever the bytes are.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using slipway::agent::PlanStep;
  slipway::agent::PlanView view;
  if (size < 1) return 0;
  // A copy of its own, aligned and exactly as long: a checker sees a read beyond it.
  size_t plan_size = size - 1;
  auto words = std::make_unique<uint64_t[]>(plan_size / 8 + 1);
  memcpy(words.get(), data + 1, plan_size);
  if (!view.Parse(words.get(), plan_size, data[0])) return 0;
  size_t sum = 0;
  for (uint32_t i = 0; i < view.step_count(); ++i) {
    const auto& step = view.step(i);
    for (int which = 0; which < 4; ++which) sum += strlen(view.text(step, which));
    const char* blob = view.blob(step);
    for (uint32_t at = 0; at < step.blob_size; ++at) sum += static_cast<unsigned char>(blob[at]);
    if (static_cast<PlanStep>(step.step) == PlanStep::kExec) {
      for (uint64_t argument = 0; argument < step.a; ++argument) blob += strlen(blob) + 1;
    }
  }
  return sum == SIZE_MAX ? 1 : 0;
}
