#include "services/container/domain/signal_name.h"

#include <csignal>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace slipway::container {
namespace {

// The kernel's range; the C library keeps the first two for itself, containers need not.
constexpr int kRealTimeFirst = 34;
constexpr int kRealTimeLast = 64;

struct NamedSignal {
  absl::string_view name;
  int number;
};

constexpr NamedSignal kSignals[] = {{"ABRT", SIGABRT},
                                    {"ALRM", SIGALRM},
                                    {"BUS", SIGBUS},
                                    {"CHLD", SIGCHLD},
                                    {"CLD", SIGCHLD},
                                    {"CONT", SIGCONT},
                                    {"FPE", SIGFPE},
                                    {"HUP", SIGHUP},
                                    {"ILL", SIGILL},
                                    {"INT", SIGINT},
                                    {"IO", SIGIO},
                                    {"IOT", SIGIOT},
                                    {"KILL", SIGKILL},
                                    {"PIPE", SIGPIPE},
                                    {"POLL", SIGPOLL},
                                    {"PROF", SIGPROF},
                                    {"PWR", SIGPWR},
                                    {"QUIT", SIGQUIT},
                                    {"SEGV", SIGSEGV},
                                    {"STKFLT", SIGSTKFLT},
                                    {"STOP", SIGSTOP},
                                    {"SYS", SIGSYS},
                                    {"TERM", SIGTERM},
                                    {"TRAP", SIGTRAP},
                                    {"TSTP", SIGTSTP},
                                    {"TTIN", SIGTTIN},
                                    {"TTOU", SIGTTOU},
                                    {"URG", SIGURG},
                                    {"USR1", SIGUSR1},
                                    {"USR2", SIGUSR2},
                                    {"VTALRM", SIGVTALRM},
                                    {"WINCH", SIGWINCH},
                                    {"XCPU", SIGXCPU},
                                    {"XFSZ", SIGXFSZ},
                                    {"RTMIN", kRealTimeFirst},
                                    {"RTMAX", kRealTimeLast}};

}  // namespace

absl::StatusOr<int> ParseSignal(absl::string_view text) {
  const absl::Status bad =
      absl::InvalidArgumentError(absl::StrCat("Invalid signal: ", text.substr(0, 64)));
  int number = 0;
  if (absl::SimpleAtoi(text, &number)) {
    if (number < 1 || number > kRealTimeLast) return bad;
    return number;
  }
  const std::string upper = absl::AsciiStrToUpper(text.substr(0, 64));
  const absl::string_view name = absl::StripPrefix(upper, "SIG");
  for (const NamedSignal& signal : kSignals) {
    if (signal.name == name) return signal.number;
  }
  int offset = 0;
  constexpr int kSpan = kRealTimeLast - kRealTimeFirst;
  if (absl::StartsWith(name, "RTMIN+") && absl::SimpleAtoi(name.substr(6), &offset) &&
      offset >= 0 && offset <= kSpan) {
    return kRealTimeFirst + offset;
  }
  if (absl::StartsWith(name, "RTMAX-") && absl::SimpleAtoi(name.substr(6), &offset) &&
      offset >= 0 && offset <= kSpan) {
    return kRealTimeLast - offset;
  }
  return bad;
}

}  // namespace slipway::container
