#include "services/build/dockerfile/source_lines.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"
#include "services/build/dockerfile/words.h"

namespace slipway::build {
namespace {

constexpr absl::string_view kBlank = " \t\v\f\r";

bool IsBlank(char c) { return kBlank.find(c) != absl::string_view::npos; }

size_t LeadingBlanks(absl::string_view line) {
  size_t n = 0;
  while (n < line.size() && IsBlank(line[n])) ++n;
  return n;
}

bool IsComment(absl::string_view line) {
  line.remove_prefix(LeadingBlanks(line));
  return absl::StartsWith(line, "#");
}

struct Directive {
  std::string name;
  std::string value;
};

// "# name=value"; nothing for any other comment.
std::optional<Directive> ParseDirective(absl::string_view line) {
  line.remove_prefix(LeadingBlanks(line));
  if (!absl::ConsumePrefix(&line, "#")) return std::nullopt;
  const size_t equals = line.find('=');
  if (equals == absl::string_view::npos) return std::nullopt;
  const absl::string_view name = absl::StripAsciiWhitespace(line.substr(0, equals));
  const bool is_name = !name.empty() && absl::ascii_isalpha(name[0]) &&
                       std::all_of(name.begin(), name.end(),
                                   [](char c) { return absl::ascii_isalnum(c) || c == '-'; });
  if (!is_name) return std::nullopt;
  return Directive{absl::AsciiStrToLower(name),
                   std::string(absl::StripAsciiWhitespace(line.substr(equals + 1)))};
}

// Where the escape character that continues the line stands: it is last but for blanks, and not
// escaped itself.
std::optional<size_t> ContinuationAt(absl::string_view line, char escape) {
  size_t end = line.size();
  while (end > 0 && (line[end - 1] == ' ' || line[end - 1] == '\t')) --end;
  if (end == 0 || line[end - 1] != escape) return std::nullopt;
  if (end > 1 && line[end - 2] == escape) return std::nullopt;
  return end - 1;
}

bool TakesHeredocs(absl::string_view text) {
  absl::string_view verb = text.substr(0, text.find_first_of(" \t"));
  while (absl::EqualsIgnoreCase(verb, "onbuild")) {
    text.remove_prefix(verb.size());
    text.remove_prefix(LeadingBlanks(text));
    verb = text.substr(0, text.find_first_of(" \t"));
  }
  return absl::EqualsIgnoreCase(verb, "run") || absl::EqualsIgnoreCase(verb, "copy") ||
         absl::EqualsIgnoreCase(verb, "add");
}

class Reader {
 public:
  explicit Reader(absl::string_view text) {
    absl::ConsumePrefix(&text, "\xef\xbb\xbf");
    for (absl::string_view line : absl::StrSplit(text, '\n')) {
      absl::ConsumeSuffix(&line, "\r");
      input_.push_back(line);
    }
  }

  absl::StatusOr<SourceLines> Read() {
    RETURN_IF_ERROR(ReadDirectives());
    while (next_ < input_.size()) {
      const absl::string_view line = input_[next_];
      if (IsComment(line) || LeadingBlanks(line) == line.size()) {
        ++next_;
        continue;
      }
      RETURN_IF_ERROR(ReadInstruction());
    }
    if (out_.lines.empty()) return absl::InvalidArgumentError("file with no instructions");
    return std::move(out_);
  }

