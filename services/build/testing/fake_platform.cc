#include "services/build/testing/fake_platform.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"
#include "base/text/ignore_file.h"
#include "services/build/files/sha256.h"
#include "services/build/files/tar_reader.h"

namespace slipway::build {

FakePlatform::FakePlatform(std::vector<std::string> on_build) {
  Made base;
  base.info.config.env = {"PATH=/bin", "BASE=yes"};
  base.info.config.command = {"sh"};
  base.info.config.on_build = std::move(on_build);
  base.info.platform = {"linux", "amd64", ""};
  base.names = {"base:1"};
  base.files = {{"etc/passwd", "root:x:0:0::/:\nuser:x:7:8::/:\n"},
                {"etc/group", "root:x:0:\nuser:x:9:\n"}};
  absl::MutexLock lock(&mu_);
  Put(std::move(base));
}

std::string FakePlatform::Put(Made made) {
  made.info.id = absl::StrCat("sha256:", Sha256Of(absl::StrCat("image", next_++)));
  const std::string id = made.info.id;
  images_[id] = std::move(made);
  return id;
}

const FakePlatform::Made* FakePlatform::Find(const std::string& reference) const {
  for (const auto& [id, image] : images_) {
    if (id == reference) return &image;
    for (const std::string& name : image.names) {
      if (name == reference) return &image;
    }
  }
  return nullptr;
}

absl::StatusOr<ImageInfo> FakePlatform::Get(const std::string& reference) {
  absl::MutexLock lock(&mu_);
  const Made* found = Find(reference);
  if (found == nullptr) return absl::NotFoundError(absl::StrCat("No such image: ", reference));
  return found->info;
}

absl::StatusOr<ImageInfo> FakePlatform::Pull(const std::string& reference, const Platform&,
                                             const std::function<void(absl::string_view)>&) {
  return absl::NotFoundError(absl::StrCat("pull access denied for ", reference));
}

absl::StatusOr<PathInfo> FakePlatform::Stat(const std::string& image, const std::string& path) {
  absl::MutexLock lock(&mu_);
  const Made* found = Find(image);
  if (found == nullptr) return absl::NotFoundError("No such image");
  PathInfo info;
  info.path = CleanPath(absl::StrCat("/", path)).substr(1);
  info.directories.push_back({.mode = S_IFDIR | 0755});
  for (const auto& [name, content] : found->files) {
    const bool below = absl::StartsWith(name, absl::StrCat(info.path, "/"));
    if (name != info.path && !below) continue;
    info.file = FileInfo{.path = info.path, .mode = below ? S_IFDIR | 0755u : S_IFREG | 0644u};
  }
  return info;
}

absl::Status FakePlatform::ReadFiles(
    const std::string& image, const std::string& path,
    const std::function<absl::Status(FileInfo)>& on_file,
    const std::function<absl::Status(absl::string_view)>& on_data) {
  std::map<std::string, std::string> files;
  {
    absl::MutexLock lock(&mu_);
    const Made* found = Find(image);
    if (found == nullptr) return absl::NotFoundError("No such image");
    files = found->files;
  }
  const std::string clean = CleanPath(absl::StrCat("/", path)).substr(1);
  bool any = false;
  for (const auto& [name, content] : files) {
    if (!clean.empty() && name != clean && !absl::StartsWith(name, clean + "/")) continue;
    any = true;
    RETURN_IF_ERROR(on_file({.path = name, .mode = S_IFREG | 0644}));
    RETURN_IF_ERROR(on_data(content));
  }
  return any ? absl::OkStatus() : absl::NotFoundError("no such file");
}

absl::StatusOr<std::string> FakePlatform::Commit(
    const NewImage& image, const std::function<absl::Status(const TarSink&)>& produce) {
  Made made;
  made.parent = image.parent;
  made.created_by = image.created_by;
  made.created_unix_ns = image.created_unix_ns;
  made.info.config = image.config;
  made.info.author = image.author;
  made.info.platform = image.platform;
  std::string tar;
  if (produce != nullptr) {
    RETURN_IF_ERROR(produce([&tar](std::string bytes) {
      tar += bytes;
      return absl::OkStatus();
    }));
  }
  bool done = false;
  ASSIGN_OR_RETURN(const auto layer, ReadTar(
                                         [&]() -> absl::StatusOr<absl::string_view> {
                                           return std::exchange(done, true)
                                                      ? absl::string_view()
                                                      : absl::string_view(tar);
                                         },
                                         "/tmp"));
  absl::MutexLock lock(&mu_);
  if (const Made* parent = Find(image.parent)) made.files = parent->files;
  for (const auto& [path, file] : layer->files()) {
    if (S_ISREG(file.info.mode)) made.files[path] = *layer->ReadAll(file, 1 << 20);
  }
  return Put(std::move(made));
}

absl::StatusOr<std::string> FakePlatform::Squash(const std::string& image,
                                                 const std::string& ancestor,
                                                 int64_t created_unix_ns) {
  absl::MutexLock lock(&mu_);
  const Made* found = Find(image);
  if (found == nullptr) return absl::NotFoundError("No such image");
  Made made = *found;
  made.names.clear();
  made.parent = ancestor;
  made.created_by = "squash";
  made.created_unix_ns = created_unix_ns;
  return Put(std::move(made));
}

absl::StatusOr<std::string> FakePlatform::ReadFiles(
    const GitReference& reference, bool keep_git_dir,
    const std::function<absl::Status(FileInfo)>& on_file,
    const std::function<absl::Status(absl::string_view)>& on_data) {
  if (reference.url != "https://host/repo.git") return absl::NotFoundError("no such repository");
  std::vector<std::pair<std::string, std::string>> files = {
      {"Dockerfile", "FROM base:1\nCOPY . /from/\n"}, {"file", "of " + reference.ref}};
  if (reference.directory.empty()) files.emplace_back("sub/file", "in sub");
  if (keep_git_dir) files.emplace_back(".git/HEAD", "0123");
  for (const auto& [name, content] : files) {
    RETURN_IF_ERROR(on_file({.path = name, .mode = S_IFREG | 0644}));
    RETURN_IF_ERROR(on_data(content));
  }
  return "0123456789012345678901234567890123456789";
}

absl::Status FakePlatform::Tag(const std::string& image, const std::string& name) {
  absl::MutexLock lock(&mu_);
  images_.at(image).names.push_back(name);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ImageSummary>> FakePlatform::List() {
  absl::MutexLock lock(&mu_);
  std::vector<ImageSummary> list;
  for (const auto& [id, image] : images_) {
    list.push_back({.id = id, .parent = image.parent, .has_name = !image.names.empty()});
  }
  return list;
}

absl::StatusOr<std::string> FakePlatform::Create(const RunSpec& spec) {
  absl::MutexLock lock(&mu_);
  const std::string id = absl::StrCat("container", next_++);
  containers_[id] = spec;
  ++created_containers_;
  return id;
}

absl::StatusOr<int> FakePlatform::Run(
    const std::string& container,
    const std::function<void(bool is_stderr, absl::string_view data)>& output) {
  RunSpec spec;
  {
    absl::MutexLock lock(&mu_);
    spec = containers_.at(container);
    runs_.push_back(spec);
  }
  absl::string_view command = spec.argv.back();
  output(false, absl::StrCat(command, "\n"));
  int code = 0;
  if (absl::ConsumePrefix(&command, "fail ") && absl::SimpleAtoi(command, &code)) return code;
  return 0;
}

absl::Status FakePlatform::Unpack(const std::string&, const std::string&,
                                  const std::function<absl::Status(const TarSink&)>& produce) {
  return produce([](std::string) { return absl::OkStatus(); });
}

absl::StatusOr<std::string> FakePlatform::Commit(const ContainerCommit& commit) {
  absl::MutexLock lock(&mu_);
  Made made;
  made.parent = containers_.at(commit.container).image;
  made.created_by = commit.created_by;
  made.created_unix_ns = commit.created_unix_ns;
  made.info.config = commit.config;
  made.files = images_.at(made.parent).files;
  made.files["made/by-run"] = containers_.at(commit.container).argv.back();
  return Put(std::move(made));
}

absl::Status FakePlatform::Remove(const std::string& image) {
  absl::MutexLock lock(&mu_);
  for (const auto& [other, made] : images_) {
    if (made.parent == image) return absl::FailedPreconditionError("it has children");
  }
  return images_.erase(image) > 0 ? absl::OkStatus() : absl::NotFoundError(image);
}

void FakePlatform::RemoveSoon(const std::string& container) {
  absl::MutexLock lock(&mu_);
  containers_.erase(container);
}

absl::StatusOr<Fetched> FakePlatform::Fetch(
    const std::string& url, const std::function<absl::Status(absl::string_view)>& sink) {
  if (!absl::StartsWith(url, "http://there/")) {
    return absl::NotFoundError(absl::StrCat("failed to GET ", url, " with status 404"));
  }
  RETURN_IF_ERROR(sink("fetched"));
  return Fetched();
}

void FakePlatform::OnPlan(const std::vector<PlannedStep>& steps, const PlanNeeds& needs) {
  absl::MutexLock lock(&mu_);
  plan_ = steps;
  needs_ = needs;
}

void FakePlatform::OnStep(const StepUpdate& update) {
  absl::MutexLock lock(&mu_);
  states_[update.number] = update.state;
}

void FakePlatform::OnOutput(uint32_t, bool, absl::string_view data) {
  absl::MutexLock lock(&mu_);
  absl::StrAppend(&output_, data);
}

void FakePlatform::OnWarning(absl::string_view text) {
  absl::MutexLock lock(&mu_);
  warnings_.emplace_back(text);
}

FakePlatform::Made FakePlatform::image(const std::string& id) const {
  absl::MutexLock lock(&mu_);
  return images_.at(id);
}

size_t FakePlatform::images() const {
  absl::MutexLock lock(&mu_);
  return images_.size();
}

std::vector<std::string> FakePlatform::history(const std::string& id) const {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> lines;
  for (auto at = images_.find(id); at != images_.end(); at = images_.find(at->second.parent)) {
    if (!at->second.created_by.empty()) lines.push_back(at->second.created_by);
  }
  return lines;
}

std::vector<RunSpec> FakePlatform::runs() const {
  absl::MutexLock lock(&mu_);
  return runs_;
}

size_t FakePlatform::containers() const {
  absl::MutexLock lock(&mu_);
  return containers_.size();
}

int FakePlatform::created_containers() const {
  absl::MutexLock lock(&mu_);
  return created_containers_;
}

PlanNeeds FakePlatform::needs() const {
  absl::MutexLock lock(&mu_);
  return needs_;
}

std::vector<PlannedStep> FakePlatform::plan() const {
  absl::MutexLock lock(&mu_);
  return plan_;
}

std::string FakePlatform::states() const {
  absl::MutexLock lock(&mu_);
  std::string out;
  for (const auto& [number, state] : states_) out += "wrdcfx"[static_cast<int>(state)];
  return out;
}

std::string FakePlatform::output() const {
  absl::MutexLock lock(&mu_);
  return output_;
}

std::vector<std::string> FakePlatform::warnings() const {
  absl::MutexLock lock(&mu_);
  return warnings_;
}

}  // namespace slipway::build
