#include "services/build/clients/git_transport.h"

#include <curl/curl.h>
#include <git2/sys/transport.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "services/build/clients/git_socket.h"

namespace slipway::build {
namespace {

constexpr char kLsPath[] = "/info/refs?service=git-upload-pack";
constexpr char kPackPath[] = "/git-upload-pack";
constexpr size_t kMaxRequestBytes = 64 << 20;
constexpr size_t kMaxAhead = 1 << 20;  // received and not yet read
constexpr int kPollMs = 200;
constexpr long kMaxRedirects = 10;

int Fail(GitTransfer& transfer, absl::Status status) {
  if (transfer.status.ok()) transfer.status = std::move(status);
  git_error_set_str(GIT_ERROR_NET, std::string(transfer.status.message()).c_str());
  return -1;
}

// What every transport of one remote has.
struct Subtransport : git_smart_subtransport {
  explicit Subtransport(GitTransfer& given) : transfer(given) {}
  virtual ~Subtransport() = default;
  GitTransfer& transfer;
};

// One exchange over HTTP, which goes on as its answer is read.
class HttpExchange : public git_smart_subtransport_stream {
 public:
  HttpExchange(Subtransport& owner, std::string url, bool is_post)
      : transfer_(owner.transfer), url_(std::move(url)), is_post_(is_post) {
    subtransport = &owner;
    read = [](git_smart_subtransport_stream* me, char* out, size_t size, size_t* count) {
      return static_cast<HttpExchange*>(me)->Read(out, size, count);
    };
    write = [](git_smart_subtransport_stream* me, const char* bytes, size_t size) {
      return static_cast<HttpExchange*>(me)->Write(absl::string_view(bytes, size));
    };
    free = [](git_smart_subtransport_stream* me) { delete static_cast<HttpExchange*>(me); };
  }
  ~HttpExchange() {
    if (begun_) curl_multi_remove_handle(multi_.get(), easy_.get());
  }
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

 private:
  int Write(absl::string_view bytes) {
    if (begun_ || request_.size() + bytes.size() > kMaxRequestBytes) {
      return Fail(transfer_, absl::ResourceExhaustedError("a request to a git server is too long"));
    }
    request_.append(bytes.data(), bytes.size());
    return 0;
  }

  void Begin() {
    begun_ = true;
    CURL* curl = easy_.get();
    curl_easy_setopt(curl, CURLOPT_URL, url_.c_str());
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, kMaxRedirects);
    curl_easy_setopt(curl, CURLOPT_POSTREDIR, static_cast<long>(CURL_REDIR_POST_ALL));
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "git/slipway");
    if (is_post_) {
      headers_.reset(
          curl_slist_append(nullptr, "Content-Type: application/x-git-upload-pack-request"));
      curl_slist_append(headers_.get(), "Accept: application/x-git-upload-pack-result");
      curl_slist_append(headers_.get(), "Expect:");
      curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers_.get());
      curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request_.data());
      curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.size()));
    }
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &HttpExchange::Take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
    curl_multi_add_handle(multi_.get(), curl);
    last_byte_ = absl::Now();
  }

  static size_t Take(char* data, size_t, size_t size, void* self) {
    auto* me = static_cast<HttpExchange*>(self);
    if (me->ahead_.size() - me->at_ >= kMaxAhead) {
      me->paused_ = true;
      return CURL_WRITEFUNC_PAUSE;
    }
    me->last_byte_ = absl::Now();
    me->transfer_.bytes_left -= static_cast<int64_t>(size);
    if (me->transfer_.bytes_left < 0) {
      me->limit_ = absl::ResourceExhaustedError("the git repository is too large");
      return 0;
    }
    me->ahead_.append(data, size);
    return size;
  }

  absl::Status Outcome(CURLcode code) {
    if (!limit_.ok()) return limit_;
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_HTTP_RETURNED_ERROR) {
      const std::string text = absl::StrCat("the git server answered with status ", status);
      return status == 401 || status == 403 || status == 404 ? absl::NotFoundError(text)
                                                             : absl::UnavailableError(text);
    }
    if (code != CURLE_OK) return absl::UnavailableError(curl_easy_strerror(code));
    const char* type = nullptr;
    curl_easy_getinfo(easy_.get(), CURLINFO_CONTENT_TYPE, &type);
    if (!is_post_ && (type == nullptr || !absl::StrContains(type, "git-upload-pack"))) {
      return absl::UnimplementedError(
          "the server does not speak git's smart protocol: files that git just put there are not "
          "supported");
    }
    return absl::OkStatus();
  }

  // Goes on until something can be read or all was.
  int Advance() {
    if (!begun_) Begin();
    while (at_ == ahead_.size() && !done_) {
      if (std::exchange(paused_, false)) curl_easy_pause(easy_.get(), CURLPAUSE_CONT);
      int running = 0;
      curl_multi_perform(multi_.get(), &running);
      int left = 0;
      for (CURLMsg* message = nullptr;
           (message = curl_multi_info_read(multi_.get(), &left)) != nullptr;) {
        if (message->msg != CURLMSG_DONE) continue;
        done_ = true;
        const absl::Status outcome = Outcome(message->data.result);
        if (!outcome.ok()) return Fail(transfer_, outcome);
      }
      if (done_ || at_ < ahead_.size()) break;
      if (!transfer_.cancellation.status().ok()) {
        return Fail(transfer_, transfer_.cancellation.status());
      }
      const absl::Time now = absl::Now();
      if (now > transfer_.deadline || now > last_byte_ + transfer_.stall_time) {
        return Fail(transfer_,
                    absl::DeadlineExceededError("the git server does not answer in time"));
      }
      curl_multi_poll(multi_.get(), nullptr, 0, kPollMs, nullptr);
    }
    return 0;
  }

  int Read(char* out, size_t size, size_t* count) {
    if (at_ == ahead_.size()) {
      ahead_.clear();
      at_ = 0;
    }
    if (Advance() != 0) return -1;
    *count = std::min(size, ahead_.size() - at_);
    memcpy(out, ahead_.data() + at_, *count);
    at_ += *count;
    return 0;
  }

  struct Free {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  struct FreeMulti {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };

  GitTransfer& transfer_;
  const std::string url_;
  const bool is_post_;
  std::string request_;
  std::unique_ptr<CURLM, FreeMulti> multi_{curl_multi_init()};
  std::unique_ptr<CURL, Free> easy_{curl_easy_init()};
  std::unique_ptr<curl_slist, Free> headers_;
  std::string ahead_;
  size_t at_ = 0;
  bool begun_ = false;
  bool paused_ = false;
  bool done_ = false;
  absl::Time last_byte_;
  absl::Status limit_;
};

