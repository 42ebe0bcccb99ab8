#ifndef GATEWAY_HTTP_IO_THREADS_H_
#define GATEWAY_HTTP_IO_THREADS_H_

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <thread>
#include <vector>

namespace slipway::gateway {

// Event loops with one thread each. What belongs together stays on one of them, so that no lock is
// taken and no other thread is woken for it. Thread-safe.
class IoThreads {
 public:
  explicit IoThreads(int count);
  ~IoThreads() { Stop(); }
  IoThreads(const IoThreads&) = delete;
  IoThreads& operator=(const IoThreads&) = delete;

  // The loop for the next thing to serve, in turn.
  boost::asio::io_context& Next();
  // Ends the loops; what waits in them is dropped with this object.
  void Stop();

 private:
  struct Loop {
    boost::asio::io_context context{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
        context.get_executor()};
    std::thread thread;
  };
  std::vector<std::unique_ptr<Loop>> loops_;
  std::atomic<unsigned> next_ = 0;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_HTTP_IO_THREADS_H_
