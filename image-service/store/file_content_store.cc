#include "image-service/store/file_content_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "image-service/layer/gzip_stream.h"
#include "image-service/layer/layer_file.h"
#include "image-service/layer/sha256.h"
#include "image-service/layer/tar_split.h"
#include "image-service/store/erofs_layer_sink.h"
#include "image-service/store/file_blob_writer.h"

namespace slipway::image {
namespace {

constexpr absl::string_view kLayerSuffix = ".erofs";
constexpr absl::Duration kPartialAge = absl::Hours(24);

std::string TemporaryName() {
  static std::atomic<uint64_t> next = 0;
  return absl::StrCat(getpid(), "-", next.fetch_add(1));
}

// -1: no such file.
int64_t SizeOfFile(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : -1;
}

// Calls `visit` with each name in `directory`.
absl::Status ForEachName(const std::string& directory,
                         const std::function<void(const std::string&)>& visit) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    visit(entry->path().filename().string());
  }
  if (error) return ErrnoStatus(error.value(), absl::StrCat("read directory ", directory));
  return absl::OkStatus();
}

class FileBlobReader : public BlobReader {
 public:
  FileBlobReader(UniqueFd fd, std::string path, int64_t size_bytes)
      : fd_(std::move(fd)), path_(std::move(path)), size_bytes_(size_bytes) {}
  int64_t size_bytes() const override { return size_bytes_; }
  absl::StatusOr<size_t> ReadAt(int64_t offset, char* data, size_t size) override {
    while (true) {
      const ssize_t n = pread(fd_.get(), data, size, offset);
      if (n >= 0) return static_cast<size_t>(n);
      if (errno != EINTR) return ErrnoStatus(errno, absl::StrCat("read ", path_));
    }
  }

 private:
  const UniqueFd fd_;
  const std::string path_;
  const int64_t size_bytes_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<FileContentStore>> FileContentStore::Open(
    const std::string& root, const ContentLimits& limits) {
  for (const char* name : {"/blobs/sha256", "/layers", "/partial", "/tmp"}) {
    RETURN_IF_ERROR(MakeDirectories(absl::StrCat(root, name), 0755));
  }
  ASSIGN_OR_RETURN(const std::string boot_id, ReadFile("/proc/sys/kernel/random/boot_id"));
  return std::unique_ptr<FileContentStore>(
      new FileContentStore(root, std::string(absl::StripAsciiWhitespace(boot_id)), limits));
}

std::string FileContentStore::LayerPath(const Digest& diff_id) const {
  return absl::StrCat(root_, "/layers/", diff_id.hex(), kLayerSuffix);
}

std::string FileContentStore::BlobPath(const Digest& blob) const {
  return absl::StrCat(root_, "/blobs/sha256/", blob.hex());
}

bool FileContentStore::HasLayer(const Digest& diff_id, int64_t size_bytes) const {
  return SizeOfFile(LayerPath(diff_id)) >= size_bytes;
}

bool FileContentStore::HasBlob(const Digest& blob, int64_t size_bytes) const {
  return SizeOfFile(BlobPath(blob)) == size_bytes;
}

absl::StatusOr<std::unique_ptr<LayerSink>> FileContentStore::NewLayer(
    const LayerSinkOptions& options) {
  int64_t limit_bytes = limits_.layer_bytes;
  std::string limit_name = "--max_layer_bytes";
  if (limits_.quota_bytes > 0) {
    const int64_t left_bytes = limits_.quota_bytes - UsedBytes();
    if (left_bytes <= 0) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the images' disk quota of ", limits_.quota_bytes,
                       " bytes is used up: remove images or raise --disk_quota_bytes"));
    }
    if (left_bytes < limit_bytes) {
      limit_bytes = left_bytes;
      limit_name = "--disk_quota_bytes";
    }
  }
  return ErofsLayerSink::Create({.directory = absl::StrCat(root_, "/tmp"),
                                 .accept_xz_and_bzip2 = options.any_compression,
                                 .keep_split = options.keep_split,
                                 .max_tar_bytes = static_cast<uint64_t>(limit_bytes),
                                 .limit_name = std::move(limit_name)});
}

