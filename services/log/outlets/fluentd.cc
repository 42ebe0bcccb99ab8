#include "services/log/outlets/fluentd.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/log/outlets/attributes.h"

namespace slipway::log {
namespace {

using Transport = ConnectionOptions::Transport;

constexpr size_t kMostAnswerBytes = 4096;

void BigEndian(uint64_t value, int bytes, std::string& out) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out += static_cast<char>((value >> shift) & 0xff);
  }
}

// MessagePack. Lengths are always written in the longest form but for short strings: what reads
// them does not care.
void String(absl::string_view text, std::string& out) {
  if (text.size() < 32) {
    out += static_cast<char>(0xa0 | text.size());
  } else {
    out += static_cast<char>(0xdb);
    BigEndian(text.size(), 4, out);
  }
  out.append(text.data(), text.size());
}

void Array(size_t size, std::string& out) {
  out += static_cast<char>(0xdd);
  BigEndian(size, 4, out);
}

void Map(size_t size, std::string& out) {
  out += static_cast<char>(0xdf);
  BigEndian(size, 4, out);
}

void Unsigned(uint64_t value, std::string& out) {
  out += static_cast<char>(0xcf);
  BigEndian(value, 8, out);
}

// Whole seconds, or the protocol's EventTime: extension 0 with seconds and nanoseconds.
void Time(int64_t unix_ns, bool sub_second, std::string& out) {
  const auto seconds = static_cast<uint64_t>(unix_ns / 1'000'000'000);
  if (!sub_second) return Unsigned(seconds, out);
  out += static_cast<char>(0xd7);
  out += '\0';
  BigEndian(seconds, 4, out);
  BigEndian(static_cast<uint64_t>(unix_ns % 1'000'000'000), 4, out);
}

}  // namespace

FluentdOptions ParseFluentdOptions(const ContainerId& id, const LogDescription& description) {
  FluentdOptions options{
      .tag = Tag(id, description, "{{.ID}}"),
      .acknowledged = BoolOption(description, "fluentd-request-ack", false),
      .sub_second = BoolOption(description, "fluentd-sub-second-precision", false),
      .fields = Attributes(description)};
  options.fields["container_id"] = id.value();
  // Docker's names have the slash.
  options.fields["container_name"] = absl::StrCat("/", description.name);
  const std::string address = Option(description, "fluentd-address", "127.0.0.1:24224");
  const size_t scheme = address.find("://");
  options.to.address = scheme == std::string::npos ? address : address.substr(scheme + 3);
  options.to.default_port = "24224";
  if (absl::StartsWith(address, "unix://")) options.to.transport = Transport::kUnixStream;
  if (absl::StartsWith(address, "tls://")) options.to.transport = Transport::kTls;
  return options;
}

std::string ForwardMessage(const FluentdOptions& options, const std::vector<OutletLine>& lines,
                           absl::string_view chunk) {
  std::string out;
  Array(3, out);
  String(options.tag, out);
  Array(lines.size(), out);
  for (const OutletLine& line : lines) {
    Array(2, out);
    Time(line.time_unix_ns, options.sub_second, out);
    Map(options.fields.size() + 2 + (line.partial ? 1 : 0), out);
    for (const auto& [key, value] : options.fields) {
      String(key, out);
      String(value, out);
    }
    String("source", out);
    String(line.stream == StdStream::kStderr ? "stderr" : "stdout", out);
    String("log", out);
    String(line.text, out);
    if (!line.partial) continue;
    String("partial_message", out);
    String("true", out);
  }
  Map(chunk.empty() ? 1 : 2, out);
  String("size", out);
  Unsigned(lines.size(), out);
  if (!chunk.empty()) {
    String("chunk", out);
    String(chunk, out);
  }
  return out;
}

// {"ack": chunk}; chunks are short, so that both are short strings.
absl::Status Fluentd::AwaitAcknowledgement(absl::string_view chunk) {
  std::string wanted;
  String("ack", wanted);
  String(chunk, wanted);
  std::string answer;
  while (!absl::StrContains(answer, wanted)) {
    if (answer.size() > kMostAnswerBytes) {
      return absl::UnavailableError(
          absl::StrCat(options_.to.address, " answers with something else than \"ack\""));
    }
    ASSIGN_OR_RETURN(const std::string more, connection_->Read());
    answer += more;
  }
  return absl::OkStatus();
}

absl::Status Fluentd::Send(const std::vector<OutletLine>& lines) {
  if (connection_ == nullptr || connection_->closed()) {
    ASSIGN_OR_RETURN(connection_, Connection::Open(options_.to));
  }
  const std::string chunk =
      options_.acknowledged ? absl::StrCat("slipway-", next_chunk_++) : std::string();
  absl::Status status = connection_->Write(ForwardMessage(options_, lines, chunk));
  if (status.ok() && options_.acknowledged) status = AwaitAcknowledgement(chunk);
  if (!status.ok()) connection_ = nullptr;
  return status;
}

}  // namespace slipway::log
