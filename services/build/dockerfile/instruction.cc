#include "services/build/dockerfile/instruction.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"
#include "services/build/dockerfile/suggestion.h"
#include "services/build/dockerfile/words.h"

namespace slipway::build {
namespace {

// How what stands behind an instruction's flags is read.
enum class Form {
  kWords,        // apart by blanks
  kListOrWords,  // a JSON list, or words
  kCommand,      // a JSON list, or the line for a shell
  kList,         // a JSON list only
  kText,         // the line
  kPairs,        // name=value..., or one name and the rest
  kArguments,    // ARG: name, name=value...
  kHealthcheck,
};

struct Syntax {
  Verb verb;
  absl::string_view name;
  Form form;
  std::vector<std::string> flags;
};

const std::vector<Syntax>& Syntaxes() {
  static const auto& syntaxes = *new std::vector<Syntax>{
      {Verb::kAdd,
       "ADD",
       Form::kListOrWords,
       {"chown", "chmod", "link", "checksum", "keep-git-dir", "exclude", "unpack"}},
      {Verb::kArg, "ARG", Form::kArguments, {}},
      {Verb::kCmd, "CMD", Form::kCommand, {}},
      {Verb::kCopy,
       "COPY",
       Form::kListOrWords,
       {"from", "chown", "chmod", "link", "parents", "exclude"}},
      {Verb::kEntrypoint, "ENTRYPOINT", Form::kCommand, {}},
      {Verb::kEnv, "ENV", Form::kPairs, {}},
      {Verb::kExpose, "EXPOSE", Form::kWords, {}},
      {Verb::kFrom, "FROM", Form::kWords, {"platform"}},
      {Verb::kHealthcheck,
       "HEALTHCHECK",
       Form::kHealthcheck,
       {"interval", "timeout", "start-period", "start-interval", "retries"}},
      {Verb::kLabel, "LABEL", Form::kPairs, {}},
      {Verb::kMaintainer, "MAINTAINER", Form::kText, {}},
      {Verb::kOnbuild, "ONBUILD", Form::kText, {}},
      {Verb::kRun, "RUN", Form::kCommand, {"mount", "network", "security"}},
      {Verb::kShell, "SHELL", Form::kList, {}},
      {Verb::kStopSignal, "STOPSIGNAL", Form::kText, {}},
      {Verb::kUser, "USER", Form::kText, {}},
      {Verb::kVolume, "VOLUME", Form::kListOrWords, {}},
      {Verb::kWorkdir, "WORKDIR", Form::kText, {}},
  };
  return syntaxes;
}

const Syntax* FindSyntax(absl::string_view name) {
  for (const Syntax& syntax : Syntaxes()) {
    if (absl::EqualsIgnoreCase(syntax.name, name)) return &syntax;
  }
  return nullptr;
}

bool MayRepeat(absl::string_view flag) { return flag == "mount" || flag == "exclude"; }
bool StandsAlone(absl::string_view flag) {
  return flag == "link" || flag == "parents" || flag == "keep-git-dir" || flag == "unpack";
}

// One line on its way to an instruction.
class Parser {
 public:
  Parser(const LogicalLine& line, char escape) : line_(line), text_(line.text), escape_(escape) {}

  absl::StatusOr<Instruction> Parse() {
    const absl::string_view verb = text_.substr(0, text_.find_first_of(" \t\v\f\r"));
    const Syntax* syntax = FindSyntax(verb);
    if (syntax == nullptr) {
      std::vector<std::string> known;
      for (const Syntax& one : Syntaxes()) known.emplace_back(one.name);
      return Error(
          0, absl::StrCat("unknown instruction: ", verb.substr(0, 64), Suggestion(verb, known)));
    }
    out_.verb = syntax->verb;
    out_.text = line_.text;
    out_.first_line = line_.first_line;
    out_.last_line = line_.last_line;
    out_.heredocs = line_.heredocs;
    at_ = verb.size();
    RETURN_IF_ERROR(TakeFlags(*syntax));
    out_.arguments = std::string(Rest());
    RETURN_IF_ERROR(TakeArguments(*syntax));
    RETURN_IF_ERROR(Check(*syntax));
    return std::move(out_);
  }

