#include "runtime-agent/dns/message.h"

#include <algorithm>
#include <limits>

namespace slipway::dns {
namespace {

constexpr uint16_t kFlagResponse = 0x8000, kFlagTruncated = 0x0200, kFlagRecursionDesired = 0x0100,
                   kFlagRecursionAvailable = 0x0080, kFlagCheckingDisabled = 0x0010,
                   kFlagAuthoritative = 0x0400;
constexpr uint32_t kDnssecOk = 0x8000;
constexpr size_t kMaxLabelBytes = 63;
constexpr size_t kOptBytes = 11;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

void Append16(std::string& bytes, uint16_t value) {
  bytes.push_back(static_cast<char>(value >> 8));
  bytes.push_back(static_cast<char>(value));
}

// Reads a name at `offset` and moves behind it. Compression (RFC 1035, 4.1.4) only ever leads
// backwards, so that it ends, and never into the header, which is no name and changes in an answer.
bool ReadName(std::string_view message, size_t& offset, std::string* name) {
  size_t at = offset;
  size_t lowest = offset;
  bool jumped = false;
  size_t total = 0;
  while (true) {
    if (at >= message.size()) return false;
    const auto length = static_cast<unsigned char>(message[at]);
    if ((length & 0xc0) == 0xc0) {
      if (at + 1 >= message.size()) return false;
      const size_t target =
          static_cast<size_t>(length & 0x3f) << 8 | static_cast<unsigned char>(message[at + 1]);
      if (!jumped) offset = at + 2;
      jumped = true;
      if (target >= lowest || target < kHeaderBytes) return false;
      lowest = target;
      at = target;
      continue;
    }
    if (length > kMaxLabelBytes || at + 1 + length > message.size()) return false;
    at += 1;
    if (length == 0) break;
    total += length + size_t{1};
    if (total > kMaxNameBytes + 1) return false;
    if (name != nullptr) {
      if (!name->empty()) name->push_back('.');
      for (size_t i = 0; i < length; ++i) {
        const char c = Lower(message[at + i]);
        // A dot within a label would make another name of it.
        if (c == '.' || c == '\0') return false;
        name->push_back(c);
      }
    }
    at += length;
  }
  if (!jumped) offset = at;
  return true;
}

struct Section {
  size_t offset = 0;
  std::string_view message;

