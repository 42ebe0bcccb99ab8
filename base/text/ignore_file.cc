#include "base/text/ignore_file.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"

namespace slipway {
namespace {

struct Line {
  bool keeps;
  std::string path;  // clean, without a leading slash
};

Line ReadLine(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  const bool keeps = absl::ConsumePrefix(&text, "!");
  text = absl::StripAsciiWhitespace(text);
  if (text.empty()) return {keeps, ""};
  std::string clean = CleanPath(text);
  if (clean.size() > 1 && clean[0] == '/') clean.erase(0, 1);
  return {keeps, std::move(clean)};
}

}  // namespace

std::string CleanPath(absl::string_view path) {
  const bool rooted = absl::StartsWith(path, "/");
  std::vector<absl::string_view> kept;
  for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    if (part != "..") {
      kept.push_back(part);
    } else if (!kept.empty() && kept.back() != "..") {
      kept.pop_back();
    } else if (!rooted) {
      kept.push_back(part);
    }
  }
  const std::string joined = absl::StrJoin(kept, "/");
  if (rooted) return absl::StrCat("/", joined);
  return joined.empty() ? "." : joined;
}

absl::StatusOr<IgnoreFile> IgnoreFile::OfPatterns(const std::vector<std::string>& patterns) {
  IgnoreFile out;
  for (const std::string& given : patterns) {
    const Line line = ReadLine(given);
    if (line.path.empty()) {
      if (line.keeps) return absl::InvalidArgumentError("illegal exclusion pattern: \"!\"");
      continue;
    }
    if (line.path == "." || line.path == "/") continue;
    ASSIGN_OR_RETURN(PathPattern pattern, PathPattern::Parse(line.path));
    out.rules_.push_back({std::move(pattern), line.keeps});
  }
  return out;
}

absl::StatusOr<IgnoreFile> IgnoreFile::Parse(absl::string_view text) {
  return OfPatterns(ReadIgnorePatterns(text));
}

std::vector<std::string> ReadIgnorePatterns(absl::string_view text) {
  absl::ConsumePrefix(&text, "\xef\xbb\xbf");
  std::vector<std::string> patterns;
  for (const absl::string_view given : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(given, "#")) continue;
    const Line line = ReadLine(given);
    std::string pattern = absl::StrCat(line.keeps ? "!" : "", line.path);
    if (!pattern.empty()) patterns.push_back(std::move(pattern));
  }
  return patterns;
}

bool IgnoreFile::Ignores(absl::string_view path) const {
  bool ignored = false;
  for (const Rule& rule : rules_) {
    if (rule.keeps != ignored) continue;  // it would change nothing
    bool matches = rule.pattern.Matches(path);
    for (size_t slash = path.find('/'); !matches && slash != absl::string_view::npos;
         slash = path.find('/', slash + 1)) {
      matches = rule.pattern.Matches(path.substr(0, slash));
    }
    if (matches) ignored = !rule.keeps;
  }
  return ignored;
}

}  // namespace slipway
