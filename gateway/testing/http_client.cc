#include "gateway/testing/http_client.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace slipway::gateway {

HttpClient::HttpClient(const std::string& path)
    : socket_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address = {.sun_family = AF_UNIX};
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  if (connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    socket_.reset();
  }
}

void HttpClient::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

void HttpClient::CloseWrite() { shutdown(socket_.get(), SHUT_WR); }

bool HttpClient::Fill() {
  char piece[65536];
  const ssize_t count = recv(socket_.get(), piece, sizeof(piece), 0);
  if (count <= 0) return false;
  buffer_.append(piece, static_cast<size_t>(count));
  return true;
}

std::string HttpClient::ReadToEnd() {
  while (Fill()) {
  }
  return std::exchange(buffer_, "");
}

std::string HttpClient::ReadAtLeast(size_t size) {
  while (buffer_.size() < size && Fill()) {
  }
  return std::exchange(buffer_, "");
}

HttpClient::Response HttpClient::Read(bool head_only) {
  Response response;
  size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill()) return response;
  }
  response.head = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);
  response.status = std::atoi(response.head.substr(9, 3).c_str());
  if (head_only) return response;
  if (absl::StrContains(response.head, "Transfer-Encoding: chunked")) {
    while (true) {
      size_t line = 0;
      while ((line = buffer_.find("\r\n")) == std::string::npos) {
        if (!Fill()) return response;
      }
      const size_t size = std::strtoul(buffer_.c_str(), nullptr, 16);
      while (buffer_.size() < line + 2 + size + 2) {
        if (!Fill()) return response;
      }
      response.body += buffer_.substr(line + 2, size);
      buffer_.erase(0, line + 2 + size + 2);
      if (size == 0) return response;
    }
  }
  const size_t field = response.head.find("Content-Length: ");
  if (field == std::string::npos) return response;
  const size_t length = std::strtoul(response.head.c_str() + field + 16, nullptr, 10);
  while (buffer_.size() < length && Fill()) {
  }
  response.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return response;
}

HttpClient::Response HttpClient::Call(absl::string_view method, absl::string_view target,
                                      absl::string_view json) {
  std::string request = absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: docker\r\n");
  if (!json.empty()) {
    absl::StrAppend(&request, "Content-Type: application/json\r\nContent-Length: ", json.size(),
                    "\r\n");
  }
  absl::StrAppend(&request, "\r\n", json);
  Send(request);
  return Read(method == "HEAD");
}

}  // namespace slipway::gateway
