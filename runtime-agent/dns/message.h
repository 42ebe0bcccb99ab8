#ifndef RUNTIME_AGENT_DNS_MESSAGE_H_
#define RUNTIME_AGENT_DNS_MESSAGE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Messages of the domain name system (RFC 1035, 3596, 6891): reads what anybody may have sent, and
// writes answers. Pure functions, thread-safe; nothing outside of the given bytes is ever read, and
// a name never takes more steps than it has bytes.
namespace slipway::dns {

inline constexpr uint16_t kTypeA = 1, kTypeSoa = 6, kTypePtr = 12, kTypeAaaa = 28, kTypeOpt = 41,
                          kTypeAny = 255;
inline constexpr uint16_t kClassIn = 1;
inline constexpr uint8_t kNoError = 0, kFormErr = 1, kServFail = 2, kNxDomain = 3, kNotImp = 4,
                         kRefused = 5;
inline constexpr size_t kHeaderBytes = 12;
inline constexpr size_t kMaxNameBytes = 253;  // as text
inline constexpr size_t kPlainUdpBytes = 512;
inline constexpr size_t kMaxUdpBytes = 4096;
inline constexpr size_t kMaxMessageBytes = 65535;

struct Query {
  uint16_t id = 0;
  uint8_t opcode = 0;
  bool recursion_desired = false;
  bool checking_disabled = false;
  std::string name;  // lower case, without the last dot; "" is the root
  uint16_t type = 0;
  uint16_t klass = 0;
  size_t question_end = 0;  // offset behind the question
  bool has_edns = false;
  bool dnssec_ok = false;
  size_t udp_bytes = kPlainUdpBytes;  // what the client takes
};

// Nothing for what is no query with one question: such a message gets no answer, or FORMERR where
// `id` is readable.
std::optional<Query> ParseQuery(std::string_view message);

// What is to be known of an answer in order to pass it on. Nothing where it is malformed.
struct Answer {
  uint16_t id = 0;
  uint8_t rcode = 0;
  bool truncated = false;
  std::string name;  // of the question, lower case
  uint16_t type = 0;
  uint16_t klass = 0;
  uint32_t ttl_seconds = 0;           // the least of its records; of a negative one the SOA's
  std::vector<uint16_t> ttl_offsets;  // where times to live are
};
std::optional<Answer> ParseAnswer(std::string_view message);

struct Record {
  uint16_t type = 0;
  std::string data;  // as on the wire
};

// The answer to `query` (its message is `request`), with the client's spelling of the name. Cut to
// what UDP takes, with the bit that says so, unless `tcp`.
std::string BuildAnswer(std::string_view request, const Query& query, uint8_t rcode,
                        const std::vector<Record>& records, uint32_t ttl_seconds, bool tcp);
// Gives an answer to the same question, that somebody else asked, the spelling that the name has in
// `request`. False, and nothing changes, where it answers another question.
bool UseSpellingOf(std::string_view request, const Query& query, std::string& answer);
// Only a header, for what cannot be understood.
std::string BuildFormatError(std::string_view request);

// Wire form of a name for a record's data; "" for one that cannot be written.
std::string EncodeName(std::string_view name);

// "4.3.2.1.in-addr.arpa" and the form below ip6.arpa; bytes in network order, 4 or 16 of them.
// Nothing for other names.
std::optional<std::string> AddressOfReverseName(std::string_view name);

inline uint16_t Read16(std::string_view bytes, size_t offset) {
  return static_cast<uint16_t>(static_cast<unsigned char>(bytes[offset]) << 8 |
                               static_cast<unsigned char>(bytes[offset + 1]));
}
void Write16(std::string& bytes, size_t offset, uint16_t value);
uint32_t Read32(std::string_view bytes, size_t offset);
void Write32(std::string& bytes, size_t offset, uint32_t value);

}  // namespace slipway::dns

#endif  // RUNTIME_AGENT_DNS_MESSAGE_H_
