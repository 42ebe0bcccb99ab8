#include "services/build/clients/git_client.h"

#include <fcntl.h>
#include <git2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "services/build/clients/git_modules.h"
#include "services/build/clients/git_transport.h"
#include "services/build/domain/git_url.h"

namespace slipway::build {
namespace {

constexpr char kTarget[] = "refs/slipway/target";
constexpr size_t kMaxModulesBytes = 1 << 20;
constexpr int kMaxDepth = 200;       // of directories
constexpr int kMaxModuleDepth = 10;  // of submodules in submodules
constexpr size_t kMinIdDigits = 7;
constexpr unsigned kMaxObjects = 20'000'000;
constexpr int64_t kCacheBytes = 16 << 20;

template <typename Object, void (*kFree)(Object*)>
struct FreeObject {
  void operator()(Object* object) const { kFree(object); }
};
template <typename Object, void (*kFree)(Object*)>
using Owned = std::unique_ptr<Object, FreeObject<Object, kFree>>;
using Repository = Owned<git_repository, git_repository_free>;
using Remote = Owned<git_remote, git_remote_free>;
using Object = Owned<git_object, git_object_free>;
using Tree = Owned<git_tree, git_tree_free>;
using Blob = Owned<git_blob, git_blob_free>;
using Odb = Owned<git_odb, git_odb_free>;
using Index = Owned<git_index, git_index_free>;

void InitOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    git_libgit2_init();
    // No configuration but that of the repositories made here.
    for (const int level : {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL,
                            GIT_CONFIG_LEVEL_PROGRAMDATA}) {
      git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    }
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, static_cast<ssize_t>(kCacheBytes));
  });
}

absl::Status GitStatus(int code, absl::string_view what) {
  if (code >= 0) return absl::OkStatus();
  const git_error* error = git_error_last();
  const std::string text =
      absl::StrCat(what, ": ", error == nullptr ? "unknown error" : error->message);
  return code == GIT_ENOTFOUND || code == GIT_EAMBIGUOUS ? absl::NotFoundError(text)
                                                         : absl::UnavailableError(text);
}

bool IsObjectId(absl::string_view ref) {
  return ref.size() >= kMinIdDigits && ref.size() <= GIT_OID_HEXSZ &&
         std::all_of(ref.begin(), ref.end(),
                     [](unsigned char c) { return absl::ascii_isxdigit(c); });
}

// Where objects are until their files were read.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(const std::string& parent) : path_(parent + "/git-XXXXXX") {}
  ~ScratchDirectory() {
    std::error_code ignored;
    if (made_) std::filesystem::remove_all(path_, ignored);
  }
  absl::Status Make() {
    if (mkdtemp(path_.data()) == nullptr) return ErrnoStatus(errno, absl::StrCat("make ", path_));
    made_ = true;
    return absl::OkStatus();
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool made_ = false;
};

// One reading, of a repository and its submodules.
class GitReading {
 public:
  GitReading(std::string directory, Cancellation& cancellation, const GitLimits& limits,
             const std::function<absl::Status(FileInfo)>& on_file,
             const std::function<absl::Status(absl::string_view)>& on_data)
      : directory_(std::move(directory)),
        limits_(limits),
        on_file_(on_file),
        on_data_(on_data),
        transfer_{cancellation, limits.received_bytes, absl::Now() + limits.time, limits.stall_time,
                  absl::OkStatus()},
        content_left_(limits.content_bytes) {}

  absl::StatusOr<std::string> Read(const GitReference& reference, bool keep_git_dir) {
    ScratchDirectory scratch(directory_);
    RETURN_IF_ERROR(scratch.Make());
    return ReadInto(reference, scratch.path(), "", 0, keep_git_dir);
  }

