// RUN: a container like any other, made of what the stage is so far, and what it changed committed.

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/status/status_macros.h"
#include "services/build/dockerfile/words.h"
#include "services/build/domain/run_mounts.h"
#include "services/build/domain/stage_run.h"
#include "services/build/files/sha256.h"

namespace slipway::build {

// What a RUN's mounts need of its stage.
class StageRun::MountStage : public RunMounts::Stage {
 public:
  explicit MountStage(StageRun& run) : run_(run) {}

  const BuildParts& parts() const override { return run_.parts_; }
  absl::StatusOr<std::string> Expand(absl::string_view text) const override {
    return run_.Expand(text);
  }
  const std::string& working_directory() const override {
    return run_.image_.config.working_directory;
  }
  absl::StatusOr<std::shared_ptr<const FileSet>> Files(const std::string& from,
                                                       const std::string& source) override {
    if (from.empty()) return run_.context_;
    ASSIGN_OR_RETURN(const std::string image, run_.SourceImage(from));
    return run_.results_.ReadFiles(run_.parts_.images, run_.parts_.spool_directory, image, source);
  }

 private:
  StageRun& run_;
};

// What ARG declared and ENV does not set, and proxies that were given without an ARG.
std::vector<std::string> StageRun::ArgumentEnv() const {
  std::map<std::string, std::string> values;
  for (const auto& [name, value] : arguments_) {
    if (value.has_value()) values[name] = *value;
  }
  for (const auto& [name, value] : parts_.request.build_args) {
    if (IsProxyArgument(name)) values.emplace(name, value);
  }
  std::vector<std::string> env;
  for (const auto& [name, value] : values) {
    const std::string prefix = absl::StrCat(name, "=");
    const bool overridden =
        std::any_of(image_.config.env.begin(), image_.config.env.end(),
                    [&](const std::string& entry) { return absl::StartsWith(entry, prefix); });
    if (!overridden) env.push_back(prefix + value);
  }
  return env;
}

absl::Status StageRun::TakeRun(const Instruction& instruction) {
  if (image_.id.empty()) {
    return At(instruction,
              absl::InvalidArgumentError("RUN needs a base image: scratch has no files"));
  }
  RunSpec spec;
  spec.image = image_.id;
  if (instruction.exec_form) {
    spec.argv = instruction.words;
  } else {
    std::string script = instruction.words[0];
    if (!instruction.heredocs.empty()) {
      const bool is_script = IsHeredoc(script);
      if (is_script) {
        script = instruction.heredocs[0].content;
        if (absl::StartsWith(script, "#!")) {
          // The interpreter reads it from a here-document of the shell's: no file is left behind.
          const std::string first = script.substr(2, script.find('\n') - 2);
          const std::string delimiter = "SLIPWAY_SCRIPT_" + Sha256Of(script).substr(0, 16);
          script =
              absl::StrCat(first, " /dev/stdin <<'", delimiter, "'\n", script, delimiter, "\n");
        }
      } else {
        for (const Heredoc& heredoc : instruction.heredocs) {
          absl::StrAppend(&script, "\n", heredoc.content, heredoc.name);
        }
      }
    }
    spec.argv = Shell();
    spec.argv.push_back(script);
  }
  if (const std::string* network = instruction.FindFlag("network")) {
    if (*network != "default" && *network != "none" && *network != "host") {
      return At(instruction,
                absl::InvalidArgumentError(absl::StrCat("invalid network mode: ", *network)));
    }
    if (*network != "default") spec.network = *network;
  }
  if (const std::string* security = instruction.FindFlag("security");
      security != nullptr && *security != "sandbox") {
    return At(instruction, absl::InvalidArgumentError(absl::StrCat(
                               "--security=", *security, " is not allowed: steps are sandboxed")));
  }
  spec.env = ArgumentEnv();

  // dockerd's history: how many arguments, then these, then the command. Proxies count when an ARG
  // names them.
  std::vector<std::string> shown_arguments;
  for (const std::string& entry : spec.env) {
    const std::string name = entry.substr(0, entry.find('='));
    if (!IsProxyArgument(name) || arguments_.contains(name)) shown_arguments.push_back(entry);
  }
  std::string created_by = absl::StrJoin(spec.argv, " ");
  const std::string shown = created_by;
  if (!shown_arguments.empty()) {
    created_by = absl::StrCat("|", shown_arguments.size(), " ", absl::StrJoin(shown_arguments, " "),
                              " ", created_by);
  }
  return RunContainer(instruction, spec, created_by, shown);
}

absl::Status StageRun::RunContainer(const Instruction& instruction, const RunSpec& given,
                                    const std::string& created_by, const std::string& shown) {
  absl::StatusOr<std::vector<MountSpec>> mount_specs = ParseMounts(instruction);
  if (!mount_specs.ok()) return At(instruction, mount_specs.status());
  MountStage mount_stage(*this);
  ASSIGN_OR_RETURN(RunMounts mounts, RunMounts::Resolve(*std::move(mount_specs), mount_stage));
  const std::string inputs =
      absl::StrCat(absl::StrJoin(given.argv, std::string(1, '\0')), "\n", given.network, "\n",
                   parts_.request.network, "\n", mounts.digest());
  const std::string key = Key(created_by, inputs);
  if (TakeCached(key)) return absl::OkStatus();

  RunSpec spec = given;
  RETURN_IF_ERROR(At(instruction, mounts.Fill(spec)));
  ASSIGN_OR_RETURN(const std::string container, parts_.containers.Create(spec));
  outcome_.container = container;
  parts_.events.OnStep(
      {.number = number_, .state = StepState::kRunning, .container_id = container});
  const uint32_t number = number_;
  const absl::StatusOr<int> exit_code =
      parts_.containers.Run(container, [&](bool is_stderr, absl::string_view data) {
        parts_.events.OnOutput(number, is_stderr, data);
      });
  ContainerCommit commit = {.container = container,
                            .config = image_.config,
                            .author = image_.author,
                            .created_by = created_by,
                            .created_unix_ns = created_unix_ns(),
                            .latest_mtime_unix_s = epoch_s()};
  absl::Status status = exit_code.status();
  if (status.ok() && *exit_code != 0) {
    status = KeepFailed(commit);
    if (status.ok()) {
      status = absl::FailedPreconditionError(
          absl::StrCat("The command '", shown, "' returned a non-zero code: ", *exit_code));
    }
  } else if (status.ok()) {
    absl::StatusOr<std::string> image = parts_.containers.Commit(commit);
    status = image.status();
    if (image.ok()) {
      const std::string parent = std::exchange(image_.id, *std::move(image));
      Record(key, created_by, parent);
    }
  }
  if (!parts_.request.keep_containers) {
    parts_.containers.RemoveSoon(container);
    outcome_.container_removed = true;
  }
  return status;
}

// What a failed step left, as an image to look into.
absl::Status StageRun::KeepFailed(const ContainerCommit& commit) {
  if (parts_.request.remove_failed_container) return absl::OkStatus();
  absl::StatusOr<std::string> image = parts_.containers.Commit(commit);
  RETURN_IF_ERROR(image.status());
  parts_.events.OnWarning(absl::StrCat("what the failed step left is kept: docker run --rm -it ",
                                       image->substr(image->find(':') + 1, 12), " sh"));
  return absl::OkStatus();
}

}  // namespace slipway::build
