#include "runtime-agent/domain/process_list.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <map>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

constexpr size_t kFileLimitBytes = 1 << 20;
constexpr size_t kNameColumns = 8;
constexpr int64_t kDaySeconds = 24 * 3600;

// Names by number, of a file like /etc/passwd. The host's: what ps on the host would show.
std::map<uint32_t, std::string> ReadNames(const std::string& path) {
  std::map<uint32_t, std::string> names;
  const auto text = ReadFile(path, kFileLimitBytes);
  if (!text.ok()) return names;
  for (const absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ':');
    uint32_t id = 0;
    if (fields.size() > 2 && absl::SimpleAtoi(fields[2], &id)) names.emplace(id, fields[0]);
  }
  return names;
}

struct Process {
  pid_t pid = 0;
  std::string comm;
  std::string args;
  std::vector<int64_t> stat;  // proc(5): field n is stat[n - 3], from the state's on
  char state = '?';
  uint32_t uid[2] = {};  // real, effective
  uint32_t gid[2] = {};
  int64_t rss_kb = 0;
  int64_t locked_kb = 0;

  int64_t Field(size_t number) const { return number - 3 < stat.size() ? stat[number - 3] : 0; }
};

void ReadIds(absl::string_view line, uint32_t ids[2]) {
  const std::vector<absl::string_view> fields =
      absl::StrSplit(line, absl::ByAnyChar("\t "), absl::SkipEmpty());
  for (size_t i = 0; i < 2 && i + 1 < fields.size(); ++i) {
    (void)absl::SimpleAtoi(fields[i + 1], &ids[i]);
  }
}

int64_t ReadKilobytes(absl::string_view line) {
  const std::vector<absl::string_view> fields =
      absl::StrSplit(line, absl::ByAnyChar("\t "), absl::SkipEmpty());
  int64_t value = 0;
  return fields.size() > 1 && absl::SimpleAtoi(fields[1], &value) ? value : 0;
}

absl::StatusOr<Process> ReadProcess(const std::string& proc, pid_t pid) {
  const std::string directory = absl::StrCat(proc, "/", pid);
  Process process{.pid = pid};
  ASSIGN_OR_RETURN(const std::string stat, ReadFile(directory + "/stat", kFileLimitBytes));
  // The name may have anything in it, ')' too.
  const size_t open = stat.find('(');
  const size_t close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open) {
    return absl::NotFoundError("no such process");
  }
  process.comm = stat.substr(open + 1, close - open - 1);
  const std::vector<absl::string_view> fields = absl::StrSplit(
      absl::string_view(stat).substr(close + 1), absl::ByAnyChar(" \n"), absl::SkipEmpty());
  for (const absl::string_view field : fields) {
    int64_t value = 0;
    if (process.stat.empty()) process.state = field[0];
    (void)absl::SimpleAtoi(field, &value);
    process.stat.push_back(value);
  }
  ASSIGN_OR_RETURN(const std::string status, ReadFile(directory + "/status", kFileLimitBytes));
  for (const absl::string_view line : absl::StrSplit(status, '\n')) {
    if (absl::StartsWith(line, "Uid:")) ReadIds(line, process.uid);
    if (absl::StartsWith(line, "Gid:")) ReadIds(line, process.gid);
    if (absl::StartsWith(line, "VmRSS:")) process.rss_kb = ReadKilobytes(line);
    if (absl::StartsWith(line, "VmLck:")) process.locked_kb = ReadKilobytes(line);
  }
  const auto command = ReadFile(directory + "/cmdline", kFileLimitBytes);
  if (command.ok()) process.args = *command;
  while (!process.args.empty() && process.args.back() == '\0') process.args.pop_back();
  std::replace_if(
      process.args.begin(), process.args.end(),
      [](char c) { return c == '\0' || c == '\n' || c == '\t'; }, ' ');
  // Without a command line ps shows the name.
  if (process.args.empty()) process.args = absl::StrCat("[", process.comm, "]");
  return process;
}

class Formatter {
 public:
  explicit Formatter(const std::string& proc) : ticks_(sysconf(_SC_CLK_TCK)) {
    users_ = ReadNames("/etc/passwd");
    groups_ = ReadNames("/etc/group");
    const auto stat = ReadFile(proc + "/stat", kFileLimitBytes);
    for (const absl::string_view line :
         absl::StrSplit(stat.ok() ? absl::string_view(*stat) : "", '\n')) {
      absl::string_view number = line;
      if (absl::ConsumePrefix(&number, "btime ")) (void)absl::SimpleAtoi(number, &boot_);
    }
    const auto memory = ReadFile(proc + "/meminfo", kFileLimitBytes);
    if (memory.ok()) memory_kb_ = ReadKilobytes(*memory);
    now_ = std::time(nullptr);
  }

  std::string Value(const Process& process, const std::string& column) const {
    if (const auto number = Number(process, column); number.has_value()) {
      return absl::StrCat(*number);
    }
    if (column == "user") return Name(users_, process.uid[1]);
    if (column == "ruser") return Name(users_, process.uid[0]);
    if (column == "group") return Name(groups_, process.gid[1]);
    if (column == "rgroup") return Name(groups_, process.gid[0]);
    if (column == "tty") return Terminal(process);
    if (column == "comm") return process.comm;
    if (column == "args") return process.args;
    if (column == "pcpu") return absl::StrFormat("%.1f", CpuPercent(process));
    if (column == "pmem") return absl::StrFormat("%.1f", MemoryPercent(process));
    if (column == "s") return std::string(1, process.state);
    if (column == "stat") return Stat(process);
    return Time(process, column);
  }