 private:
  absl::StatusOr<std::string> ReadInto(const GitReference& reference, const std::string& scratch,
                                       const std::string& prefix, int depth, bool keep_git_dir) {
    git_repository* repository = nullptr;
    RETURN_IF_ERROR(GitStatus(git_repository_init(&repository, scratch.c_str(), /*is_bare=*/0),
                              "make a git repository"));
    const Repository owner(repository);
    ASSIGN_OR_RETURN(const Object commit, Fetch(repository, reference));
    ASSIGN_OR_RETURN(const Tree root, TreeOf(commit.get()));
    ASSIGN_OR_RETURN(const Tree tree, Below(root.get(), reference.directory));
    const std::string id = git_oid_tostr_s(git_object_id(commit.get()));
    Walk walk{repository, reference.url, {}, depth};
    ASSIGN_OR_RETURN(walk.modules, Modules(repository, root.get()));
    RETURN_IF_ERROR(ReadTree(walk, tree.get(), prefix, reference.directory, 0));
    if (keep_git_dir && reference.directory.empty()) {
      RETURN_IF_ERROR(KeepRepository(repository, commit.get(), root.get(), scratch));
    }
    return id;
  }

  struct Walk {
    git_repository* repository;
    std::string url;
    std::map<std::string, std::string> modules;
    int depth;  // of submodules
  };

  // The libgit2 call's outcome; what the transport knew says more.
  absl::Status Transferred(int code, absl::string_view what) {
    if (code >= 0) return absl::OkStatus();
    RETURN_IF_ERROR(transfer_.cancellation.status());
    if (!transfer_.status.ok()) {
      return absl::Status(transfer_.status.code(),
                          absl::StrCat(what, ": ", transfer_.status.message()));
    }
    return GitStatus(code, what);
  }

  static int OnProgress(const git_indexer_progress* progress, void* self) {
    GitTransfer& transfer = static_cast<GitReading*>(self)->transfer_;
    if (progress->total_objects > kMaxObjects) {
      transfer.status = absl::ResourceExhaustedError("the git repository has too many objects");
    }
    if (absl::Now() > transfer.deadline) {
      transfer.status = absl::DeadlineExceededError("the git repository takes too long");
    }
    return transfer.status.ok() && transfer.cancellation.status().ok() ? 0 : GIT_EUSER;
  }

  // The name of a reference on the server, as git-fetch(1) takes short ones; empty: it has none.
  static std::string FullName(git_remote* remote, const std::string& ref) {
    if (ref.empty()) return "HEAD";
    const git_remote_head** heads = nullptr;
    size_t count = 0;
    if (git_remote_ls(&heads, &count, remote) != 0) return "";
    for (const absl::string_view format : {"", "refs/", "refs/tags/", "refs/heads/"}) {
      const std::string name = absl::StrCat(format, ref);
      for (size_t i = 0; i < count; ++i) {
        if (name == heads[i]->name) return name;
      }
    }
    return "";
  }

  absl::StatusOr<Object> Fetch(git_repository* repository, const GitReference& reference) {
    const std::string what =
        absl::StrCat("fetch the git repository ", WithoutCredentials(reference.url));
    git_remote* made = nullptr;
    RETURN_IF_ERROR(
        GitStatus(git_remote_create_anonymous(&made, repository, reference.url.c_str()), what));
    const Remote remote(made);
    git_fetch_options options = GIT_FETCH_OPTIONS_INIT;
    options.callbacks.transfer_progress = OnProgress;
    options.callbacks.payload = this;
    options.callbacks.transport = [](git_transport** out, git_remote* of, void* self) {
      return NewGitTransport(out, of, &static_cast<GitReading*>(self)->transfer_);
    };
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    options.update_fetchhead = 0;
    RETURN_IF_ERROR(Transferred(
        git_remote_connect(remote.get(), GIT_DIRECTION_FETCH, &options.callbacks, nullptr, nullptr),
        what));
    const std::string name = FullName(remote.get(), reference.ref);
    std::vector<std::string> specs = {absl::StrCat("+", name, ":", kTarget)};
    if (name.empty()) {
      if (!IsObjectId(reference.ref)) {
        return absl::NotFoundError(absl::StrCat(what, ": it has no reference ", reference.ref));
      }
      // Not every server gives commits by their id: the branches and tags are sure to reach it.
      specs = {"+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"};
    }
    std::vector<char*> texts;
    for (std::string& spec : specs) texts.push_back(spec.data());
    const git_strarray array = {texts.data(), texts.size()};
    RETURN_IF_ERROR(Transferred(git_remote_download(remote.get(), &array, &options), what));
    RETURN_IF_ERROR(Transferred(
        git_remote_update_tips(remote.get(), &options.callbacks, 0, options.download_tags, nullptr),
        what));
    return Find(repository, name.empty() ? reference.ref : kTarget, what);
  }

