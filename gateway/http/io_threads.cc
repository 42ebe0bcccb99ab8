#include "gateway/http/io_threads.h"

#include <exception>

#include "base/logging/logging.h"

namespace slipway::gateway {
namespace {

// Nothing of ours throws out of a handler; a library that does ends one connection only.
void RunLoop(boost::asio::io_context& context) {
  while (!context.stopped()) {
    try {
      context.run();
    } catch (const std::exception& error) {
      Log(LogLevel::kError, "exception in the event loop", {{"what", error.what()}});
    }
  }
}

}  // namespace

IoThreads::IoThreads(int count) {
  for (int i = 0; i < count; ++i) {
    loops_.push_back(std::make_unique<Loop>());
    Loop& loop = *loops_.back();
    loop.thread = std::thread([&loop] { RunLoop(loop.context); });
  }
}

boost::asio::io_context& IoThreads::Next() { return loops_[next_++ % loops_.size()]->context; }

void IoThreads::Stop() {
  for (auto& loop : loops_) loop->context.stop();
  for (auto& loop : loops_) {
    if (loop->thread.joinable()) loop->thread.join();
  }
}

}  // namespace slipway::gateway