 private:
  static std::optional<int64_t> Plain(const Process& process, const std::string& column) {
    if (column == "pid") return process.pid;
    if (column == "ppid") return process.Field(4);
    if (column == "pgid") return process.Field(5);
    if (column == "sid") return process.Field(6);
    if (column == "pri") return 39 - process.Field(18);
    if (column == "ni") return process.Field(19);
    if (column == "nlwp") return process.Field(20);
    if (column == "psr") return process.Field(39);
    if (column == "vsz") return process.Field(23) / 1024;
    if (column == "rss") return process.rss_kb;
    return std::nullopt;
  }

  std::optional<int64_t> Number(const Process& process, const std::string& column) const {
    if (column == "uid") return process.uid[1];
    if (column == "ruid") return process.uid[0];
    if (column == "gid") return process.gid[1];
    if (column == "rgid") return process.gid[0];
    if (column == "c") return std::min<int64_t>(99, static_cast<int64_t>(CpuPercent(process)));
    if (column == "etimes") return Elapsed(process);
    return Plain(process, column);
  }

  static std::string Name(const std::map<uint32_t, std::string>& names, uint32_t id) {
    const auto found = names.find(id);
    if (found == names.end()) return absl::StrCat(id);
    if (found->second.size() <= kNameColumns) return found->second;
    return absl::StrCat(found->second.substr(0, kNameColumns - 1), "+");
  }

  // Linux, devices.txt: 136 to 143 are UNIX98 terminals, 4 the consoles and serial lines.
  static std::string Terminal(const Process& process) {
    const auto device = static_cast<dev_t>(process.Field(7));
    if (device == 0) return "?";
    const unsigned kind = major(device);
    const unsigned number = minor(device);
    if (kind >= 136 && kind <= 143) return absl::StrCat("pts/", (kind - 136) * 256 + number);
    if (kind == 4)
      return number < 64 ? absl::StrCat("tty", number) : absl::StrCat("ttyS", number - 64);
    return "?";
  }

  int64_t Started(const Process& process) const { return boot_ + process.Field(22) / ticks_; }
  int64_t Elapsed(const Process& process) const {
    return std::max<int64_t>(0, now_ - Started(process));
  }
  int64_t CpuSeconds(const Process& process) const {
    return (process.Field(14) + process.Field(15)) / ticks_;
  }
  double CpuPercent(const Process& process) const {
    const int64_t elapsed = Elapsed(process);
    const auto ticks = static_cast<double>(process.Field(14) + process.Field(15));
    return elapsed == 0 ? 0 : 100.0 * ticks / static_cast<double>(ticks_ * elapsed);
  }
  double MemoryPercent(const Process& process) const {
    return memory_kb_ == 0
               ? 0
               : 100.0 * static_cast<double>(process.rss_kb) / static_cast<double>(memory_kb_);
  }

  // ps(1), PROCESS STATE CODES.
  static std::string Stat(const Process& process) {
    std::string text(1, process.state);
    if (process.Field(19) < 0) text.push_back('<');
    if (process.Field(19) > 0) text.push_back('N');
    if (process.locked_kb > 0) text.push_back('L');
    if (process.Field(6) == process.pid) text.push_back('s');
    if (process.Field(20) > 1) text.push_back('l');
    if (process.Field(8) == process.Field(5)) text.push_back('+');
    return text;
  }

  std::string Time(const Process& process, const std::string& column) const {
    const int64_t cpu = CpuSeconds(process);
    if (column == "bsdtime") return absl::StrFormat("%d:%02d", cpu / 60, cpu % 60);
    if (column == "time") return Span(cpu, /*hours=*/true);
    if (column == "etime") return Span(Elapsed(process), /*hours=*/false);
    const std::time_t started = Started(process);
    std::tm local{};
    localtime_r(&started, &local);
    char text[64];
    const char* format = column == "lstart"               ? "%a %b %e %H:%M:%S %Y"
                         : Elapsed(process) < kDaySeconds ? "%H:%M"
                                                          : "%b%d";
    const size_t size = std::strftime(text, sizeof(text), format, &local);
    return std::string(text, size);
  }

  // [DD-]HH:MM:SS; without `hours` those that are zero are left out.
  static std::string Span(int64_t seconds, bool hours) {
    const int64_t days = seconds / kDaySeconds;
    const int64_t hour = seconds / 3600 % 24;
    const std::string rest = absl::StrFormat("%02d:%02d", seconds / 60 % 60, seconds % 60);
    if (days > 0) return absl::StrFormat("%d-%02d:%s", days, hour, rest);
    return hours || hour > 0 ? absl::StrFormat("%02d:%s", hour, rest) : rest;
  }

  const int64_t ticks_;
  std::map<uint32_t, std::string> users_;
  std::map<uint32_t, std::string> groups_;
  int64_t boot_ = 0;
  int64_t memory_kb_ = 0;
  int64_t now_ = 0;
};

}  // namespace

absl::StatusOr<ProcessTable> ListProcesses(const std::vector<pid_t>& pids,
                                           const std::vector<ProcessColumn>& columns,
                                           const std::string& proc) {
  const Formatter formatter(proc);
  ProcessTable table;
  for (const ProcessColumn& column : columns) table.titles.push_back(column.title);
  for (const pid_t pid : pids) {
    const auto process = ReadProcess(proc, pid);
    if (!process.ok()) continue;  // it has ended
    std::vector<std::string>& row = table.rows.emplace_back();
    for (const ProcessColumn& column : columns) {
      row.push_back(formatter.Value(*process, column.name));
    }
  }
  return table;
}

}  // namespace slipway::agent
