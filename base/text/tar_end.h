#ifndef BASE_TEXT_TAR_END_H_
#define BASE_TEXT_TAR_END_H_

#include <archive.h>
#include <archive_entry.h>

#include <cstdint>
#include <cstring>

namespace slipway {

// Whether all that libarchive misses in a tar is what fills up the last block of its last entry,
// and the two empty blocks behind it: writers of Go's that are not closed leave both out (the
// docker client where it puts a Dockerfile into a context), and Go's reader does not miss them.
// Asked when archive_read_data_block has failed; nothing more can be read then. `content_bytes`:
// how far it had come in the entry.
inline bool EndsWithContent(archive* reader, archive_entry* entry, uint64_t content_bytes) {
  constexpr char kCut[] = "Truncated input file";
  const char* text = archive_error_string(reader);
  return text != nullptr && strncmp(text, kCut, sizeof(kCut) - 1) == 0 &&
         archive_entry_size(entry) == static_cast<int64_t>(content_bytes);
}

}  // namespace slipway

#endif  // BASE_TEXT_TAR_END_H_
