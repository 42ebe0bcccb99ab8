#include "image-service/layer/tar_converter.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "base/text/bytewise_locale.h"
#include "base/text/tar_end.h"

namespace slipway::image {
namespace {

struct FreeReader {
  void operator()(archive* reader) const { archive_read_free(reader); }
};

absl::string_view ErrorText(archive* reader) {
  const char* text = archive_error_string(reader);
  return text == nullptr ? "unknown error" : text;
}

// Only what is wrong with the layer gets the entry's name; a full disk has its own.
absl::Status NameEntry(const absl::Status& status, absl::string_view name) {
  if (!absl::IsInvalidArgument(status) && !absl::IsNotFound(status) && !absl::IsDataLoss(status)) {
    return status;
  }
  constexpr size_t kMaxShownBytes = 256;
  const absl::StatusCode code =
      absl::IsDataLoss(status) ? status.code() : absl::StatusCode::kInvalidArgument;
  return absl::Status(
      code, absl::StrCat("layer entry \"", absl::Utf8SafeCEscape(name.substr(0, kMaxShownBytes)),
                         name.size() > kMaxShownBytes ? "...\": " : "\": ", status.message()));
}

uint16_t TypeBits(mode_t type) { return static_cast<uint16_t>(type); }

}  // namespace

ssize_t TarConverter::ReadInput(archive*, void* self, const void** bytes) {
  const std::optional<absl::string_view> next = static_cast<TarConverter*>(self)->input_();
  if (!next.has_value()) return 0;
  *bytes = next->data();
  return static_cast<ssize_t>(next->size());
}

absl::Status TarConverter::Run(Input input) {
  const BytewiseLocale locale;
  input_ = std::move(input);
  const std::unique_ptr<archive, FreeReader> reader(archive_read_new());
  if (reader == nullptr) return absl::ResourceExhaustedError("no memory for a tar reader");
  archive_read_support_format_tar(reader.get());
  archive_read_support_format_empty(reader.get());
  // On other systems' account: files named ._NAME are files like any other.
  archive_read_set_format_option(reader.get(), "tar", "mac-ext", nullptr);
  if (archive_read_open(reader.get(), this, nullptr, ReadInput, nullptr) != ARCHIVE_OK) {
    return absl::DataLossError(absl::StrCat("layer tar: ", ErrorText(reader.get())));
  }
  for (;;) {
    if (ended_) return absl::OkStatus();
    archive_entry* entry = nullptr;
    const int result = archive_read_next_header(reader.get(), &entry);
    if (result == ARCHIVE_EOF) return absl::OkStatus();
    // A warning is about the character set of a name, which goes through as it is.
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
      return absl::DataLossError(absl::StrCat("layer tar, entry ", entry_count_ + 1, ", byte ",
                                              archive_read_header_position(reader.get()), ": ",
                                              ErrorText(reader.get())));
    }
    ++entry_count_;
    CountContent(entry);
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("layer tar, entry ", entry_count_, ": has no readable name"));
    }
    if (absl::Status status = AddEntry(reader.get(), entry, name); !status.ok()) {
      return NameEntry(status, name);
    }
  }
}

void TarConverter::CountContent(archive_entry* entry) {
  if (archive_entry_hardlink(entry) != nullptr) return;
  const char* target = archive_entry_symlink(entry);
  if (archive_entry_filetype(entry) == AE_IFREG) {
    content_bytes_ += static_cast<uint64_t>(archive_entry_size(entry));
  } else if (archive_entry_filetype(entry) == AE_IFLNK && target != nullptr) {
    content_bytes_ += strlen(target);
  }
}

absl::Status TarConverter::AddEntry(archive* reader, archive_entry* entry, absl::string_view name) {
  ASSIGN_OR_RETURN(LayerTree::Path path, ParseEntryPath(name, limits_));
  ASSIGN_OR_RETURN(const EntryRole role, ClassifyEntry(&path));
  switch (role) {
    case EntryRole::kIgnored:
      return absl::OkStatus();
    case EntryRole::kOpaque:
      return tree_->AddOpaque(path);
    case EntryRole::kWhiteout:
      return AddWhiteout(path);
    case EntryRole::kContent:
      return AddContent(reader, entry, path);
  }
  return absl::InternalError("unknown role");
}

absl::Status TarConverter::AddWhiteout(const LayerTree::Path& path) {
  ASSIGN_OR_RETURN(const bool needed, tree_->NeedsWhiteout(path));
  if (!needed) return absl::OkStatus();
  InodeAttributes attributes;
  attributes.mode = S_IFCHR;
  ASSIGN_OR_RETURN(const Nid nid, image_->AddSpecial(attributes, 0));
  return tree_->AddWhiteout(path, nid);
}

absl::Status TarConverter::ReadAttributes(archive_entry* entry) {
  attributes_ = InodeAttributes();
  attributes_.mode = TypeBits(archive_entry_filetype(entry)) | (archive_entry_perm(entry) & 07777);
  const int64_t uid = archive_entry_uid(entry);
  const int64_t gid = archive_entry_gid(entry);
  // The last value is (uid_t)-1, which is no user.
  if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("owner ", uid, ":", gid, " is not a valid user and group id"));
  }
  attributes_.uid = static_cast<uint32_t>(uid);
  attributes_.gid = static_cast<uint32_t>(gid);
  attributes_.mtime_s = archive_entry_mtime(entry);
  const long mtime_ns = archive_entry_mtime_nsec(entry);
  attributes_.mtime_ns = mtime_ns >= 0 && mtime_ns < 1'000'000'000 ? mtime_ns : 0;
  archive_entry_xattr_reset(entry);
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
    if (name == nullptr) continue;
    RETURN_IF_ERROR(attributes_.xattrs.Add(
        name, absl::string_view(static_cast<const char*>(value), size), limits_.max_xattr_bytes));
  }
  return absl::OkStatus();
}

