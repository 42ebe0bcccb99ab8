#include "gateway/buildkit/solves.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "absl/strings/str_cat.h"

namespace slipway::gateway {
namespace {

constexpr std::chrono::seconds kKept{10};  // without Control.Solve, and after its end

// Forgets the solve in time.
Awaitable<void> Outlive(Solves& solves, SolvePtr solve, std::string ref) {
  const auto until = std::chrono::steady_clock::now() + kKept;
  while (!solve->begun && std::chrono::steady_clock::now() < until) {
    co_await solve->changed.Wait(until);
  }
  while (solve->begun && !solve->over) co_await solve->changed.Wait();
  if (solve->over) {
    asio::steady_timer timer(solve->executor, kKept);
    error_code ignored;
    co_await timer.async_wait(Into(ignored));
  }
  solves.Forget(ref);
}

}  // namespace

absl::StatusOr<SolvePtr> Solves::Get(const std::string& ref) {
  if (ref.empty()) return absl::InvalidArgumentError("a build needs a name (Ref)");
  absl::MutexLock lock(&mu_);
  const auto found = by_ref_.find(ref);
  if (found != by_ref_.end()) return found->second;
  if (by_ref_.size() >= kMaxSolves) {
    return absl::ResourceExhaustedError(absl::StrCat("more than ", kMaxSolves, " builds at once"));
  }
  const auto solve = std::make_shared<Solve>(threads_.Next().get_executor());
  by_ref_[ref] = solve;
  asio::co_spawn(solve->executor, Outlive(*this, solve, ref), asio::detached);
  return solve;
}

void Solves::Forget(const std::string& ref) {
  absl::MutexLock lock(&mu_);
  by_ref_.erase(ref);
}

}  // namespace slipway::gateway
