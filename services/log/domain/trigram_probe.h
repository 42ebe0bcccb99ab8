#ifndef SERVICES_LOG_DOMAIN_TRIGRAM_PROBE_H_
#define SERVICES_LOG_DOMAIN_TRIGRAM_PROBE_H_

#include <memory>

#include "services/log/domain/line_matcher.h"
#include "services/log/ports/text_probe.h"

namespace slipway::log {

// Null when the search tells nothing by trigrams: it is shorter, inverted, wants lines around what
// it finds, or its expression requires no text.
std::shared_ptr<const TextProbe> MakeTrigramProbe(const SearchOptions& options);

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_TRIGRAM_PROBE_H_
