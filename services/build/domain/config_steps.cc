// Instructions that change the image's configuration and no file, and WORKDIR.

#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status/status_macros.h"
#include "base/text/ignore_file.h"
#include "services/build/dockerfile/words.h"
#include "services/build/domain/go_format.h"
#include "services/build/domain/stage_run.h"
#include "services/build/files/tar_writer.h"

namespace slipway::build {
namespace {

void PutEnv(const std::string& name, const std::string& value, std::vector<std::string>& env) {
  const std::string prefix = absl::StrCat(name, "=");
  for (std::string& entry : env) {
    if (absl::StartsWith(entry, prefix)) {
      entry = prefix + value;
      return;
    }
  }
  env.push_back(prefix + value);
}

void AddOnce(const std::string& item, std::vector<std::string>& list) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

absl::Status CheckSignal(const std::string& text) {
  int number = 0;
  if (absl::SimpleAtoi(text, &number) && number > 0 && number <= SIGRTMAX) return absl::OkStatus();
  const std::string name(absl::StripPrefix(absl::AsciiStrToUpper(text), "SIG"));
  if (absl::StartsWith(name, "RTMIN") || absl::StartsWith(name, "RTMAX")) return absl::OkStatus();
  for (int signal = 1; signal < 32; ++signal) {
    const char* known = sigabbrev_np(signal);
    if (known != nullptr && name == known) return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("Invalid signal: ", text));
}

absl::StatusOr<int64_t> DurationFlag(const Instruction& instruction, absl::string_view name) {
  const std::string* text = instruction.FindFlag(name);
  if (text == nullptr) return 0;
  absl::Duration duration;
  if (!absl::ParseDuration(*text, &duration)) {
    return absl::InvalidArgumentError(absl::StrCat("invalid duration \"", *text, "\" in --", name));
  }
  if (duration < absl::Milliseconds(1) && duration != absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("Interval \"", name, "\" cannot be less than 1ms"));
  }
  return absl::ToInt64Nanoseconds(duration);
}

// "80", "80-90/udp": each port with its protocol.
absl::Status AddPorts(const std::string& text, std::vector<std::string>& ports) {
  const std::vector<std::string> halves = absl::StrSplit(text, absl::MaxSplits('/', 1));
  const std::string protocol =
      halves.size() == 2 ? absl::AsciiStrToLower(halves[1]) : std::string("tcp");
  // "host:container" means the container's.
  const std::string range = halves[0].substr(halves[0].rfind(':') + 1);
  const std::vector<std::string> ends = absl::StrSplit(range, absl::MaxSplits('-', 1));
  uint32_t first = 0, last = 0;
  const bool good = absl::SimpleAtoi(ends.front(), &first) &&
                    absl::SimpleAtoi(ends.back(), &last) && first <= last && last <= 65535 &&
                    first > 0;
  if (!good) return absl::InvalidArgumentError(absl::StrCat("Invalid containerPort: ", range));
  if (protocol != "tcp" && protocol != "udp" && protocol != "sctp") {
    return absl::InvalidArgumentError(absl::StrCat("Invalid proto: ", protocol));
  }
  for (uint32_t port = first; port <= last; ++port) {
    AddOnce(absl::StrCat(port, "/", protocol), ports);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status StageRun::TakeConfig(const Instruction& instruction) {
  ImageConfig& config = image_.config;
  const std::string first = instruction.words.empty() ? "" : instruction.words[0];
  switch (instruction.verb) {
    case Verb::kArg:
      return TakeArguments(instruction);
    case Verb::kEnv:
      return TakeEnv(instruction);
    case Verb::kLabel:
      return TakeLabels(instruction);
    case Verb::kExpose:
      return TakeExpose(instruction);
    case Verb::kVolume:
      return TakeVolumes(instruction);
    case Verb::kCmd:
    case Verb::kEntrypoint:
      return TakeCommand(instruction);
    case Verb::kHealthcheck:
      return TakeHealthcheck(instruction);
    case Verb::kMaintainer:
      image_.author = first;
      return Commit(Comment(absl::StrCat("MAINTAINER ", first)), "");
    case Verb::kUser: {
      ASSIGN_OR_RETURN(config.user, Expand(first));
      return Commit(Comment(absl::StrCat("USER ", config.user)), "");
    }
    case Verb::kStopSignal: {
      ASSIGN_OR_RETURN(config.stop_signal, Expand(first));
      RETURN_IF_ERROR(CheckSignal(config.stop_signal));
      return Commit(Comment(absl::StrCat("STOPSIGNAL ", config.stop_signal)), "");
    }
    case Verb::kShell:
      config.shell = instruction.words;
      return Commit(Comment(absl::StrCat("SHELL ", GoList(config.shell))), "");
    case Verb::kOnbuild:
      config.on_build.push_back(first);
      return Commit(Comment(absl::StrCat("ONBUILD ", first)), "");
    default:
      return absl::InternalError("an instruction that is none of the configuration");
  }
}

absl::Status StageRun::TakeArguments(const Instruction& instruction) {
  std::string comment = "ARG";
  for (const NamedValue& pair : instruction.pairs) {
    ASSIGN_OR_RETURN(const std::string name, Expand(pair.name));
    std::optional<std::string> value;
    if (pair.has_value) {
      ASSIGN_OR_RETURN(value, Expand(pair.value));
    }
    absl::StrAppend(&comment, " ", name, value.has_value() ? absl::StrCat("=", *value) : "");
    const auto given = parts_.request.build_args.find(name);
    const auto global = plan_.global_arguments.find(name);
    const auto predefined = platform_arguments_.find(name);
    results_.TakeArgument(name);
    if (given != parts_.request.build_args.end()) {
      value = given->second;
    } else if (!value.has_value() && global != plan_.global_arguments.end()) {
      value = global->second;
    } else if (!value.has_value() && predefined != platform_arguments_.end()) {
      value = predefined->second;
    }
    arguments_[name] = value;
  }
  return Commit(Comment(comment), "");
}

absl::Status StageRun::TakeEnv(const Instruction& instruction) {
  std::string comment = "ENV";
  std::vector<std::pair<std::string, std::string>> values;
  for (const NamedValue& pair : instruction.pairs) {
    ASSIGN_OR_RETURN(const std::string name, Expand(pair.name));
    ASSIGN_OR_RETURN(const std::string value, Expand(pair.value));
    if (name.empty())
      return At(instruction, absl::InvalidArgumentError("ENV names can not be blank"));
    values.emplace_back(name, value);
    absl::StrAppend(&comment, " ", name, "=", value);
  }
  for (const auto& [name, value] : values) PutEnv(name, value, image_.config.env);
  return Commit(Comment(comment), "");
}

absl::Status StageRun::TakeLabels(const Instruction& instruction) {
  std::string comment = "LABEL";
  for (const NamedValue& pair : instruction.pairs) {
    ASSIGN_OR_RETURN(const std::string name, Expand(pair.name));
    ASSIGN_OR_RETURN(const std::string value, Expand(pair.value));
    if (name.empty()) {
      return At(instruction, absl::InvalidArgumentError("LABEL names can not be blank"));
    }
    image_.config.labels[name] = value;
    absl::StrAppend(&comment, " ", name, "=", value);
  }
  return Commit(Comment(comment), "");
}

absl::Status StageRun::TakeExpose(const Instruction& instruction) {
  std::vector<std::string> written;
  for (const std::string& word : instruction.words) {
    ASSIGN_OR_RETURN(const std::vector<std::string> ports,
                     ExpandWords(
                         word, [this](absl::string_view name) { return Look(name); }, escape_));
    for (const std::string& port : ports) {
      RETURN_IF_ERROR(At(instruction, AddPorts(port, image_.config.exposed_ports)));
      written.push_back(port);
    }
  }
  return Commit(Comment(absl::StrCat("EXPOSE ", absl::StrJoin(written, " "))), "");
}

absl::Status StageRun::TakeVolumes(const Instruction& instruction) {
  std::vector<std::string> volumes;
  for (const std::string& word : instruction.words) {
    ASSIGN_OR_RETURN(std::string volume, Expand(word));
    volume = std::string(absl::StripAsciiWhitespace(volume));
    if (volume.empty()) {
      return At(instruction,
                absl::InvalidArgumentError("VOLUME specified can not be an empty string"));
    }
    AddOnce(volume, image_.config.volumes);
    volumes.push_back(std::move(volume));
  }
  return Commit(Comment(absl::StrCat("VOLUME ", GoList(volumes))), "");
}

absl::Status StageRun::TakeCommand(const Instruction& instruction) {
  std::vector<std::string> argv = instruction.words;
  if (!instruction.exec_form) {
    argv = Shell();
    argv.push_back(instruction.words[0]);
  }
  ImageConfig& config = image_.config;
  if (instruction.verb == Verb::kCmd) {
    config.command = std::move(argv);
    command_set_ = true;
    return Commit(Comment(absl::StrCat("CMD ", GoQuote(config.command))), "");
  }
  config.entrypoint = std::move(argv);
  // What was inherited belongs to another entrypoint.
  if (!command_set_) config.command.clear();
  return Commit(Comment(absl::StrCat("ENTRYPOINT ", GoQuote(config.entrypoint))), "");
}

absl::Status StageRun::TakeHealthcheck(const Instruction& instruction) {
  Healthcheck check;
  check.test = instruction.words;
  const auto fill = [&](absl::string_view flag, int64_t& ns) -> absl::Status {
    ASSIGN_OR_RETURN(ns, DurationFlag(instruction, flag));
    return absl::OkStatus();
  };
  absl::Status status = fill("interval", check.interval_ns);
  if (status.ok()) status = fill("timeout", check.timeout_ns);
  if (status.ok()) status = fill("start-period", check.start_period_ns);
  if (status.ok()) status = fill("start-interval", check.start_interval_ns);
  if (const std::string* retries = instruction.FindFlag("retries");
      status.ok() && retries != nullptr &&
      (!absl::SimpleAtoi(*retries, &check.retries) || check.retries < 0)) {
    status = absl::InvalidArgumentError(
        absl::StrCat("--retries must be at least 0 (not ", *retries, ")"));
  }
  RETURN_IF_ERROR(At(instruction, status));
  image_.config.healthcheck = check;
  return Commit(Comment(absl::StrCat("HEALTHCHECK ", GoQuote(check))), "");
}

absl::Status StageRun::TakeWorkdir(const Instruction& instruction) {
  ASSIGN_OR_RETURN(std::string path, Expand(instruction.words[0]));
  if (path.empty()) {
    return At(instruction, absl::InvalidArgumentError("WORKDIR can not be empty"));
  }
  if (!absl::StartsWith(path, "/")) {
    path = absl::StrCat(image_.config.working_directory, "/", path);
  }
  path = CleanPath(absl::StrCat("/", path));
  image_.config.working_directory = path;
  const std::string created_by = Comment(absl::StrCat("WORKDIR ", path), /*one_blank=*/true);
  const std::string key = Key(created_by, "");
  if (TakeCached(key)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const PathInfo info, Stat(path));
  if (info.file.has_value() && !S_ISDIR(info.file->mode)) {
    return At(instruction, absl::InvalidArgumentError(
                               absl::StrCat("Cannot mkdir: ", path, " is not a directory")));
  }
  if (info.file.has_value()) return Commit(created_by, "");
  const int64_t now = epoch_s() > 0 ? epoch_s() : absl::ToUnixSeconds(absl::Now());
  return Commit(created_by, "", [&](const TarSink& sink) -> absl::Status {
    TarWriter tar(sink);
    std::string last;
    for (const FileInfo& directory : info.directories) {
      RETURN_IF_ERROR(tar.Add(directory));
      last = directory.path;
    }
    for (size_t end = last.size(); end < info.path.size();) {
      end = std::min(info.path.find('/', end + 1), info.path.size());
      FileInfo made;
      made.path = info.path.substr(0, end);
      made.mode = S_IFDIR | 0755;
      made.mtime_s = now;
      RETURN_IF_ERROR(tar.Add(made));
    }
    return tar.Finish();
  });
}

}  // namespace slipway::build
