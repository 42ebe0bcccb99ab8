#ifndef BASE_TEXT_PATH_PATTERN_H_
#define BASE_TEXT_PATH_PATTERN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway {

// A pattern over paths: *, ? and [a-z] within one element, ** over any number of them, a backslash
// before what is meant literally (Go's filepath.Match and Docker's patternmatcher). Matching takes
// time of path times pattern. Immutable.
class PathPattern {
 public:
  // InvalidArgument "syntax error in pattern".
  static absl::StatusOr<PathPattern> Parse(absl::string_view pattern);

  bool Matches(absl::string_view path) const;
  // Whether it has no special characters: then it is a path.
  bool is_literal() const { return is_literal_; }
  // The path that a literal pattern means.
  const std::string& literal() const { return literal_; }

 private:
  struct Token {
    enum Kind { kLiteral, kAny, kClass, kStar, kAnything, kDirectories, kInsideDirectories } kind;
    char literal = 0;
    bool negated = false;
    std::vector<std::pair<char, char>> ranges;
  };

  absl::StatusOr<size_t> ParseClass(absl::string_view pattern, size_t at);
  void AddEpsilon(std::vector<bool>& states) const;

  std::vector<Token> tokens_;
  bool is_literal_ = true;
  std::string literal_;
};

}  // namespace slipway

#endif  // BASE_TEXT_PATH_PATTERN_H_
