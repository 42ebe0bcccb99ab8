#include "gateway/docker/commit_config.h"
#include "gateway/docker/image_reference.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {

namespace json = boost::json;
namespace pb = slipway::container::v1;

Awaitable<absl::Status> ImageCommit(ApiRequest& request) {
  const Query& query = request.query;
  request.name = query.Get("container");
  if (request.name.empty()) co_return absl::InvalidArgumentError("no container was named");
  CO_ASSIGN_OR_RETURN(const json::value body, co_await request.http.ReadJson(/*optional=*/true));
  CO_ASSIGN_OR_RETURN(const pb::Container container, co_await FindContainer(request));
  pb::CommitContainerRequest commit;
  commit.set_container(container.id());
  const std::string repository = query.Get("repo");
  if (!repository.empty()) {
    CO_ASSIGN_OR_RETURN(std::string reference, JoinReference(repository, query.Get("tag")));
    commit.set_reference(std::move(reference));
  }
  commit.set_author(query.Get("author"));
  commit.set_message(query.Get("comment"));
  commit.set_pause(query.GetBool("pause", /*fallback=*/true));
  CO_ASSIGN_OR_RETURN(*commit.mutable_config(),
                      CommitConfig(body, query.All("changes"), container.effective_config()));
  CO_ASSIGN_OR_RETURN(
      const pb::CommitContainerResponse committed,
      co_await request.backends.Call(request.backends.container(), &ContainerCalls::CommitContainer,
                                     commit, request.endless()));
  json::object answer;
  answer["Id"] = committed.image_id();
  co_return co_await request.http.SendJson(201, answer);
}

}  // namespace slipway::gateway
