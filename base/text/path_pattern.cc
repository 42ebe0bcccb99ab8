#include "base/text/path_pattern.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway {
namespace {

absl::Status BadPattern(absl::string_view pattern) {
  return absl::InvalidArgumentError(absl::StrCat("syntax error in pattern: ", pattern));
}

}  // namespace

// From behind '['; where the pattern goes on.
absl::StatusOr<size_t> PathPattern::ParseClass(absl::string_view pattern, size_t at) {
  Token token = {Token::kClass};
  if (at < pattern.size() && pattern[at] == '^') {
    token.negated = true;
    ++at;
  }
  const auto take = [&](char& c) {
    if (at < pattern.size() && pattern[at] == '\\') ++at;
    if (at >= pattern.size()) return false;
    c = pattern[at++];
    return true;
  };
  while (true) {
    if (at >= pattern.size()) return BadPattern(pattern);
    if (pattern[at] == ']' && !token.ranges.empty()) break;
    char low = 0;
    if (pattern[at] == '-' || pattern[at] == ']' || !take(low)) return BadPattern(pattern);
    char high = low;
    if (at < pattern.size() && pattern[at] == '-') {
      ++at;
      if (!take(high)) return BadPattern(pattern);
    }
    token.ranges.emplace_back(low, high);
  }
  tokens_.push_back(std::move(token));
  return at + 1;
}

absl::StatusOr<PathPattern> PathPattern::Parse(absl::string_view pattern) {
  PathPattern out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '*' && i + 1 < pattern.size() && pattern[i + 1] == '*') {
      ++i;
      if (i + 1 < pattern.size() && pattern[i + 1] == '/') ++i;
      out.is_literal_ = false;
      if (i + 1 >= pattern.size()) {
        out.tokens_.push_back({Token::kAnything});
      } else {
        out.tokens_.push_back({Token::kDirectories});
        out.tokens_.push_back({Token::kInsideDirectories});
      }
    } else if (c == '*' || c == '?') {
      out.is_literal_ = false;
      out.tokens_.push_back({c == '*' ? Token::kStar : Token::kAny});
    } else if (c == '[') {
      out.is_literal_ = false;
      ASSIGN_OR_RETURN(const size_t next, out.ParseClass(pattern, i + 1));
      i = next - 1;
    } else {
      if (c == '\\' && ++i >= pattern.size()) return BadPattern(pattern);
      out.tokens_.push_back({Token::kLiteral, pattern[i]});
      out.literal_.push_back(pattern[i]);
    }
  }
  return out;
}

// What can be left out at once.
void PathPattern::AddEpsilon(std::vector<bool>& states) const {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    if (!states[i]) continue;
    const Token::Kind kind = tokens_[i].kind;
    if (kind == Token::kStar || kind == Token::kAnything) states[i + 1] = true;
    if (kind == Token::kDirectories) states[i + 2] = true;
  }
}

bool PathPattern::Matches(absl::string_view path) const {
  if (is_literal_) return path == literal_;
  std::vector<bool> states(tokens_.size() + 1, false);
  states[0] = true;
  AddEpsilon(states);
  for (const char c : path) {
    std::vector<bool> next(states.size(), false);
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (!states[i]) continue;
      const Token& token = tokens_[i];
      switch (token.kind) {
        case Token::kLiteral:
          if (c == token.literal) next[i + 1] = true;
          break;
        case Token::kAny:
          if (c != '/') next[i + 1] = true;
          break;
        case Token::kClass: {
          const bool inside =
              std::any_of(token.ranges.begin(), token.ranges.end(),
                          [c](const auto& range) { return range.first <= c && c <= range.second; });
          if (c != '/' && inside != token.negated) next[i + 1] = true;
          break;
        }
        case Token::kStar:
          if (c != '/') next[i] = true;
          break;
        case Token::kAnything:
          next[i] = true;
          break;
        case Token::kDirectories:
          next[i + 1] = true;
          if (c == '/') next[i + 2] = true;
          break;
        case Token::kInsideDirectories:
          next[i] = true;
          if (c == '/') next[i + 1] = true;
          break;
      }
    }
    states = std::move(next);
    AddEpsilon(states);
  }
  return states.back();
}

}  // namespace slipway
