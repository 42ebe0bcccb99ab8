#ifndef GATEWAY_TESTING_HTTP_CLIENT_H_
#define GATEWAY_TESTING_HTTP_CLIENT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "base/os/unique_fd.h"

namespace slipway::gateway {

// A blocking client that sends exactly what a test says. Not thread-safe.
class HttpClient {
 public:
  struct Response {
    int status = 0;  // 0: the peer closed without an answer
    std::string head;
    std::string body;  // chunks joined
  };

  // Connects to a unix socket.
  explicit HttpClient(const std::string& path);

  bool connected() const { return socket_.ok(); }
  void Send(absl::string_view bytes);
  void CloseWrite();

  // Reads a whole answer. `head_only`: of a HEAD request, or before a hijack.
  Response Read(bool head_only = false);
  // What comes until the peer closes.
  std::string ReadToEnd();
  // At least `size` bytes, or what comes until the peer closes.
  std::string ReadAtLeast(size_t size);

  // A request with Host, and a JSON body where `json` is not empty.
  Response Call(absl::string_view method, absl::string_view target, absl::string_view json = "");

 private:
  bool Fill();

  UniqueFd socket_;
  std::string buffer_;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_TESTING_HTTP_CLIENT_H_
