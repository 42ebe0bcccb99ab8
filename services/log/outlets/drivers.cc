#include "services/log/outlets/drivers.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/log/domain/retention.h"
#include "services/log/outlets/attributes.h"
#include "services/log/outlets/fluentd.h"
#include "services/log/outlets/http_push.h"
#include "services/log/outlets/journald.h"
#include "services/log/outlets/json_file.h"
#include "services/log/outlets/syslog.h"

namespace slipway::log {
namespace {

JsonFileOptions ParseJsonFileOptions(const ContainerId& id, const LogDescription& description,
                                     std::string path) {
  JsonFileOptions options{.path = std::move(path), .attributes = Attributes(description)};
  if (const auto size = ParseSize(Option(description, "max-size")); size.ok()) {
    options.max_bytes = *size;
  }
  uint64_t files = 0;
  if (absl::SimpleAtoi(Option(description, "max-file"), &files) && files > 0) {
    options.max_files = files;
  }
  if (const std::string tag = Option(description, "tag"); !tag.empty()) {
    options.attributes["tag"] = Tag(id, description, "");
  }
  return options;
}

}  // namespace

bool Drivers::Has(const LogDescription& description) const {
  const std::string& driver = description.driver;
  return driver == "json-file" || driver == "syslog" || driver == "journald" ||
         driver == "fluentd" || driver == "loki" || driver == "otlp";
}

std::string Drivers::Path(const ContainerId& id, const LogDescription& description) const {
  if (description.driver != "json-file") return "";
  return absl::StrCat(options_.json_directory, "/", id.value(), "/", id.value(), "-json.log");
}

absl::StatusOr<std::unique_ptr<Outlet>> Drivers::Open(const ContainerId& id,
                                                      const LogDescription& description,
                                                      const std::string& state) {
  const std::string& driver = description.driver;
  if (driver == "json-file") {
    return JsonFile::Open(ParseJsonFileOptions(id, description, Path(id, description)), state);
  }
  if (driver == "syslog") {
    auto options = ParseSyslogOptions(id, description);
    if (!options.ok()) return options.status();
    return std::make_unique<Syslog>(*std::move(options));
  }
  if (driver == "journald") {
    JournaldOptions options = ParseJournaldOptions(id, description);
    if (!options_.journald_socket.empty()) options.socket = options_.journald_socket;
    return std::make_unique<Journald>(std::move(options));
  }
  if (driver == "fluentd") return std::make_unique<Fluentd>(ParseFluentdOptions(id, description));
  if (driver == "loki" || driver == "otlp") {
    return std::make_unique<HttpPush>(ParseHttpPushOptions(id, description));
  }
  return absl::InvalidArgumentError(absl::StrCat("no outlet for log driver \"", driver, "\""));
}

void Drivers::Remove(const ContainerId& id) {
  std::error_code ignored;
  std::filesystem::remove_all(absl::StrCat(options_.json_directory, "/", id.value()), ignored);
}

}  // namespace slipway::log
