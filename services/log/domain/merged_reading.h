#ifndef SERVICES_LOG_DOMAIN_MERGED_READING_H_
#define SERVICES_LOG_DOMAIN_MERGED_READING_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/log/domain/log_reading.h"
#include "services/log/domain/reading.h"
#include "services/log/domain/selection.h"
#include "services/log/ports/log_store.h"

namespace slipway::log {

// A reader of several logs: their lines in the order of time, each log's own in its order. One that
// follows does not hold back what there is for a log that may still get older lines, and takes in
// logs that come to satisfy the selector. What is read ahead of each log shrinks as there are more.
class MergedReading : public Reading {
 public:
  static constexpr size_t kMostLogs = 4096;

  // `store` outlives it. ResourceExhausted for more logs than kMostLogs; errors of Select; those of
  // `options`. Logs that `places` has go on from there.
  static absl::StatusOr<std::unique_ptr<MergedReading>> Start(LogStore& store,
                                                              const Selector& selector,
                                                              const ReadOptions& options,
                                                              std::vector<Place> places,
                                                              ReadBuffer& buffer);

  ~MergedReading() override;

  absl::StatusOr<Progress> Fill(ReadBuffer& buffer, size_t piece_bytes, EntrySink& sink) override;
  bool Wait(std::function<void()> wake) override;
  size_t held_bytes() const override;
  std::vector<Place> Places() const override;

 private:
  class Queue;
  struct Source;
  // What logs that have more tell, from any thread; outlives the reading where a log still refers
  // to it.
  struct Bell;

  MergedReading(LogStore& store, const Selector& selector, const ReadOptions& options);
  absl::Status AddLogs(const std::vector<Place>& places, bool first, ReadBuffer& buffer);
  absl::Status AnswerBell(ReadBuffer& buffer);
  // Reads ahead where nothing is left. False: some log needs another turn for it.
  absl::StatusOr<bool> Refill(ReadBuffer& buffer, size_t piece_bytes);
  void Push(size_t source);
  size_t PopEarliest();
  size_t ShareBytes() const;

  LogStore& store_;
  const Selector selector_;
  const ReadOptions options_;
  uint64_t version_ = 0;  // of the store's list
  bool list_watched_ = false;
  std::vector<std::unique_ptr<Source>> sources_;
  absl::flat_hash_set<std::string> known_;
  std::vector<size_t> hungry_;  // sources that have nothing read ahead and may have more
  std::vector<size_t> heap_;    // sources that have something, the earliest first
  size_t ended_ = 0;
  const std::shared_ptr<Bell> bell_;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_MERGED_READING_H_
