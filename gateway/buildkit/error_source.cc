#include "gateway/buildkit/error_source.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "base/rpc/status_conversion.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace fe = moby::buildkit::v1::frontend;

constexpr char kDetails[] = "grpc-status-details-bin";  // google.rpc.Status

// 0: it says none.
int LineOf(absl::string_view message) {
  if (!absl::ConsumePrefix(&message, "dockerfile parse error on line ") &&
      !absl::ConsumePrefix(&message, "dockerfile line ")) {
    return 0;
  }
  const auto* const end = std::find_if_not(message.begin(), message.end(), absl::ascii_isdigit);
  int line = 0;
  (void)absl::SimpleAtoi(message.substr(0, static_cast<size_t>(end - message.begin())), &line);
  return line;
}

}  // namespace

absl::Status WithSource(absl::Status status, const std::string& file, const std::string& text) {
  const int line = LineOf(status.message());
  if (line == 0 || text.empty()) return status;
  const json::object place = {{"line", line}};
  const json::object source = {
      {"info", json::object{{"filename", file}, {"data", absl::Base64Escape(text)}}},
      {"ranges", json::array{json::object{{"start", place}, {"end", place}}}}};
  fe::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(std::string(status.message()));
  auto& detail = *details.add_details();
  detail.set_type_url("github.com/moby/buildkit/errdefs.Source+json");
  detail.set_value(json::serialize(source));
  status.SetPayload(kDetails, absl::Cord(details.SerializeAsString()));
  return status;
}

grpc::Status ToGrpcWithSource(const absl::Status& status) {
  const grpc::Status plain = ToGrpc(status);
  const auto details = status.GetPayload(kDetails);
  if (!details.has_value()) return plain;
  return grpc::Status(plain.error_code(), plain.error_message(), std::string(*details));
}

absl::Status FromReturn(const fe::Status& error) {
  absl::Status status(static_cast<absl::StatusCode>(error.code()), error.message());
  if (!status.ok()) status.SetPayload(kDetails, absl::Cord(error.SerializeAsString()));
  return status;
}

}  // namespace slipway::gateway
