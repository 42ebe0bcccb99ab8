#include "image-service/layer/merged_layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "base/text/bytewise_locale.h"
#include "image-service/layer/layer_reader.h"

namespace slipway::image {
namespace {

constexpr size_t kPieceBytes = 256 << 10;
constexpr size_t kMaxDepth = 1024;
constexpr char kWhiteoutPrefix[] = ".wh.";
constexpr char kOpaqueName[] = ".wh..wh..opq";

// An inode of one of the layers.
struct Place {
  size_t layer = 0;  // uppermost first
  LayerReader::Inode inode;
};

class Merger {
 public:
  explicit Merger(const std::function<absl::Status(absl::string_view)>& sink)
      : sink_(sink), archive_(archive_write_new()), entry_(archive_entry_new()) {
    archive_write_set_format_pax_restricted(archive_.get());
    archive_write_set_bytes_per_block(archive_.get(), 0);
    archive_write_open(archive_.get(), this, nullptr, &Merger::Write, nullptr);
  }

  absl::Status Open(const std::vector<std::string>& layer_paths) {
    for (auto path = layer_paths.rbegin(); path != layer_paths.rend(); ++path) {
      ASSIGN_OR_RETURN(layers_.emplace_back(), LayerReader::Open(*path));
    }
    return absl::OkStatus();
  }

  absl::Status Run() {
    std::vector<Place> roots;
    for (size_t i = 0; i < layers_.size(); ++i) {
      ASSIGN_OR_RETURN(LayerReader::Inode inode, layers_[i]->Root());
      const bool opaque = inode.is_opaque();
      roots.push_back({i, std::move(inode)});
      if (opaque) break;
    }
    if (roots.empty()) return absl::InvalidArgumentError("no layers to merge");
    RETURN_IF_ERROR(Directory("", roots, /*hidden=*/false, 0));
    return archive_write_close(archive_.get()) == ARCHIVE_OK ? absl::OkStatus() : Failure();
  }

 private:
  // A directory that is in several layers, the uppermost first. `hidden`: nothing of the layers
  // below these shows in what is above it anyway.
  absl::Status Directory(const std::string& path, const std::vector<Place>& places, bool hidden,
                         size_t depth) {
    if (depth > kMaxDepth) return absl::InvalidArgumentError("a layer's directories are too deep");
    RETURN_IF_ERROR(Put(path.empty() ? "./" : path + "/", places[0]));
    const bool opaque = places.back().inode.is_opaque();
    const std::string prefix = path.empty() ? "" : path + "/";
    if (opaque && !hidden) RETURN_IF_ERROR(PutMark(prefix + kOpaqueName));
    std::map<std::string, std::vector<Place>> children;
    for (const Place& place : places) {
      ASSIGN_OR_RETURN(const std::vector<LayerReader::Entry> entries,
                       layers_[place.layer]->List(place.inode));
      for (const LayerReader::Entry& entry : entries) {
        ASSIGN_OR_RETURN(LayerReader::Inode inode, layers_[place.layer]->Read(entry.nid));
        children[entry.name].push_back({place.layer, std::move(inode)});
      }
    }
    for (auto& [name, versions] : children) {
      RETURN_IF_ERROR(Child(prefix, name, std::move(versions), hidden || opaque, depth));
    }
    return absl::OkStatus();
  }

  absl::Status Child(const std::string& prefix, const std::string& name,
                     std::vector<Place> versions, bool hidden, size_t depth) {
    const Place& top = versions[0];
    if (top.inode.is_whiteout()) {
      return hidden ? absl::OkStatus() : PutMark(absl::StrCat(prefix, kWhiteoutPrefix, name));
    }
    if (!S_ISDIR(top.inode.mode)) return Put(prefix + name, top);
    size_t shown = 1;
    while (shown < versions.size() && !versions[shown - 1].inode.is_opaque() &&
           S_ISDIR(versions[shown].inode.mode)) {
      ++shown;
    }
    // What a directory stands in place of hides what is below, too.
    const bool replaces = shown < versions.size() && !versions[shown - 1].inode.is_opaque();
    versions.resize(shown);
    if (replaces) {
      versions.back().inode.xattrs.emplace_back("trusted.overlay.opaque", "y");
    }
    return Directory(prefix + name, versions, hidden, depth + 1);
  }

