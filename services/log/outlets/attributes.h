#ifndef SERVICES_LOG_OUTLETS_ATTRIBUTES_H_
#define SERVICES_LOG_OUTLETS_ATTRIBUTES_H_

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "services/log/ports/container_id.h"
#include "services/log/ports/description.h"

// What drivers say of a container with each record. Pure; thread-safe.
namespace slipway::log {

// The labels and variables that the options labels, labels-regex, env and env-regex name.
std::map<std::string, std::string> Attributes(const LogDescription& description);

// The option tag with its {{.Name}} and so on filled in; `otherwise` where there is none.
std::string Tag(const ContainerId& id, const LogDescription& description,
                absl::string_view otherwise);

// The option's value; `otherwise` where there is none.
std::string Option(const LogDescription& description, const std::string& name,
                   absl::string_view otherwise = "");
bool BoolOption(const LogDescription& description, const std::string& name, bool otherwise);

// 2006-01-02T15:04:05.000000001Z; `trim` leaves out zeros at the end as Go's RFC3339Nano does.
std::string Rfc3339Nano(int64_t unix_ns, bool trim);

}  // namespace slipway::log

#endif  // SERVICES_LOG_OUTLETS_ATTRIBUTES_H_
