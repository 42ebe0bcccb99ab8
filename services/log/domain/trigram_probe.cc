#include "services/log/domain/trigram_probe.h"

#include <re2/filtered_re2.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace slipway::log {
namespace {

constexpr size_t kTrigram = 3;
constexpr int64_t kMostProgramBytes = 4 << 20;

bool IsAscii(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char byte) { return static_cast<unsigned char>(byte) < 0x80; });
}

std::vector<uint32_t> TrigramsOf(absl::string_view text) {
  std::vector<uint32_t> trigrams;
  for (size_t i = 0; i + kTrigram <= text.size(); ++i) {
    trigrams.push_back(TrigramOf(text.substr(i, kTrigram)));
  }
  return trigrams;
}

// What does not depend on the case of a letter. U+212A and U+017F are a K and an S whose lower case
// is ASCII, and other letters have a case too.
bool IsOneInAnyCase(absl::string_view text) {
  return IsAscii(text) && text.find_first_of("kKsS") == absl::string_view::npos;
}

std::vector<uint32_t> TrigramsInAnyCase(absl::string_view text) {
  std::vector<uint32_t> trigrams;
  for (size_t i = 0; i + kTrigram <= text.size(); ++i) {
    const absl::string_view three = text.substr(i, kTrigram);
    if (IsOneInAnyCase(three)) trigrams.push_back(TrigramOf(three));
  }
  return trigrams;
}

bool HasAll(const std::vector<uint32_t>& trigrams, absl::FunctionRef<bool(uint32_t)> has) {
  return std::all_of(trigrams.begin(), trigrams.end(), has);
}

// Texts that an expression cannot do without, as RE2 finds them. They are told in lower case, which
// is that of the trigrams as long as everything is ASCII and the expression does not ignore case.
bool IsPlainEnough(absl::string_view regex) {
  if (!IsAscii(regex)) return false;
  for (const absl::string_view other : {"\\x", "\\p", "\\P", "\\0", "\\C", "\\Q"}) {
    if (absl::StrContains(regex, other)) return false;
  }
  for (size_t at = regex.find("(?"); at != absl::string_view::npos; at = regex.find("(?", at + 1)) {
    const absl::string_view group = regex.substr(at + 2);
    if (!absl::StartsWith(group, ":") && !absl::StartsWith(group, "P<")) return false;
  }
  return true;
}

class TrigramProbe : public TextProbe {
 public:
  explicit TrigramProbe(const SearchOptions& options) {
    required_ =
        options.ignore_case ? TrigramsInAnyCase(options.substring) : TrigramsOf(options.substring);
    if (options.regex.empty() || options.ignore_case || !IsPlainEnough(options.regex)) return;
    auto filter = std::make_unique<re2::FilteredRE2>(static_cast<int>(kTrigram));
    int id = 0;
    if (filter->Add(WithinLines(options.regex), ExpressionOptions(false), &id) != RE2::NoError)
      return;
    std::vector<std::string> texts;
    filter->Compile(&texts);
    if (texts.empty()) return;
    for (const std::string& text : texts) texts_.push_back(TrigramsOf(text));
    filter_ = std::move(filter);
  }

  bool tells() const { return !required_.empty() || filter_ != nullptr; }

  bool MayFind(absl::FunctionRef<bool(uint32_t)> has) const override {
    if (!HasAll(required_, has)) return false;
    if (filter_ == nullptr) return true;
    std::vector<int> there;
    for (size_t i = 0; i < texts_.size(); ++i) {
      if (HasAll(texts_[i], has)) there.push_back(static_cast<int>(i));
    }
    std::vector<int> potentials;
    filter_->AllPotentials(there, &potentials);
    return !potentials.empty();
  }

 private:
  std::vector<uint32_t> required_;
  std::vector<std::vector<uint32_t>> texts_;
  std::unique_ptr<re2::FilteredRE2> filter_;
};

}  // namespace

RE2::Options ExpressionOptions(bool ignore_case) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_case_sensitive(!ignore_case);
  options.set_max_mem(kMostProgramBytes);
  options.set_never_nl(true);
  return options;
}

std::string WithinLines(const std::string& pattern) { return absl::StrCat("(?m)", pattern); }

std::shared_ptr<const TextProbe> MakeTrigramProbe(const SearchOptions& options) {
  if (options.invert || options.lines_before != 0 || options.lines_after != 0) return nullptr;
  auto probe = std::make_shared<const TrigramProbe>(options);
  return probe->tells() ? probe : nullptr;
}

}  // namespace slipway::log