 private:
  absl::Status Error(size_t offset, absl::string_view message) const {
    return ParseError(line_.At(offset), message);
  }
  absl::Status ErrorHere(absl::string_view message) const { return Error(at_, message); }

  void SkipBlanks() {
    while (at_ < text_.size() && absl::ascii_isspace(text_[at_])) ++at_;
  }
  absl::string_view Rest() const { return text_.substr(at_); }

  absl::Status TakeFlags(const Syntax& syntax) {
    SkipBlanks();
    while (absl::StartsWith(Rest(), "--")) {
      const std::vector<RawWord> words = SplitQuoted(Rest(), escape_);
      const size_t from = at_;
      at_ += words[0].text.size();
      SkipBlanks();
      if (words[0].text == "--") return absl::OkStatus();
      // Quotes go, variables stay for later.
      const Variables keep = [](absl::string_view name) {
        return std::optional<std::string>(absl::StrCat("${", name, "}"));
      };
      const bool has_variable = words[0].text.find('$') != std::string::npos;
      std::string plain = words[0].text;
      if (!has_variable) {
        ASSIGN_OR_RETURN(plain, ExpandWord(words[0].text, keep, escape_));
      }
      RETURN_IF_ERROR(TakeFlag(syntax, from, absl::string_view(plain).substr(2)));
    }
    return absl::OkStatus();
  }

  absl::Status TakeFlag(const Syntax& syntax, size_t offset, absl::string_view flag) {
    const size_t equals = flag.find('=');
    const std::string name(flag.substr(0, equals));
    if (std::find(syntax.flags.begin(), syntax.flags.end(), name) == syntax.flags.end()) {
      return Error(offset, absl::StrCat("unknown flag: --", name.substr(0, 64),
                                        Suggestion(name, syntax.flags)));
    }
    if (!MayRepeat(name) && out_.FindFlag(name) != nullptr) {
      return Error(offset, absl::StrCat("duplicate flag specified: --", name));
    }
    std::string value = "true";
    if (equals != absl::string_view::npos) {
      value = std::string(flag.substr(equals + 1));
    } else if (!StandsAlone(name)) {
      return Error(offset, absl::StrCat("missing a value on flag: --", name));
    }
    if (StandsAlone(name) && value.find('$') == std::string::npos && value != "true" &&
        value != "false") {
      return Error(offset,
                   absl::StrCat("expecting boolean value for flag --", name, ", not: ", value));
    }
    out_.flags.push_back({name, std::move(value)});
    return absl::OkStatus();
  }

  // True when the rest is a list; an error when it is one of other things than strings.
  absl::StatusOr<bool> TakeList() {
    if (!absl::StartsWith(Rest(), "[")) return false;
    boost::system::error_code error;
    boost::json::parse_options options;
    options.max_depth = 8;
    const boost::json::value value = boost::json::parse(
        boost::json::string_view(Rest().data(), Rest().size()), error, {}, options);
    if (error || !value.is_array()) return false;
    for (const boost::json::value& item : value.get_array()) {
      if (!item.is_string()) {
        return ErrorHere("when using JSON array syntax, arrays must be comprised of strings only");
      }
      out_.words.emplace_back(item.get_string());
    }
    out_.exec_form = true;
    return true;
  }

  void TakeWords() {
    for (absl::string_view word :
         absl::StrSplit(Rest(), absl::ByAnyChar(" \t\v\f\r"), absl::SkipEmpty())) {
      out_.words.emplace_back(word);
    }
  }

