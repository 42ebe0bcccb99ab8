#include "services/build/dockerfile/suggestion.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace slipway::build {
namespace {

constexpr size_t kMaxDistance = 2;
constexpr size_t kMaxLength = 64;

// Levenshtein's.
size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const bool same = absl::ascii_tolower(a[i]) == absl::ascii_tolower(b[j]);
      const size_t changed = diagonal + (same ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j + 1] + 1, row[j] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string Suggestion(absl::string_view given, const std::vector<std::string>& known) {
  if (given.size() > kMaxLength) return "";
  size_t best = kMaxDistance + 1;
  const std::string* nearest = nullptr;
  for (const std::string& name : known) {
    const size_t distance = Distance(given, name);
    if (distance < best && distance < name.size()) {
      best = distance;
      nearest = &name;
    }
  }
  return nearest == nullptr ? "" : absl::StrCat(" (did you mean ", *nearest, "?)");
}

}  // namespace slipway::build
