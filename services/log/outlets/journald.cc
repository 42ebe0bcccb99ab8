#include "services/log/outlets/journald.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/log/outlets/attributes.h"

namespace slipway::log {
namespace {

// Any value may be binary; only short plain ones are written as text.
void AppendField(absl::string_view name, absl::string_view value, std::string& out) {
  out.append(name.data(), name.size());
  if (value.find('\n') == absl::string_view::npos) {
    out += '=';
  } else {
    out += '\n';
    uint64_t size = value.size();
    for (int i = 0; i < 8; ++i, size >>= 8) out += static_cast<char>(size & 0xff);
  }
  out.append(value.data(), value.size());
  out += '\n';
}

// Names have capitals, digits and underscores, and begin with a letter.
std::string FieldName(absl::string_view text) {
  std::string name;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    const char upper = absl::ascii_toupper(u);
    name += absl::ascii_isalnum(u) ? upper : '_';
  }
  const size_t first = name.find_first_not_of("_0123456789");
  name = first == std::string::npos ? "" : name.substr(first);
  return name.substr(0, 64);
}

}  // namespace

JournaldOptions ParseJournaldOptions(const ContainerId& id, const LogDescription& description) {
  const std::string tag = Tag(id, description, "{{.ID}}");
  JournaldOptions options;
  for (const auto& [name, value] : Attributes(description)) {
    if (const std::string field = FieldName(name); !field.empty()) options.fields[field] = value;
  }
  options.fields["CONTAINER_ID"] = id.value().substr(0, 12);
  options.fields["CONTAINER_ID_FULL"] = id.value();
  options.fields["CONTAINER_NAME"] = description.name;
  options.fields["CONTAINER_TAG"] = tag;
  options.fields["IMAGE_NAME"] = description.image;
  options.fields["SYSLOG_IDENTIFIER"] = tag;
  return options;
}

std::string JournalEntry(const JournaldOptions& options, const OutletLine& line) {
  std::string entry;
  AppendField("MESSAGE", line.text, entry);
  AppendField("PRIORITY", line.stream == StdStream::kStderr ? "3" : "6", entry);
  AppendField("SYSLOG_TIMESTAMP", Rfc3339Nano(line.time_unix_ns, /*trim=*/true), entry);
  if (line.partial) AppendField("CONTAINER_PARTIAL_MESSAGE", "true", entry);
  for (const auto& [name, value] : options.fields) AppendField(name, value, entry);
  return entry;
}

absl::Status Journald::Send(const std::vector<OutletLine>& lines) {
  if (connection_ == nullptr) {
    ASSIGN_OR_RETURN(connection_,
                     Connection::Open({.transport = ConnectionOptions::Transport::kUnixDatagram,
                                       .address = options_.socket}));
  }
  for (const OutletLine& line : lines) {
    const absl::Status written = connection_->Write(JournalEntry(options_, line));
    if (written.ok()) continue;
    connection_ = nullptr;
    return written;
  }
  return absl::OkStatus();
}

}  // namespace slipway::log
