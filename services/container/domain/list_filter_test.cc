#include "services/container/domain/list_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace slipway::container {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ContainerPtr Make(const std::string& name, State state, int64_t created, int exit_code = 0,
                  StringMap labels = {}, const std::string& image = "redis:7",
                  const std::string& network = "") {
  auto definition = std::make_shared<Definition>();
  definition->id = absl::StrCat(name, "0123456789");
  definition->created_unix_ns = created;
  definition->effective.labels = std::move(labels);
  definition->spec.image = image;
  definition->image_id = absl::StrCat("sha256:feed", image);
  definition->spec.network.mode = network;
  auto container = std::make_shared<Container>();
  container->definition = definition;
  container->name = name;
  container->state = state;
  container->exit_code = exit_code;
  container->started_unix_ns = state == State::kCreated ? 0 : created;
  return container;
}

std::vector<std::string> Names(ListQuery query) {
  const auto filter = ListFilter::Create(std::move(query));
  EXPECT_TRUE(filter.ok()) << filter.status();
  std::vector<std::string> names;
  for (const ContainerPtr& container :
       filter->Apply({Make("aa", State::kRunning, 1, 0, {{"k", "v"}}),
                      Make("bb", State::kExited, 2, 3, {{"k", "w"}}, "busybox"),
                      Make("cc", State::kCreated, 3, 0, {}, "redis", "none"),
                      Make("dd", State::kStopping, 4, 0, {}, "redis:7", "host"),
                      Make("ee", State::kRestarting, 5, 1)})) {
    names.push_back(container->name);
  }
  return names;
}

TEST(ListFilterTest, NewestFirstAndOnlyWhatRuns) {
  EXPECT_THAT(Names({}), ElementsAre("ee", "dd", "aa"));
  EXPECT_THAT(Names({.all = true}), ElementsAre("ee", "dd", "cc", "bb", "aa"));
  EXPECT_THAT(Names({.limit = 3}), ElementsAre("ee", "dd", "cc"));
}

TEST(ListFilterTest, Filters) {
  EXPECT_EQ(ListFilter::Create({.statuses = {"gone"}}).status(),
            absl::InvalidArgumentError("invalid filter 'status=gone'"));
  EXPECT_THAT(Names({.statuses = {"running"}}), ElementsAre("dd", "aa"));
  EXPECT_THAT(Names({.statuses = {"exited", "created"}}), ElementsAre("cc", "bb"));
  EXPECT_THAT(Names({.all = true, .names = {"^/?[ab]"}}), ElementsAre("bb", "aa"));
  EXPECT_THAT(Names({.all = true, .names = {"/cc$"}}), ElementsAre("cc"));
  EXPECT_THAT(Names({.all = true, .names = {"("}}), IsEmpty());
  EXPECT_THAT(Names({.all = true, .ids = {"bb01"}}), ElementsAre("bb"));
  EXPECT_THAT(Names({.all = true, .labels = {"k"}}), ElementsAre("bb", "aa"));
  EXPECT_THAT(Names({.all = true, .labels = {"k=v"}}), ElementsAre("aa"));
  EXPECT_THAT(Names({.all = true, .labels = {"k=v", "k=w"}}), IsEmpty());
  EXPECT_THAT(Names({.all = true, .ancestors = {"redis:7"}}), ElementsAre("ee", "dd", "aa"));
  EXPECT_THAT(Names({.all = true, .ancestors = {"redis:latest"}}), ElementsAre("cc"));
  EXPECT_THAT(Names({.all = true, .ancestors = {"feedbusybox"}}), ElementsAre("bb"));
  EXPECT_THAT(Names({.all = true, .ancestors = {"x"}, .ancestor_ids = {"sha256:feedbusybox"}}),
              ElementsAre("bb"));
  EXPECT_THAT(Names({.all = true, .exit_codes = {0}}), IsEmpty());
  EXPECT_THAT(Names({.all = true, .exit_codes = {3, 9}}), ElementsAre("bb"));
  EXPECT_THAT(Names({.all = true, .networks = {"bridge"}}), ElementsAre("ee", "bb", "aa"));
  EXPECT_THAT(Names({.all = true, .networks = {"none", "host"}}), ElementsAre("dd", "cc"));
  EXPECT_THAT(Names({.all = true, .before_unix_ns = 3}), ElementsAre("bb", "aa"));
  EXPECT_THAT(Names({.all = true, .since_unix_ns = 3}), ElementsAre("ee", "dd"));
}

}  // namespace
}  // namespace slipway::container