  // One resource record.
  struct Entry {
    uint16_t type = 0;
    uint16_t klass = 0;
    uint32_t ttl = 0;
    size_t ttl_offset = 0;
    std::string_view data;
  };
  std::optional<Entry> Next() {
    if (!ReadName(message, offset, nullptr) || offset + 10 > message.size()) return std::nullopt;
    Entry entry{.type = Read16(message, offset),
                .klass = Read16(message, offset + 2),
                .ttl = Read32(message, offset + 4),
                .ttl_offset = offset + 4};
    const size_t length = Read16(message, offset + 8);
    offset += 10;
    if (offset + length > message.size()) return std::nullopt;
    entry.data = message.substr(offset, length);
    offset += length;
    return entry;
  }
};

bool ReadQuestion(std::string_view message, size_t& offset, std::string& name, uint16_t& type,
                  uint16_t& klass) {
  if (!ReadName(message, offset, &name) || offset + 4 > message.size()) return false;
  type = Read16(message, offset);
  klass = Read16(message, offset + 2);
  offset += 4;
  return true;
}

// The last of its five numbers is how long a negative answer counts (RFC 2308).
uint32_t NegativeTtl(const Section::Entry& soa) {
  if (soa.data.size() < 20) return 0;
  return std::min(soa.ttl, Read32(soa.data, soa.data.size() - 4));
}

}  // namespace

void Write16(std::string& bytes, size_t offset, uint16_t value) {
  bytes[offset] = static_cast<char>(value >> 8);
  bytes[offset + 1] = static_cast<char>(value);
}

uint32_t Read32(std::string_view bytes, size_t offset) {
  return static_cast<uint32_t>(Read16(bytes, offset)) << 16 | Read16(bytes, offset + 2);
}

void Write32(std::string& bytes, size_t offset, uint32_t value) {
  Write16(bytes, offset, static_cast<uint16_t>(value >> 16));
  Write16(bytes, offset + 2, static_cast<uint16_t>(value));
}

std::optional<Query> ParseQuery(std::string_view message) {
  if (message.size() < kHeaderBytes || message.size() > kMaxMessageBytes) return std::nullopt;
  const uint16_t flags = Read16(message, 2);
  if ((flags & kFlagResponse) != 0 || Read16(message, 4) != 1) return std::nullopt;
  Query query{.id = Read16(message, 0),
              .opcode = static_cast<uint8_t>(flags >> 11 & 0xf),
              .recursion_desired = (flags & kFlagRecursionDesired) != 0,
              .checking_disabled = (flags & kFlagCheckingDisabled) != 0};
  size_t offset = kHeaderBytes;
  if (!ReadQuestion(message, offset, query.name, query.type, query.klass)) return std::nullopt;
  query.question_end = offset;
  const size_t others = static_cast<size_t>(Read16(message, 6)) + Read16(message, 8);
  const size_t additional = Read16(message, 10);
  Section section{.offset = offset, .message = message};
  for (size_t i = 0; i < others + additional; ++i) {
    const auto entry = section.Next();
    if (!entry.has_value()) return std::nullopt;
    if (i < others || entry->type != kTypeOpt) continue;
    query.has_edns = true;
    query.dnssec_ok = (entry->ttl & kDnssecOk) != 0;
    query.udp_bytes = std::clamp<size_t>(entry->klass, kPlainUdpBytes, kMaxUdpBytes);
  }
  return query;
}

std::optional<Answer> ParseAnswer(std::string_view message) {
  if (message.size() < kHeaderBytes || message.size() > kMaxMessageBytes) return std::nullopt;
  const uint16_t flags = Read16(message, 2);
  if ((flags & kFlagResponse) == 0 || Read16(message, 4) != 1) return std::nullopt;
  Answer answer{.id = Read16(message, 0),
                .rcode = static_cast<uint8_t>(flags & 0xf),
                .truncated = (flags & kFlagTruncated) != 0};
  size_t offset = kHeaderBytes;
  if (!ReadQuestion(message, offset, answer.name, answer.type, answer.klass)) return std::nullopt;
  // A cut one may end anywhere: it is only passed on.
  if (answer.truncated) return answer;
  const size_t answers = Read16(message, 6);
  const size_t count = answers + Read16(message, 8) + Read16(message, 10);
  Section section{.offset = offset, .message = message};
  uint32_t least = std::numeric_limits<uint32_t>::max();
  std::optional<uint32_t> negative;
  for (size_t i = 0; i < count; ++i) {
    const auto entry = section.Next();
    if (!entry.has_value()) return std::nullopt;
    if (entry->type == kTypeOpt) continue;
    answer.ttl_offsets.push_back(static_cast<uint16_t>(entry->ttl_offset));
    least = std::min(least, entry->ttl);
    if (i >= answers && entry->type == kTypeSoa) negative = NegativeTtl(*entry);
  }
  if (answers > 0) {
    answer.ttl_seconds = least;
  } else {
    answer.ttl_seconds = negative.value_or(0);
  }
  return answer;
}

std::string BuildAnswer(std::string_view request, const Query& query, uint8_t rcode,
                        const std::vector<Record>& records, uint32_t ttl_seconds, bool tcp) {
  std::string answer(request.substr(0, query.question_end));
  uint16_t flags =
      static_cast<uint16_t>(kFlagResponse | kFlagRecursionAvailable | query.opcode << 11 | rcode);
  if (rcode == kNoError || rcode == kNxDomain) flags |= kFlagAuthoritative;
  if (query.recursion_desired) flags |= kFlagRecursionDesired;
  if (query.checking_disabled) flags |= kFlagCheckingDisabled;
  const size_t room = (tcp ? kMaxMessageBytes : query.udp_bytes) - (query.has_edns ? kOptBytes : 0);
  uint16_t written = 0;
  for (const Record& record : records) {
    if (answer.size() + 12 + record.data.size() > room) {
      flags |= kFlagTruncated;
      break;
    }
    Append16(answer, 0xc000 | kHeaderBytes);  // the question's name
    Append16(answer, record.type);
    Append16(answer, kClassIn);
    Append16(answer, static_cast<uint16_t>(ttl_seconds >> 16));
    Append16(answer, static_cast<uint16_t>(ttl_seconds));
    Append16(answer, static_cast<uint16_t>(record.data.size()));
    answer += record.data;
    ++written;
  }
  if (query.has_edns) {
    answer.push_back('\0');
    Append16(answer, kTypeOpt);
    Append16(answer, kMaxUdpBytes);
    answer.append(6, '\0');
  }
  Write16(answer, 2, flags);
  Write16(answer, 6, written);
  Write16(answer, 8, 0);
  Write16(answer, 10, query.has_edns ? 1 : 0);
  return answer;
}

bool UseSpellingOf(std::string_view request, const Query& query, std::string& answer) {
  const size_t end = query.question_end;
  if (end < kHeaderBytes + 4 || end > request.size() || end > answer.size()) return false;
  // There is nothing before the first name that it could point at: both are written out. What is
  // not a letter is a length, below all letters.
  const std::string_view name = request.substr(kHeaderBytes, end - 4 - kHeaderBytes);
  const std::string_view other = std::string_view(answer).substr(kHeaderBytes, name.size());
  const bool same = std::equal(name.begin(), name.end(), other.begin(), other.end(),
                               [](char a, char b) { return Lower(a) == Lower(b); });
  if (!same || Read32(request, end - 4) != Read32(answer, end - 4)) return false;
  answer.replace(kHeaderBytes, name.size(), name);
  return true;
}

std::string BuildFormatError(std::string_view request) {
  if (request.size() < 4 || (Read16(request, 2) & kFlagResponse) != 0) return "";
  std::string answer(kHeaderBytes, '\0');
  Write16(answer, 0, Read16(request, 0));
  Write16(answer, 2, kFlagResponse | kFlagRecursionAvailable | kFormErr);
  return answer;
}

std::string EncodeName(std::string_view name) {
  std::string encoded;
  while (!name.empty()) {
    const size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (label.empty() || label.size() > kMaxLabelBytes) return "";
    encoded.push_back(static_cast<char>(label.size()));
    encoded += label;
    name = dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
  }
  if (encoded.size() > kMaxNameBytes) return "";
  encoded.push_back('\0');
  return encoded;
}

std::optional<std::string> AddressOfReverseName(std::string_view name) {
  constexpr std::string_view kSuffix4 = ".in-addr.arpa", kSuffix6 = ".ip6.arpa";
  const bool v4 = name.ends_with(kSuffix4);
  if (!v4 && !name.ends_with(kSuffix6)) return std::nullopt;
  name.remove_suffix(v4 ? kSuffix4.size() : kSuffix6.size());
  std::vector<unsigned> parts;
  while (parts.size() <= 32) {
    const size_t dot = name.find('.');
    const std::string_view part = name.substr(0, dot);
    unsigned value = 0;
    if (part.empty() || part.size() > (v4 ? 3u : 1u)) return std::nullopt;
    for (const char c : part) {
      const bool digit = c >= '0' && c <= '9';
      if (!digit && (v4 || c < 'a' || c > 'f')) return std::nullopt;
      value = value * (v4 ? 10 : 16) + static_cast<unsigned>(digit ? c - '0' : c - 'a' + 10);
    }
    if (value > 255) return std::nullopt;
    parts.push_back(value);
    if (dot == std::string_view::npos) break;
    name.remove_prefix(dot + 1);
  }
  std::string address;
  if (v4) {
    if (parts.size() != 4) return std::nullopt;
    for (size_t i = 4; i-- > 0;) address.push_back(static_cast<char>(parts[i]));
    return address;
  }
  if (parts.size() != 32) return std::nullopt;
  for (size_t i = 32; i > 0; i -= 2) {
    address.push_back(static_cast<char>(parts[i - 1] << 4 | parts[i - 2]));
  }
  return address;
}

}  // namespace slipway::dns