 private:
  // They come first, each at most once; anything else ends them.
  absl::Status ReadDirectives() {
    bool escape_seen = false;
    for (size_t i = 0; i < input_.size(); ++i) {
      const std::optional<Directive> directive = ParseDirective(input_[i]);
      if (!directive.has_value()) break;
      const Position here = {static_cast<int>(i) + 1, 1};
      if (directive->name == "escape") {
        if (escape_seen) return ParseError(here, "only one escape parser directive can be used");
        if (directive->value != "\\" && directive->value != "`") {
          return ParseError(here, absl::StrCat("invalid escape token '", directive->value,
                                               "' does not match ` or \\"));
        }
        escape_seen = true;
        out_.escape = directive->value[0];
      } else if (directive->name == "syntax" || directive->name == "check") {
        std::string& value = directive->name == "syntax" ? out_.syntax : out_.check;
        if (!value.empty()) {
          return ParseError(
              here, absl::StrCat("only one ", directive->name, " parser directive can be used"));
        }
        value = directive->value;
      } else {
        break;
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadInstruction() {
    LogicalLine line;
    line.first_line = static_cast<int>(next_) + 1;
    bool first = true;
    bool empty_continuation = false;
    bool more = true;
    while (more && next_ < input_.size()) {
      absl::string_view piece = input_[next_];
      const int number = static_cast<int>(++next_);
      if (!first && IsComment(piece)) continue;
      const size_t blanks = LeadingBlanks(piece);
      if (!first && blanks == piece.size()) {
        empty_continuation = true;
        continue;
      }
      const size_t from = first ? blanks : 0;
      piece.remove_prefix(from);
      first = false;
      const std::optional<size_t> continued = ContinuationAt(piece, out_.escape);
      more = continued.has_value();
      line.pieces.push_back({line.text.size(), {number, static_cast<int>(from) + 1}});
      absl::StrAppend(&line.text, piece.substr(0, continued.value_or(piece.size())));
      line.last_line = number;
    }
    // What trails is of no meaning.
    line.text.resize(absl::StripTrailingAsciiWhitespace(line.text).size());
    if (line.text.empty()) return absl::OkStatus();
    if (empty_continuation) {
      out_.warnings.push_back(absl::StrCat(
          "line ", line.first_line,
          ": empty continuation line in: ", absl::string_view(line.text).substr(0, 80)));
    }
    if (TakesHeredocs(line.text)) RETURN_IF_ERROR(ReadHeredocs(line));
    out_.lines.push_back(std::move(line));
    return absl::OkStatus();
  }

  absl::Status ReadHeredocs(LogicalLine& line) {
    for (Heredoc& heredoc : FindHeredocs(line.text)) {
      bool ended = false;
      while (next_ < input_.size() && !ended) {
        absl::string_view text = input_[next_++];
        if (heredoc.strips_tabs) {
          while (absl::ConsumePrefix(&text, "\t")) {
          }
        }
        ended = text == heredoc.name;
        if (!ended) absl::StrAppend(&heredoc.content, text, "\n");
      }
      if (!ended) {
        return ParseError({line.first_line, 1},
                          absl::StrCat("unterminated heredoc: no line is \"", heredoc.name, "\""));
      }
      line.last_line = static_cast<int>(next_);
      line.heredocs.push_back(std::move(heredoc));
    }
    return absl::OkStatus();
  }

  std::vector<absl::string_view> input_;
  size_t next_ = 0;
  SourceLines out_;
};

}  // namespace

Position LogicalLine::At(size_t offset) const {
  Position found = {first_line, 1};
  for (const Piece& piece : pieces) {
    if (piece.offset > offset) break;
    found = {piece.position.line, piece.position.column + static_cast<int>(offset - piece.offset)};
  }
  return found;
}

absl::Status ParseError(Position position, absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat("dockerfile parse error on line ", position.line,
                                                 ", column ", position.column, ": ", message));
}

absl::StatusOr<SourceLines> ReadSourceLines(absl::string_view text) {
  if (text.size() > kMaxDockerfileBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the Dockerfile has ", text.size(),
                                                   " bytes, the limit is ", kMaxDockerfileBytes));
  }
  if (absl::StripAsciiWhitespace(text).empty()) {
    return absl::InvalidArgumentError("the Dockerfile cannot be empty");
  }
  if (text.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError("the Dockerfile has a zero byte: it is no text");
  }
  return Reader(text).Read();
}

}  // namespace slipway::build
