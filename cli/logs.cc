#include <unistd.h>

#include <cstdio>
#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/os/file.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"
#include "cli/context.h"
#include "cli/format.h"
#include "cli/log_printer.h"

namespace slipway::cli {
namespace {

struct LogsOptions {
  std::vector<std::string> containers, labels, images, projects;
  std::string tail = "all", since, until, search, regex, color = "auto", from;
  uint32_t before = 0, after = 0, around = 0;
  bool all = false, follow = false, timestamps = false, json = false, count = false;
  bool ignore_case = false, invert = false, only_stdout = false, only_stderr = false;
  bool truncate = false, print_cursor = false;

  bool several() const {
    return containers.size() != 1 || !labels.empty() || !images.empty() || !projects.empty();
  }
  bool searches() const { return !search.empty() || !regex.empty(); }
};

log::v1::LogSearch ToSearch(const LogsOptions& options) {
  log::v1::LogSearch search;
  search.set_substring(options.search);
  search.set_regex(options.regex);
  search.set_ignore_case(options.ignore_case);
  search.set_invert(options.invert);
  search.set_lines_before(std::max(options.before, options.around));
  search.set_lines_after(std::max(options.after, options.around));
  return search;
}

absl::StatusOr<int64_t> ToTime(const std::string& text) {
  if (text.empty()) return 0;
  return ParseTime(text, absl::Now());
}

absl::StatusOr<log::v1::ReadLogRequest> ToRequest(const LogsOptions& options,
                                                  const log::v1::LogSelector& selector) {
  log::v1::ReadLogRequest request;
  if (options.several() || options.json) {
    *request.mutable_selector() = selector;
  } else {
    request.set_container_id(selector.containers(0));
  }
  request.set_stdout(!options.only_stderr);
  request.set_stderr(!options.only_stdout);
  request.set_follow(options.follow);
  const bool by_line = options.timestamps || options.json || options.several();
  request.set_cut(by_line ? log::v1::ReadLogRequest::CUT_LINES
                          : log::v1::ReadLogRequest::CUT_CHUNKS);
  int64_t lines = -1;
  if (options.tail != "all" && !absl::SimpleAtoi(options.tail, &lines)) {
    return absl::InvalidArgumentError(absl::StrCat("--tail: \"", options.tail, "\" is no number"));
  }
  request.set_tail_lines(lines);
  ASSIGN_OR_RETURN(const int64_t since, ToTime(options.since));
  ASSIGN_OR_RETURN(const int64_t until, ToTime(options.until));
  request.set_since_unix_ns(since);
  request.set_until_unix_ns(until);
  if (options.searches()) *request.mutable_search() = ToSearch(options);
  request.set_with_cursors(options.print_cursor);
  if (!options.from.empty()) request.set_cursor(absl::HexStringToBytes(options.from));
  return request;
}

// Names are what the platform calls containers now, and not what they were called when they logged.
absl::StatusOr<log::v1::LogSelector> Resolve(Context& context, const LogsOptions& options) {
  log::v1::LogSelector selector;
  for (const std::string& container : options.containers) {
    grpc::ClientContext call;
    container::v1::GetContainerRequest get;
    get.set_container(container);
    container::v1::GetContainerResponse found;
    RETURN_IF_ERROR(FromGrpc(context.containers().GetContainer(&call, get, &found)));
    selector.add_containers(found.container().id());
  }
  for (const std::string& label : options.labels) selector.add_labels(label);
  for (const std::string& image : options.images) selector.add_images(image);
  for (const std::string& project : options.projects) selector.add_projects(project);
  selector.set_all(options.all);
  return selector;
}

// What was written before now is stored before it is read. The agent gives up when nothing moves.
void Flush(Context& context, const LogsOptions& options, const log::v1::LogSelector& selector) {
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(120));
  agent::v1::FlushLogRequest flush;
  if (!options.several()) flush.set_container_id(selector.containers(0));
  agent::v1::FlushLogResponse flushed;
  context.streams().FlushLog(&call, flush, &flushed);
}

std::string NameOf(Context& context, const std::string& id) {
  if (id.empty()) return "";
  grpc::ClientContext call;
  log::v1::ListLogsRequest list;
  list.mutable_selector()->add_containers(id);
  log::v1::ListLogsResponse found;
  if (!context.logs().ListLogs(&call, list, &found).ok() || found.logs_size() != 1 ||
      found.logs(0).description().name().empty()) {
    return ShortId(id);
  }
  return found.logs(0).description().name();
}

absl::Status Count(Context& context, const LogsOptions& options,
                   const log::v1::LogSelector& selector) {
  ASSIGN_OR_RETURN(const log::v1::ReadLogRequest read, ToRequest(options, selector));
  log::v1::CountLogRequest request;
  *request.mutable_selector() = selector;
  request.set_stdout(read.stdout());
  request.set_stderr(read.stderr());
  request.set_since_unix_ns(read.since_unix_ns());
  request.set_until_unix_ns(read.until_unix_ns());
  if (read.has_search()) *request.mutable_search() = read.search();
  grpc::ClientContext call;
  log::v1::CountLogResponse response;
  RETURN_IF_ERROR(FromGrpc(context.logs().CountLog(&call, request, &response)));
  uint64_t lines = 0;
  for (const auto& count : response.counts()) {
    lines += count.lines();
    if (options.several()) {
      std::printf("%s\t%llu\n", NameOf(context, count.container_id()).c_str(),
                  static_cast<unsigned long long>(count.lines()));
    }
  }
  if (!options.several()) std::printf("%llu\n", static_cast<unsigned long long>(lines));
  return absl::OkStatus();
}

absl::Status Truncate(Context& context, const log::v1::LogSelector& selector) {
  log::v1::TruncateLogRequest request;
  *request.mutable_selector() = selector;
  grpc::ClientContext call;
  log::v1::TruncateLogResponse response;
  RETURN_IF_ERROR(FromGrpc(context.logs().TruncateLog(&call, request, &response)));
  std::printf("%s freed\n", HumanSize(static_cast<int64_t>(response.deleted_bytes())).c_str());
  return absl::OkStatus();
}

absl::Status Read(Context& context, const LogsOptions& options,
                  const log::v1::LogSelector& selector) {
  ASSIGN_OR_RETURN(const log::v1::ReadLogRequest request, ToRequest(options, selector));
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  LogPrinter printer({.timestamps = options.timestamps,
                      .json = options.json,
                      .names = options.several(),
                      .color = options.color == "always" || (options.color == "auto" && terminal)},
                     [&context](const std::string& id) { return NameOf(context, id); });
  grpc::ClientContext call;
  auto stream = context.logs().ReadLog(&call, request);
  log::v1::ReadLogResponse response;
  std::string cursor;
  // What goes to the same place goes there together.
  std::string text;
  int fd = STDOUT_FILENO;
  absl::Status written;
  while (written.ok() && stream->Read(&response)) {
    for (const log::v1::LogEntry& entry : response.entries()) {
      const int to = printer.ToStderr(entry) ? STDERR_FILENO : STDOUT_FILENO;
      if (to != fd) {
        written.Update(WriteAll(fd, text, "output"));
        text.clear();
        fd = to;
      }
      text += printer.Text(entry);
    }
    written.Update(WriteAll(fd, text, "output"));
    text.clear();
    if (!response.cursor().empty()) cursor = response.cursor();
  }
  if (!written.ok()) {
    call.TryCancel();
    stream->Finish();
    return absl::OkStatus();
  }
  const absl::Status status = FromGrpc(stream->Finish());
  if (!cursor.empty()) {
    std::fprintf(stderr, "-- cursor: %s\n", absl::BytesToHexString(cursor).c_str());
  }
  // A container that never wrote anything has no log.
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::Status Logs(Context& context, const LogsOptions& options) {
  const bool chosen = !options.containers.empty() || !options.labels.empty() ||
                      !options.images.empty() || !options.projects.empty() || options.all;
  if (!chosen) {
    return absl::InvalidArgumentError(
        "logs: name containers, or choose them by --label, --image, --project or --all");
  }
  ASSIGN_OR_RETURN(const log::v1::LogSelector selector, Resolve(context, options));
  if (options.truncate) return Truncate(context, selector);
  Flush(context, options, selector);
  if (options.count) return Count(context, options, selector);
  return Read(context, options, selector);
}

void AddChoice(CLI::App* logs, LogsOptions& options) {
  logs->add_option("container", options.containers, "containers");
  logs->add_option("-l,--label", options.labels, "those with a label, key or key=value");
  logs->add_option("--image", options.images, "those of an image");
  logs->add_option("--project", options.projects, "those of a compose project");
  logs->add_flag("-a,--all", options.all, "every container");
}

void AddSearch(CLI::App* logs, LogsOptions& options) {
  logs->add_option("-s,--search", options.search, "only lines that have this");
  logs->add_option("-e,--regex", options.regex, "only lines that match this RE2 expression");
  logs->add_flag("-i,--ignore-case", options.ignore_case, "capitals or not");
  logs->add_flag("-v,--invert", options.invert, "only lines that do not match");
  logs->add_option("-B,--before", options.before, "and so many lines before each");
  logs->add_option("-A,--after", options.after, "and so many lines after each");
  logs->add_option("-C,--context", options.around, "and so many lines around each");
  logs->add_flag("-c,--count", options.count, "how many lines, not the lines");
}

}  // namespace

void AddLogs(CLI::App& app, Context& context) {
  auto options = std::make_shared<LogsOptions>();
  CLI::App* logs = app.add_subcommand("logs", "Show what containers wrote");
  AddChoice(logs, *options);
  AddSearch(logs, *options);
  logs->add_flag("-f,--follow", options->follow, "go on until they end");
  logs->add_flag("-t,--timestamps", options->timestamps, "with the time of each line");
  logs->add_option("-n,--tail", options->tail, "the last N lines of each");
  logs->add_option("--since", options->since, "RFC 3339, Unix seconds, or a duration like 10m");
  logs->add_option("--until", options->until, "likewise");
  logs->add_flag("--stdout", options->only_stdout, "only stdout");
  logs->add_flag("--stderr", options->only_stderr, "only stderr")->excludes("--stdout");
  logs->add_flag("--json", options->json, "a JSON object for each line");
  logs->add_option("--color", options->color, "names in color")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  logs->add_flag("--print-cursor", options->print_cursor, "say at the end where to go on");
  logs->add_option("--cursor", options->from, "go on from there");
  logs->add_flag("--truncate", options->truncate, "delete what is stored");
  logs->final_callback([&context, options] { context.Check(Logs(context, *options)); });
}

}  // namespace slipway::cli
