// COPY and ADD.

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status/status_macros.h"
#include "base/text/ignore_file.h"
#include "services/build/dockerfile/words.h"
#include "services/build/domain/git_url.h"
#include "services/build/domain/stage_run.h"
#include "services/build/files/tar_reader.h"

namespace slipway::build {
namespace {

constexpr size_t kMaxPasswdBytes = 16 << 20;

bool IsUrl(absl::string_view text) {
  return absl::StartsWith(text, "http://") || absl::StartsWith(text, "https://");
}

bool EndsWithSlash(absl::string_view path) {
  return path == "." || absl::EndsWith(path, "/") || absl::EndsWith(path, "/.");
}

// The part of a pattern before the first element with a special character.
std::string LiteralDirectory(absl::string_view pattern) {
  const std::string clean = CleanPath(absl::StrCat("/", pattern));
  const size_t special = clean.find_first_of("*?[\\");
  if (special == std::string::npos) return clean;
  const size_t slash = clean.rfind('/', special);
  return slash == 0 ? "/" : clean.substr(0, slash);
}

absl::StatusOr<std::shared_ptr<const FileSet>> OneFile(const std::string& directory, FileInfo info,
                                                       absl::string_view content) {
  ASSIGN_OR_RETURN(const std::unique_ptr<FileSet::Writer> writer,
                   FileSet::Writer::Create(directory));
  RETURN_IF_ERROR(writer->Add(std::move(info)));
  RETURN_IF_ERROR(writer->Append(content));
  return writer->Finish();
}

absl::StatusOr<std::optional<uint32_t>> ParseMode(const std::string* text) {
  if (text == nullptr) return std::optional<uint32_t>();
  uint32_t mode = 0;
  const bool octal = !text->empty() && text->size() <= 5 &&
                     text->find_first_not_of("01234567") == std::string::npos;
  for (const char c : *text) mode = mode * 8 + static_cast<uint32_t>(c - '0');
  if (!octal || mode > 07777) {
    return absl::InvalidArgumentError(absl::StrCat("invalid chmod parameter: '", *text,
                                                   "'. it should be octal string and between "
                                                   "0 and 07777"));
  }
  return std::optional<uint32_t>(mode);
}

}  // namespace

absl::StatusOr<PathInfo> StageRun::Stat(const std::string& path) {
  if (!image_.id.empty()) return parts_.images.Stat(image_.id, path);
  PathInfo info;
  info.path = std::string(absl::StripPrefix(CleanPath(absl::StrCat("/", path)), "/"));
  return info;
}

absl::StatusOr<uint32_t> StageRun::FindId(const std::string& name, const std::string& file) {
  uint32_t id = 0;
  if (absl::SimpleAtoi(name, &id)) return id;
  const absl::string_view kind = file == "etc/passwd" ? "user" : "group";
  const absl::Status unknown =
      absl::InvalidArgumentError(absl::StrCat("unable to find ", kind, " ", name,
                                              ": no matching "
                                              "entries in ",
                                              kind == "user" ? "passwd" : "group", " file"));
  if (image_.id.empty()) return unknown;
  const auto set = results_.ReadFiles(parts_.images, parts_.spool_directory, image_.id, file);
  if (absl::IsNotFound(set.status())) return unknown;
  RETURN_IF_ERROR(set.status());
  const FileSet::File* found = (*set)->Find(file);
  if (found == nullptr) return unknown;
  ASSIGN_OR_RETURN(const std::string text, (*set)->ReadAll(*found, kMaxPasswdBytes));
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ':');
    if (fields.size() >= 3 && fields[0] == name && absl::SimpleAtoi(fields[2], &id)) return id;
  }
  return unknown;
}

// "user", "user:group", by name or number; the group is the user's number where it is left out.
absl::StatusOr<Owner> StageRun::FindOwner(const std::string& chown) {
  const std::vector<std::string> parts = absl::StrSplit(chown, absl::MaxSplits(':', 1));
  Owner owner;
  ASSIGN_OR_RETURN(owner.uid, FindId(parts[0], "etc/passwd"));
  if (parts.size() == 2) {
    ASSIGN_OR_RETURN(owner.gid, FindId(parts[1], "etc/group"));
    return owner;
  }
  // As dockerd: the group of the same name or number.
  ASSIGN_OR_RETURN(owner.gid, FindId(parts[0], "etc/group"));
  return owner;
}

