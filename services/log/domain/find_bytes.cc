#include "services/log/domain/find_bytes.h"

#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace slipway::log {
namespace {

std::optional<size_t> FindByTwoWay(absl::string_view text, size_t from, absl::string_view wanted) {
  const void* found = memmem(text.data() + from, text.size() - from, wanted.data(), wanted.size());
  if (found == nullptr) return std::nullopt;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

}  // namespace

#ifdef __SSE2__

// Places where both the first and the last byte fit are found 16 at a time; few are left to
// compare.
std::optional<size_t> FindBytes(absl::string_view text, size_t from, absl::string_view wanted) {
  constexpr size_t kStep = sizeof(__m128i);
  const size_t apart = wanted.size() - 1;
  const __m128i first = _mm_set1_epi8(wanted.front());
  const __m128i last = _mm_set1_epi8(wanted.back());
  while (from + apart + kStep <= text.size()) {
    const char* at = text.data() + from;
    const __m128i heads = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i tails = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + apart));
    auto places = static_cast<uint32_t>(_mm_movemask_epi8(
        _mm_and_si128(_mm_cmpeq_epi8(heads, first), _mm_cmpeq_epi8(tails, last))));
    for (; places != 0; places &= places - 1) {
      const auto place = static_cast<size_t>(__builtin_ctz(places));
      if (memcmp(at + place, wanted.data(), wanted.size()) == 0) return from + place;
    }
    from += kStep;
  }
  return FindByTwoWay(text, from, wanted);
}

#else

std::optional<size_t> FindBytes(absl::string_view text, size_t from, absl::string_view wanted) {
  return FindByTwoWay(text, from, wanted);
}

#endif

}  // namespace slipway::log
