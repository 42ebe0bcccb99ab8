#include "services/build/domain/build.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"
#include "base/text/ignore_file.h"
#include "services/build/dockerfile/instruction.h"
#include "services/build/domain/git_url.h"
#include "services/build/domain/run_mounts.h"

namespace slipway::build {
namespace {

constexpr size_t kMaxIgnoreBytes = 1 << 20;
constexpr size_t kMaxRemoteDockerfileBytes = kMaxDockerfileBytes;

struct Context {
  std::shared_ptr<const FileSet> files;
  std::string dockerfile;  // its text
};

absl::StatusOr<std::string> ReadDockerfile(const FileSet& files, const std::string& path) {
  const std::string clean = CleanPath(absl::StrCat("/", path)).substr(1);
  if (path.find("..") != std::string::npos && absl::StartsWith(CleanPath(path), "..")) {
    return absl::InvalidArgumentError(
        absl::StrCat("forbidden path outside the build context: ", path));
  }
  const FileSet::File* file = files.Find(files.Resolve(clean).value_or(""));
  if (file == nullptr || !S_ISREG(file->info.mode)) {
    return absl::InvalidArgumentError(absl::StrCat("Cannot locate specified Dockerfile: ", path));
  }
  return files.ReadAll(*file, kMaxDockerfileBytes);
}

// What .dockerignore excludes goes; of the Dockerfile's own, where there is one.
absl::StatusOr<std::shared_ptr<const FileSet>> WithoutIgnored(std::shared_ptr<const FileSet> files,
                                                              const std::string& dockerfile) {
  const FileSet::File* ignore = files->Find(absl::StrCat(dockerfile, ".dockerignore"));
  if (ignore == nullptr) ignore = files->Find(".dockerignore");
  if (ignore == nullptr || !S_ISREG(ignore->info.mode)) return files;
  ASSIGN_OR_RETURN(const std::string text, files->ReadAll(*ignore, kMaxIgnoreBytes));
  ASSIGN_OR_RETURN(const IgnoreFile rules, IgnoreFile::Parse(text));
  if (rules.empty()) return files;
  return files->Without([&rules](absl::string_view path) { return rules.Ignores(path); });
}

// The context from a git repository.
absl::StatusOr<Context> CloneContext(const BuildParts& parts) {
  ASSIGN_OR_RETURN(const GitReference reference, ParseGitUrl(parts.request.remote));
  const auto keep = parts.request.build_args.find("BUILDKIT_CONTEXT_KEEP_GIT_DIR");
  const bool keep_git_dir = keep != parts.request.build_args.end() && keep->second == "1";
  ASSIGN_OR_RETURN(const std::unique_ptr<FileSet::Writer> writer,
                   FileSet::Writer::Create(parts.spool_directory));
  RETURN_IF_ERROR(parts.git
                      .ReadFiles(
                          reference, keep_git_dir,
                          [&](FileInfo info) { return writer->Add(std::move(info)); },
                          [&](absl::string_view bytes) { return writer->Append(bytes); })
                      .status());
  Context context;
  ASSIGN_OR_RETURN(context.files, writer->Finish());
  return context;
}

// The context from a URL: an archive, or a Dockerfile alone.
absl::StatusOr<Context> FetchContext(const BuildParts& parts) {
  const std::string& url = parts.request.remote;
  if (IsGitUrl(url)) return CloneContext(parts);
  if (!absl::StartsWith(url, "http://") && !absl::StartsWith(url, "https://")) {
    return absl::UnimplementedError(absl::StrCat(
        "the context ", url, " is no URL of an archive, a Dockerfile or a repository"));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<FileSet::Writer> writer,
                   FileSet::Writer::Create(parts.spool_directory));
  FileInfo info;
  info.path = "Dockerfile";
  info.mode = S_IFREG | 0644;
  RETURN_IF_ERROR(writer->Add(info));
  RETURN_IF_ERROR(
      parts.fetcher.Fetch(url, [&](absl::string_view bytes) { return writer->Append(bytes); })
          .status());
  ASSIGN_OR_RETURN(const std::shared_ptr<const FileSet> fetched, writer->Finish());
  const FileSet::File& file = *fetched->Find("Dockerfile");
  Context context;
  ASSIGN_OR_RETURN(context.files, ReadNestedTar(*fetched, file, parts.spool_directory));
  if (context.files != nullptr) return context;
  ASSIGN_OR_RETURN(context.dockerfile, fetched->ReadAll(file, kMaxRemoteDockerfileBytes));
  context.files = fetched->Without([](absl::string_view) { return true; });
  return context;
}

absl::StatusOr<Context> ReadContext(const BuildParts& parts, const ContextSource& source) {
  const BuildRequest& request = parts.request;
  Context context;
  if (request.plan_only && request.dockerfile_content.has_value()) {
    context.dockerfile = *request.dockerfile_content;
    return context;
  }
  if (!request.remote.empty()) {
    ASSIGN_OR_RETURN(context, FetchContext(parts));
  } else {
    ASSIGN_OR_RETURN(context.files, ReadTar(source.next, parts.spool_directory,
                                            source.file ? source.file() : nullptr));
  }
  if (request.dockerfile_content.has_value()) {
    context.dockerfile = *request.dockerfile_content;
  } else if (context.dockerfile.empty()) {
    ASSIGN_OR_RETURN(context.dockerfile, ReadDockerfile(*context.files, request.dockerfile));
  }
  // What is fetched comes whole, as with dockerd: the rules are for who sends a context.
  if (!request.remote.empty() || request.context_is_filtered) return context;
  ASSIGN_OR_RETURN(context.files, WithoutIgnored(std::move(context.files), request.dockerfile));
  return context;
}

// Mounts that make no sense are told of by their step.
PlanNeeds NeedsOf(const Plan& plan) {
  std::set<std::string> images, secrets, ssh_agents;
  for (const Stage& stage : plan.stages) {
    if (!stage.needed()) continue;
    if (!stage.base_stage.has_value() && stage.base != "scratch") images.insert(stage.base);
    for (const Instruction& instruction : stage.instructions) {
      for (const std::string& reference : FromReferences(instruction)) {
        if (!plan.FindSource(reference).has_value()) images.insert(plan.ImageOf(reference));
      }
      if (instruction.verb != Verb::kRun) continue;
      const absl::StatusOr<std::vector<MountSpec>> mounts = ParseMounts(instruction);
      if (!mounts.ok()) continue;
      for (const MountSpec& mount : *mounts) {
        if (mount.type == MountSpec::Type::kSecret) secrets.insert(mount.id);
        if (mount.type == MountSpec::Type::kSsh) ssh_agents.insert(mount.id);
      }
    }
  }
  return {{images.begin(), images.end()},
          {secrets.begin(), secrets.end()},
          {ssh_agents.begin(), ssh_agents.end()}};
}

// All stages at once, each in a thread of its own that waits for those that it needs.
absl::StatusOr<StageImage> RunStages(const BuildParts& parts, const Plan& plan, char escape,
                                     const Context& context, StageResults& results) {
  absl::Mutex mu;
  absl::Status first_error;
  std::vector<std::thread> threads;
  for (const Stage& stage : plan.stages) {
    if (!stage.needed()) continue;
    threads.emplace_back([&] {
      absl::StatusOr<StageImage> made =
          StageRun(parts, plan, stage, escape, context.files, results).Run();
      if (made.ok()) {
        results.Put(stage.index, *std::move(made));
        return;
      }
      {
        absl::MutexLock lock(&mu);
        if (first_error.ok()) first_error = made.status();
      }
      parts.cancellation.Cancel();
      results.Wake();
    });
  }
  for (std::thread& thread : threads) thread.join();
  RETURN_IF_ERROR(first_error);
  return results.Await(plan.target);
}

}  // namespace

absl::StatusOr<BuildOutcome> RunBuild(const BuildParts& parts, const ContextSource& source) {
  ASSIGN_OR_RETURN(const Context context, ReadContext(parts, source));
  ASSIGN_OR_RETURN(const Dockerfile file, ParseDockerfile(context.dockerfile));
  ASSIGN_OR_RETURN(const Plan plan, MakePlan(file, parts.request, parts.host));
  parts.events.OnPlan(plan.steps, NeedsOf(plan));
  for (const std::string& warning : plan.warnings) parts.events.OnWarning(warning);
  BuildOutcome outcome;
  if (parts.request.plan_only) return outcome;

  StageResults results(plan.stages.size(), parts.cancellation);
  // A build that is cancelled from outside wakes stages that wait for others.
  const Cancellation::Watch watch(parts.cancellation, [&results] { results.Wake(); });
  ASSIGN_OR_RETURN(const StageImage image, RunStages(parts, plan, file.escape, context, results));
  outcome.image_id = image.id;
  if (parts.request.squash) {
    constexpr int64_t kNsPerSecond = 1'000'000'000;
    ASSIGN_OR_RETURN(outcome.image_id, parts.images.Squash(image.id, image.base_id,
                                                           parts.request.epoch_s() * kNsPerSecond));
  }
  for (const std::string& tag : parts.request.tags) {
    RETURN_IF_ERROR(parts.images.Tag(outcome.image_id, tag));
    outcome.tags.push_back(tag);
  }
  const std::set<std::string> taken = results.taken_arguments();
  for (const auto& [name, value] : parts.request.build_args) {
    if (!taken.contains(name) && !plan.global_arguments.contains(name) && !IsProxyArgument(name) &&
        name != "SOURCE_DATE_EPOCH" && !absl::StartsWith(name, "BUILDKIT_")) {
      outcome.unused_build_args.push_back(name);
    }
  }
  return outcome;
}

}  // namespace slipway::build
