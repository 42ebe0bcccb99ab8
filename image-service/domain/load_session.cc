#include "image-service/domain/load_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr size_t kMaxMembers = 65536;
constexpr int64_t kMaxDocumentBytes = 8 << 20;
constexpr size_t kMaxAllDocumentsBytes = 24 << 20;
constexpr int kMaxLinks = 8;
constexpr char kBlobDirectory[] = "blobs/sha256/";

absl::Status Annotate(const absl::Status& status, absl::string_view what) {
  return absl::Status(status.code(), absl::StrCat(what, ": ", status.message()));
}

// A tar begins with a header whose magic is at 257, or with zeros when it is empty.
bool LooksLikeTar(absl::string_view head) {
  if (head.size() < 512) return false;
  if (head.substr(257, 5) == "ustar") return true;
  if (std::all_of(head.begin(), head.begin() + 512, [](char c) { return c == 0; })) return true;
  // Before POSIX: the sum of all bytes, with the field itself taken for spaces, as octal digits.
  constexpr size_t kField = 148;
  constexpr size_t kFieldBytes = 8;
  uint32_t told = 0;
  bool any = false;
  for (const char c : head.substr(kField, kFieldBytes)) {
    if (c == ' ' && !any) continue;
    if (c < '0' || c > '7') break;
    told = told * 8 + static_cast<uint32_t>(c - '0');
    any = true;
  }
  uint32_t sum = kFieldBytes * ' ';
  for (size_t i = 0; i < 512; ++i) {
    if (i < kField || i >= kField + kFieldBytes) sum += static_cast<unsigned char>(head[i]);
  }
  return any && told == sum;
}

bool LooksLikeLayer(absl::string_view head) {
  return absl::StartsWith(head, "\x1f\x8b") || absl::StartsWith(head, "\x28\xb5\x2f\xfd") ||
         LooksLikeTar(head);
}

bool LooksLikeJson(absl::string_view head) {
  const absl::string_view text = absl::StripLeadingAsciiWhitespace(head);
  return !text.empty() && (text[0] == '{' || text[0] == '[');
}

}  // namespace

std::string ArchivePath(absl::string_view base, absl::string_view path) {
  std::vector<absl::string_view> parts;
  const auto add = [&parts](absl::string_view text) {
    for (const absl::string_view part : absl::StrSplit(text, '/')) {
      if (part.empty() || part == ".") continue;
      if (part != "..") {
        parts.push_back(part);
      } else if (!parts.empty()) {
        parts.pop_back();
      }
    }
  };
  if (!absl::StartsWith(path, "/")) add(base.substr(0, base.rfind('/') + 1));
  add(path);
  return absl::StrJoin(parts, "/");
}

absl::Status LoadSession::ReadMembers(ArchiveReader& archive) {
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<ArchiveMember> member, archive.Next());
    if (!member.has_value()) return absl::OkStatus();
    if (++members_ > kMaxMembers) {
      return absl::InvalidArgumentError(
          absl::StrCat("archive has more than ", kMaxMembers, " members"));
    }
    const std::string path = ArchivePath("", member->path);
    switch (member->kind) {
      case ArchiveMember::Kind::kFile:
        RETURN_IF_ERROR(ReadFile(archive, path, member->size_bytes));
        break;
      case ArchiveMember::Kind::kLink:
        links_[path] = ArchivePath("", member->target);
        break;
      case ArchiveMember::Kind::kSymlink:
        links_[path] = ArchivePath(path, member->target);
        break;
      case ArchiveMember::Kind::kOther:
        break;
    }
  }
}

