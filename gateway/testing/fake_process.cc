#include "gateway/testing/fake_process.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"

namespace slipway::gateway {
namespace {

using slipway::common::v1::StdStream;

void Run(FakeProcess& process, std::vector<std::string> command) {
  absl::MutexLock lock(&process.mu);
  const auto write = [&process](StdStream stream, std::string text) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    process.output.emplace_back(stream, std::move(text));
    process.times.push_back(absl::ToUnixNanos(absl::Now()));
  };
  const std::string verb = command.empty() ? "echo" : command[0];
  int code = 0;
  if (verb == "echo") {
    command.erase(command.begin());
    write(slipway::common::v1::STD_STREAM_STDOUT, absl::StrJoin(command, " ") + "\n");
  } else if (verb == "fail") {
    write(slipway::common::v1::STD_STREAM_STDERR, "failing\n");
    (void)absl::SimpleAtoi(command.size() > 1 ? command[1] : "1", &code);
  } else if (verb == "spew") {
    int mib = 1;
    (void)absl::SimpleAtoi(command.size() > 1 ? command[1] : "1", &mib);
    for (int i = 0; i < mib * 16; ++i) {
      write(slipway::common::v1::STD_STREAM_STDOUT, std::string((64 << 10) - 1, 'x') + "\n");
    }
  } else {
    while (process.signal == 0) {
      const auto woken = [&process]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
        return process.signal != 0 || !process.input.empty() || process.input_closed;
      };
      process.mu.Await(absl::Condition(&woken));
      if (!process.input.empty()) {
        write(slipway::common::v1::STD_STREAM_STDOUT, std::exchange(process.input, ""));
      } else if (process.input_closed && verb == "cat") {
        break;
      } else if (process.signal == 0) {
        process.mu.AwaitWithTimeout(absl::Condition(&process.ended), absl::Milliseconds(20));
      }
    }
    if (process.signal != 0) code = 128 + process.signal;
  }
  process.exit_code = code;
  process.ended = true;
}

}  // namespace

void LaunchFakeProcess(const std::shared_ptr<FakeProcess>& process,
                       std::vector<std::string> command) {
  {
    absl::MutexLock lock(&process->mu);
    process->started = true;
  }
  if (process->thread.joinable()) process->thread.join();
  process->thread = std::thread([process, command] { Run(*process, command); });
}

}  // namespace slipway::gateway