  absl::Status TakeArguments(const Syntax& syntax) {
    switch (syntax.form) {
      case Form::kWords:
        TakeWords();
        return absl::OkStatus();
      case Form::kListOrWords: {
        ASSIGN_OR_RETURN(const bool list, TakeList());
        if (!list) TakeWords();
        return absl::OkStatus();
      }
      case Form::kCommand:
      case Form::kList: {
        ASSIGN_OR_RETURN(const bool list, TakeList());
        if (list) return absl::OkStatus();
        if (syntax.form == Form::kList) {
          return ErrorHere(absl::StrCat(syntax.name, " requires the arguments to be in JSON form"));
        }
        if (!Rest().empty()) out_.words.emplace_back(Rest());
        return absl::OkStatus();
      }
      case Form::kText:
        if (!Rest().empty()) out_.words.emplace_back(Rest());
        return absl::OkStatus();
      case Form::kPairs:
        return TakePairs(syntax);
      case Form::kArguments:
        for (const RawWord& word : SplitQuoted(Rest(), escape_)) {
          RETURN_IF_ERROR(TakePair(word, /*needs_value=*/false));
        }
        return absl::OkStatus();
      case Form::kHealthcheck:
        return TakeHealthcheck();
    }
    return absl::OkStatus();
  }

  absl::Status TakePair(const RawWord& word, bool needs_value) {
    const size_t equals = word.text.find('=');
    if (equals == std::string::npos && needs_value) {
      return Error(at_ + word.offset, absl::StrCat("Syntax error - can't find = in \"", word.text,
                                                   "\". Must be of the form: name=value"));
    }
    NamedValue pair;
    pair.name = word.text.substr(0, equals);
    pair.has_value = equals != std::string::npos;
    if (pair.has_value) pair.value = word.text.substr(equals + 1);
    if (pair.name.empty()) {
      return Error(at_ + word.offset, absl::StrCat(VerbName(out_.verb), " names can not be blank"));
    }
    out_.pairs.push_back(std::move(pair));
    return absl::OkStatus();
  }

  absl::Status TakePairs(const Syntax& syntax) {
    const std::vector<RawWord> words = SplitQuoted(Rest(), escape_);
    if (words.empty()) return absl::OkStatus();
    if (words[0].text.find('=') != std::string::npos) {
      for (const RawWord& word : words) RETURN_IF_ERROR(TakePair(word, /*needs_value=*/true));
      return absl::OkStatus();
    }
    // The old form: a name, and the rest of the line.
    const absl::string_view rest =
        absl::StripLeadingAsciiWhitespace(Rest().substr(words[0].text.size()));
    if (rest.empty()) {
      return ErrorHere(absl::StrCat(syntax.name, " must have two arguments"));
    }
    out_.pairs.push_back({words[0].text, std::string(rest), true});
    return absl::OkStatus();
  }

  absl::Status TakeHealthcheck() {
    const absl::string_view kind = Rest().substr(0, Rest().find_first_of(" \t\v\f\r"));
    const size_t kind_at = at_;
    if (kind.empty()) {
      return ErrorHere("HEALTHCHECK requires at least one argument");
    }
    at_ += kind.size();
    SkipBlanks();
    if (absl::EqualsIgnoreCase(kind, "NONE")) {
      if (!Rest().empty()) return ErrorHere("HEALTHCHECK NONE takes no arguments");
      out_.words = {"NONE"};
      return absl::OkStatus();
    }
    if (!absl::EqualsIgnoreCase(kind, "CMD")) {
      return Error(kind_at, absl::StrCat("unknown type \"", kind.substr(0, 64),
                                         "\" in HEALTHCHECK (try CMD)"));
    }
    ASSIGN_OR_RETURN(const bool list, TakeList());
    if (!list && !Rest().empty()) out_.words.emplace_back(Rest());
    if (out_.words.empty()) return ErrorHere("Missing command after HEALTHCHECK CMD");
    out_.words.insert(out_.words.begin(), list ? "CMD" : "CMD-SHELL");
    return absl::OkStatus();
  }

