#include "services/build/dockerfile/shell_pattern.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "base/status/status_macros.h"

namespace slipway::build {
namespace {

constexpr size_t kMaxWork = 8 << 20;

struct Token {
  enum Kind { kLiteral, kAny, kStar } kind;
  char literal;
};

std::vector<Token> Tokens(absl::string_view pattern) {
  std::vector<Token> tokens;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '*') {
      tokens.push_back({Token::kStar, 0});
    } else if (pattern[i] == '?') {
      tokens.push_back({Token::kAny, 0});
    } else {
      if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
      tokens.push_back({Token::kLiteral, pattern[i]});
    }
  }
  return tokens;
}

// How long a match at the beginning of `text` is, shortest or longest.
std::optional<size_t> MatchLength(absl::string_view text, const std::vector<Token>& tokens,
                                  bool longest) {
  std::vector<bool> states(tokens.size() + 1, false);
  states[0] = true;
  const auto skip_stars = [&](std::vector<bool>& set) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (set[i] && tokens[i].kind == Token::kStar) set[i + 1] = true;
    }
  };
  std::optional<size_t> length;
  for (size_t n = 0;; ++n) {
    skip_stars(states);
    if (states.back()) {
      length = n;
      if (!longest) return length;
    }
    if (n == text.size()) return length;
    std::vector<bool> next(states.size(), false);
    bool any = false;
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (!states[i]) continue;
      const Token& token = tokens[i];
      if (token.kind == Token::kStar) {
        next[i] = any = true;
      } else if (token.kind == Token::kAny || token.literal == text[n]) {
        next[i + 1] = any = true;
      }
    }
    if (!any) return length;
    states = std::move(next);
  }
}

absl::Status CheckWork(size_t work) {
  if (work <= kMaxWork) return absl::OkStatus();
  return absl::InvalidArgumentError("a value is too long for a pattern in its substitution");
}

}  // namespace

absl::StatusOr<std::string> WithoutPrefix(absl::string_view value, absl::string_view pattern,
                                          bool longest) {
  RETURN_IF_ERROR(CheckWork(value.size() * pattern.size()));
  return std::string(value.substr(MatchLength(value, Tokens(pattern), longest).value_or(0)));
}

absl::StatusOr<std::string> WithoutSuffix(absl::string_view value, absl::string_view pattern,
                                          bool longest) {
  RETURN_IF_ERROR(CheckWork(value.size() * pattern.size()));
  const std::string reversed(value.rbegin(), value.rend());
  std::vector<Token> tokens = Tokens(pattern);
  std::reverse(tokens.begin(), tokens.end());
  const size_t length = MatchLength(reversed, tokens, longest).value_or(0);
  return std::string(value.substr(0, value.size() - length));
}

absl::StatusOr<std::string> Replace(absl::string_view value, absl::string_view pattern,
                                    absl::string_view replacement, bool all) {
  RETURN_IF_ERROR(CheckWork(value.size() * value.size() * pattern.size()));
  RETURN_IF_ERROR(CheckWork((value.size() + 1) * replacement.size()));
  const std::vector<Token> tokens = Tokens(pattern);
  if (tokens.empty()) return std::string(value);
  std::string out;
  size_t at = 0;
  bool done = false;
  while (at < value.size()) {
    const size_t length =
        done ? 0 : MatchLength(value.substr(at), tokens, /*longest=*/true).value_or(0);
    if (length == 0) {
      out.push_back(value[at++]);
      continue;
    }
    out.append(replacement.data(), replacement.size());
    at += length;
    done = !all;
  }
  return out;
}

}  // namespace slipway::build
