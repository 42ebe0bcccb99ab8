#ifndef GATEWAY_BUILDKIT_CANCEL_HOOK_H_
#define GATEWAY_BUILDKIT_CANCEL_HOOK_H_

#include <functional>
#include <utility>

namespace slipway::gateway {

// Ends what a coroutine waits for at the moment, and all that it would wait for later. Used on one
// thread.
class CancelHook {
 public:
  void Cancel() {
    cancelled_ = true;
    if (now_) now_();
  }
  // `now` is called at once when it is too late already.
  void Set(std::function<void()> now) {
    now_ = std::move(now);
    if (cancelled_ && now_) now_();
  }
  bool cancelled() const { return cancelled_; }

 private:
  bool cancelled_ = false;
  std::function<void()> now_;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_CANCEL_HOOK_H_