  absl::Status PutMark(const std::string& path) {
    archive_entry* entry = entry_.get();
    archive_entry_clear(entry);
    archive_entry_set_pathname(entry, path.c_str());
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, 0);
    archive_entry_set_mtime(entry, 0, 0);
    return archive_write_header(archive_.get(), entry) == ARCHIVE_OK ? absl::OkStatus() : Failure();
  }

  absl::Status Put(const std::string& path, const Place& place) {
    const LayerReader::Inode& inode = place.inode;
    archive_entry* entry = entry_.get();
    archive_entry_clear(entry);
    archive_entry_set_pathname(entry, path.c_str());
    archive_entry_set_mode(entry, inode.mode);
    archive_entry_set_uid(entry, inode.uid);
    archive_entry_set_gid(entry, inode.gid);
    archive_entry_set_mtime(entry, inode.mtime_s, inode.mtime_ns);
    if (S_ISCHR(inode.mode) || S_ISBLK(inode.mode)) archive_entry_set_rdev(entry, inode.device);
    for (const auto& [name, value] : inode.xattrs) {
      if (absl::StartsWith(name, "trusted.overlay.")) continue;
      archive_entry_xattr_add_entry(entry, name.c_str(), value.data(), value.size());
    }
    if (S_ISLNK(inode.mode)) {
      ASSIGN_OR_RETURN(const std::string target, layers_[place.layer]->LinkTarget(inode));
      archive_entry_set_symlink(entry, target.c_str());
    }
    const bool regular = S_ISREG(inode.mode);
    archive_entry_set_size(entry, regular ? static_cast<int64_t>(inode.size_bytes) : 0);
    if (!S_ISDIR(inode.mode) && inode.nlink > 1) {
      const auto [first, is_new] = links_.try_emplace({place.layer, inode.nid}, path);
      if (!is_new) {
        archive_entry_set_hardlink(entry, first->second.c_str());
        archive_entry_set_size(entry, 0);
        return archive_write_header(archive_.get(), entry) == ARCHIVE_OK ? absl::OkStatus()
                                                                         : Failure();
      }
    }
    if (archive_write_header(archive_.get(), entry) != ARCHIVE_OK) return Failure();
    return regular ? PutContent(place) : absl::OkStatus();
  }

  absl::Status PutContent(const Place& place) {
    if (buffer_ == nullptr) buffer_.reset(new char[kPieceBytes]);
    for (uint64_t at = 0; at < place.inode.size_bytes;) {
      ASSIGN_OR_RETURN(const size_t count, layers_[place.layer]->ReadContent(
                                               place.inode, at, buffer_.get(), kPieceBytes));
      if (count == 0) return absl::DataLossError("a layer file is cut");
      for (size_t done = 0; done < count;) {
        const la_ssize_t written =
            archive_write_data(archive_.get(), buffer_.get() + done, count - done);
        if (written <= 0) return Failure();
        done += static_cast<size_t>(written);
      }
      at += count;
    }
    return absl::OkStatus();
  }

  absl::Status Failure() const {
    if (!failure_.ok()) return failure_;
    const char* reason = archive_error_string(archive_.get());
    return absl::InternalError(
        absl::StrCat("write a merged layer: ", reason == nullptr ? "unknown" : reason));
  }

  static la_ssize_t Write(archive* archive, void* self, const void* bytes, size_t size) {
    auto* merger = static_cast<Merger*>(self);
    merger->failure_ = merger->sink_(absl::string_view(static_cast<const char*>(bytes), size));
    if (merger->failure_.ok()) return static_cast<la_ssize_t>(size);
    archive_set_error(archive, EIO, "the receiver refused");
    return -1;
  }

  struct Free {
    void operator()(archive* writer) const { archive_write_free(writer); }
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
  };

  const std::function<absl::Status(absl::string_view)>& sink_;
  const std::unique_ptr<archive, Free> archive_;
  const std::unique_ptr<archive_entry, Free> entry_;
  std::vector<std::unique_ptr<LayerReader>> layers_;  // uppermost first
  std::map<std::pair<size_t, uint64_t>, std::string> links_;
  std::unique_ptr<char[]> buffer_;
  absl::Status failure_;
};

}  // namespace

absl::Status WriteMergedLayer(const std::vector<std::string>& layer_paths,
                              const std::function<absl::Status(absl::string_view)>& sink) {
  const BytewiseLocale locale;
  Merger merger(sink);
  RETURN_IF_ERROR(merger.Open(layer_paths));
  return merger.Run();
}

}  // namespace slipway::image
