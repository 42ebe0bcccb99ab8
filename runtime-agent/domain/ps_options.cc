#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/process_list.h"

namespace slipway::agent {
namespace {

// ps(1), STANDARD FORMAT SPECIFIERS. Names of one column stand beside each other; the first is
// ours.
struct Specifier {
  const char* name;
  const char* title;
  const char* column;
};
constexpr Specifier kSpecifiers[] = {
    {"pid", "PID", "pid"},
    {"tgid", "TGID", "pid"},
    {"ppid", "PPID", "ppid"},
    {"pgid", "PGID", "pgid"},
    {"pgrp", "PGRP", "pgid"},
    {"sid", "SID", "sid"},
    {"sess", "SESS", "sid"},
    {"session", "SESS", "sid"},
    {"tty", "TT", "tty"},
    {"tt", "TT", "tty"},
    {"tname", "TTY", "tty"},
    {"user", "USER", "user"},
    {"uname", "USER", "user"},
    {"euser", "EUSER", "user"},
    {"ruser", "RUSER", "ruser"},
    {"uid", "UID", "uid"},
    {"euid", "EUID", "uid"},
    {"ruid", "RUID", "ruid"},
    {"group", "GROUP", "group"},
    {"egroup", "EGROUP", "group"},
    {"rgroup", "RGROUP", "rgroup"},
    {"gid", "GID", "gid"},
    {"egid", "EGID", "gid"},
    {"rgid", "RGID", "rgid"},
    {"comm", "COMMAND", "comm"},
    {"ucmd", "CMD", "comm"},
    {"ucomm", "COMMAND", "comm"},
    {"args", "COMMAND", "args"},
    {"command", "COMMAND", "args"},
    {"cmd", "CMD", "args"},
    {"pcpu", "%CPU", "pcpu"},
    {"%cpu", "%CPU", "pcpu"},
    {"c", "C", "c"},
    {"pmem", "%MEM", "pmem"},
    {"%mem", "%MEM", "pmem"},
    {"vsz", "VSZ", "vsz"},
    {"vsize", "VSZ", "vsz"},
    {"rss", "RSS", "rss"},
    {"rssize", "RSS", "rss"},
    {"rsz", "RSZ", "rss"},
    {"stat", "STAT", "stat"},
    {"state", "S", "s"},
    {"s", "S", "s"},
    {"ni", "NI", "ni"},
    {"nice", "NI", "ni"},
    {"pri", "PRI", "pri"},
    {"nlwp", "NLWP", "nlwp"},
    {"thcount", "THCNT", "nlwp"},
    {"psr", "PSR", "psr"},
    {"time", "TIME", "time"},
    {"cputime", "TIME", "time"},
    {"bsdtime", "TIME", "bsdtime"},
    {"etime", "ELAPSED", "etime"},
    {"etimes", "ELAPSED", "etimes"},
    {"stime", "STIME", "stime"},
    {"start_time", "START", "stime"},
    {"bsdstart", "START", "stime"},
    {"start", "STARTED", "stime"},
    {"lstart", "STARTED", "lstart"},
};

const Specifier* Find(absl::string_view name) {
  const auto* found = std::find_if(std::begin(kSpecifiers), std::end(kSpecifiers),
                                   [name](const Specifier& one) { return one.name == name; });
  return found == std::end(kSpecifiers) ? nullptr : found;
}

std::vector<ProcessColumn> Columns(std::initializer_list<ProcessColumn> columns) { return columns; }

class Options {
 public:
  absl::Status Read(const std::vector<std::string>& words) {
    for (size_t i = 0; i < words.size(); ++i) {
      absl::string_view word = words[i];
      if (absl::ConsumePrefix(&word, "--")) {
        RETURN_IF_ERROR(ReadLong(word, words, i));
        continue;
      }
      const bool unix_style = absl::ConsumePrefix(&word, "-");
      RETURN_IF_ERROR(ReadLetters(word, unix_style, words, i));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<ProcessColumn>> Result() const {
    std::vector<ProcessColumn> columns = chosen_;
    if (columns.empty()) columns = Standard();
    const bool has_pid =
        std::any_of(columns.begin(), columns.end(),
                    [](const ProcessColumn& column) { return column.title == "PID"; });
    if (!has_pid) return absl::InvalidArgumentError("Couldn't find PID field in ps output");
    return columns;
  }

 private:
  static absl::Status Unknown(absl::string_view option) {
    return absl::InvalidArgumentError(absl::StrCat("ps: unsupported option: ", option));
  }

  absl::Status ReadLong(absl::string_view word, const std::vector<std::string>& words, size_t& i) {
    if (word == "forest" || word == "headers" || word == "no-headers") return absl::OkStatus();
    if (absl::ConsumePrefix(&word, "format=")) return Choose(word);
    if (word == "format" && i + 1 < words.size()) return Choose(words[++i]);
    return Unknown(absl::StrCat("--", word));
  }

  absl::Status ReadLetters(absl::string_view word, bool unix_style,
                           const std::vector<std::string>& words, size_t& i) {
    if (word.empty()) return Unknown("-");
    for (size_t at = 0; at < word.size(); ++at) {
      const char letter = word[at];
      switch (letter) {
        case 'o':
          if (at + 1 < word.size()) return Choose(word.substr(at + 1));
          if (i + 1 >= words.size()) return Unknown("-o without a list");
          return Choose(words[++i]);
        case 'e':
        case 'A':
        case 'a':
        case 'd':
        case 'w':
        case 'H':
        case 'T':
          break;
        case 'f':
          full_ = full_ || unix_style;
          break;
        case 'F':
          full_ = true;
          break;
        case 'l':
          long_ = true;
          break;
        case 'u':
          // "-aux" is meant as "aux".
          user_ = true;
          break;
        case 'x':
          bsd_ = true;
          break;
        default:
          return Unknown(absl::StrCat("-", std::string(1, letter)));
      }
      bsd_ = bsd_ || (!unix_style && (letter == 'a' || letter == 'x'));
    }
    return absl::OkStatus();
  }

  // "pid,ppid=PARENT,cmd"
  absl::Status Choose(absl::string_view list) {
    for (absl::string_view item : absl::StrSplit(list, absl::ByAnyChar(", "), absl::SkipEmpty())) {
      const size_t equals = item.find('=');
      const std::string name = absl::AsciiStrToLower(item.substr(0, equals));
      const Specifier* specifier = Find(name);
      if (specifier == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("ps: unknown user-defined format specifier \"", name, "\""));
      }
      chosen_.push_back({specifier->column, equals == absl::string_view::npos
                                                ? specifier->title
                                                : std::string(item.substr(equals + 1))});
    }
    return chosen_.empty() ? Unknown("-o") : absl::OkStatus();
  }

  std::vector<ProcessColumn> Standard() const {
    if (user_) {
      return Columns({{"user", "USER"},
                      {"pid", "PID"},
                      {"pcpu", "%CPU"},
                      {"pmem", "%MEM"},
                      {"vsz", "VSZ"},
                      {"rss", "RSS"},
                      {"tty", "TTY"},
                      {"stat", "STAT"},
                      {"stime", "START"},
                      {"bsdtime", "TIME"},
                      {"args", "COMMAND"}});
    }
    if (long_) {
      return Columns({{"s", "S"},
                      {"uid", "UID"},
                      {"pid", "PID"},
                      {"ppid", "PPID"},
                      {"c", "C"},
                      {"pri", "PRI"},
                      {"ni", "NI"},
                      {"rss", "RSS"},
                      {"tty", "TTY"},
                      {"time", "TIME"},
                      {"comm", "CMD"}});
    }
    if (full_) {
      return Columns({{"user", "UID"},
                      {"pid", "PID"},
                      {"ppid", "PPID"},
                      {"c", "C"},
                      {"stime", "STIME"},
                      {"tty", "TTY"},
                      {"time", "TIME"},
                      {"args", "CMD"}});
    }
    if (bsd_) {
      return Columns({{"pid", "PID"},
                      {"tty", "TTY"},
                      {"stat", "STAT"},
                      {"bsdtime", "TIME"},
                      {"args", "COMMAND"}});
    }
    return Columns({{"pid", "PID"}, {"tty", "TTY"}, {"time", "TIME"}, {"comm", "CMD"}});
  }

  std::vector<ProcessColumn> chosen_;
  bool full_ = false;
  bool long_ = false;
  bool user_ = false;
  bool bsd_ = false;
};

}  // namespace

absl::StatusOr<std::vector<ProcessColumn>> ParsePsOptions(const std::vector<std::string>& options) {
  Options parsed;
  RETURN_IF_ERROR(parsed.Read(options.empty() ? std::vector<std::string>{"-ef"} : options));
  return parsed.Result();
}

}  // namespace slipway::agent