absl::Status TarConverter::AddContent(archive* reader, archive_entry* entry,
                                      const LayerTree::Path& path) {
  if (archive_entry_hardlink(entry) != nullptr) return AddHardLink(entry, path);
  RETURN_IF_ERROR(ReadAttributes(entry));
  uint8_t file_type = 0;
  switch (archive_entry_filetype(entry)) {
    case AE_IFDIR:
      return tree_->AddDirectory(path, attributes_);
    case AE_IFREG:
      return AddRegular(reader, entry, path);
    case AE_IFLNK:
      return AddSymlink(entry, path);
    case AE_IFCHR:
      file_type = erofs::kTypeCharDevice;
      break;
    case AE_IFBLK:
      file_type = erofs::kTypeBlockDevice;
      break;
    case AE_IFIFO:
      file_type = erofs::kTypeFifo;
      break;
    default:  // a socket means nothing without the process that made it
      return absl::OkStatus();
  }
  const uint64_t major_number = static_cast<uint64_t>(archive_entry_rdevmajor(entry));
  const uint64_t minor_number = static_cast<uint64_t>(archive_entry_rdevminor(entry));
  if (file_type != erofs::kTypeFifo && (major_number > 0xfff || minor_number > 0xfffff)) {
    return absl::InvalidArgumentError(
        absl::StrCat("device ", major_number, ":", minor_number, " is not a Linux device number"));
  }
  ASSIGN_OR_RETURN(const Nid nid,
                   image_->AddSpecial(attributes_, makedev(static_cast<unsigned>(major_number),
                                                           static_cast<unsigned>(minor_number))));
  return tree_->AddInode(path, file_type, nid);
}

absl::Status TarConverter::AddRegular(archive* reader, archive_entry* entry,
                                      const LayerTree::Path& path) {
  const int64_t size_bytes = archive_entry_size(entry);
  if (size_bytes < 0) return absl::InvalidArgumentError("has a negative size");
  RETURN_IF_ERROR(image_->BeginFile(attributes_, static_cast<uint64_t>(size_bytes)));
  uint64_t read_bytes = 0;
  for (;;) {
    const void* bytes = nullptr;
    size_t count = 0;
    la_int64_t offset = 0;
    const int result = archive_read_data_block(reader, &bytes, &count, &offset);
    if (result == ARCHIVE_EOF) break;
    ended_ = result != ARCHIVE_OK && EndsWithContent(reader, entry, read_bytes);
    if (ended_) break;
    if (result != ARCHIVE_OK) return absl::DataLossError(ErrorText(reader));
    read_bytes = static_cast<uint64_t>(offset) + count;
    const absl::string_view content(static_cast<const char*>(bytes), count);
    RETURN_IF_ERROR(image_->WriteFile(static_cast<uint64_t>(offset), content));
    NoteContent(static_cast<uint64_t>(offset), content);
  }
  ASSIGN_OR_RETURN(const Nid nid, image_->EndFile());
  CoverContent();
  return tree_->AddInode(path, erofs::kTypeRegular, nid);
}

void TarConverter::NoteContent(uint64_t offset, absl::string_view bytes) {
  if (split_ == nullptr || bytes.empty()) return;
  // What libarchive had to copy is no part of the tar's own bytes, and stays in the split.
  const std::optional<uint64_t> position = split_->PositionOf(bytes);
  if (position.has_value()) content_.push_back({*position, offset, bytes.size()});
  if (image_->content_place().has_value()) CoverContent();
}

void TarConverter::CoverContent() {
  for (const Content& part : content_) {
    const ErofsImage::ContentPlace& place = *image_->content_place();
    const uint64_t full = part.offset >= place.full_bytes
                              ? 0
                              : std::min(part.size_bytes, place.full_bytes - part.offset);
    if (full > 0) split_->Cover(part.position, full, place.offset + part.offset);
    if (full == part.size_bytes) continue;
    split_->Cover(part.position + full, part.size_bytes - full,
                  place.rest_offset + part.offset + full - place.full_bytes);
  }
  content_.clear();
}

absl::Status TarConverter::AddSymlink(archive_entry* entry, const LayerTree::Path& path) {
  constexpr size_t kMaxTargetBytes = 4095;  // PATH_MAX less the final NUL
  const char* text = archive_entry_symlink(entry);
  const absl::string_view target = text == nullptr ? "" : text;
  if (target.empty() || target.size() > kMaxTargetBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("symlink target has ", target.size(), " bytes, not 1 to ", kMaxTargetBytes));
  }
  attributes_.mode = S_IFLNK | 0777;  // what Linux shows for every symlink
  ASSIGN_OR_RETURN(const Nid nid, image_->AddSymlink(attributes_, target));
  return tree_->AddSymlink(path, target, nid);
}

absl::Status TarConverter::AddHardLink(archive_entry* entry, const LayerTree::Path& path) {
  const absl::string_view target = archive_entry_hardlink(entry);
  absl::StatusOr<LayerTree::Path> target_path = ParseEntryPath(target, limits_);
  absl::Status status = target_path.status();
  if (status.ok()) status = tree_->AddHardLink(path, *target_path);
  if (status.ok() || absl::IsResourceExhausted(status)) return status;
  return absl::InvalidArgumentError(absl::StrCat(
      "hard link to \"", absl::Utf8SafeCEscape(target.substr(0, 256)), "\": ", status.message()));
}

}  // namespace slipway::image