  absl::Status Check(const Syntax& syntax) const {
    const size_t count = out_.words.size() + out_.pairs.size();
    const absl::string_view name = syntax.name;
    switch (syntax.verb) {
      case Verb::kFrom:
        if (count != 1 && !(count == 3 && absl::EqualsIgnoreCase(out_.words[1], "as"))) {
          return ErrorHere("FROM requires either one or three arguments");
        }
        return absl::OkStatus();
      case Verb::kAdd:
      case Verb::kCopy:
        if (count == 0) return ErrorHere(absl::StrCat(name, " requires at least one argument"));
        if (count == 1) {
          return ErrorHere(absl::StrCat(name,
                                        " requires at least two arguments, but only one was "
                                        "provided. Destination could not be determined."));
        }
        return absl::OkStatus();
      case Verb::kMaintainer:
      case Verb::kWorkdir:
      case Verb::kUser:
      case Verb::kStopSignal:
        if (count != 1) return ErrorHere(absl::StrCat(name, " requires exactly one argument"));
        return absl::OkStatus();
      case Verb::kOnbuild:
        return CheckOnbuild();
      case Verb::kCmd:
      case Verb::kEntrypoint:
        if (count == 0 && !out_.exec_form) {
          return ErrorHere(absl::StrCat(name, " requires at least one argument"));
        }
        return absl::OkStatus();
      default:
        if (count == 0) return ErrorHere(absl::StrCat(name, " requires at least one argument"));
        return absl::OkStatus();
    }
  }

  absl::Status CheckOnbuild() const {
    if (out_.words.empty()) return ErrorHere("ONBUILD requires at least one argument");
    const absl::string_view trigger = out_.words[0];
    const std::string verb =
        absl::AsciiStrToUpper(trigger.substr(0, trigger.find_first_of(" \t\v\f\r")));
    if (verb == "ONBUILD") {
      return ErrorHere("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    }
    if (verb == "MAINTAINER" || verb == "FROM") {
      return ErrorHere(absl::StrCat(verb, " isn't allowed as an ONBUILD trigger"));
    }
    LogicalLine inner = line_;
    inner.text = std::string(trigger);
    const Position here = line_.At(at_);
    inner.pieces = {{0, here}};
    return Parser(inner, escape_).Parse().status();
  }

  const LogicalLine& line_;
  const absl::string_view text_;
  const char escape_;
  size_t at_ = 0;
  Instruction out_;
};

}  // namespace

absl::string_view VerbName(Verb verb) {
  for (const Syntax& syntax : Syntaxes()) {
    if (syntax.verb == verb) return syntax.name;
  }
  return "";
}

const std::string* Instruction::FindFlag(absl::string_view name) const {
  for (auto flag = flags.rbegin(); flag != flags.rend(); ++flag) {
    if (flag->name == name) return &flag->value;
  }
  return nullptr;
}

std::vector<std::string> Instruction::Flags(absl::string_view name) const {
  std::vector<std::string> values;
  for (const Flag& flag : flags) {
    if (flag.name == name) values.push_back(flag.value);
  }
  return values;
}

absl::StatusOr<Instruction> ParseInstruction(const LogicalLine& line, char escape) {
  return Parser(line, escape).Parse();
}

absl::StatusOr<Instruction> ParseInstruction(absl::string_view text) {
  ASSIGN_OR_RETURN(const SourceLines source, ReadSourceLines(text));
  if (source.lines.size() != 1) {
    return absl::InvalidArgumentError("more than one instruction where one was expected");
  }
  return ParseInstruction(source.lines[0], source.escape);
}

absl::StatusOr<Dockerfile> ParseDockerfile(absl::string_view text) {
  ASSIGN_OR_RETURN(SourceLines source, ReadSourceLines(text));
  Dockerfile out;
  out.escape = source.escape;
  out.syntax = std::move(source.syntax);
  out.warnings = std::move(source.warnings);
  bool in_stage = false;
  for (const LogicalLine& line : source.lines) {
    ASSIGN_OR_RETURN(Instruction instruction, ParseInstruction(line, source.escape));
    in_stage = in_stage || instruction.verb == Verb::kFrom;
    if (!in_stage && instruction.verb != Verb::kArg) {
      return ParseError(line.At(0), "no build stage in current context");
    }
    out.instructions.push_back(std::move(instruction));
  }
  if (!in_stage) return absl::InvalidArgumentError("no build stage: the Dockerfile has no FROM");
  return out;
}

}  // namespace slipway::build
