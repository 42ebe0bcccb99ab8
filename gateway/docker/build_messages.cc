#include "gateway/docker/build_messages.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gateway/docker/json_build.h"
#include "gateway/docker/progress.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::build::v1;

constexpr size_t kMaxKeptBytes = 4 << 20;  // of one step's output

std::string Short(absl::string_view id) {
  const size_t colon = id.find(':');
  if (colon != absl::string_view::npos) id.remove_prefix(colon + 1);
  return std::string(id.substr(0, 12));
}

// Of a RUN that failed: the client exits with it.
int ExitCodeIn(absl::string_view message) {
  constexpr absl::string_view kBefore = "returned a non-zero code: ";
  const size_t at = message.rfind(kBefore);
  int code = 0;
  if (at == absl::string_view::npos ||
      !absl::SimpleAtoi(message.substr(at + kBefore.size()), &code)) {
    return 0;
  }
  return code;
}

}  // namespace

void BuildMessages::Put(uint32_t number, const std::string& message, std::string& now) {
  if (quiet_) return;
  if (number <= current_ || number > steps_.size()) {
    now += message;
  } else if (std::string& kept = steps_[number - 1].kept; kept.size() < kMaxKeptBytes) {
    kept += message;
  }
}

void BuildMessages::Advance(std::string& now) {
  while (current_ <= steps_.size() && steps_[current_ - 1].ended) {
    ++current_;
    if (current_ <= steps_.size()) {
      now += steps_[current_ - 1].kept;
      steps_[current_ - 1].kept.clear();
    }
  }
}

void BuildMessages::TakeStep(const pb::BuildStep& update, std::string& now) {
  const uint32_t number = update.number();
  if (number == 0 || number > steps_.size()) return;
  Step& step = steps_[number - 1];
  const auto put = [&](const std::string& text) { Put(number, StreamMessage(text), now); };
  if (!step.announced) {
    step.announced = true;
    put(absl::StrCat("Step ", number, "/", steps_.size(), " : ", step.name));
    put("\n");
  }
  if (update.triggers() > 0) {
    put(absl::StrCat("# Executing ", update.triggers(), " build trigger",
                     update.triggers() > 1 ? "s" : "", "\n"));
    return;
  }
  if (!update.container_id().empty()) {
    step.container = update.container_id();
    put(absl::StrCat(" ---> Running in ", Short(step.container), "\n"));
  }
  if (update.state() == pb::BuildStep::STATE_CACHED) put(" ---> Using cache\n");
  if (update.container_removed()) {
    put(absl::StrCat("Removing intermediate container ", Short(step.container), "\n"));
  }
  const bool done =
      update.state() == pb::BuildStep::STATE_DONE || update.state() == pb::BuildStep::STATE_CACHED;
  if (done) put(absl::StrCat(" ---> ", Short(update.image_id()), "\n"));
  if (done) {
    step.ended = true;
    Advance(now);
  }
}

void BuildMessages::TakeResult(const pb::BuildResult& result, std::string& now) {
  if (quiet_) {
    now += StreamMessage(absl::StrCat(result.image_id(), "\n"));
    return;
  }
  if (result.unused_build_args_size() > 0) {
    now += StreamMessage(absl::StrCat("[Warning] One or more build-args [",
                                      absl::StrJoin(result.unused_build_args(), " "),
                                      "] were not consumed\n"));
  }
  absl::StrAppend(&now, "{\"aux\":{\"ID\":\"", result.image_id(), "\"}}\r\n");
  now += StreamMessage(absl::StrCat("Successfully built ", Short(result.image_id()), "\n"));
  for (const std::string& tag : result.tags()) {
    const bool has_tag =
        tag.rfind(':') != std::string::npos &&
        tag.rfind(':') > (tag.rfind('/') == std::string::npos ? 0 : tag.rfind('/'));
    now += StreamMessage(absl::StrCat("Successfully tagged ", tag, has_tag ? "" : ":latest", "\n"));
  }
}

std::string BuildMessages::Take(const pb::BuildImageResponse& response) {
  std::string now;
  if (response.has_plan()) {
    for (const pb::BuildStep& step : response.plan().steps()) steps_.push_back({step.name()});
  } else if (response.has_step()) {
    TakeStep(response.step(), now);
  } else if (response.has_output()) {
    const std::string text = ValidUtf8(response.output().data());
    Put(response.output().step(),
        StreamMessage(response.output().is_stderr() ? absl::StrCat("\x1b[91m", text, "\x1b[0m")
                                                    : text),
        now);
  } else if (response.has_warning()) {
    if (!quiet_) now += StreamMessage(absl::StrCat("[Warning] ", response.warning().text(), "\n"));
  } else if (response.has_result()) {
    TakeResult(response.result(), now);
  }
  return now;
}

std::string BuildMessages::Fail(const absl::Status& status) {
  std::string now;
  // Steps beside the failed one were cut off: what they have told comes before the error.
  for (Step& step : steps_) now += std::exchange(step.kept, "");
  const std::string message(status.message());
  boost::json::object detail;
  if (const int code = ExitCodeIn(message); code != 0) detail["code"] = code;
  detail["message"] = message;
  absl::StrAppend(&now,
                  boost::json::serialize(
                      boost::json::object{{"errorDetail", std::move(detail)}, {"error", message}}),
                  "\r\n");
  return now;
}

}  // namespace slipway::gateway