int64_t FileContentStore::UsedBytes() const {
  int64_t used = 0;
  for (const char* name : {"/blobs/sha256", "/layers", "/partial", "/tmp"}) {
    const std::string directory = absl::StrCat(root_, name);
    ForEachName(directory, [&](const std::string& file) {
      struct stat st;
      if (stat(absl::StrCat(directory, "/", file).c_str(), &st) == 0) used += st.st_blocks * 512;
    }).IgnoreError();
  }
  return used;
}

absl::StatusOr<std::unique_ptr<BlobWriter>> FileContentStore::NewBlob() {
  return FileBlobWriter::Open(absl::StrCat(root_, "/tmp/blob-", TemporaryName()),
                              absl::StrCat(root_, "/blobs/sha256"), /*resumable=*/false);
}

absl::StatusOr<std::unique_ptr<BlobWriter>> FileContentStore::ResumeBlob(const Digest& blob) {
  return FileBlobWriter::Open(absl::StrCat(root_, "/partial/", blob.hex()),
                              absl::StrCat(root_, "/blobs/sha256"), /*resumable=*/true);
}

absl::Status FileContentStore::SyncLayer(const Digest& diff_id) {
  const std::string path = LayerPath(diff_id);
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY));
  if (fdatasync(fd.get()) != 0) return ErrnoStatus(errno, absl::StrCat("sync ", path));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<BlobReader>> FileContentStore::OpenBlob(const Digest& blob) {
  std::string path = BlobPath(blob);
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDONLY));
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", path));
  return std::make_unique<FileBlobReader>(std::move(fd), std::move(path), st.st_size);
}

absl::Status FileContentStore::ReadBlob(
    const Layer& layer, const std::function<absl::Status(absl::string_view)>& sink) {
  if (layer.has_split()) return ReadTar(layer, sink);
  const std::string path = BlobPath(layer.blob);
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY));
  return ReadWholeFile(fd.get(), path, sink);
}

absl::Status FileContentStore::ReadTar(const Layer& layer,
                                       const std::function<absl::Status(absl::string_view)>& sink) {
  const std::string path = LayerPath(layer.diff_id);
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY));
  Sha256 hash;
  RETURN_IF_ERROR(ReadSplitTar(fd.get(), path, static_cast<uint64_t>(layer.erofs_size_bytes),
                               static_cast<uint64_t>(layer.tar_size_bytes),
                               [&](absl::string_view bytes) {
                                 hash.Update(bytes);
                                 return sink(bytes);
                               }));
  const std::string digest = hash.FinishDigest();
  if (digest == layer.diff_id.ToString()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("layer file ", path, " gives a tar of ", digest));
}

