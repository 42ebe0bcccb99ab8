#ifndef RUNTIME_AGENT_OCI_JSON_READER_H_
#define RUNTIME_AGENT_OCI_JSON_READER_H_

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::agent {

// An object of a document, read member by member. A member that is absent or null reads as the
// default; one of another type too, and the first such is remembered as the error, with its path.
// Views the document, which outlives it. Not thread-safe.
class JsonReader {
 public:
  JsonReader(const boost::json::value* value, std::string path, absl::Status* error);

  bool Has(absl::string_view key) const { return Find(key) != nullptr; }
  std::string Text(absl::string_view key) const;
  bool Flag(absl::string_view key) const;
  // Whole numbers only, also where written as 1e3.
  int64_t Number(absl::string_view key, int64_t fallback = 0) const;
  std::vector<std::string> Texts(absl::string_view key) const;
  std::vector<std::pair<std::string, std::string>> TextMap(absl::string_view key) const;
  std::vector<uint32_t> Numbers(absl::string_view key) const;
  JsonReader Object(absl::string_view key) const;
  std::vector<JsonReader> Objects(absl::string_view key) const;
  // The member as JSON text; "" when it is absent.
  std::string Raw(absl::string_view key) const;

  // Remembers that `key` (empty: the object) is wrong, unless something was wrong before.
  void Wrong(absl::string_view key, absl::string_view why) const;
  void Refuse(absl::string_view key, absl::string_view why) const;

 private:
  const boost::json::value* Find(absl::string_view key) const;
  std::string PathOf(absl::string_view key) const;

  const boost::json::object* object_ = nullptr;
  std::string path_;
  absl::Status* error_;
};

// Parses a document of at most `limit_bytes`.
absl::StatusOr<boost::json::value> ParseJson(absl::string_view text, size_t limit_bytes);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_OCI_JSON_READER_H_
