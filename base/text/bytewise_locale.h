#ifndef BASE_TEXT_BYTEWISE_LOCALE_H_
#define BASE_TEXT_BYTEWISE_LOCALE_H_

#include <locale.h>

namespace slipway {

// The locale "C" for the calling thread, until the end of a scope. libarchive converts names from
// and to the thread's character set; in "C" they go through as bytes, whatever the process has set.
// To be left on the thread that entered it.
class BytewiseLocale {
 public:
  BytewiseLocale() : locale_(newlocale(LC_ALL_MASK, "C", nullptr)), before_(uselocale(locale_)) {}
  ~BytewiseLocale() {
    uselocale(before_);
    freelocale(locale_);
  }
  BytewiseLocale(const BytewiseLocale&) = delete;
  BytewiseLocale& operator=(const BytewiseLocale&) = delete;

 private:
  locale_t locale_;
  locale_t before_;
};

}  // namespace slipway

#endif  // BASE_TEXT_BYTEWISE_LOCALE_H_
