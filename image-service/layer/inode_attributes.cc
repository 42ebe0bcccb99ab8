#include "image-service/layer/inode_attributes.h"

#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "image-service/layer/erofs_format.h"

namespace slipway::image {
namespace {

constexpr size_t kMaxValueBytes = 65535;  // XATTR_SIZE_MAX is 65536; the format has 16 bits
constexpr size_t kMaxAreaBytes = sizeof(erofs::XattrHeader) + 65534 * 4;

struct XattrName {
  uint8_t index;
  absl::string_view suffix;
};

std::optional<XattrName> ParseName(absl::string_view name) {
  if (name == "system.posix_acl_access") return XattrName{erofs::kXattrPosixAclAccess, ""};
  if (name == "system.posix_acl_default") return XattrName{erofs::kXattrPosixAclDefault, ""};
  if (absl::StartsWith(name, "user.overlay.") || absl::StartsWith(name, "trusted.overlay.")) {
    return std::nullopt;
  }
  absl::string_view suffix = name;
  uint8_t index = 0;
  if (absl::ConsumePrefix(&suffix, "user.")) {
    index = erofs::kXattrUser;
  } else if (absl::ConsumePrefix(&suffix, "trusted.")) {
    index = erofs::kXattrTrusted;
  } else if (absl::ConsumePrefix(&suffix, "security.")) {
    index = erofs::kXattrSecurity;
  }
  if (index == 0 || suffix.empty() || name.size() > 255) return std::nullopt;
  return XattrName{index, suffix};
}

size_t EntryBytes(const erofs::XattrEntry& entry) {
  return erofs::AlignUp(sizeof(entry) + entry.name_bytes + entry.value_bytes, 4);
}

}  // namespace

absl::Status XattrArea::Add(absl::string_view name, absl::string_view value, size_t limit_bytes) {
  const std::optional<XattrName> parsed = ParseName(name);
  if (!parsed.has_value()) return absl::OkStatus();
  if (value.size() > kMaxValueBytes) {
    return absl::InvalidArgumentError(absl::StrCat("extended attribute ", name, " has ",
                                                   value.size(), " bytes, the limit is ",
                                                   kMaxValueBytes));
  }
  Remove(parsed->index, parsed->suffix);
  // Room for the opaque mark, which may come later.
  constexpr size_t kOpaqueBytes = 24;
  const size_t limit = std::min(limit_bytes, kMaxAreaBytes - kOpaqueBytes);
  if (bytes_.size() + sizeof(erofs::XattrHeader) + 8 + parsed->suffix.size() + value.size() >
      limit) {
    return absl::InvalidArgumentError(
        absl::StrCat("extended attributes pass the limit of ", limit, " bytes"));
  }
  Append(parsed->index, parsed->suffix, value);
  return absl::OkStatus();
}

void XattrArea::AddOpaque() {
  Remove(erofs::kXattrTrusted, "overlay.opaque");
  Append(erofs::kXattrTrusted, "overlay.opaque", "y");
}

uint16_t XattrArea::count_field() const {
  if (bytes_.empty()) return 0;
  return static_cast<uint16_t>((bytes_.size() - sizeof(erofs::XattrHeader)) / 4 + 1);
}

void XattrArea::Append(uint8_t index, absl::string_view suffix, absl::string_view value) {
  if (bytes_.empty()) bytes_.assign(sizeof(erofs::XattrHeader), '\0');
  const erofs::XattrEntry entry = {static_cast<uint8_t>(suffix.size()), index,
                                   static_cast<uint16_t>(value.size())};
  bytes_.append(reinterpret_cast<const char*>(&entry), sizeof(entry));
  absl::StrAppend(&bytes_, suffix, value);
  bytes_.resize(erofs::AlignUp(bytes_.size(), 4), '\0');
}

void XattrArea::Remove(uint8_t index, absl::string_view suffix) {
  size_t at = sizeof(erofs::XattrHeader);
  while (at < bytes_.size()) {
    erofs::XattrEntry entry;
    memcpy(&entry, bytes_.data() + at, sizeof(entry));
    const absl::string_view name(bytes_.data() + at + sizeof(entry), entry.name_bytes);
    if (entry.name_index == index && name == suffix) {
      bytes_.erase(at, EntryBytes(entry));
      if (bytes_.size() == sizeof(erofs::XattrHeader)) bytes_.clear();
      return;
    }
    at += EntryBytes(entry);
  }
}

}  // namespace slipway::image