  static absl::StatusOr<Object> Find(git_repository* repository, const std::string& name,
                                     const std::string& what) {
    git_object* object = nullptr;
    if (name == kTarget) {
      git_oid id;
      RETURN_IF_ERROR(GitStatus(git_reference_name_to_id(&id, repository, kTarget), what));
      RETURN_IF_ERROR(GitStatus(git_object_lookup(&object, repository, &id, GIT_OBJECT_ANY), what));
    } else {
      git_oid id;
      RETURN_IF_ERROR(GitStatus(git_oid_fromstrn(&id, name.data(), name.size()), what));
      RETURN_IF_ERROR(GitStatus(
          git_object_lookup_prefix(&object, repository, &id, name.size(), GIT_OBJECT_ANY), what));
    }
    const Object found(object);
    git_object* commit = nullptr;
    RETURN_IF_ERROR(GitStatus(git_object_peel(&commit, found.get(), GIT_OBJECT_COMMIT), what));
    return Object(commit);
  }

  static absl::StatusOr<Tree> TreeOf(git_object* object) {
    git_object* tree = nullptr;
    RETURN_IF_ERROR(
        GitStatus(git_object_peel(&tree, object, GIT_OBJECT_TREE), "read a git commit"));
    return Tree(reinterpret_cast<git_tree*>(tree));
  }

  static absl::StatusOr<Tree> Below(git_tree* root, const std::string& directory) {
    if (directory.empty()) return TreeOf(reinterpret_cast<git_object*>(root));
    git_tree_entry* entry = nullptr;
    const int code = git_tree_entry_bypath(&entry, root, directory.c_str());
    const Owned<git_tree_entry, git_tree_entry_free> owned(entry);
    if (code != 0 || git_tree_entry_type(entry) != GIT_OBJECT_TREE) {
      return absl::NotFoundError(absl::StrCat("the git repository has no directory ", directory));
    }
    git_object* object = nullptr;
    RETURN_IF_ERROR(GitStatus(git_tree_entry_to_object(&object, git_tree_owner(root), entry),
                              "read a git tree"));
    return Tree(reinterpret_cast<git_tree*>(object));
  }

  absl::StatusOr<std::map<std::string, std::string>> Modules(git_repository* repository,
                                                             git_tree* root) {
    const git_tree_entry* entry = git_tree_entry_byname(root, ".gitmodules");
    if (entry == nullptr || git_tree_entry_type(entry) != GIT_OBJECT_BLOB) {
      return std::map<std::string, std::string>();
    }
    ASSIGN_OR_RETURN(const Blob blob, Load(repository, git_tree_entry_id(entry), kMaxModulesBytes));
    return ParseGitModules(Content(blob.get()));
  }

  static absl::string_view Content(const git_blob* blob) {
    return absl::string_view(static_cast<const char*>(git_blob_rawcontent(blob)),
                             static_cast<size_t>(git_blob_rawsize(blob)));
  }

