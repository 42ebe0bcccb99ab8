#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "image-service/domain/distribution.h"
#include "image-service/rpc/image_service.h"
#include "image-service/rpc/job_call.h"
#include "image-service/rpc/message_conversion.h"

namespace slipway::image {
namespace {

constexpr int kDefaultResults = 25;
constexpr int kMaxResults = 100;

// A registry's name as clients write it: "", "https://index.docker.io/v1/", "host:port".
std::string DomainOf(absl::string_view address) {
  if (!absl::ConsumePrefix(&address, "https://")) absl::ConsumePrefix(&address, "http://");
  const absl::string_view host = address.substr(0, address.find('/'));
  const bool hub = host.empty() || host == "index.docker.io" || host == "registry-1.docker.io";
  return hub ? "docker.io" : std::string(host);
}

// Docker's splitting: a first part that looks like a host is the registry's.
std::pair<std::string, std::string> SplitTerm(const std::string& term) {
  const size_t slash = term.find('/');
  const std::string first = term.substr(0, slash);
  const bool is_host = slash != std::string::npos &&
                       (first.find_first_of(".:") != std::string::npos || first == "localhost");
  if (!is_host) return {"docker.io", term};
  return {DomainOf(first), term.substr(slash + 1)};
}

}  // namespace

grpc::ServerUnaryReactor* ImageServiceImpl::InspectDistribution(
    grpc::CallbackServerContext*, const v1::InspectDistributionRequest* request,
    v1::InspectDistributionResponse* response) {
  return JobCall::Run(parts_.jobs, [this, request, response](const Cancellation& cancel) {
    const auto reference = ImageReference::Parse(request->reference());
    if (!reference.ok()) return reference.status();
    const auto found = image::InspectDistribution(parts_.registry, parts_.format, *reference,
                                                  FromMessage(request->auth()), cancel);
    if (!found.ok()) return found.status();
    response->set_media_type(found->descriptor.media_type);
    response->set_digest(found->descriptor.digest.ToString());
    response->set_size_bytes(found->descriptor.size_bytes);
    for (const Platform& platform : found->platforms) {
      auto* message = response->add_platforms();
      message->set_os(platform.os);
      message->set_architecture(platform.architecture);
      message->set_variant(platform.variant);
    }
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ImageServiceImpl::SearchImages(grpc::CallbackServerContext*,
                                                         const v1::SearchImagesRequest* request,
                                                         v1::SearchImagesResponse* response) {
  return JobCall::Run(parts_.jobs, [this, request, response](const Cancellation& cancel) {
    const auto [domain, term] = SplitTerm(request->term());
    if (term.empty()) return absl::InvalidArgumentError("no term to search for");
    const int limit = request->limit() == 0 ? kDefaultResults : request->limit();
    if (limit < 1 || limit > kMaxResults) {
      return absl::InvalidArgumentError(absl::StrCat(
          "limit ", request->limit(), " is outside the range of [1, ", kMaxResults, "]"));
    }
    const auto found = parts_.registry.Search(domain, term, static_cast<size_t>(limit),
                                              FromMessage(request->auth()), cancel);
    if (!found.ok()) return found.status();
    for (const FoundRepository& one : *found) {
      auto* result = response->add_results();
      result->set_name(one.name);
      result->set_description(one.description);
      result->set_star_count(one.star_count);
      result->set_is_official(one.is_official);
      result->set_is_automated(one.is_automated);
    }
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ImageServiceImpl::CheckRegistryAuth(
    grpc::CallbackServerContext*, const v1::CheckRegistryAuthRequest* request,
    v1::CheckRegistryAuthResponse* response) {
  return JobCall::Run(parts_.jobs, [this, request, response](const Cancellation& cancel) {
    const auto token = parts_.registry.Login(DomainOf(request->auth().server_address()),
                                             FromMessage(request->auth()), cancel);
    if (!token.ok()) return token.status();
    response->set_identity_token(*token);
    return absl::OkStatus();
  });
}

}  // namespace slipway::image
