#include <cstdio>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"
#include "cli/context.h"
#include "cli/format.h"

namespace slipway::cli {
namespace {

std::string Line(const common::v1::Event& event) {
  const std::map<std::string, std::string> sorted(event.attributes().begin(),
                                                  event.attributes().end());
  return absl::StrCat(Timestamp(event.time_unix_ns()), " ", event.type(), " ", event.action(), " ",
                      event.actor_id(), " (", absl::StrJoin(sorted, ", ", absl::PairFormatter("=")),
                      ")");
}

absl::Status Events(Context& context, const std::string& since) {
  grpc::ClientContext call;
  container::v1::WatchEventsRequest request;
  if (since.empty()) {
    request.set_only_new(true);
  } else {
    ASSIGN_OR_RETURN(const int64_t ns, ParseTime(since, absl::Now()));
    request.set_since_unix_ns(ns);
  }
  auto stream = context.containers().WatchEvents(&call, request);
  container::v1::WatchEventsResponse response;
  while (stream->Read(&response)) {
    if (!response.has_event()) continue;
    if (std::printf("%s\n", Line(response.event()).c_str()) < 0 || std::fflush(stdout) != 0) {
      call.TryCancel();
    }
  }
  return FromGrpc(stream->Finish());
}

}  // namespace

void AddEvents(CLI::App& app, Context& context) {
  auto since = std::make_shared<std::string>();
  CLI::App* events = app.add_subcommand("events", "Show what happens to containers");
  events->add_option("--since", *since, "RFC 3339, Unix seconds, or a duration like 10m");
  events->final_callback([&context, since] { context.Check(Events(context, *since)); });
}

}  // namespace slipway::cli
