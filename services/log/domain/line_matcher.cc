#include "services/log/domain/line_matcher.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/log/domain/find_bytes.h"
#include "services/log/domain/trigram_probe.h"

namespace slipway::log {
namespace {

constexpr size_t kMostPatternBytes = 4096;

absl::StatusOr<std::unique_ptr<RE2>> Compile(const std::string& pattern, bool ignore_case) {
  if (pattern.size() > kMostPatternBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("search expression is longer than ", kMostPatternBytes, " bytes"));
  }
  const RE2::Options options = ExpressionOptions(ignore_case);
  auto regex = std::make_unique<RE2>(WithinLines(pattern), options);
  if (regex->ok()) return regex;
  // The message is that of the expression as it was given.
  const RE2 given(pattern, options);
  return absl::InvalidArgumentError(absl::StrCat(
      "search expression \"", pattern, "\": ", given.ok() ? regex->error() : given.error()));
}

bool Finds(const RE2& regex, absl::string_view text) {
  return regex.Match(re2::StringPiece(text.data(), text.size()), 0, text.size(), RE2::UNANCHORED,
                     nullptr, 0);
}

// Where the expression's first match at or behind `from` begins.
std::optional<size_t> FindsAt(const RE2& regex, absl::string_view text, size_t from) {
  re2::StringPiece match;
  const re2::StringPiece whole(text.data(), text.size());
  if (!regex.Match(whole, from, whole.size(), RE2::UNANCHORED, &match, 1)) return std::nullopt;
  return static_cast<size_t>(match.data() - whole.data());
}

}  // namespace

absl::StatusOr<std::shared_ptr<const LineMatcher>> LineMatcher::Create(
    const SearchOptions& options) {
  if (options.lines_before > kMostContextLines || options.lines_after > kMostContextLines) {
    return absl::InvalidArgumentError(
        absl::StrCat("more than ", kMostContextLines, " lines of context"));
  }
  if (options.substring.find('\n') != std::string::npos) {
    return absl::InvalidArgumentError("a search within lines cannot have a newline");
  }
  std::shared_ptr<LineMatcher> matcher(new LineMatcher(options));
  if (!options.regex.empty()) {
    ASSIGN_OR_RETURN(matcher->regex_, Compile(options.regex, options.ignore_case));
  }
  if (!options.substring.empty() && options.ignore_case) {
    ASSIGN_OR_RETURN(matcher->folded_, Compile(RE2::QuoteMeta(options.substring), true));
  }
  matcher->probe_ = MakeTrigramProbe(options);
  return std::shared_ptr<const LineMatcher>(std::move(matcher));
}

bool LineMatcher::HasBoth(absl::string_view line) const {
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (folded_ != nullptr) {
    if (!Finds(*folded_, line)) return false;
  } else if (!options_.substring.empty() && !FindBytes(line, 0, options_.substring)) {
    return false;
  }
  return regex_ == nullptr || Finds(*regex_, line);
}

bool LineMatcher::Matches(absl::string_view line) const { return HasBoth(line) != options_.invert; }

std::optional<LineMatcher::Range> LineMatcher::Find(absl::string_view text, size_t from) const {
  while (from < text.size()) {
    std::optional<size_t> hit = from;
    if (folded_ != nullptr) {
      hit = FindsAt(*folded_, text, from);
    } else if (!options_.substring.empty()) {
      hit = FindBytes(text, from, options_.substring);
    } else if (regex_ != nullptr) {
      hit = FindsAt(*regex_, text, from);
    }
    if (!hit || *hit >= text.size()) return std::nullopt;
    const size_t before = *hit == 0 ? absl::string_view::npos : text.rfind('\n', *hit - 1);
    const size_t begin = before == absl::string_view::npos ? 0 : before + 1;
    const size_t newline = text.find('\n', *hit);
    const size_t end = newline == absl::string_view::npos ? text.size() : newline + 1;
    if (HasBoth(text.substr(begin, end - begin))) return Range{begin, end};
    from = end;
  }
  return std::nullopt;
}

}  // namespace slipway::log
