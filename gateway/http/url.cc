#include "gateway/http/url.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"

namespace slipway::gateway {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<std::string> PercentDecode(absl::string_view text, bool form) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && form) {
      out.push_back(' ');
    } else if (text[i] != '%') {
      out.push_back(text[i]);
    } else {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  return out;
}

absl::StatusOr<Query> Query::Parse(absl::string_view text) {
  Query query;
  for (absl::string_view pair : absl::StrSplit(text, '&', absl::SkipEmpty())) {
    const size_t equals = pair.find('=');
    std::optional<std::string> key = PercentDecode(pair.substr(0, equals), true);
    std::optional<std::string> value = std::string();
    if (equals != absl::string_view::npos) value = PercentDecode(pair.substr(equals + 1), true);
    if (!key || !value) {
      return absl::InvalidArgumentError(
          absl::StrCat("invalid URL escape in query parameter \"", pair.substr(0, equals), "\""));
    }
    query.values_.emplace_back(std::move(*key), std::move(*value));
  }
  return query;
}

const std::string* Query::Find(absl::string_view key) const {
  for (const auto& [name, value] : values_) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string Query::Get(absl::string_view key, absl::string_view fallback) const {
  const std::string* value = Find(key);
  return value == nullptr ? std::string(fallback) : *value;
}

std::vector<std::string> Query::All(absl::string_view key) const {
  std::vector<std::string> all;
  for (const auto& [name, value] : values_) {
    if (name == key) all.push_back(value);
  }
  return all;
}

bool Query::GetBool(absl::string_view key, bool fallback) const {
  const std::string* found = Find(key);
  if (found == nullptr) return fallback;
  const std::string value = absl::AsciiStrToLower(absl::StripAsciiWhitespace(*found));
  return !(value.empty() || value == "0" || value == "no" || value == "false" || value == "none");
}

absl::StatusOr<std::optional<int64_t>> Query::GetInt(absl::string_view key) const {
  const std::string* found = Find(key);
  if (found == nullptr || found->empty()) return std::optional<int64_t>();
  int64_t number = 0;
  if (!absl::SimpleAtoi(*found, &number)) {
    return absl::InvalidArgumentError(
        absl::StrCat("query parameter \"", key, "\": \"", *found, "\" is not an integer"));
  }
  return std::optional<int64_t>(number);
}

absl::StatusOr<Target> ParseTarget(absl::string_view target) {
  // RFC 9112, 3.2.2: a server must accept the absolute form.
  for (absl::string_view scheme : {"http://", "https://"}) {
    if (!absl::StartsWithIgnoreCase(target, scheme)) continue;
    target.remove_prefix(scheme.size());
    const size_t slash = target.find('/');
    target = slash == absl::string_view::npos ? "/" : target.substr(slash);
  }
  if (target.empty() || target[0] != '/') {
    return absl::InvalidArgumentError("request target is not a path");
  }
  const size_t question = target.find('?');
  std::optional<std::string> path = PercentDecode(target.substr(0, question), false);
  if (!path) return absl::InvalidArgumentError("invalid URL escape in path");
  Target parsed{.path = std::move(*path)};
  if (question != absl::string_view::npos) {
    ASSIGN_OR_RETURN(parsed.query, Query::Parse(target.substr(question + 1)));
  }
  return parsed;
}

}  // namespace slipway::gateway