absl::StatusOr<std::string> StageRun::SourceImage(const std::string& from) {
  if (const std::optional<int> stage = plan_.FindSource(from)) {
    ASSIGN_OR_RETURN(const StageImage image, results_.Await(*stage));
    return image.id;
  }
  ASSIGN_OR_RETURN(const ImageInfo image, FindBase(plan_.ImageOf(from), parts_.request.platform));
  return image.id;
}

// The repository's files, as those of a directory.
absl::Status StageRun::AddGit(const Instruction& instruction, const std::string& url,
                              std::vector<CopySource>& sources) {
  ASSIGN_OR_RETURN(const GitReference reference, ParseGitUrl(url));
  const std::string* keep = instruction.FindFlag("keep-git-dir");
  const std::string* checksum = instruction.FindFlag("checksum");
  ASSIGN_OR_RETURN(const std::unique_ptr<FileSet::Writer> writer,
                   FileSet::Writer::Create(parts_.spool_directory));
  ASSIGN_OR_RETURN(const std::string commit,
                   parts_.git.ReadFiles(
                       reference, keep != nullptr && *keep == "true",
                       [&](FileInfo info) { return writer->Add(std::move(info)); },
                       [&](absl::string_view bytes) { return writer->Append(bytes); }));
  if (checksum != nullptr && !absl::StartsWith(commit, *checksum)) {
    return absl::InvalidArgumentError(
        absl::StrCat("commit mismatch ", *checksum, ": ", commit, " of ", WithoutCredentials(url)));
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const FileSet> files, writer->Finish());
  sources.push_back({std::move(files), "."});
  return absl::OkStatus();
}

absl::Status StageRun::AddRemote(const Instruction& instruction, const std::string& url,
                                 std::vector<CopySource>& sources) {
  if (IsGitUrl(url)) return AddGit(instruction, url, sources);
  absl::string_view name = absl::string_view(url).substr(0, url.find_first_of("?#"));
  name.remove_prefix(name.find("//") + 2);
  const size_t slash = name.rfind('/');
  name = slash == absl::string_view::npos ? "" : name.substr(slash + 1);
  if (name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("cannot determine filename for ", url));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<FileSet::Writer> writer,
                   FileSet::Writer::Create(parts_.spool_directory));
  FileInfo info;
  info.path = std::string(name);
  info.mode = S_IFREG | 0600;
  RETURN_IF_ERROR(writer->Add(info));
  ASSIGN_OR_RETURN(const Fetched fetched, parts_.fetcher.Fetch(url, [&](absl::string_view bytes) {
    return writer->Append(bytes);
  }));
  writer->SetTime(fetched.modified_unix_s);
  ASSIGN_OR_RETURN(std::shared_ptr<const FileSet> files, writer->Finish());
  if (const std::string* checksum = instruction.FindFlag("checksum")) {
    const std::string actual = absl::StrCat("sha256:", files->Find(info.path)->digest);
    if (*checksum != actual) {
      return absl::InvalidArgumentError(
          absl::StrCat("digest mismatch ", *checksum, ": ", actual, " of ", url));
    }
  }
  const std::string* unpack = instruction.FindFlag("unpack");
  sources.push_back({std::move(files), info.path});
  return unpack != nullptr && *unpack == "true" ? Unpack(sources.back()) : absl::OkStatus();
}

// An archive is replaced by what is in it; anything else stays as it is.
absl::Status StageRun::Unpack(CopySource& source) const {
  const std::string clean = CleanPath(absl::StrCat("/", source.pattern)).substr(1);
  const FileSet::File* file = source.files->Find(source.files->Resolve(clean).value_or(""));
  if (file == nullptr || !S_ISREG(file->info.mode)) return absl::OkStatus();
  ASSIGN_OR_RETURN(auto unpacked, ReadNestedTar(*source.files, *file, parts_.spool_directory));
  if (unpacked != nullptr) source = {std::move(unpacked), source.pattern, true};
  return absl::OkStatus();
}

