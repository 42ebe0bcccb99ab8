#include <sys/utsname.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/service/service.h"
#include "gateway/endpoints/handlers.h"
#include "gateway/endpoints/host_facts.h"

namespace slipway::gateway {

namespace json = boost::json;

Awaitable<absl::Status> Version(ApiRequest& request) {
  const HostFacts& host = LocalHost();
  const absl::string_view version = slipway::Version();
  const json::string release(version.data(), version.size());
  const json::string api(kMaxApiVersionText.data(), kMaxApiVersionText.size());
  const json::string min_api(kMinApiVersionText.data(), kMinApiVersionText.size());
  json::object details;
  details["ApiVersion"] = api;
  details["Arch"] = host.go_architecture;
  details["BuildTime"] = "";
  details["Experimental"] = "false";
  details["GitCommit"] = "";
  details["GoVersion"] = "";
  details["KernelVersion"] = host.kernel_version;
  details["MinAPIVersion"] = min_api;
  details["Os"] = "linux";
  json::object engine;
  engine["Name"] = "Engine";
  engine["Version"] = release;
  engine["Details"] = std::move(details);
  json::object answer;
  answer["Platform"] = json::object{{"Name", "Slipway"}};
  answer["Components"] = json::array{std::move(engine)};
  answer["Version"] = release;
  answer["ApiVersion"] = api;
  answer["MinAPIVersion"] = min_api;
  answer["GitCommit"] = "";
  answer["GoVersion"] = "";
  answer["Os"] = "linux";
  answer["Arch"] = host.go_architecture;
  answer["KernelVersion"] = host.kernel_version;
  answer["BuildTime"] = "";
  co_return co_await request.http.SendJson(200, answer);
}

Awaitable<absl::Status> PluginList(ApiRequest& request) {
  co_return co_await request.http.SendJson(200, json::array());
}

}  // namespace slipway::gateway
