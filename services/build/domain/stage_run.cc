#include "services/build/domain/stage_run.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"
#include "services/build/dockerfile/words.h"

namespace slipway::build {
namespace {

constexpr char kDefaultPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr int64_t kNsPerSecond = 1'000'000'000;

}  // namespace

bool IsProxyArgument(absl::string_view name) {
  const std::string upper = absl::AsciiStrToUpper(name);
  return upper == "HTTP_PROXY" || upper == "HTTPS_PROXY" || upper == "FTP_PROXY" ||
         upper == "NO_PROXY" || upper == "ALL_PROXY";
}

StageRun::StageRun(const BuildParts& parts, const Plan& plan, const Stage& stage, char escape,
                   std::shared_ptr<const FileSet> context, StageResults& results)
    : parts_(parts),
      plan_(plan),
      stage_(stage),
      escape_(escape),
      context_(std::move(context)),
      results_(results) {}

int64_t StageRun::epoch_s() const { return parts_.request.epoch_s(); }

int64_t StageRun::created_unix_ns() const { return epoch_s() * kNsPerSecond; }

std::optional<std::string> StageRun::Look(absl::string_view name) const {
  for (const std::string& entry : image_.config.env) {
    const size_t equals = entry.find('=');
    if (equals != std::string::npos && absl::string_view(entry).substr(0, equals) == name) {
      return entry.substr(equals + 1);
    }
  }
  const auto found = arguments_.find(std::string(name));
  return found == arguments_.end() ? std::nullopt : found->second;
}

absl::StatusOr<std::string> StageRun::Expand(absl::string_view text) const {
  absl::StatusOr<std::string> word = ExpandWord(
      text, [this](absl::string_view name) { return Look(name); }, escape_);
  if (word.ok()) return word;
  return absl::InvalidArgumentError(absl::StrCat("dockerfile line ", line_,
                                                 ": failed to process \"", text.substr(0, 128),
                                                 "\": ", word.status().message()));
}

absl::Status StageRun::At(const Instruction& instruction, const absl::Status& status) const {
  if (status.ok() || absl::StartsWith(status.message(), "dockerfile ")) return status;
  return absl::Status(status.code(), absl::StrCat("dockerfile line ", instruction.first_line, ": ",
                                                  status.message()));
}

absl::StatusOr<StageImage> StageRun::Run() {
  number_ = stage_.first_step;
  StepUpdate update = {.number = number_,
                       .state = StepState::kRunning,
                       .started_unix_ns = absl::GetCurrentTimeNanos()};
  parts_.events.OnStep(update);
  const absl::Status begun = Begin();
  update = {.number = number_,
            .state = begun.ok()                 ? StepState::kDone
                     : absl::IsCancelled(begun) ? StepState::kCancelled
                                                : StepState::kFailed,
            .finished_unix_ns = absl::GetCurrentTimeNanos(),
            .image_id = image_.id};
  parts_.events.OnStep(update);
  RETURN_IF_ERROR(begun);
  uint32_t number = stage_.first_step;
  for (const Instruction& instruction : stage_.instructions) {
    RETURN_IF_ERROR(Step(instruction, ++number));
  }
  if (image_.id.empty()) {
    // "FROM scratch" and nothing else.
    if (stage_.index == plan_.target) {
      return absl::InvalidArgumentError("No image was generated. Is your Dockerfile empty?");
    }
  }
  return image_;
}

absl::StatusOr<ImageInfo> StageRun::FindBase(const std::string& reference,
                                             const Platform& platform) {
  if (!parts_.request.pull) {
    absl::StatusOr<ImageInfo> found = parts_.images.Get(reference);
    const bool fits = !found.ok() || platform.empty() ||
                      (found->platform.os == platform.os &&
                       found->platform.architecture == platform.architecture);
    if (fits && !absl::IsNotFound(found.status())) return found;
  }
  return parts_.images.Pull(reference, platform, [this](absl::string_view line) {
    parts_.events.OnOutput(number_, false, absl::StrCat(line, "\n"));
  });
}

absl::Status StageRun::Begin() {
  RETURN_IF_ERROR(parts_.cancellation.status());
  Platform platform = stage_.platform.empty() ? parts_.request.platform : stage_.platform;
  const Platform& target = parts_.request.platform.empty() ? parts_.host : parts_.request.platform;
  platform_arguments_ = PlatformArguments(target, parts_.host);
  if (stage_.base_stage.has_value()) {
    ASSIGN_OR_RETURN(image_, results_.Await(*stage_.base_stage));
  } else if (stage_.base == "scratch") {
    image_.platform = platform.empty() ? parts_.host : platform;
  } else {
    ASSIGN_OR_RETURN(ImageInfo base, FindBase(stage_.base, platform));
    image_ = {base.id, base.author, std::move(base.config), base.platform};
  }
  image_.base_id = image_.id;
  std::vector<std::string>& env = image_.config.env;
  const bool has_path = std::any_of(env.begin(), env.end(), [](const std::string& entry) {
    return absl::StartsWith(entry, "PATH=");
  });
  if (!has_path) env.push_back(kDefaultPath);
  std::vector<std::string> triggers = std::exchange(image_.config.on_build, {});
  // What is given is taken as it is.
  return triggers.empty() || stage_.is_given ? absl::OkStatus() : RunTriggers(std::move(triggers));
}

absl::Status StageRun::RunTriggers(std::vector<std::string> triggers) {
  parts_.events.OnStep({.number = number_,
                        .state = StepState::kRunning,
                        .image_id = image_.id,
                        .triggers = static_cast<int>(triggers.size())});
  for (const std::string& trigger : triggers) {
    ASSIGN_OR_RETURN(Instruction instruction, ParseInstruction(trigger));
    if (instruction.verb == Verb::kFrom || instruction.verb == Verb::kOnbuild ||
        instruction.verb == Verb::kMaintainer) {
      return absl::InvalidArgumentError(
          absl::StrCat(VerbName(instruction.verb), " isn't allowed as an ONBUILD trigger"));
    }
    instruction.first_line = stage_.from.first_line;
    RETURN_IF_ERROR(Execute(instruction));
    if (!outcome_.container.empty()) {
      parts_.events.OnStep({.number = number_,
                            .state = StepState::kRunning,
                            .image_id = image_.id,
                            .container_removed = outcome_.container_removed});
    }
    outcome_ = {};
  }
  return absl::OkStatus();
}

absl::Status StageRun::Step(const Instruction& instruction, uint32_t number) {
  RETURN_IF_ERROR(parts_.cancellation.status());
  number_ = number;
  line_ = instruction.first_line;
  outcome_ = {};
  parts_.events.OnStep({.number = number,
                        .state = StepState::kRunning,
                        .started_unix_ns = absl::GetCurrentTimeNanos()});
  absl::Status status = Execute(instruction);
  StepState state = outcome_.cached ? StepState::kCached : StepState::kDone;
  if (!status.ok()) {
    // What broke because the build ended is not what ended it.
    if (parts_.cancellation.cancelled()) status = parts_.cancellation.status();
    state = absl::IsCancelled(status) ? StepState::kCancelled : StepState::kFailed;
  }
  parts_.events.OnStep({.number = number,
                        .state = state,
                        .finished_unix_ns = absl::GetCurrentTimeNanos(),
                        .image_id = status.ok() ? image_.id : "",
                        .container_removed = outcome_.container_removed});
  return status;
}

absl::Status StageRun::Execute(const Instruction& instruction) {
  switch (instruction.verb) {
    case Verb::kRun:
      return TakeRun(instruction);
    case Verb::kCopy:
    case Verb::kAdd:
      return TakeCopy(instruction);
    case Verb::kWorkdir:
      return TakeWorkdir(instruction);
    default:
      return TakeConfig(instruction);
  }
}

std::vector<std::string> StageRun::Shell() const {
  if (!image_.config.shell.empty()) return image_.config.shell;
  return {"/bin/sh", "-c"};
}

// How dockerd writes into the history what ran in no container.
std::string StageRun::Comment(absl::string_view text, bool one_blank) const {
  return absl::StrCat(absl::StrJoin(Shell(), " "), one_blank ? " #(nop) " : " #(nop)  ", text);
}

std::string StageRun::Key(const std::string& created_by, const std::string& inputs) const {
  Sha256 sha;
  sha.AppendField("1");  // of this computation
  sha.AppendField(image_.id);
  sha.AppendField(PlatformName(image_.platform));
  sha.AppendField(created_by);
  sha.AppendField(inputs);
  sha.AppendNumber(static_cast<uint64_t>(epoch_s()));
  return sha.Finish();
}

bool StageRun::TakeCached(const std::string& key) {
  if (parts_.request.no_cache) return false;
  const std::optional<std::string> found = parts_.cache.Find(key);
  if (!found.has_value()) return false;
  if (!parts_.images.Get(*found).ok()) {
    parts_.cache.Forget(key);
    return false;
  }
  image_.id = *found;
  outcome_.cached = true;
  return true;
}

void StageRun::Record(const std::string& key, const std::string& created_by,
                      const std::string& parent) {
  parts_.cache.Record({.key = key,
                       .parent = parent,
                       .image_id = image_.id,
                       .description = created_by.substr(0, 512)});
}

absl::Status StageRun::Commit(const std::string& created_by, const std::string& inputs,
                              const std::function<absl::Status(const TarSink&)>& layer) {
  const std::string key = Key(created_by, inputs);
  if (TakeCached(key)) return absl::OkStatus();
  const std::string parent = image_.id;
  ASSIGN_OR_RETURN(image_.id, parts_.images.Commit({.parent = parent,
                                                    .config = image_.config,
                                                    .author = image_.author,
                                                    .created_by = created_by,
                                                    .platform = image_.platform,
                                                    .created_unix_ns = created_unix_ns(),
                                                    .latest_mtime_unix_s = epoch_s()},
                                                   layer));
  Record(key, created_by, parent);
  return absl::OkStatus();
}

}  // namespace slipway::build
