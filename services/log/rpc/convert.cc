#include "services/log/rpc/convert.h"

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/log/domain/line_matcher.h"

namespace slipway::log {
namespace {

constexpr size_t kMostDescriptionBytes = 1 << 20;

absl::Status InRecord(int index, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("records[", index, "]: ", what));
}

StdStream ParseStream(common::v1::StdStream stream) {
  switch (stream) {
    case common::v1::STD_STREAM_STDOUT:
      return StdStream::kStdout;
    case common::v1::STD_STREAM_STDERR:
      return StdStream::kStderr;
    default:
      return StdStream::kNone;
  }
}

absl::StatusOr<Record> ParseRecord(const v1::LogRecord& wire, int index) {
  Record record{.time_unix_ns = wire.time_unix_ns(), .spool_end_bytes = wire.end_offset_bytes()};
  switch (wire.kind_case()) {
    case v1::LogRecord::kChunk:
      record.stream = ParseStream(wire.chunk().stream());
      if (record.stream == StdStream::kNone) {
        return InRecord(index, "chunk.stream is neither stdout nor stderr");
      }
      record.data = wire.chunk().data();
      return record;
    case v1::LogRecord::kGap:
      record.kind = RecordKind::kGap;
      record.stream = ParseStream(wire.gap().stream());
      record.dropped_bytes = wire.gap().dropped_bytes();
      return record;
    case v1::LogRecord::kEnd:
      record.kind = RecordKind::kEnd;
      return record;
    case v1::LogRecord::KIND_NOT_SET:
      break;
  }
  return InRecord(index, "kind is not set");
}

}  // namespace

absl::StatusOr<Batch> ParseBatch(const v1::AppendLogRequest& request) {
  Batch batch{.begin_offset_bytes = request.begin_offset_bytes(),
              .end_offset_bytes = request.end_offset_bytes()};
  if (batch.begin_offset_bytes > batch.end_offset_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("begin_offset_bytes ", batch.begin_offset_bytes,
                                                   " is behind end_offset_bytes ",
                                                   batch.end_offset_bytes));
  }
  if (request.records_size() > 0 && batch.begin_offset_bytes == batch.end_offset_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("records in the empty range at offset ", batch.begin_offset_bytes));
  }
  batch.records.reserve(static_cast<size_t>(request.records_size()));
  for (int i = 0; i < request.records_size(); ++i) {
    ASSIGN_OR_RETURN(Record record, ParseRecord(request.records(i), i));
    batch.records.push_back(record);
  }
  return batch;
}

absl::StatusOr<ReadOptions> ParseReadOptions(const v1::ReadLogRequest& request) {
  ReadOptions options{.streams = {request.stdout(), request.stderr()},
                      .since_unix_ns = request.since_unix_ns(),
                      .until_unix_ns = request.until_unix_ns(),
                      .follow = request.follow(),
                      .lines = request.cut() == v1::ReadLogRequest::CUT_LINES};
  if (options.since_unix_ns < 0 || options.until_unix_ns < 0) {
    return absl::InvalidArgumentError("since_unix_ns and until_unix_ns must not be negative");
  }
  if (request.tail_lines() >= 0) {
    options.tail_lines = static_cast<uint64_t>(request.tail_lines());
  }
  if (request.has_search()) {
    ASSIGN_OR_RETURN(const SearchOptions search, ParseSearch(request.search()));
    ASSIGN_OR_RETURN(options.matcher, LineMatcher::Create(search));
  }
  return options;
}

absl::StatusOr<SearchOptions> ParseSearch(const v1::LogSearch& search) {
  return SearchOptions{.substring = search.substring(),
                       .regex = search.regex(),
                       .ignore_case = search.ignore_case(),
                       .invert = search.invert(),
                       .lines_before = search.lines_before(),
                       .lines_after = search.lines_after()};
}

Selector ParseSelector(const v1::LogSelector& selector) {
  return {.containers = {selector.containers().begin(), selector.containers().end()},
          .labels = {selector.labels().begin(), selector.labels().end()},
          .images = {selector.images().begin(), selector.images().end()},
          .projects = {selector.projects().begin(), selector.projects().end()},
          .all = selector.all()};
}

absl::StatusOr<LogDescription> ParseDescription(const v1::LogDescription& wire) {
  if (wire.ByteSizeLong() > kMostDescriptionBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("description is longer than ", kMostDescriptionBytes, " bytes"));
  }
  return LogDescription{.name = wire.name(),
                        .image = wire.image(),
                        .image_id = wire.image_id(),
                        .labels = {wire.labels().begin(), wire.labels().end()},
                        .env = {wire.env().begin(), wire.env().end()},
                        .argv = {wire.argv().begin(), wire.argv().end()},
                        .tty = wire.tty(),
                        .driver = wire.driver(),
                        .options = {wire.options().begin(), wire.options().end()},
                        .created_unix_ns = wire.created_unix_ns(),
                        .hostname = wire.hostname()};
}

void FillDescription(const LogDescription& description, v1::LogDescription& wire) {
  wire.set_name(description.name);
  wire.set_image(description.image);
  wire.set_image_id(description.image_id);
  wire.mutable_labels()->insert(description.labels.begin(), description.labels.end());
  wire.set_tty(description.tty);
  wire.set_driver(description.driver);
  wire.mutable_options()->insert(description.options.begin(), description.options.end());
  wire.set_created_unix_ns(description.created_unix_ns);
  wire.set_hostname(description.hostname);
}

void AddEntry(const Entry& entry, v1::ReadLogResponse& response) {
  v1::LogEntry* wire = response.add_entries();
  wire->set_time_unix_ns(entry.time_unix_ns);
  switch (entry.stream) {
    case StdStream::kStdout:
      wire->set_stream(common::v1::STD_STREAM_STDOUT);
      break;
    case StdStream::kStderr:
      wire->set_stream(common::v1::STD_STREAM_STDERR);
      break;
    case StdStream::kNone:
      break;
  }
  if (!entry.data.empty()) wire->set_data(entry.data.data(), entry.data.size());
  wire->set_dropped_bytes(entry.dropped_bytes);
  wire->set_continued(entry.continued);
  wire->set_context(entry.context);
  if (!entry.container_id.empty()) {
    wire->set_container_id(entry.container_id.data(), entry.container_id.size());
  }
}

}  // namespace slipway::log
