#include "services/build/dockerfile/words.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"
#include "services/build/dockerfile/shell_pattern.h"

namespace slipway::build {
namespace {

constexpr size_t kMaxExpandedBytes = 1 << 20;
constexpr int kMaxDepth = 32;

bool IsSpecialParameter(char c) {
  return absl::string_view("@*#?-$!0").find(c) != absl::string_view::npos;
}

// One pass over a text. `out` collects words: a blank that is neither quoted nor escaped ends one
// where words are asked for.
class Expander {
 public:
  Expander(absl::string_view text, const Variables& variables, char escape)
      : text_(text), variables_(variables), escape_(escape) {}

  bool split = false;        // into words
  bool keep_quotes = false;  // quotes mean nothing

  absl::StatusOr<std::vector<std::string>> Words() {
    RETURN_IF_ERROR(Run(/*stop=*/'\0', /*depth=*/0, /*quoted=*/false).status());
    EndWord();
    return std::move(words_);
  }

  absl::StatusOr<std::string> Word() { return Run('\0', 0, false); }

 private:
  bool AtEnd() const { return at_ >= text_.size(); }
  char Next() { return text_[at_++]; }

  void EndWord() {
    if (inside_) words_.push_back(std::exchange(word_, ""));
    inside_ = false;
    word_.clear();
  }

  // Puts bytes where words are gathered; blanks of a value separate words, too.
  absl::Status Put(absl::string_view bytes, bool is_value, std::string& out) {
    expanded_ += bytes.size();
    if (expanded_ > kMaxExpandedBytes) {
      return absl::InvalidArgumentError("a word becomes longer than 1 MiB");
    }
    out.append(bytes.data(), bytes.size());
    if (!split) return absl::OkStatus();
    for (const char c : bytes) {
      if (is_value && absl::ascii_isspace(c)) {
        EndWord();
      } else {
        word_.push_back(c);
        inside_ = true;
      }
    }
    return absl::OkStatus();
  }

  // Up to `stop`, which is consumed; to the end of the text for '\0'.
  absl::StatusOr<std::string> Run(char stop, int depth, bool quoted) {
    if (depth > kMaxDepth) return absl::InvalidArgumentError("substitutions are nested too deep");
    std::string out;
    while (true) {
      if (AtEnd()) {
        if (stop == '\0') return out;
        return absl::InvalidArgumentError(absl::StrCat(
            "unexpected end of statement while looking for matching ", std::string(1, stop)));
      }
      const char c = Next();
      if (stop != '\0' && c == stop) return out;
      if (c == '$') {
        ASSIGN_OR_RETURN(const std::string value, Dollar(depth));
        if (!nested_) RETURN_IF_ERROR(Put(value, !quoted, out));
        if (nested_) out.append(value);
      } else if (!keep_quotes && c == '\'') {
        RETURN_IF_ERROR(SingleQuotes(out));
      } else if (!keep_quotes && c == '"') {
        RETURN_IF_ERROR(DoubleQuotes(depth, out));
      } else if (c == escape_ && !AtEnd()) {
        RETURN_IF_ERROR(Escaped(out));
      } else if (split && !nested_ && absl::ascii_isspace(c)) {
        EndWord();
      } else {
        RETURN_IF_ERROR(PutHere(absl::string_view(&c, 1), out));
      }
    }
  }

  absl::Status Escaped(std::string& out) {
    const char c = Next();
    if (keep_quotes && c != '$' && c != escape_) {
      RETURN_IF_ERROR(PutHere(absl::string_view(&escape_, 1), out));
    }
    return PutHere(absl::string_view(&c, 1), out);
  }

  // Inside of a substitution text is gathered for it and not put into words yet.
  absl::Status PutHere(absl::string_view bytes, std::string& out) {
    if (!nested_) return Put(bytes, false, out);
    out.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  }

  absl::Status SingleQuotes(std::string& out) {
    if (!nested_) inside_ = true;
    const size_t end = text_.find('\'', at_);
    if (end == absl::string_view::npos) {
      return absl::InvalidArgumentError(
          "unexpected end of statement while looking for matching single-quote");
    }
    const absl::string_view quoted = text_.substr(at_, end - at_);
    at_ = end + 1;
    return PutHere(quoted, out);
  }

