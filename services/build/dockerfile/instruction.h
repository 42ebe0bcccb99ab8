#ifndef SERVICES_BUILD_DOCKERFILE_INSTRUCTION_H_
#define SERVICES_BUILD_DOCKERFILE_INSTRUCTION_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/build/dockerfile/source_lines.h"

namespace slipway::build {

enum class Verb {
  kAdd,
  kArg,
  kCmd,
  kCopy,
  kEntrypoint,
  kEnv,
  kExpose,
  kFrom,
  kHealthcheck,
  kLabel,
  kMaintainer,
  kOnbuild,
  kRun,
  kShell,
  kStopSignal,
  kUser,
  kVolume,
  kWorkdir,
};

// "ADD".
absl::string_view VerbName(Verb verb);

struct Flag {
  std::string name;   // without "--"
  std::string value;  // "true" for a flag that stands alone
};

struct NamedValue {
  std::string name;
  std::string value;
  bool has_value = false;  // ARG may have none
};

// One instruction with its syntax checked. Variables are not replaced yet: what they are is known
// only when the step before has been made.
struct Instruction {
  Verb verb = Verb::kRun;
  std::string text;       // as written, in one line
  std::string arguments;  // behind verb and flags, as written
  int first_line = 0;
  int last_line = 0;
  std::vector<Flag> flags;
  bool exec_form = false;  // a JSON list
  // The list; of COPY, ADD, EXPOSE, VOLUME, FROM the words; of HEALTHCHECK and CMD-like ones in
  // shell form one string; of ONBUILD the instruction.
  std::vector<std::string> words;
  std::vector<NamedValue> pairs;  // ENV, LABEL, ARG
  std::vector<Heredoc> heredocs;

  // The last flag of that name; null where it is not given.
  const std::string* FindFlag(absl::string_view name) const;
  std::vector<std::string> Flags(absl::string_view name) const;
};

struct Dockerfile {
  char escape = '\\';
  std::string syntax;
  std::vector<Instruction> instructions;
  std::vector<std::string> warnings;
};

// InvalidArgument with line, column and, where there is one, what was probably meant. Pure.
absl::StatusOr<Dockerfile> ParseDockerfile(absl::string_view text);

// One instruction alone, as ONBUILD and `docker commit --change` have it.
absl::StatusOr<Instruction> ParseInstruction(absl::string_view text);
absl::StatusOr<Instruction> ParseInstruction(const LogicalLine& line, char escape);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOCKERFILE_INSTRUCTION_H_