struct HttpSubtransport : Subtransport {
  explicit HttpSubtransport(GitTransfer& given) : Subtransport(given) {
    action = [](git_smart_subtransport_stream** out, git_smart_subtransport* me, const char* url,
                git_smart_service_t service) {
      return static_cast<HttpSubtransport*>(me)->Open(out, url, service);
    };
    close = [](git_smart_subtransport*) { return 0; };
    free = [](git_smart_subtransport* me) { delete static_cast<HttpSubtransport*>(me); };
  }

  int Open(git_smart_subtransport_stream** out, const char* url, git_smart_service_t service) {
    std::string base(absl::StripSuffix(url, "/"));
    switch (service) {
      case GIT_SERVICE_UPLOADPACK_LS:
        *out = new HttpExchange(*this, base + kLsPath, false);
        return 0;
      case GIT_SERVICE_UPLOADPACK:
        *out = new HttpExchange(*this, base + kPackPath, true);
        return 0;
      default:
        return Fail(transfer, absl::UnimplementedError("nothing is pushed to git servers"));
    }
  }
};

// One connection to a git daemon, for all that is said.
struct SocketSubtransport : Subtransport {
  struct Stream : git_smart_subtransport_stream {};

  explicit SocketSubtransport(GitTransfer& given) : Subtransport(given) {
    action = [](git_smart_subtransport_stream** out, git_smart_subtransport* me, const char* url,
                git_smart_service_t service) {
      return static_cast<SocketSubtransport*>(me)->Open(out, url, service);
    };
    close = [](git_smart_subtransport* me) {
      static_cast<SocketSubtransport*>(me)->socket.reset();
      return 0;
    };
    free = [](git_smart_subtransport* me) { delete static_cast<SocketSubtransport*>(me); };
    stream.subtransport = this;
    stream.read = [](git_smart_subtransport_stream* me, char* out, size_t size, size_t* count) {
      return Of(me)->Read(out, size, count);
    };
    stream.write = [](git_smart_subtransport_stream* me, const char* bytes, size_t size) {
      return Of(me)->Write(absl::string_view(bytes, size));
    };
    stream.free = [](git_smart_subtransport_stream*) {};  // it belongs to the transport
  }

  static SocketSubtransport* Of(git_smart_subtransport_stream* me) {
    return static_cast<SocketSubtransport*>(me->subtransport);
  }

  int Open(git_smart_subtransport_stream** out, const char* url, git_smart_service_t service) {
    *out = &stream;
    if (service == GIT_SERVICE_UPLOADPACK && socket != nullptr) return 0;
    if (service != GIT_SERVICE_UPLOADPACK_LS) {
      return Fail(transfer, absl::UnimplementedError("nothing is pushed to git servers"));
    }
    auto opened = GitSocket::Connect(url, transfer);
    if (!opened.ok()) return Fail(transfer, opened.status());
    socket = *std::move(opened);
    return 0;
  }

  int Read(char* out, size_t size, size_t* count) {
    const auto got = socket->Read(out, size);
    if (!got.ok()) return Fail(transfer, got.status());
    *count = *got;
    transfer.bytes_left -= static_cast<int64_t>(*got);
    if (transfer.bytes_left >= 0) return 0;
    return Fail(transfer, absl::ResourceExhaustedError("the git repository is too large"));
  }

  int Write(absl::string_view bytes) {
    const absl::Status written = socket->Write(bytes);
    return written.ok() ? 0 : Fail(transfer, written);
  }

  Stream stream;
  std::unique_ptr<GitSocket> socket;
};

template <typename Kind>
int NewSubtransport(git_smart_subtransport** out, git_transport*, void* transfer) {
  *out = new Kind(*static_cast<GitTransfer*>(transfer));
  return 0;
}

}  // namespace

int NewGitTransport(git_transport** out, git_remote* owner, void* transfer) {
  const absl::string_view url = git_remote_url(owner);
  git_smart_subtransport_definition definition = {};
  definition.param = transfer;
  if (absl::StartsWithIgnoreCase(url, "http://") || absl::StartsWithIgnoreCase(url, "https://")) {
    definition.callback = NewSubtransport<HttpSubtransport>;
    definition.rpc = 1;
  } else if (absl::StartsWith(url, "git://")) {
    definition.callback = NewSubtransport<SocketSubtransport>;
  } else {
    return Fail(*static_cast<GitTransfer*>(transfer),
                absl::UnimplementedError("git repositories are fetched by http, https and git"));
  }
  return git_transport_smart(out, owner, &definition);
}

}  // namespace slipway::build
