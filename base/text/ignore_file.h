#ifndef BASE_TEXT_IGNORE_FILE_H_
#define BASE_TEXT_IGNORE_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/text/path_pattern.h"

namespace slipway {

// Which paths of a build's context are left out: the last pattern that fits a path or a directory
// above it decides, and one that begins with "!" takes back in. Immutable.
class IgnoreFile {
 public:
  // Of a .dockerignore: a pattern a line, "#" comments. InvalidArgument names the bad pattern.
  static absl::StatusOr<IgnoreFile> Parse(absl::string_view text);
  static absl::StatusOr<IgnoreFile> OfPatterns(const std::vector<std::string>& patterns);

  // `path` is relative, without "./".
  bool Ignores(absl::string_view path) const;
  bool empty() const { return rules_.empty(); }

 private:
  struct Rule {
    PathPattern pattern;
    bool keeps;
  };
  std::vector<Rule> rules_;
};

// The patterns of a .dockerignore, clean, as IgnoreFile::OfPatterns() and BuildKit's clients take
// them: a line each, without "#" comments.
std::vector<std::string> ReadIgnorePatterns(absl::string_view text);

// As Go's path.Clean: no ".", no "..", no double or trailing slash but where nothing else is left.
std::string CleanPath(absl::string_view path);

}  // namespace slipway

#endif  // BASE_TEXT_IGNORE_FILE_H_