absl::StatusOr<std::vector<CopySource>> StageRun::CopySources(const Instruction& instruction) {
  std::vector<CopySource> sources;
  const std::string* from = instruction.FindFlag("from");
  std::string image;
  if (from != nullptr) {
    ASSIGN_OR_RETURN(image, SourceImage(*from));
  }
  size_t heredoc = 0;
  for (size_t i = 0; i + 1 < instruction.words.size(); ++i) {
    if (heredoc < instruction.heredocs.size() && IsHeredoc(instruction.words[i])) {
      const Heredoc& inline_file = instruction.heredocs[heredoc++];
      std::string content = inline_file.content;
      if (inline_file.expands) {
        ASSIGN_OR_RETURN(
            content, ExpandVariables(
                         content, [this](absl::string_view name) { return Look(name); }, escape_));
      }
      FileInfo info;
      info.path = inline_file.name;
      info.mode = S_IFREG | 0644;
      ASSIGN_OR_RETURN(auto files, OneFile(parts_.spool_directory, info, content));
      sources.push_back({std::move(files), inline_file.name});
      continue;
    }
    ASSIGN_OR_RETURN(const std::string word, Expand(instruction.words[i]));
    if (instruction.verb == Verb::kAdd && (IsUrl(word) || IsGitUrl(word))) {
      RETURN_IF_ERROR(AddRemote(instruction, word, sources));
    } else if (!image.empty()) {
      const auto files =
          results_.ReadFiles(parts_.images, parts_.spool_directory, image, LiteralDirectory(word));
      if (absl::IsNotFound(files.status())) {
        return absl::NotFoundError(absl::StrCat("COPY failed: stat ", absl::StripPrefix(word, "/"),
                                                ": file does not exist"));
      }
      RETURN_IF_ERROR(files.status());
      sources.push_back({*files, word});
    } else if (from != nullptr) {
      return absl::NotFoundError(absl::StrCat("COPY failed: stage ", *from, " has no files"));
    } else {
      sources.push_back({context_, word});
      const std::string* unpack = instruction.FindFlag("unpack");
      if (instruction.verb != Verb::kAdd || (unpack != nullptr && *unpack == "false")) continue;
      RETURN_IF_ERROR(Unpack(sources.back()));
    }
  }
  return sources;
}

absl::Status StageRun::TakeCopy(const Instruction& instruction) {
  const std::string verb(VerbName(instruction.verb));
  ASSIGN_OR_RETURN(const std::string written, Expand(instruction.words.back()));
  const std::string* chown = instruction.FindFlag("chown");
  const std::string* chmod = instruction.FindFlag("chmod");
  CopyOptions options;
  options.verb = verb;
  options.ends_with_slash = EndsWithSlash(written);
  options.from_image = instruction.FindFlag("from") != nullptr;
  // dockerd gives root what comes from the context, and leaves what comes from an image as it is.
  options.changes_owner = chown != nullptr || !options.from_image;
  const std::string* parents = instruction.FindFlag("parents");
  options.keep_parents = parents != nullptr && *parents == "true";
  options.directory_mtime_s = epoch_s() > 0 ? epoch_s() : absl::ToUnixSeconds(absl::Now());
  std::vector<std::string> excludes;
  for (const std::string& exclude : instruction.Flags("exclude")) {
    ASSIGN_OR_RETURN(excludes.emplace_back(), Expand(exclude));
  }
  ASSIGN_OR_RETURN(options.excludes, IgnoreFile::OfPatterns(excludes));
  std::string shown_owner;
  if (chown != nullptr) {
    ASSIGN_OR_RETURN(const std::string owner, Expand(*chown));
    ASSIGN_OR_RETURN(options.owner, FindOwner(owner));
    shown_owner = absl::StrCat("--chown=", owner);
  }
  std::string mode_text;
  if (chmod != nullptr) {
    ASSIGN_OR_RETURN(mode_text, Expand(*chmod));
    ASSIGN_OR_RETURN(options.mode, ParseMode(&mode_text));
  }
  ASSIGN_OR_RETURN(const std::vector<CopySource> sources, CopySources(instruction));

  std::string destination = written;
  if (!absl::StartsWith(destination, "/")) {
    const std::string& directory = image_.config.working_directory;
    destination = absl::StrCat(directory.empty() ? "/" : directory, "/", destination);
  }
  destination = CleanPath(absl::StrCat("/", destination));
  ASSIGN_OR_RETURN(const PathInfo info, Stat(destination));
  ASSIGN_OR_RETURN(const CopyLayer layer, CopyLayer::Plan(sources, info, options));
  // Just as dockerd writes it.
  const std::string created_by = Comment(
      absl::StrCat(verb, " ", shown_owner, layer.kind(), ":", layer.digest(), " in ", written, " "),
      /*one_blank=*/true);
  return Commit(created_by, mode_text, [&layer](const TarSink& sink) { return layer.Write(sink); });
}

}  // namespace slipway::build