  absl::Status DoubleQuotes(int depth, std::string& out) {
    if (!nested_) inside_ = true;
    while (true) {
      if (AtEnd()) {
        return absl::InvalidArgumentError(
            "unexpected end of statement while looking for matching double-quote");
      }
      char c = Next();
      if (c == '"') return absl::OkStatus();
      if (c == '$') {
        ASSIGN_OR_RETURN(const std::string value, Dollar(depth));
        if (nested_) {
          out.append(value);
        } else {
          RETURN_IF_ERROR(Put(value, false, out));
        }
        continue;
      }
      if (c == escape_ && !AtEnd()) {
        const char next = text_[at_];
        if (next == '"' || next == '$' || next == escape_) c = Next();
      }
      RETURN_IF_ERROR(PutHere(absl::string_view(&c, 1), out));
    }
  }

  std::string Name() {
    if (AtEnd()) return "";
    const char first = text_[at_];
    if (IsSpecialParameter(first) || absl::ascii_isdigit(first)) {
      // A positional parameter has as many digits as there are; the others are one character.
      const size_t from = at_++;
      while (absl::ascii_isdigit(first) && !AtEnd() && absl::ascii_isdigit(text_[at_])) ++at_;
      return std::string(text_.substr(from, at_ - from));
    }
    const size_t from = at_;
    while (!AtEnd() && (absl::ascii_isalnum(text_[at_]) || text_[at_] == '_')) ++at_;
    return std::string(text_.substr(from, at_ - from));
  }

  // The word of a modifier, up to `stop`.
  absl::StatusOr<std::string> Argument(char stop, int depth) {
    const bool nested = std::exchange(nested_, true);
    absl::StatusOr<std::string> word = Run(stop, depth + 1, false);
    nested_ = nested;
    if (!word.ok()) return absl::InvalidArgumentError("syntax error: missing '}'");
    return word;
  }

  // A pattern keeps its escapes, which say what of it is literal.
  absl::StatusOr<std::string> Pattern(absl::string_view stops) {
    std::string pattern;
    while (!AtEnd()) {
      const char c = Next();
      if (stops.find(c) != absl::string_view::npos) {
        --at_;
        return pattern;
      }
      if (c == '$') {
        ASSIGN_OR_RETURN(const std::string value, Dollar(kMaxDepth - 1));
        pattern.append(value);
      } else if (c == escape_ && !AtEnd()) {
        pattern.append({'\\', Next()});
      } else {
        pattern.push_back(c);
      }
    }
    return absl::InvalidArgumentError("syntax error: missing '}'");
  }

  absl::StatusOr<std::string> Dollar(int depth) {
    if (AtEnd() || text_[at_] != '{') {
      const std::string name = Name();
      if (name.empty()) return std::string("$");
      return variables_(name).value_or("");
    }
    ++at_;
    if (AtEnd()) return absl::InvalidArgumentError("syntax error: missing '}'");
    const std::string name = Name();
    if (name.empty()) return absl::InvalidArgumentError("syntax error: bad substitution");
    if (AtEnd()) return absl::InvalidArgumentError("syntax error: missing '}'");
    const std::optional<std::string> value = variables_(name);
    const char modifier = Next();
    switch (modifier) {
      case '}':
        return value.value_or("");
      case ':':
      case '-':
      case '+':
      case '?':
        return Alternative(name, value, modifier, depth);
      case '#':
      case '%':
        return Trimmed(value.value_or(""), modifier);
      case '/':
        return Replaced(value.value_or(""), depth);
      default:
        return absl::InvalidArgumentError(
            absl::StrCat("unsupported modifier (", std::string(1, modifier), ") in substitution"));
    }
  }

  absl::StatusOr<std::string> Alternative(const std::string& name,
                                          const std::optional<std::string>& value, char modifier,
                                          int depth) {
    // With a colon, an empty value counts as none.
    bool is_set = value.has_value();
    if (modifier == ':') {
      is_set = is_set && !value->empty();
      if (AtEnd()) return absl::InvalidArgumentError("syntax error: missing '}'");
      modifier = Next();
    }
    if (modifier != '-' && modifier != '+' && modifier != '?') {
      return absl::InvalidArgumentError(
          absl::StrCat("unsupported modifier (:", std::string(1, modifier), ") in substitution"));
    }
    ASSIGN_OR_RETURN(const std::string word, Argument('}', depth));
    if (modifier == '+') return is_set ? word : std::string();
    if (is_set) return *value;
    if (modifier == '-') return word;
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": ", word.empty() ? "not allowed to be unset" : word));
  }

