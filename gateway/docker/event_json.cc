#include "gateway/docker/event_json.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "absl/strings/match.h"
#include "gateway/docker/json_build.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
using slipway::common::v1::Event;

std::string Attribute(const Event& event, const char* name) {
  const auto found = event.attributes().find(name);
  return found == event.attributes().end() ? "" : found->second;
}

// An object is meant by its id, a prefix of it, or its name.
bool IsActor(const Event& event, const Filters& filters, const char* type) {
  const std::vector<std::string>& wanted = filters.Get(type);
  if (wanted.empty()) return true;
  if (event.type() != type) return false;
  return std::any_of(wanted.begin(), wanted.end(), [&event](const std::string& name) {
    return absl::StartsWith(event.actor_id(), name) || Attribute(event, "name") == name;
  });
}

// The filter "image" also selects what containers of the image do.
bool IsOfImage(const Event& event, const Filters& filters) {
  const std::vector<std::string>& wanted = filters.Get("image");
  if (wanted.empty()) return true;
  const auto without_tag = [](const std::string& reference) {
    const size_t slash = reference.rfind('/');
    return reference.substr(0, reference.find(':', slash == std::string::npos ? 0 : slash));
  };
  return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& name) {
    if (event.type() == "image") {
      return event.actor_id() == name || Attribute(event, "name") == name ||
             without_tag(event.actor_id()) == name || without_tag(Attribute(event, "name")) == name;
    }
    const std::string image = Attribute(event, "image");
    return event.type() == "container" && (image == name || without_tag(image) == name);
  });
}

// "exec_start" also stands for "exec_start: /bin/sh".
bool HasAction(const Event& event, const Filters& filters) {
  const std::vector<std::string>& wanted = filters.Get("event");
  if (wanted.empty()) return true;
  const std::string verb = event.action().substr(0, event.action().find(':'));
  return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& action) {
    return action == event.action() || action == verb;
  });
}

}  // namespace

std::string EventToJson(const Event& event) {
  json::object out;
  if (event.type() == "container" || event.type() == "image") {
    out["status"] = event.action();
    out["id"] = event.actor_id();
    if (event.type() == "container") out["from"] = Attribute(event, "image");
  }
  out["Type"] = event.type();
  out["Action"] = event.action();
  out["Actor"] =
      json::object{{"ID", event.actor_id()}, {"Attributes", StringMap(event.attributes())}};
  out["scope"] = "local";
  out["time"] = event.time_unix_ns() / 1'000'000'000;
  out["timeNano"] = event.time_unix_ns();
  return json::serialize(out) + "\n";
}

absl::Status CheckEventFilters(const Filters& filters) {
  return filters.CheckNames({"container", "daemon", "event", "image", "label", "network", "plugin",
                             "scope", "type", "volume", "node", "service", "secret", "config"});
}

bool EventPasses(const Event& event, const Filters& filters) {
  return filters.Allows("type", event.type()) && filters.Allows("scope", "local") &&
         HasAction(event, filters) && IsActor(event, filters, "container") &&
         IsActor(event, filters, "network") && IsActor(event, filters, "volume") &&
         IsActor(event, filters, "daemon") && IsOfImage(event, filters) &&
         filters.AllowsLabels(event.attributes());
}

}  // namespace slipway::gateway
