#include <unistd.h>

#include <cstdio>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/os/file.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"
#include "cli/context.h"
#include "cli/format.h"
#include "cli/line_stamps.h"

namespace slipway::cli {
namespace {

struct LogsOptions {
  std::string container, tail = "all", since, until;
  bool follow = false, timestamps = false;
};

absl::StatusOr<log::v1::ReadLogRequest> ToRequest(const LogsOptions& options,
                                                  const std::string& id) {
  log::v1::ReadLogRequest request;
  request.set_container_id(id);
  request.set_stdout(true);
  request.set_stderr(true);
  request.set_follow(options.follow);
  request.set_cut(options.timestamps ? log::v1::ReadLogRequest::CUT_LINES
                                     : log::v1::ReadLogRequest::CUT_CHUNKS);
  int64_t lines = -1;
  if (options.tail != "all" && !absl::SimpleAtoi(options.tail, &lines)) {
    return absl::InvalidArgumentError(absl::StrCat("--tail: \"", options.tail, "\" is no number"));
  }
  request.set_tail_lines(lines);
  if (!options.since.empty()) {
    ASSIGN_OR_RETURN(const int64_t ns, ParseTime(options.since, absl::Now()));
    request.set_since_unix_ns(ns);
  }
  if (!options.until.empty()) {
    ASSIGN_OR_RETURN(const int64_t ns, ParseTime(options.until, absl::Now()));
    request.set_until_unix_ns(ns);
  }
  return request;
}

absl::Status Print(const log::v1::LogEntry& entry, bool with_time) {
  const bool is_stderr = entry.stream() == common::v1::STD_STREAM_STDERR;
  const int fd = is_stderr ? STDERR_FILENO : STDOUT_FILENO;
  if (entry.dropped_bytes() > 0) {
    return WriteAll(STDERR_FILENO,
                    absl::StrCat("slipway: ", entry.dropped_bytes(), " bytes were dropped here\n"),
                    "stderr");
  }
  if (with_time) {
    RETURN_IF_ERROR(WriteAll(fd, absl::StrCat(Timestamp(entry.time_unix_ns()), " "), "output"));
  }
  return WriteAll(fd, entry.data(), "output");
}

absl::Status Logs(Context& context, const LogsOptions& options) {
  grpc::ClientContext get_call;
  container::v1::GetContainerRequest get;
  get.set_container(options.container);
  container::v1::GetContainerResponse found;
  RETURN_IF_ERROR(FromGrpc(context.containers().GetContainer(&get_call, get, &found)));
  const std::string& id = found.container().id();
  ASSIGN_OR_RETURN(const log::v1::ReadLogRequest request, ToRequest(options, id));

  // What was written before now is stored before it is read; a log service that is slow to catch up
  // delays this by two seconds at most.
  grpc::ClientContext flush_call;
  flush_call.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
  agent::v1::FlushLogRequest flush;
  flush.set_container_id(id);
  agent::v1::FlushLogResponse flushed;
  context.streams().FlushLog(&flush_call, flush, &flushed);

  grpc::ClientContext call;
  auto stream = context.logs().ReadLog(&call, request);
  log::v1::ReadLogResponse response;
  LineStamps stamps;
  while (stream->Read(&response)) {
    for (const log::v1::LogEntry& entry : response.entries()) {
      const bool begins_line = stamps.BeginsLine(entry);
      if (!Print(entry, options.timestamps && begins_line).ok()) {
        call.TryCancel();
        stream->Finish();
        return absl::OkStatus();
      }
    }
  }
  const absl::Status status = FromGrpc(stream->Finish());
  // A container that never wrote anything has no log.
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

}  // namespace

void AddLogs(CLI::App& app, Context& context) {
  auto options = std::make_shared<LogsOptions>();
  CLI::App* logs = app.add_subcommand("logs", "Show what a container wrote");
  logs->add_flag("-f,--follow", options->follow, "go on until it ends");
  logs->add_flag("-t,--timestamps", options->timestamps, "with the time of each line");
  logs->add_option("-n,--tail", options->tail, "the last N lines");
  logs->add_option("--since", options->since, "RFC 3339, Unix seconds, or a duration like 10m");
  logs->add_option("--until", options->until, "likewise");
  logs->add_option("container", options->container, "container")->required();
  logs->final_callback([&context, options] { context.Check(Logs(context, *options)); });
}

}  // namespace slipway::cli
