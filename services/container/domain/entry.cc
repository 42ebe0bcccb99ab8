#include "services/container/domain/entry.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace slipway::container {
namespace {

// A container that starts counts as one that runs: its end is what is waited for.
bool AtRest(State state) {
  return state == State::kCreated || state == State::kExited || state == State::kDead;
}

WaitOutcome Outcome(const Container& container) {
  return WaitOutcome{container.exit_code, container.error};
}

}  // namespace

Entry::Entry(ContainerPtr container, Executor& executor, Observer& observer)
    : executor_(executor), observer_(observer), container_(std::move(container)) {
  observer_.StateCount(container_->state, 1);
}

Entry::~Entry() {
  if (!removed_) observer_.StateCount(container_->state, -1);
  if (!waiters_.empty()) observer_.WaiterCount(-static_cast<int>(waiters_.size()));
}

ContainerPtr Entry::snapshot() const {
  absl::MutexLock lock(&mu_);
  return container_;
}

uint64_t Entry::version() const {
  absl::MutexLock lock(&mu_);
  return version_;
}

bool Entry::removed() const {
  absl::MutexLock lock(&mu_);
  return removed_;
}

void Entry::Set(ContainerPtr next, Fire fire) {
  std::vector<Waiter> fired;
  WaitOutcome outcome = Outcome(*next);
  {
    absl::MutexLock lock(&mu_);
    if (removed_) return;
    observer_.StateCount(container_->state, -1);
    container_ = std::move(next);
    ++version_;
    if (fire == Fire::kRemoved) {
      removed_ = true;
      fired = std::move(waiters_);
      waiters_.clear();
    } else {
      observer_.StateCount(container_->state, 1);
    }
    if (fire == Fire::kExit || fire == Fire::kNoStart) {
      const auto first =
          std::stable_partition(waiters_.begin(), waiters_.end(), [fire](const Waiter& waiter) {
            return waiter.condition == WaitCondition::kRemoved ||
                   (fire == Fire::kNoStart && waiter.condition == WaitCondition::kNextExit);
          });
      fired.assign(std::make_move_iterator(first), std::make_move_iterator(waiters_.end()));
      waiters_.erase(first, waiters_.end());
    }
  }
  if (fired.empty()) return;
  observer_.WaiterCount(-static_cast<int>(fired.size()));
  for (const Waiter& waiter : fired) waiter.callback(outcome);
}

void Entry::Post(std::function<void()> operation) {
  {
    absl::MutexLock lock(&queue_mu_);
    queue_.push_back(std::move(operation));
    if (busy_) return;
    busy_ = true;
  }
  executor_.Post([self = shared_from_this()] { self->RunQueue(); });
}

void Entry::RunQueue() {
  while (true) {
    std::function<void()> operation;
    {
      absl::MutexLock lock(&queue_mu_);
      if (queue_.empty()) {
        busy_ = false;
        return;
      }
      operation = std::move(queue_.front());
      queue_.pop_front();
    }
    operation();
  }
}

absl::StatusOr<uint64_t> Entry::Wait(WaitCondition condition, WaitCallback callback) {
  WaitOutcome outcome;
  {
    absl::MutexLock lock(&mu_);
    if (removed_) {
      return absl::NotFoundError(absl::StrCat("No such container: ", container_->id()));
    }
    if (condition != WaitCondition::kNotRunning || !AtRest(container_->state)) {
      waiters_.push_back(Waiter{next_waiter_, condition, std::move(callback)});
      observer_.WaiterCount(1);
      return next_waiter_++;
    }
    outcome = Outcome(*container_);
  }
  callback(outcome);
  return 0;
}

void Entry::CancelWait(uint64_t id) {
  WaitCallback dropped;
  absl::MutexLock lock(&mu_);
  const auto found = std::find_if(waiters_.begin(), waiters_.end(),
                                  [id](const Waiter& waiter) { return waiter.id == id; });
  if (found == waiters_.end()) return;
  dropped = std::move(found->callback);
  waiters_.erase(found);
  observer_.WaiterCount(-1);
}

}  // namespace slipway::container