absl::StatusOr<GzippedTar> FileContentStore::GzipTar(const Layer& layer,
                                                     const Cancellation& cancel) {
  const std::string directory = absl::StrCat(root_, "/tmp");
  ASSIGN_OR_RETURN(LayerFile file, LayerFile::Create(directory));
  Sha256 hash;
  int64_t size_bytes = 0;
  GzipStream stream([&](absl::string_view bytes) -> absl::Status {
    hash.Update(bytes);
    RETURN_IF_ERROR(file.WriteAt(static_cast<uint64_t>(size_bytes), bytes));
    size_bytes += static_cast<int64_t>(bytes.size());
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(ReadTar(layer, [&](absl::string_view bytes) -> absl::Status {
    if (cancel.cancelled()) return absl::CancelledError("cancelled");
    return stream.Append(bytes);
  }));
  RETURN_IF_ERROR(stream.Finish());
  GzippedTar result;
  ASSIGN_OR_RETURN(result.digest, Digest::Parse(hash.FinishDigest()));
  UniqueFd fd(fcntl(file.fd(), F_DUPFD_CLOEXEC, 0));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("keep a file in ", directory));
  result.blob = std::make_unique<FileBlobReader>(
      std::move(fd), absl::StrCat("a compressed layer in ", directory), size_bytes);
  return result;
}

absl::Status FileContentStore::Trash(const std::string& path, const std::string& name) {
  const std::string target = absl::StrCat(root_, "/tmp/trash-", name, "-", TemporaryName());
  if (rename(path.c_str(), target.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("remove ", path));
  }
  return absl::OkStatus();
}

absl::Status FileContentStore::RemoveLayer(const Digest& diff_id) {
  return Trash(LayerPath(diff_id), diff_id.hex());
}

absl::Status FileContentStore::RemoveBlob(const Digest& blob) {
  return Trash(BlobPath(blob), blob.hex());
}

absl::Status FileContentStore::RemovePartial(const Digest& blob) {
  return Trash(absl::StrCat(root_, "/partial/", blob.hex()), blob.hex());
}

void FileContentStore::EmptyTrash() {
  absl::MutexLock lock(&mu_);
  has_trash_ = true;
}

void FileContentStore::RunReaper() {
  const std::string directory = absl::StrCat(root_, "/tmp");
  const auto work = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return has_trash_ || stopping_; };
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(&work));
      if (!has_trash_) return;
      has_trash_ = false;
    }
    (void)ForEachName(directory, [&](const std::string& name) {
      if (name.rfind("trash-", 0) == 0) unlink(absl::StrCat(directory, "/", name).c_str());
    });
  }
}

FileContentStore::~FileContentStore() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  reaper_.join();
}

int64_t FileContentStore::PartialBytes() const {
  const std::string directory = absl::StrCat(root_, "/partial");
  int64_t bytes = 0;
  (void)ForEachName(directory, [&](const std::string& name) {
    struct stat st;
    if (stat(absl::StrCat(directory, "/", name).c_str(), &st) == 0) bytes += st.st_size;
  });
  return bytes;
}

absl::StatusOr<int> FileContentStore::Sweep(const std::function<bool(const Digest&)>& knows_layer,
                                            const std::function<bool(const Digest&)>& knows_blob) {
  int removed = 0;
  std::error_code error;
  const std::string tmp = absl::StrCat(root_, "/tmp");
  RETURN_IF_ERROR(ForEachName(
      tmp, [&](const std::string& name) { std::filesystem::remove_all(tmp + "/" + name, error); }));
  const std::string partial = absl::StrCat(root_, "/partial");
  RETURN_IF_ERROR(ForEachName(partial, [&](const std::string& name) {
    const std::string path = absl::StrCat(partial, "/", name);
    struct stat st;
    if (stat(path.c_str(), &st) != 0) return;
    if (absl::FromTimeT(st.st_mtime) < absl::Now() - kPartialAge) unlink(path.c_str());
  }));
  const std::string layers = absl::StrCat(root_, "/layers");
  RETURN_IF_ERROR(ForEachName(layers, [&](const std::string& name) {
    absl::string_view hex = name;
    if (absl::ConsumeSuffix(&hex, kLayerSuffix)) {
      const auto digest = Digest::FromHex(hex);
      if (digest.ok() && knows_layer(*digest)) return;
    }
    if (unlink(absl::StrCat(layers, "/", name).c_str()) == 0) ++removed;
  }));
  const std::string blobs = absl::StrCat(root_, "/blobs/sha256");
  RETURN_IF_ERROR(ForEachName(blobs, [&](const std::string& name) {
    const auto digest = Digest::FromHex(name);
    if (digest.ok() && knows_blob(*digest)) return;
    if (unlink(absl::StrCat(blobs, "/", name).c_str()) == 0) ++removed;
  }));
  return removed;
}

}  // namespace slipway::image