absl::Status LoadSession::ReadFile(ArchiveReader& archive, const std::string& path,
                                   int64_t size_bytes) {
  absl::string_view hex = path;
  if (absl::ConsumePrefix(&hex, kBlobDirectory)) {
    const auto digest = Digest::FromHex(hex);
    if (digest.ok() && size_bytes > 0) {
      if (std::optional<LayerLease> lease = parts_.catalog.LeaseLayer(*digest)) {
        layers_[path] = *digest;
        observer_.OnLayer({digest->ShortHex(), LayerPhase::kAlreadyExists, 0, 0});
        leases_[*digest] = std::move(*lease);
        return absl::OkStatus();
      }
    }
  }
  // The first bytes tell what it is.
  std::string head;
  std::unique_ptr<LayerIntake> intake;
  bool is_document = false;
  int64_t seen = 0;
  absl::Time reported = absl::InfinitePast();
  const std::string id = std::string(absl::StripSuffix(path, "/layer.tar")).substr(0, 12);
  const auto decide = [&]() -> absl::Status {
    if (LooksLikeLayer(head)) {
      ASSIGN_OR_RETURN(std::unique_ptr<BlobWriter> blob, parts_.content.NewBlob());
      ASSIGN_OR_RETURN(intake, LayerIntake::Create(parts_, std::move(blob), false));
      return intake->Append(head);
    }
    is_document = LooksLikeJson(head) && size_bytes <= kMaxDocumentBytes;
    return absl::OkStatus();
  };
  bool decided = false;
  const absl::Status status = archive.ReadContent([&](absl::string_view bytes) -> absl::Status {
    seen += static_cast<int64_t>(bytes.size());
    if (!decided) {
      head.append(bytes.data(), bytes.size());
      if (head.size() < 512 && seen < size_bytes) return absl::OkStatus();
      decided = true;
      return decide();
    }
    if (intake != nullptr) {
      const absl::Time now = absl::Now();
      if (now - reported > absl::Milliseconds(100)) {
        reported = now;
        observer_.OnLayer({id, LayerPhase::kExtracting, seen, size_bytes});
      }
      return intake->Append(bytes);
    }
    if (is_document) head.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  });
  if (!status.ok()) return Annotate(status, path);
  if (!decided && !head.empty()) RETURN_IF_ERROR(decide());
  if (is_document) return KeepDocument(path, std::move(head));
  if (intake == nullptr) return absl::OkStatus();
  Digest expected;
  if (absl::StartsWith(path, kBlobDirectory)) {
    const auto digest = Digest::FromHex(absl::string_view(path).substr(sizeof(kBlobDirectory) - 1));
    if (digest.ok()) expected = *digest;
  }
  absl::StatusOr<LayerLease> lease = intake->Commit(expected, "");
  if (!lease.ok()) return Annotate(lease.status(), path);
  observer_.OnLayer({id, LayerPhase::kPullComplete, size_bytes, size_bytes});
  const Digest blob = lease->layer().blob;
  layers_[path] = blob;
  leases_[blob] = *std::move(lease);
  return absl::OkStatus();
}

absl::Status LoadSession::KeepDocument(const std::string& path, std::string text) {
  document_bytes_ += text.size();
  if (document_bytes_ > kMaxAllDocumentsBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("archive has more than ", kMaxAllDocumentsBytes, " bytes of JSON"));
  }
  if (absl::StartsWith(path, kBlobDirectory)) {
    const Digest actual = Digest::OfBytes(text);
    if (actual.hex() != path.substr(sizeof(kBlobDirectory) - 1)) {
      return absl::DataLossError(absl::StrCat(path, ": digest is ", actual.ToString()));
    }
  }
  documents_[path] = std::move(text);
  return absl::OkStatus();
}

absl::StatusOr<std::string> LoadSession::Locate(const std::string& path) const {
  std::string at = ArchivePath("", path);
  for (int hop = 0; hop < kMaxLinks; ++hop) {
    if (documents_.contains(at) || layers_.contains(at)) return at;
    const auto link = links_.find(at);
    if (link == links_.end()) break;
    at = link->second;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("invalid archive: ", path.substr(0, 200), " is not in it"));
}

absl::StatusOr<std::string> LoadSession::Document(const std::string& path) const {
  ASSIGN_OR_RETURN(const std::string at, Locate(path));
  const auto found = documents_.find(at);
  if (found != documents_.end()) return found->second;
  return absl::InvalidArgumentError(
      absl::StrCat("invalid archive: ", path.substr(0, 200), " is not JSON"));
}

absl::StatusOr<Digest> LoadSession::LayerAt(const std::string& path) const {
  ASSIGN_OR_RETURN(const std::string at, Locate(path));
  const auto found = layers_.find(at);
  if (found != layers_.end()) return found->second;
  return absl::InvalidArgumentError(
      absl::StrCat("invalid archive: ", path.substr(0, 200), " is not a layer"));
}

void LoadSession::DropUnused() {
  std::vector<Digest> blobs;
  for (const auto& [blob, lease] : leases_) blobs.push_back(blob);
  leases_.clear();
  parts_.catalog.DropUnused(blobs);
}

}  // namespace slipway::image
