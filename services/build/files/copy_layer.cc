#include "services/build/files/copy_layer.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"
#include "base/text/path_pattern.h"
#include "services/build/files/tar_writer.h"

namespace slipway::build {
namespace {

constexpr uint32_t kNewDirectoryMode = S_IFDIR | 0755;

std::string Join(absl::string_view directory, absl::string_view name) {
  if (directory.empty()) return std::string(name);
  return name.empty() ? std::string(directory) : absl::StrCat(directory, "/", name);
}

absl::string_view BaseName(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == absl::string_view::npos ? path : path.substr(slash + 1);
}

bool IsBelow(absl::string_view path, absl::string_view directory) {
  return directory.empty() || (absl::StartsWith(path, directory) &&
                               path.size() > directory.size() && path[directory.size()] == '/');
}

}  // namespace

class CopyLayer::Planner {
 public:
  Planner(const PathInfo& destination, const CopyOptions& options)
      : destination_(destination), options_(options) {
    for (const FileInfo& directory : destination.directories) {
      out_.entries_[directory.path] = {.info = directory, .exists_below = true};
    }
  }

  absl::StatusOr<CopyLayer> Plan(const std::vector<CopySource>& sources) {
    std::vector<Match> matches;
    for (const CopySource& source : sources) RETURN_IF_ERROR(Find(source, matches));
    if (matches.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(options_.verb, " failed: no source files were specified"));
    }
    if (matches.size() > 1 && !options_.ends_with_slash) {
      return absl::InvalidArgumentError(
          absl::StrCat("When using ", options_.verb,
                       " with more than one source file, the destination must be a directory and "
                       "end with a /"));
    }
    out_.kind_ = matches.size() > 1                                          ? "multi"
                 : matches[0].is_directory && !matches[0].source->is_archive ? "dir"
                                                                             : "file";
    for (const Match& match : matches) RETURN_IF_ERROR(Take(match));
    Digest();
    return std::move(out_);
  }

 private:
  struct Match {
    const CopySource* source;
    std::string path;      // in the set, links followed
    std::string as_named;  // below the root, for --parents and for the name
    bool is_directory;
  };

  absl::Status Missing(absl::string_view path) const {
    if (options_.from_image) {
      return absl::NotFoundError(
          absl::StrCat(options_.verb, " failed: stat ", path, ": file does not exist"));
    }
    return absl::NotFoundError(
        absl::StrCat(options_.verb,
                     " failed: file not found in build context or excluded by .dockerignore: stat ",
                     path, ": file does not exist"));
  }

  absl::Status Find(const CopySource& source, std::vector<Match>& matches) const {
    if (source.is_archive) {
      matches.push_back({&source, "", "", true});
      return absl::OkStatus();
    }
    std::string clean = CleanPath(source.pattern);
    if (clean == ".." || absl::StartsWith(clean, "../")) {
      return absl::InvalidArgumentError(absl::StrCat(options_.verb,
                                                     " failed: forbidden path outside the build "
                                                     "context: ",
                                                     source.pattern, " ()"));
    }
    clean = std::string(absl::StripPrefix(clean, "/"));
    if (clean == ".") clean.clear();
    ASSIGN_OR_RETURN(const PathPattern pattern, PathPattern::Parse(clean));
    if (pattern.is_literal()) {
      const bool found = AddMatch(source, pattern.literal(), matches);
      return found ? absl::OkStatus() : Missing(clean.empty() ? "." : clean);
    }
    for (const auto& [path, file] : source.files->files()) {
      if (!path.empty() && pattern.Matches(path)) AddMatch(source, path, matches);
    }
    return absl::OkStatus();
  }

  // False when there is nothing under that name.
  bool AddMatch(const CopySource& source, const std::string& path,
                std::vector<Match>& matches) const {
    const std::optional<std::string> resolved = source.files->Resolve(path);
    if (!resolved.has_value()) return false;
    const FileSet::File* file = source.files->Find(*resolved);
    matches.push_back({&source, *resolved, path, file == nullptr || S_ISDIR(file->info.mode)});
    return true;
  }

  // What of the name stays with --parents: behind "/./" where that is in it.
  std::string KeptName(const Match& match) const {
    const absl::string_view pattern = match.source->pattern;
    const size_t pivot = pattern.find("/./");
    if (pivot == absl::string_view::npos) return match.as_named;
    const std::string base =
        std::string(absl::StripPrefix(CleanPath(pattern.substr(0, pivot)), "/"));
    absl::string_view kept = match.as_named;
    if (absl::ConsumePrefix(&kept, base)) absl::ConsumePrefix(&kept, "/");
    return std::string(kept);
  }

  absl::Status Take(const Match& match) {
    std::string target = destination_.path;
    if (options_.keep_parents) {
      const std::string kept = KeptName(match);
      target = Join(target, kept);
      MakeNamedParents(match, kept);
    } else if (!match.is_directory) {
      const bool into = options_.ends_with_slash ||
                        (destination_.file.has_value() && S_ISDIR(destination_.file->mode));
      if (into) target = Join(target, BaseName(match.as_named));
    }
    const bool to_directory = match.is_directory || target != destination_.path;
    if (to_directory && destination_.file.has_value() && !S_ISDIR(destination_.file->mode)) {
      return absl::InvalidArgumentError(absl::StrCat(
          options_.verb, " failed: cannot copy to non-directory: /", destination_.path));
    }
    if (match.is_directory) {
      MakeDirectory(target);
      TakeTree(match, target);
    } else if (!options_.excludes.Ignores(BaseName(match.as_named))) {
      MakeParents(target);
      Put(target, *match.source->files->Find(match.path), *match.source);
    }
    return absl::OkStatus();
  }

