#ifndef GATEWAY_HTTP_URL_H_
#define GATEWAY_HTTP_URL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// The request target (RFC 3986, and application/x-www-form-urlencoded for the query). Pure.
namespace slipway::gateway {

// `text` with %XX decoded, and "+" as a space when `form`. Nothing for a broken escape or a NUL.
std::optional<std::string> PercentDecode(absl::string_view text, bool form);

// The parameters of a query, in order.
class Query {
 public:
  // InvalidArgument for a broken escape.
  static absl::StatusOr<Query> Parse(absl::string_view text);

  // The first value of `key`; null where it is absent.
  const std::string* Find(absl::string_view key) const;
  std::string Get(absl::string_view key, absl::string_view fallback = "") const;
  std::vector<std::string> All(absl::string_view key) const;
  bool Has(absl::string_view key) const { return Find(key) != nullptr; }

  // Docker's idea of a boolean: absent, "", "0", "no", "false" and "none" are false, the rest true.
  bool GetBool(absl::string_view key, bool fallback = false) const;
  // Nothing where it is absent or empty; InvalidArgument, naming the key, where it is no integer.
  absl::StatusOr<std::optional<int64_t>> GetInt(absl::string_view key) const;

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

// A request target taken apart.
struct Target {
  std::string path;  // decoded
  Query query;
};

// Takes origin-form and absolute-form. InvalidArgument for anything else.
absl::StatusOr<Target> ParseTarget(absl::string_view target);

}  // namespace slipway::gateway

#endif  // GATEWAY_HTTP_URL_H_
