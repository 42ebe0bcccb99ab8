#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "runtime-agent/dns/cache.h"
#include "runtime-agent/dns/control.h"
#include "runtime-agent/dns/message.h"

// A question, an answer or a word of the agent's: each is read as each.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace slipway::dns;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto query = ParseQuery(bytes); query.has_value()) {
    if (query->name.size() > kMaxNameBytes + 1 || query->question_end > size) abort();
    for (const bool tcp : {false, true}) {
      const std::string answer =
          BuildAnswer(bytes, *query, kNoError,
                      {{kTypeA, "\x0a\x00\x00\x01"}, {kTypePtr, EncodeName("a.b")}}, 5, tcp);
      if (!tcp && answer.size() > query->udp_bytes && query->question_end < 400) abort();
      const auto read = ParseAnswer(answer);
      if (!read.has_value() || read->name != query->name || read->id != query->id) abort();
      std::string same = answer;
      if (!UseSpellingOf(bytes, *query, same) || same != answer) abort();
      std::string other(bytes);
      UseSpellingOf(bytes, *query, other);
      if (other != bytes) abort();
    }
    AddressOfReverseName(query->name);
  }
  if (const auto answer = ParseAnswer(bytes); answer.has_value()) {
    Cache cache(4096);
    cache.Put("key", *answer, bytes, 10);
    const std::string kept = cache.Find("key", 11);
    if (!kept.empty() && kept.size() != size) abort();
  }
  BuildFormatError(bytes);
  if (const auto message = DecodeControl(bytes); message.has_value()) {
    if (!DecodeControl(EncodeControl(*message)).has_value()) abort();
  }
  return 0;
}