  void TakeTree(const Match& match, const std::string& target) {
    const FileSet& set = *match.source->files;
    const std::string prefix = match.path.empty() ? "" : absl::StrCat(match.path, "/");
    for (auto at = set.files().lower_bound(prefix); at != set.files().end(); ++at) {
      const std::string& path = at->first;
      if (!IsBelow(path, match.path)) break;
      if (path.empty()) continue;
      const absl::string_view below = absl::string_view(path).substr(prefix.size());
      if (options_.excludes.Ignores(below) || S_ISSOCK(at->second.info.mode)) continue;
      const std::string to = Join(target, below);
      MakeParents(to);
      Put(to, at->second, *match.source);
    }
  }

  // The directories of --parents have the attributes that they have in the source.
  void MakeNamedParents(const Match& match, const std::string& kept) {
    for (size_t slash = kept.find('/'); slash != std::string::npos;
         slash = kept.find('/', slash + 1)) {
      const std::string part = kept.substr(0, slash);
      const std::string above =
          match.as_named.substr(0, match.as_named.size() - kept.size() + slash);
      const FileSet::File* file = match.source->files->Find(above);
      const std::string to = Join(destination_.path, part);
      MakeParents(to);
      if (file != nullptr && S_ISDIR(file->info.mode) && !out_.entries_.contains(to)) {
        Put(to, *file, *match.source);
      }
    }
  }

  void MakeDirectory(const std::string& path) {
    MakeParents(path);
    const auto found = out_.entries_.find(path);
    if (found != out_.entries_.end() && S_ISDIR(found->second.info.mode)) return;
    FileInfo info;
    info.path = path;
    info.mode = kNewDirectoryMode;
    info.uid = options_.owner.uid;
    info.gid = options_.owner.gid;
    info.mtime_s = options_.directory_mtime_s;
    out_.entries_[path] = {.info = std::move(info)};
  }

  void MakeParents(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash != std::string::npos) MakeDirectory(path.substr(0, slash));
  }

  void Put(const std::string& path, const FileSet::File& file, const CopySource& source) {
    Entry entry = {.info = file.info,
                   .files = source.files,
                   .place = file.place,
                   .content_digest = file.digest};
    entry.info.path = path;
    if (!source.is_archive) {
      entry.info.uid = options_.owner.uid;
      entry.info.gid = options_.owner.gid;
      // chown(2) takes these away from files.
      if (options_.changes_owner && S_ISREG(entry.info.mode)) {
        entry.info.mode &= ~uint32_t{S_ISUID};
        if ((entry.info.mode & S_IXGRP) != 0) entry.info.mode &= ~uint32_t{S_ISGID};
      }
    }
    if (options_.mode.has_value() && !S_ISLNK(entry.info.mode)) {
      entry.info.mode = (entry.info.mode & S_IFMT) | *options_.mode;
    }
    out_.entries_[path] = std::move(entry);
  }

  void Digest() {
    Sha256 sha;
    for (const auto& [path, entry] : out_.entries_) {
      if (entry.exists_below) continue;
      sha.AppendField(path);
      sha.AppendNumber(entry.info.mode);
      sha.AppendNumber(uint64_t{entry.info.uid} << 32 | entry.info.gid);
      sha.AppendField(entry.content_digest);
      sha.AppendField(entry.info.link_target);
      sha.AppendNumber(entry.info.device);
      for (const auto& [name, value] : entry.info.xattrs) {
        sha.AppendField(name);
        sha.AppendField(value);
      }
    }
    out_.digest_ = sha.Finish();
  }

  const PathInfo& destination_;
  const CopyOptions& options_;
  CopyLayer out_;
};

absl::StatusOr<CopyLayer> CopyLayer::Plan(const std::vector<CopySource>& sources,
                                          const PathInfo& destination, const CopyOptions& options) {
  return Planner(destination, options).Plan(sources);
}

absl::Status CopyLayer::Write(const TarSink& sink) const {
  TarWriter tar(sink);
  std::map<std::pair<const FileSet*, uint64_t>, std::string> links;
  for (const auto& [path, entry] : entries_) {
    if (entry.info.link_id != 0 && S_ISREG(entry.info.mode)) {
      const auto [first, is_new] = links.try_emplace({entry.files.get(), entry.info.link_id}, path);
      if (!is_new) {
        RETURN_IF_ERROR(tar.AddHardLink(entry.info, first->second));
        continue;
      }
    }
    RETURN_IF_ERROR(tar.Add(entry.info));
    if (S_ISREG(entry.info.mode) && entry.info.size_bytes > 0) {
      RETURN_IF_ERROR(tar.Append(*entry.files, entry.place, entry.info.size_bytes));
    }
  }
  return tar.Finish();
}

}  // namespace slipway::build