  // What an object says of its size is read before it is.
  static absl::StatusOr<Blob> Load(git_repository* repository, const git_oid* id,
                                   int64_t limit_bytes) {
    git_odb* odb = nullptr;
    RETURN_IF_ERROR(GitStatus(git_repository_odb(&odb, repository), "read a git object"));
    const Odb owned(odb);
    size_t size = 0;
    git_object_t type = GIT_OBJECT_INVALID;
    RETURN_IF_ERROR(GitStatus(git_odb_read_header(&size, &type, odb, id), "read a git object"));
    if (static_cast<int64_t>(size) > limit_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat("a file of the git repository has ", size,
                                                       " bytes, the limit is ", limit_bytes));
    }
    git_blob* blob = nullptr;
    RETURN_IF_ERROR(GitStatus(git_blob_lookup(&blob, repository, id), "read a git object"));
    return Blob(blob);
  }

  absl::Status ReadTree(const Walk& walk, git_tree* tree, const std::string& prefix,
                        const std::string& in_repository, int depth) {
    if (depth > kMaxDepth) {
      return absl::ResourceExhaustedError("the git repository's directories are too deep");
    }
    RETURN_IF_ERROR(transfer_.cancellation.status());
    const size_t count = git_tree_entrycount(tree);
    for (size_t i = 0; i < count; ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(tree, i);
      RETURN_IF_ERROR(ReadEntry(walk, entry, prefix, in_repository, depth));
    }
    return absl::OkStatus();
  }

  absl::Status ReadEntry(const Walk& walk, const git_tree_entry* entry, const std::string& prefix,
                         const std::string& in_repository, int depth) {
    const absl::string_view name = git_tree_entry_name(entry);
    // libgit2 checks names when a tree is made or checked out, not when it is read.
    if (name.empty() || name == "." || name == ".." || absl::EqualsIgnoreCase(name, ".git") ||
        absl::StrContains(name, '/')) {
      return absl::InvalidArgumentError(
          absl::StrCat("the git repository has a file named \"", name, "\""));
    }
    const std::string separator = prefix.empty() ? "" : "/";
    FileInfo info;
    info.path = absl::StrCat(prefix, separator, name);
    const std::string own = absl::StrCat(in_repository, in_repository.empty() ? "" : "/", name);
    switch (git_tree_entry_filemode(entry)) {
      case GIT_FILEMODE_TREE: {
        info.mode = S_IFDIR | 0755;
        const std::string path = info.path;
        RETURN_IF_ERROR(on_file_(std::move(info)));
        git_tree* tree = nullptr;
        RETURN_IF_ERROR(GitStatus(git_tree_lookup(&tree, walk.repository, git_tree_entry_id(entry)),
                                  "read a git tree"));
        const Tree owned(tree);
        return ReadTree(walk, tree, path, own, depth + 1);
      }
      case GIT_FILEMODE_COMMIT:
        return ReadModule(walk, entry, std::move(info), own);
      default:
        return ReadBlob(walk, entry, std::move(info));
    }
  }

  absl::Status ReadBlob(const Walk& walk, const git_tree_entry* entry, FileInfo info) {
    ASSIGN_OR_RETURN(const Blob blob,
                     Load(walk.repository, git_tree_entry_id(entry), limits_.file_bytes));
    const absl::string_view content = Content(blob.get());
    content_left_ -= static_cast<int64_t>(content.size());
    if (content_left_ < 0) {
      return absl::ResourceExhaustedError("the git repository's files are too large");
    }
    const git_filemode_t mode = git_tree_entry_filemode(entry);
    if (mode == GIT_FILEMODE_LINK) {
      info.mode = S_IFLNK | 0777;
      info.link_target = std::string(content);
      return on_file_(std::move(info));
    }
    info.mode = S_IFREG | (mode == GIT_FILEMODE_BLOB_EXECUTABLE ? 0755 : 0644);
    RETURN_IF_ERROR(on_file_(std::move(info)));
    return content.empty() ? absl::OkStatus() : on_data_(content);
  }

  // A submodule that .gitmodules does not name stays an empty directory, as git leaves it.
  absl::Status ReadModule(const Walk& walk, const git_tree_entry* entry, FileInfo info,
                          const std::string& own) {
    info.mode = S_IFDIR | 0755;
    const std::string path = info.path;
    RETURN_IF_ERROR(on_file_(std::move(info)));
    const auto found = walk.modules.find(own);
    if (found == walk.modules.end()) return absl::OkStatus();
    if (walk.depth >= kMaxModuleDepth) {
      return absl::ResourceExhaustedError("the git repository's submodules are too deep");
    }
    GitReference module;
    ASSIGN_OR_RETURN(module.url, ResolveModuleUrl(walk.url, found->second));
    module.ref = git_oid_tostr_s(git_tree_entry_id(entry));
    ScratchDirectory scratch(directory_);
    RETURN_IF_ERROR(scratch.Make());
    return ReadInto(module, scratch.path(), path, walk.depth + 1, false).status();
  }

  // The repository as a clone with this commit checked out has it, but for the address's password.
  absl::Status KeepRepository(git_repository* repository, git_object* commit, git_tree* root,
                              const std::string& scratch) {
    RETURN_IF_ERROR(
        GitStatus(git_repository_set_head_detached(repository, git_object_id(commit)), "set HEAD"));
    git_index* index = nullptr;
    RETURN_IF_ERROR(GitStatus(git_repository_index(&index, repository), "make a git index"));
    const Index owned(index);
    RETURN_IF_ERROR(GitStatus(git_index_read_tree(index, root), "make a git index"));
    RETURN_IF_ERROR(GitStatus(git_index_write(index), "write a git index"));
    std::vector<std::filesystem::path> paths;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator at(scratch + "/.git", error), end;
         !error && at != end; at.increment(error)) {
      paths.push_back(at->path());
    }
    if (error)
      return absl::UnavailableError(absl::StrCat("read a git repository: ", error.message()));
    std::sort(paths.begin(), paths.end());
    FileInfo top;
    top.path = ".git";
    top.mode = S_IFDIR | 0755;
    RETURN_IF_ERROR(on_file_(std::move(top)));
    for (const std::filesystem::path& path : paths) {
      RETURN_IF_ERROR(KeepFile(path.string(), path.string().substr(scratch.size() + 1)));
    }
    return absl::OkStatus();
  }

  absl::Status KeepFile(const std::string& path, const std::string& name) {
    struct stat st;
    if (lstat(path.c_str(), &st) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", path));
    FileInfo info;
    info.path = name;
    info.mode = S_ISDIR(st.st_mode) ? S_IFDIR | 0755 : S_IFREG | (st.st_mode & 0555) | 0200;
    RETURN_IF_ERROR(on_file_(std::move(info)));
    if (S_ISDIR(st.st_mode)) return absl::OkStatus();
    ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY | O_NOFOLLOW));
    std::string buffer(1 << 20, '\0');
    while (true) {
      const ssize_t count = read(fd.get(), buffer.data(), buffer.size());
      if (count == 0) return absl::OkStatus();
      if (count < 0) return ErrnoStatus(errno, absl::StrCat("read ", path));
      RETURN_IF_ERROR(on_data_(absl::string_view(buffer).substr(0, static_cast<size_t>(count))));
    }
  }

  const std::string directory_;
  const GitLimits& limits_;
  const std::function<absl::Status(FileInfo)>& on_file_;
  const std::function<absl::Status(absl::string_view)>& on_data_;
  GitTransfer transfer_;
  int64_t content_left_;
};

}  // namespace

absl::StatusOr<std::string> GitClient::ReadFiles(
    const GitReference& reference, bool keep_git_dir,
    const std::function<absl::Status(FileInfo)>& on_file,
    const std::function<absl::Status(absl::string_view)>& on_data) {
  InitOnce();
  GitReading reading(directory_, cancellation_, limits_, on_file, on_data);
  return reading.Read(reference, keep_git_dir);
}

}  // namespace slipway::build
