#ifndef SERVICES_LOG_DOMAIN_TRIGRAM_PROBE_H_
#define SERVICES_LOG_DOMAIN_TRIGRAM_PROBE_H_

#include <re2/re2.h>

#include <memory>
#include <string>

#include "services/log/domain/line_matcher.h"
#include "services/log/ports/text_probe.h"

namespace slipway::log {

// How searches compile an expression, and the expression that they compile: it stays within a line,
// since many lines are searched at once.
RE2::Options ExpressionOptions(bool ignore_case);
std::string WithinLines(const std::string& pattern);

// Null when the search tells nothing by trigrams: it is shorter, inverted, wants lines around what
// it finds, or its expression requires no text.
std::shared_ptr<const TextProbe> MakeTrigramProbe(const SearchOptions& options);

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_TRIGRAM_PROBE_H_
