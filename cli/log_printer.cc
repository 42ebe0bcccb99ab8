#include "cli/log_printer.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/text/utf8.h"
#include "cli/format.h"

namespace slipway::cli {
namespace {

constexpr const char* kColors[] = {"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"};

}  // namespace

LogPrinter::Container& LogPrinter::Find(const std::string& id) {
  const auto [at, added] = containers_.try_emplace(id);
  if (added) {
    at->second.name = name_of_(id);
    at->second.color = kColors[(containers_.size() - 1) % std::size(kColors)];
    widest_ = std::max(widest_, at->second.name.size());
  }
  return at->second;
}

std::string LogPrinter::Json(const log::v1::LogEntry& entry, const Container& container) const {
  boost::json::object out;
  out["time"] = Timestamp(entry.time_unix_ns());
  if (!entry.container_id().empty()) out["container"] = entry.container_id();
  if (!container.name.empty()) out["name"] = container.name;
  out["stream"] = entry.stream() == common::v1::STD_STREAM_STDERR ? "stderr" : "stdout";
  if (entry.dropped_bytes() > 0) {
    out["dropped_bytes"] = entry.dropped_bytes();
  } else {
    out["log"] = ValidUtf8(entry.data());
  }
  if (entry.continued()) out["continued"] = true;
  if (entry.context()) out["context"] = true;
  return boost::json::serialize(out) + "\n";
}

std::string LogPrinter::Text(const log::v1::LogEntry& entry) {
  Container& container = Find(entry.container_id());
  if (format_.json) return Json(entry, container);
  bool& inside = container.inside[entry.stream() == common::v1::STD_STREAM_STDERR ? 1 : 0];
  const bool begins = !std::exchange(inside, entry.continued());
  std::string text;
  if (begins && format_.names) {
    const std::string padding(widest_ - container.name.size(), ' ');
    text = absl::StrCat(container.name, padding, entry.context() ? " - " : " | ");
    if (format_.color) text = absl::StrCat("\x1b[", container.color, "m", text, "\x1b[0m");
  }
  if (begins && format_.timestamps) absl::StrAppend(&text, Timestamp(entry.time_unix_ns()), " ");
  if (entry.dropped_bytes() > 0) {
    return absl::StrCat(text, "slipway: ", entry.dropped_bytes(), " bytes were dropped here\n");
  }
  absl::StrAppend(&text, entry.data());
  // Lines of several containers do not run into each other.
  const bool open = entry.data().empty() || entry.data().back() != '\n';
  if (format_.names && open && !entry.continued()) text += '\n';
  return text;
}

bool LogPrinter::ToStderr(const log::v1::LogEntry& entry) const {
  if (format_.json) return false;
  return entry.dropped_bytes() > 0 || entry.stream() == common::v1::STD_STREAM_STDERR;
}

}  // namespace slipway::cli
