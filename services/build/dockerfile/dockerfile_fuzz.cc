#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/text/ignore_file.h"
#include "services/build/dockerfile/instruction.h"
#include "services/build/dockerfile/words.h"

// A Dockerfile, every word of it expanded, and the same text as a .dockerignore.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace slipway;         // NOLINT
  using namespace slipway::build;  // NOLINT
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const Variables variables = [](absl::string_view name) {
    return name.size() > 3 ? std::nullopt : std::optional<std::string>("a value/of.several b");
  };
  if (const auto file = ParseDockerfile(text); file.ok()) {
    for (const Instruction& instruction : file->instructions) {
      for (const std::string& word : instruction.words) {
        (void)ExpandWord(word, variables, file->escape);
        (void)ExpandWords(word, variables, file->escape);
        (void)ExpandVariables(word, variables, file->escape);
      }
      for (const NamedValue& pair : instruction.pairs) {
        (void)ExpandWord(pair.value, variables, file->escape);
      }
    }
  }
  if (const auto ignored = IgnoreFile::Parse(text); ignored.ok()) {
    (void)ignored->Ignores("src/a/file.cc");
  }
  return 0;
}
