#ifndef SERVICES_BUILD_DOCKERFILE_WORDS_H_
#define SERVICES_BUILD_DOCKERFILE_WORDS_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/build/dockerfile/source_lines.h"

// Quotes, escapes and variables in the words of a Dockerfile. Pure. Errors are InvalidArgument.
namespace slipway::build {

// The value of a variable; nothing where it is not set.
using Variables = std::function<std::optional<std::string>(absl::string_view)>;

// `text` as one word: quotes and escapes taken away, $name, ${name} and ${name<modifier>...}
// replaced (:- - :+ + :? ? # ## % %% / //). What it becomes has at most 1 MiB.
absl::StatusOr<std::string> ExpandWord(absl::string_view text, const Variables& variables,
                                       char escape);

// The same, cut at blanks that are not quoted, those of values included.
absl::StatusOr<std::vector<std::string>> ExpandWords(absl::string_view text,
                                                     const Variables& variables, char escape);

// Only the variables are replaced: quotes stay. For here-documents.
absl::StatusOr<std::string> ExpandVariables(absl::string_view text, const Variables& variables,
                                            char escape);

struct RawWord {
  size_t offset = 0;  // in the text
  std::string text;   // with its quotes and escapes
};

// Cut at blanks outside of quotes.
std::vector<RawWord> SplitQuoted(absl::string_view text, char escape);

// The here-documents that a line announces, without content.
std::vector<Heredoc> FindHeredocs(absl::string_view line);

// "<<NAME" and nothing else.
bool IsHeredoc(absl::string_view word);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOCKERFILE_WORDS_H_
