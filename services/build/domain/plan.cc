#include "services/build/domain/plan.h"

#include <sys/utsname.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"
#include "base/text/platform.h"
#include "services/build/dockerfile/suggestion.h"
#include "services/build/dockerfile/words.h"

namespace slipway::build {
namespace {

constexpr size_t kMaxStages = 256;
constexpr size_t kMaxSteps = 4096;

absl::Status ErrorAt(const Instruction& instruction, absl::string_view message) {
  return ParseError({instruction.first_line, 1}, message);
}

bool IsStageName(absl::string_view name) {
  return !name.empty() && absl::ascii_isalpha(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

class Planner {
 public:
  Planner(const Dockerfile& file, const BuildRequest& request, const Platform& host)
      : file_(file), request_(request), host_(host) {
    const Platform& target = request.platform.empty() ? host : request.platform;
    predefined_ = PlatformArguments(target, host);
  }

  absl::StatusOr<Plan> Make() {
    plan_.warnings = file_.warnings;
    plan_.named_images = request_.named_images;
    for (const Instruction& instruction : file_.instructions) {
      if (instruction.verb == Verb::kFrom) {
        RETURN_IF_ERROR(BeginStage(instruction));
      } else if (plan_.stages.empty()) {
        RETURN_IF_ERROR(TakeGlobalArgument(instruction));
      } else if (!plan_.stages.back().is_given) {
        plan_.stages.back().instructions.push_back(instruction);
      }
    }
    RETURN_IF_ERROR(FindTarget());
    AddLabels();
    for (Stage& stage : plan_.stages) RETURN_IF_ERROR(Connect(stage));
    RETURN_IF_ERROR(CheckCycles());
    RETURN_IF_ERROR(Number());
    return std::move(plan_);
  }

 private:
  std::optional<std::string> Look(absl::string_view name) const {
    const std::string key(name);
    if (const auto found = plan_.global_arguments.find(key);
        found != plan_.global_arguments.end()) {
      return found->second;
    }
    if (const auto found = predefined_.find(key); found != predefined_.end()) return found->second;
    return std::nullopt;
  }

  absl::StatusOr<std::string> Expand(const Instruction& instruction, absl::string_view text) const {
    absl::StatusOr<std::string> word = ExpandWord(
        text, [this](absl::string_view name) { return Look(name); }, file_.escape);
    if (!word.ok()) return ErrorAt(instruction, word.status().message());
    return word;
  }

  absl::Status TakeGlobalArgument(const Instruction& instruction) {
    for (const NamedValue& pair : instruction.pairs) {
      const auto given = request_.build_args.find(pair.name);
      if (given != request_.build_args.end()) {
        plan_.global_arguments[pair.name] = given->second;
      } else if (pair.has_value) {
        ASSIGN_OR_RETURN(plan_.global_arguments[pair.name], Expand(instruction, pair.value));
      }
    }
    return absl::OkStatus();
  }

  absl::Status BeginStage(const Instruction& from) {
    if (plan_.stages.size() >= kMaxStages) {
      return ErrorAt(from, absl::StrCat("there are more than ", kMaxStages, " stages"));
    }
    Stage stage;
    stage.index = static_cast<int>(plan_.stages.size());
    stage.from = from;
    ASSIGN_OR_RETURN(stage.base, Expand(from, from.words[0]));
    if (stage.base.empty()) {
      return ErrorAt(from, absl::StrCat("base name (", from.words[0], ") should not be blank"));
    }
    if (from.words.size() == 3) {
      stage.name = absl::AsciiStrToLower(from.words[2]);
      if (!IsStageName(stage.name)) {
        return ErrorAt(from, absl::StrCat("invalid name for build stage: \"", from.words[2],
                                          "\", name can't start with a number or contain symbols"));
      }
    }
    if (const std::string* platform = from.FindFlag("platform")) {
      ASSIGN_OR_RETURN(const std::string expanded, Expand(from, *platform));
      if (!expanded.empty()) {
        const auto parsed = ParsePlatform(expanded);
        if (!parsed.ok()) return ErrorAt(from, parsed.status().message());
        stage.platform = *parsed;
      }
    }
    const std::string* const given = plan_.FindNamedImage(stage.name);
    const std::string* const other = plan_.FindNamedImage(stage.base);
    stage.is_given = given != nullptr;
    if (given != nullptr || other != nullptr) {
      stage.base = given != nullptr ? *given : *other;
      plan_.stages.push_back(std::move(stage));
      return absl::OkStatus();
    }
    // The last one of that name so far.
    for (const Stage& before : plan_.stages) {
      if (!before.name.empty() && before.name == absl::AsciiStrToLower(stage.base)) {
        stage.base_stage = before.index;
      }
    }
    plan_.stages.push_back(std::move(stage));
    return absl::OkStatus();
  }

  absl::Status FindTarget() {
    plan_.target = static_cast<int>(plan_.stages.size()) - 1;
    if (request_.target.empty()) return absl::OkStatus();
    const std::optional<int> found = plan_.FindStage(request_.target);
    if (!found.has_value()) {
      std::vector<std::string> names;
      for (const Stage& stage : plan_.stages) {
        if (!stage.name.empty()) names.push_back(stage.name);
      }
      return absl::InvalidArgumentError(absl::StrCat("failed to reach build target ",
                                                     request_.target, " in Dockerfile",
                                                     Suggestion(request_.target, names)));
    }
    plan_.target = *found;
    return absl::OkStatus();
  }

  // The request's labels are one more instruction.
  void AddLabels() {
    if (request_.labels.empty()) return;
    Instruction label;
    label.verb = Verb::kLabel;
    label.text = "LABEL";
    for (const auto& [name, value] : request_.labels) {
      const auto quoted = [](absl::string_view text) {
        std::string out = "'";
        for (const char c : text) out += c == '\'' ? "'\"'\"'" : std::string(1, c);
        return out + "'";
      };
      label.pairs.push_back({quoted(name), quoted(value), true});
      absl::StrAppend(&label.text, " ", name, "=", value);
    }
    label.arguments = label.text.substr(6);
    Stage& target = plan_.stages[plan_.target];
    label.first_line = label.last_line =
        target.instructions.empty() ? target.from.last_line : target.instructions.back().last_line;
    target.instructions.push_back(std::move(label));
  }

  absl::Status Connect(Stage& stage) {
    std::set<int> needs;
    if (stage.base_stage.has_value()) needs.insert(*stage.base_stage);
    for (const Instruction& instruction : stage.instructions) {
      for (const std::string& reference : FromReferences(instruction)) {
        int number = 0;
        const std::optional<int> found = plan_.FindSource(reference);
        if (found.has_value()) {
          needs.insert(*found);
        } else if (absl::SimpleAtoi(reference, &number)) {
          return ErrorAt(instruction, absl::StrCat("invalid from flag value ", reference,
                                                   ": invalid stage index"));
        }
      }
    }
    stage.depends_on.assign(needs.begin(), needs.end());
    return absl::OkStatus();
  }

  absl::Status CheckCycles() const {
    enum class Mark { kNew, kOpen, kDone };
    std::vector<Mark> marks(plan_.stages.size(), Mark::kNew);
    // Depth is bounded by the number of stages.
    const std::function<absl::Status(int)> visit = [&](int index) -> absl::Status {
      const Stage& stage = plan_.stages[index];
      if (marks[index] == Mark::kOpen) {
        return ErrorAt(stage.from,
                       absl::StrCat("circular dependency detected on stage: ", stage.label()));
      }
      if (marks[index] == Mark::kDone) return absl::OkStatus();
      marks[index] = Mark::kOpen;
      for (const int needed : stage.depends_on) RETURN_IF_ERROR(visit(needed));
      marks[index] = Mark::kDone;
      return absl::OkStatus();
    };
    for (const Stage& stage : plan_.stages) RETURN_IF_ERROR(visit(stage.index));
    return absl::OkStatus();
  }

  void MarkNeeded(int index, std::vector<bool>& needed) const {
    if (needed[index]) return;
    needed[index] = true;
    for (const int other : plan_.stages[index].depends_on) MarkNeeded(other, needed);
  }

  uint32_t LastStep(int stage) const {
    const Stage& of = plan_.stages[stage];
    return of.first_step + static_cast<uint32_t>(of.instructions.size());
  }

  absl::Status Number() {
    std::vector<bool> needed(plan_.stages.size(), false);
    MarkNeeded(plan_.target, needed);
    uint32_t next = 1;
    for (Stage& stage : plan_.stages) {
      if (!needed[stage.index]) continue;
      stage.first_step = next;
      next += 1 + static_cast<uint32_t>(stage.instructions.size());
    }
    if (next > kMaxSteps) {
      return absl::InvalidArgumentError(
          absl::StrCat("there are more than ", kMaxSteps, " instructions"));
    }
    for (const Stage& stage : plan_.stages) {
      if (!stage.needed()) continue;
      PlannedStep from = {stage.first_step, stage.label(), stage.from.text, stage.from.first_line};
      if (stage.base_stage.has_value()) from.depends_on = {LastStep(*stage.base_stage)};
      plan_.steps.push_back(std::move(from));
      uint32_t number = stage.first_step;
      for (const Instruction& instruction : stage.instructions) {
        PlannedStep step = {
            number + 1, stage.label(), instruction.text, instruction.first_line, {number}};
        for (const std::string& reference : FromReferences(instruction)) {
          if (const auto found = plan_.FindSource(reference)) {
            step.depends_on.push_back(LastStep(*found));
          }
        }
        plan_.steps.push_back(std::move(step));
        ++number;
      }
    }
    return absl::OkStatus();
  }

  const Dockerfile& file_;
  const BuildRequest& request_;
  const Platform host_;
  std::map<std::string, std::string> predefined_;
  Plan plan_;
};

}  // namespace

const std::string* Plan::FindNamedImage(const std::string& reference) const {
  // As Docker shortens names: those of its own registry have no host.
  absl::string_view name = reference;
  absl::ConsumePrefix(&name, "index.docker.io/") || absl::ConsumePrefix(&name, "docker.io/");
  absl::ConsumePrefix(&name, "library/");
  absl::ConsumeSuffix(&name, ":latest");
  const bool can_be = !name.empty() && !absl::EqualsIgnoreCase(name, "scratch") &&
                      !absl::EqualsIgnoreCase(name, "context") &&
                      name.find_first_not_of("0123456789") != absl::string_view::npos;
  const auto found = can_be ? named_images.find(std::string(name)) : named_images.end();
  return found == named_images.end() ? nullptr : &found->second;
}

std::optional<int> Plan::FindSource(const std::string& reference) const {
  return FindNamedImage(reference) != nullptr ? std::nullopt : FindStage(reference);
}

std::string Plan::ImageOf(const std::string& reference) const {
  const std::string* const named = FindNamedImage(reference);
  return named == nullptr ? reference : *named;
}

std::optional<int> Plan::FindStage(const std::string& reference) const {
  std::optional<int> found;
  for (const Stage& stage : stages) {
    if (!stage.name.empty() && stage.name == absl::AsciiStrToLower(reference)) found = stage.index;
  }
  int number = 0;
  if (!found.has_value() && absl::SimpleAtoi(reference, &number) && number >= 0 &&
      number < static_cast<int>(stages.size())) {
    found = number;
  }
  return found;
}

std::vector<std::string> FromReferences(const Instruction& instruction) {
  std::vector<std::string> references;
  if (instruction.verb == Verb::kCopy) {
    if (const std::string* from = instruction.FindFlag("from")) references.push_back(*from);
  }
  for (const std::string& mount : instruction.Flags("mount")) {
    for (absl::string_view field : absl::StrSplit(mount, ',')) {
      if (absl::ConsumePrefix(&field, "from=")) references.emplace_back(field);
    }
  }
  return references;
}

absl::StatusOr<Plan> MakePlan(const Dockerfile& file, const BuildRequest& request,
                              const Platform& host) {
  return Planner(file, request, host).Make();
}

Platform HostPlatform() {
  utsname names{};
  uname(&names);
  const absl::string_view machine = names.machine;
  if (machine == "x86_64") return {"linux", "amd64", ""};
  if (machine == "aarch64") return {"linux", "arm64", ""};
  return {"linux", std::string(machine), ""};
}

absl::StatusOr<Platform> ParsePlatform(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  const bool good =
      parts.size() <= 3 && std::none_of(parts.begin(), parts.end(), [](const auto& p) {
        return p.empty() || p.find_first_not_of(
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_.-") != std::string::npos;
      });
  if (!good) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is an invalid component of a platform"));
  }
  Platform platform;
  if (parts.size() == 1) {
    platform.os = parts[0] == "linux" ? parts[0] : "linux";
    platform.architecture = parts[0] == "linux" ? HostPlatform().architecture : parts[0];
    return platform;
  }
  platform.os = parts[0];
  platform.architecture = parts[1] == "x86_64"    ? "amd64"
                          : parts[1] == "aarch64" ? "arm64"
                                                  : parts[1];
  if (parts.size() == 3) platform.variant = parts[2];
  return platform;
}

std::string PlatformName(const Platform& platform) {
  return Format({platform.os, platform.architecture, platform.variant});
}

std::map<std::string, std::string> PlatformArguments(const Platform& target, const Platform& host) {
  return {{"BUILDPLATFORM", PlatformName(host)},    {"BUILDOS", host.os},
          {"BUILDARCH", host.architecture},         {"BUILDVARIANT", host.variant},
          {"TARGETPLATFORM", PlatformName(target)}, {"TARGETOS", target.os},
          {"TARGETARCH", target.architecture},      {"TARGETVARIANT", target.variant}};
}

}  // namespace slipway::build
