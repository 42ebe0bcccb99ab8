#include "services/build/domain/step_cache.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/status/status_macros.h"

namespace slipway::build {
namespace {

constexpr size_t kMaxSteps = 50'000;

void Warn(const absl::Status& status) {
  if (!status.ok()) Log(LogLevel::kWarning, status.message());
}

// Images with a name, and everything that these were made on.
std::set<std::string> InUse(const std::vector<ImageSummary>& images) {
  std::map<std::string, const ImageSummary*> by_id;
  for (const ImageSummary& image : images) by_id[image.id] = &image;
  std::set<std::string> used;
  for (const ImageSummary& image : images) {
    if (!image.has_name) continue;
    for (const ImageSummary* at = &image; at != nullptr && used.insert(at->id).second;) {
      const auto parent = by_id.find(at->parent);
      at = parent == by_id.end() ? nullptr : parent->second;
    }
  }
  return used;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StepCache>> StepCache::Load(CacheStore& store) {
  std::unique_ptr<StepCache> cache(new StepCache(store));
  ASSIGN_OR_RETURN(std::vector<CachedStep> steps, store.Load());
  absl::MutexLock lock(&cache->mu_);
  for (CachedStep& step : steps) {
    std::string key = step.key;
    cache->steps_.emplace(std::move(key), std::move(step));
  }
  return cache;
}

std::optional<std::string> StepCache::Find(const std::string& key) {
  CachedStep copy;
  {
    absl::MutexLock lock(&mu_);
    const auto found = steps_.find(key);
    if (found == steps_.end()) return std::nullopt;
    found->second.last_used_unix_ns = absl::GetCurrentTimeNanos();
    ++found->second.use_count;
    copy = found->second;
  }
  Warn(store_.Put(copy));
  return copy.image_id;
}

void StepCache::Record(CachedStep step) {
  step.created_unix_ns = step.last_used_unix_ns = absl::GetCurrentTimeNanos();
  Warn(store_.Put(step));
  absl::MutexLock lock(&mu_);
  std::string key = step.key;
  steps_.insert_or_assign(std::move(key), std::move(step));
  if (steps_.size() > kMaxSteps) DropOldest();
}

void StepCache::Forget(const std::string& key) {
  {
    absl::MutexLock lock(&mu_);
    steps_.erase(key);
  }
  Warn(store_.Delete({key}));
}

// A tenth of them, so that this is rare.
void StepCache::DropOldest() {
  std::vector<std::pair<int64_t, std::string>> ages;
  for (const auto& [key, step] : steps_) ages.emplace_back(step.last_used_unix_ns, key);
  const size_t count = ages.size() / 10;
  std::nth_element(ages.begin(), ages.begin() + static_cast<int64_t>(count), ages.end());
  std::vector<std::string> keys;
  for (size_t i = 0; i < count; ++i) {
    steps_.erase(ages[i].second);
    keys.push_back(std::move(ages[i].second));
  }
  Warn(store_.Delete(keys));
}

absl::StatusOr<std::vector<CacheEntry>> StepCache::List(Images& images) const {
  ASSIGN_OR_RETURN(const std::vector<ImageSummary> all, images.List());
  const std::set<std::string> used = InUse(all);
  std::map<std::string, int64_t> sizes;
  for (const ImageSummary& image : all) sizes[image.id] = image.size_bytes;
  std::vector<CacheEntry> entries;
  absl::MutexLock lock(&mu_);
  for (const auto& [key, step] : steps_) {
    const auto size = sizes.find(step.image_id);
    if (size == sizes.end()) continue;  // it was removed since
    const auto parent = sizes.find(step.parent);
    CacheEntry entry = {step, used.contains(step.image_id), size->second};
    if (parent != sizes.end()) entry.size_bytes -= parent->second;
    entries.push_back(std::move(entry));
  }
  return entries;
}

absl::StatusOr<PruneOutcome> StepCache::Prune(const PruneRequest& request, Images& images) {
  ASSIGN_OR_RETURN(std::vector<CacheEntry> entries, List(images));
  // The latest used first; a step's image has children until these are gone.
  std::sort(entries.begin(), entries.end(), [](const CacheEntry& a, const CacheEntry& b) {
    return a.step.last_used_unix_ns > b.step.last_used_unix_ns;
  });
  PruneOutcome outcome;
  int64_t kept_bytes = 0;
  std::vector<CacheEntry> doomed;
  for (const CacheEntry& entry : entries) {
    const bool named = request.ids.empty() ||
                       std::any_of(request.ids.begin(), request.ids.end(), [&](const auto& id) {
                         return !id.empty() && absl::StartsWith(entry.step.key, id);
                       });
    const bool old =
        request.until_unix_ns == 0 || entry.step.last_used_unix_ns < request.until_unix_ns;
    const bool fits = kept_bytes + entry.size_bytes <= request.keep_bytes;
    if (!named || !old || (entry.in_use && !request.all) || (request.keep_bytes > 0 && fits)) {
      kept_bytes += entry.size_bytes;
      continue;
    }
    doomed.push_back(entry);
  }
  std::sort(doomed.begin(), doomed.end(), [](const CacheEntry& a, const CacheEntry& b) {
    return a.step.created_unix_ns > b.step.created_unix_ns;
  });
  for (const CacheEntry& entry : doomed) {
    outcome.ids.push_back(entry.step.key);
    Forget(entry.step.key);
    // What a name or a container holds stays, and so does what others are made on.
    if (!entry.in_use && images.Remove(entry.step.image_id).ok()) {
      outcome.reclaimed_bytes += std::max<int64_t>(0, entry.size_bytes);
    }
  }
  return outcome;
}

}  // namespace slipway::build