  absl::StatusOr<std::string> Trimmed(std::string value, char modifier) {
    const bool longest = !AtEnd() && text_[at_] == modifier;
    if (longest) ++at_;
    ASSIGN_OR_RETURN(const std::string pattern, Pattern("}"));
    ++at_;
    return modifier == '#' ? WithoutPrefix(value, pattern, longest)
                           : WithoutSuffix(value, pattern, longest);
  }

  absl::StatusOr<std::string> Replaced(std::string value, int depth) {
    const bool all = !AtEnd() && text_[at_] == '/';
    if (all) ++at_;
    ASSIGN_OR_RETURN(const std::string pattern, Pattern("/}"));
    std::string replacement;
    if (Next() == '/') {
      ASSIGN_OR_RETURN(replacement, Argument('}', depth));
    }
    return Replace(value, pattern, replacement, all);
  }

  const absl::string_view text_;
  const Variables& variables_;
  const char escape_;
  size_t at_ = 0;
  size_t expanded_ = 0;
  bool nested_ = false;  // inside of a substitution
  bool inside_ = false;  // of a word
  std::string word_;
  std::vector<std::string> words_;
};

std::optional<std::string> NoVariable(absl::string_view) { return std::nullopt; }

// "<<NAME", "<<-NAME", with digits before it and quotes around the name.
std::optional<Heredoc> ParseHeredoc(absl::string_view word) {
  while (!word.empty() && absl::ascii_isdigit(word[0])) word.remove_prefix(1);
  if (!absl::ConsumePrefix(&word, "<<")) return std::nullopt;
  Heredoc heredoc;
  heredoc.strips_tabs = absl::ConsumePrefix(&word, "-");
  if (word.empty() || word.find('<') != absl::string_view::npos) return std::nullopt;
  const Variables none = NoVariable;
  Expander expander(word, none, '\\');
  expander.split = true;
  const auto names = expander.Words();
  if (!names.ok() || names->size() != 1 || (*names)[0].empty()) return std::nullopt;
  heredoc.name = (*names)[0];
  heredoc.expands = heredoc.name == word;
  return heredoc;
}

}  // namespace

absl::StatusOr<std::string> ExpandWord(absl::string_view text, const Variables& variables,
                                       char escape) {
  return Expander(text, variables, escape).Word();
}

absl::StatusOr<std::vector<std::string>> ExpandWords(absl::string_view text,
                                                     const Variables& variables, char escape) {
  Expander expander(text, variables, escape);
  expander.split = true;
  return expander.Words();
}

absl::StatusOr<std::string> ExpandVariables(absl::string_view text, const Variables& variables,
                                            char escape) {
  Expander expander(text, variables, escape);
  expander.keep_quotes = true;
  return expander.Word();
}

std::vector<RawWord> SplitQuoted(absl::string_view text, char escape) {
  std::vector<RawWord> words;
  RawWord word;
  bool inside = false;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == 0 && absl::ascii_isspace(c)) {
      if (inside) words.push_back(std::exchange(word, RawWord()));
      inside = false;
      continue;
    }
    if (!inside) word.offset = i;
    inside = true;
    word.text.push_back(c);
    if (c == escape && quote != '\'' && i + 1 < text.size()) {
      word.text.push_back(text[++i]);
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    }
  }
  if (inside) words.push_back(std::move(word));
  return words;
}

std::vector<Heredoc> FindHeredocs(absl::string_view line) {
  std::vector<Heredoc> found;
  for (const RawWord& word : SplitQuoted(line, '\\')) {
    if (std::optional<Heredoc> heredoc = ParseHeredoc(word.text)) {
      found.push_back(*std::move(heredoc));
    }
  }
  return found;
}

bool IsHeredoc(absl::string_view word) { return ParseHeredoc(word).has_value(); }

}  // namespace slipway::build
