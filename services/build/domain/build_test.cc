#include "services/build/domain/build.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/build/files/tar_writer.h"
#include "services/build/testing/fake_platform.h"

namespace slipway::build {
namespace {

using Files = std::map<std::string, std::string>;

class BuildTest : public testing::Test {
 protected:
  BuildTest() {
    char name[] = "/tmp/build-test-XXXXXX";
    directory_ = mkdtemp(name);
    cache_ = *StepCache::Load(store_);
  }
  ~BuildTest() override { std::filesystem::remove_all(directory_); }

  absl::StatusOr<BuildOutcome> Build(const std::string& dockerfile, Files files = {},
                                     BuildRequest request = {}) {
    files["Dockerfile"] = dockerfile;
    std::string tar;
    const TarSink sink = [&tar](std::string bytes) {
      tar += bytes;
      return absl::OkStatus();
    };
    TarWriter writer(sink);
    for (const auto& [path, content] : files) {
      EXPECT_TRUE(
          writer.Add({.path = path, .mode = S_IFREG | 0644, .size_bytes = content.size()}).ok());
      EXPECT_TRUE(writer.Append(content).ok());
    }
    EXPECT_TRUE(writer.Finish().ok());
    Cancellation cancellation;
    const BuildParts parts{.request = request,
                           .images = *platform_,
                           .containers = *platform_,
                           .cache = *cache_,
                           .events = *platform_,
                           .fetcher = *platform_,
                           .git = *platform_,
                           .ssh = nullptr,
                           .volume_locks = locks_,
                           .cancellation = cancellation,
                           .spool_directory = directory_,
                           .secret_directory = directory_,
                           .host = {"linux", "amd64", ""}};
    bool done = false;
    return RunBuild(parts, {[&]() -> absl::StatusOr<absl::string_view> {
                      return std::exchange(done, true) ? absl::string_view()
                                                       : absl::string_view(tar);
                    }});
  }

  // The image, or the error.
  FakePlatform::Made Make(const std::string& dockerfile, Files files = {},
                          BuildRequest request = {}) {
    const auto outcome = Build(dockerfile, std::move(files), std::move(request));
    EXPECT_TRUE(outcome.ok()) << dockerfile << outcome.status();
    return outcome.ok() ? platform_->image(outcome->image_id) : FakePlatform::Made();
  }

  std::string directory_;
  FakeCacheStore store_;
  std::unique_ptr<StepCache> cache_;
  NamedLocks locks_;
  std::unique_ptr<FakePlatform> platform_ = std::make_unique<FakePlatform>();
};

TEST_F(BuildTest, SaysWhatIsWrong) {
  struct Case {
    const char* dockerfile;
    const char* message;
  };
  for (const Case& c : std::vector<Case>{
           {"FROM base:1\nCOPY none /\n", "COPY failed: file not found in build context"},
           {"FROM base:1\nCOPY ../x /\n", "forbidden path outside the build context"},
           {"FROM none\n", "pull access denied for none"},
           {"FROM base:1\nRUN fail 7\n",
            "The command '/bin/sh -c fail 7' returned a non-zero code: 7"},
           {"FROM base:1 AS a\nCOPY --from=b x /\nFROM base:1 AS b\nCOPY --from=a y /\n",
            "circular dependency detected on stage"},
           {"FROM base:1\nCOPY --from=5 x /\n", "invalid stage index"},
           {"FROM base:1 AS 5x\n", "invalid name for build stage"},
           {"FROM $none\n", "base name ($none) should not be blank"},
           {"FROM base:1\nENV a=${b:?missing}\n", "missing"},
           {"FROM base:1\nEXPOSE http\n", "Invalid containerPort: http"},
           {"FROM base:1\nSTOPSIGNAL SIGNOT\n", "Invalid signal"},
           {"FROM base:1\nCOPY --chown=nobody9 Dockerfile /\n", "unable to find user nobody9"},
           {"FROM base:1\nCOPY --chmod=9 Dockerfile /\n", "invalid chmod parameter"},
           {"FROM base:1\nADD http://gone/x /\n", "failed to GET http://gone/x"},
           {"FROM base:1\nADD https://h/x.git#v1 /\n", "no such repository"},
           {"FROM base:1\nADD --checksum=sha256:00 http://there/x /\n", "digest mismatch"},
           {"FROM base:1\nRUN --mount=type=cash,target=/x y\n", "did you mean cache?"},
           {"FROM base:1\nRUN --mount=type=ssh y\n", "the client gives no SSH agent"},
           {"FROM base:1\nRUN --mount=type=secret,id=s,required=true y\n", "secret s not found"},
           {"FROM base:1\nRUN --network=nonsense y\n", "invalid network mode"},
           {"FROM base:1\nRUN --security=insecure y\n", "not allowed"},
           {"FROM scratch\nRUN y\n", "scratch has no files"},
           {"FROM scratch\n", "No image was generated"},
           {"FROM base:1\nWORKDIR /etc/passwd\n", "is not a directory"},
           {"FROM base:1\nHEALTHCHECK --interval=5x CMD y\n", "invalid duration"}}) {
    const auto outcome = Build(c.dockerfile);
    ASSERT_FALSE(outcome.ok()) << c.dockerfile;
    EXPECT_TRUE(absl::StrContains(outcome.status().message(), c.message))
        << c.dockerfile << outcome.status();
  }
  EXPECT_EQ(platform_->containers(), 0u);
  BuildRequest request;
  request.target = "biuld";
  EXPECT_TRUE(absl::StrContains(Build("FROM base:1 AS build\n", {}, request).status().message(),
                                "did you mean build?"));
  request = {};
  request.dockerfile = "elsewhere";
  EXPECT_TRUE(absl::StrContains(Build("FROM base:1\n", {}, request).status().message(),
                                "Cannot locate specified Dockerfile: elsewhere"));
}

TEST_F(BuildTest, HistoryIsDockers) {
  BuildRequest request;
  request.build_args = {{"given", "2"}, {"HTTP_PROXY", "p"}, {"unused", "x"}};
  const auto outcome = Build(
      "FROM base:1\nARG given=1\nARG other\nRUN it\nENV a=b c=\"d e\"\nCMD [\"x\", \"y\"]\n"
      "ENTRYPOINT run $a\nEXPOSE 80 90/udp\nVOLUME /v /w\nUSER user\nWORKDIR rel\nLABEL l=\"m n\"\n"
      "STOPSIGNAL SIGTERM\nSHELL [\"/bin/bash\", \"-c\"]\nRUN [\"exec\", \"form\"]\n"
      "HEALTHCHECK --interval=90s --retries=3 CMD curl\nONBUILD RUN z\nMAINTAINER me\n"
      "COPY --chown=user x /to/\n",
      {{"x", "content"}}, request);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  std::vector<std::string> lines = platform_->history(outcome->image_id);
  // The digest of what was copied is our own.
  EXPECT_TRUE(absl::StartsWith(lines[0], "/bin/bash -c #(nop) COPY --chown=userfile:"));
  EXPECT_TRUE(absl::EndsWith(lines[0], " in /to/ ")) << lines[0];
  const std::vector<std::string> expected = {
      "/bin/bash -c #(nop)  MAINTAINER me",
      "/bin/bash -c #(nop)  ONBUILD RUN z",
      "/bin/bash -c #(nop)  HEALTHCHECK &{[\"CMD-SHELL\" \"curl\"] \"1m30s\" \"0s\" \"0s\" "
      "'\\x03'}",
      "|1 given=2 exec form",
      "/bin/bash -c #(nop)  SHELL [/bin/bash -c]",
      "/bin/sh -c #(nop)  STOPSIGNAL SIGTERM",
      "/bin/sh -c #(nop)  LABEL l=m n",
      "/bin/sh -c #(nop) WORKDIR /rel",
      "/bin/sh -c #(nop)  USER user",
      "/bin/sh -c #(nop)  VOLUME [/v /w]",
      "/bin/sh -c #(nop)  EXPOSE 80 90/udp",
      "/bin/sh -c #(nop)  ENTRYPOINT [\"/bin/sh\" \"-c\" \"run $a\"]",
      "/bin/sh -c #(nop)  CMD [\"x\" \"y\"]",
      "/bin/sh -c #(nop)  ENV a=b c=d e",
      "|1 given=2 /bin/sh -c it",
      "/bin/sh -c #(nop)  ARG other",
      "/bin/sh -c #(nop)  ARG given=1"};
  EXPECT_EQ(std::vector<std::string>(lines.begin() + 1, lines.end()), expected);
  EXPECT_EQ(outcome->unused_build_args, std::vector<std::string>{"unused"});
  const ImageConfig config = platform_->image(outcome->image_id).info.config;
  EXPECT_EQ(config.env, (std::vector<std::string>{"PATH=/bin", "BASE=yes", "a=b", "c=d e"}));
  EXPECT_EQ(config.exposed_ports, (std::vector<std::string>{"80/tcp", "90/udp"}));
  EXPECT_EQ(config.working_directory, "/rel");
  EXPECT_EQ(platform_->runs()[0].env, (std::vector<std::string>{"HTTP_PROXY=p", "given=2"}));
}

TEST_F(BuildTest, AnEntrypointDropsAnInheritedCommand) {
  EXPECT_TRUE(Make("FROM base:1\nENTRYPOINT [\"e\"]\n").info.config.command.empty());
  EXPECT_EQ(Make("FROM base:1\nCMD [\"c\"]\nENTRYPOINT [\"e\"]\n").info.config.command,
            std::vector<std::string>{"c"});
}

TEST_F(BuildTest, StepsAreMadeOnce) {
  const std::string file = "FROM base:1\nENV a=b\nCOPY x /x\nRUN it\nWORKDIR /new\n";
  const auto first = Build(file, {{"x", "1"}, {"unread", "1"}});
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(platform_->states(), "ddddd");
  const size_t images = platform_->images();
  // What no step reads changes nothing.
  const auto second = Build(file, {{"x", "1"}, {"unread", "2"}});
  EXPECT_EQ(second->image_id, first->image_id);
  EXPECT_EQ(platform_->states(), "dcccc");
  EXPECT_EQ(platform_->images(), images);
  EXPECT_EQ(platform_->runs().size(), 1u);
  // Another file makes that step and those behind it anew.
  EXPECT_NE(Build(file, {{"x", "2"}})->image_id, first->image_id);
  EXPECT_EQ(platform_->states(), "dcddd");
  BuildRequest request;
  request.no_cache = true;
  ASSERT_TRUE(Build(file, {{"x", "1"}}, request).ok());
  EXPECT_EQ(platform_->states(), "ddddd");
}

TEST_F(BuildTest, AnImageThatIsGoneIsMadeAgain) {
  const auto first = Build("FROM base:1\nRUN it\n");
  ASSERT_TRUE(platform_->Remove(first->image_id).ok());
  EXPECT_TRUE(Build("FROM base:1\nRUN it\n").ok());
  EXPECT_EQ(platform_->states(), "dd");
}

TEST_F(BuildTest, StagesThatAreNotNeededAreNotMade) {
  const std::string file =
      "ARG which=one\nFROM base:1 AS one\nRUN one\nFROM base:1 AS two\nRUN two\nFROM base:1 AS "
      "three\n"
      "RUN three\nFROM $which\nCOPY --from=two /made/by-run /got\nCMD x\n";
  const FakePlatform::Made made = Make(file);
  EXPECT_EQ(made.files.at("got"), "two");
  EXPECT_EQ(made.files.at("made/by-run"), "one");
  EXPECT_EQ(platform_->runs().size(), 2u);
  EXPECT_EQ(platform_->plan().size(), 7u);
  EXPECT_EQ(platform_->plan()[5].depends_on, (std::vector<uint32_t>{5, 4}));
  BuildRequest request;
  request.target = "three";
  Make(file, {}, request);
  EXPECT_EQ(platform_->plan().size(), 2u);
}

TEST_F(BuildTest, AFailureEndsTheOtherStages) {
  const auto outcome =
      Build("FROM base:1 AS a\nRUN fail 3\nFROM base:1\nCOPY --from=a /x /\nRUN never\n");
  EXPECT_TRUE(absl::StrContains(outcome.status().message(), "code: 3"));
  EXPECT_EQ(platform_->runs().size(), 1u);
  ASSERT_EQ(platform_->warnings().size(), 1u);
  EXPECT_TRUE(absl::StrContains(platform_->warnings()[0], "docker run --rm -it "));
  EXPECT_EQ(platform_->containers(), 0u);
}

TEST_F(BuildTest, TriggersRunInWhatIsBuiltOnTop) {
  platform_ = std::make_unique<FakePlatform>(std::vector<std::string>{"COPY x /from-trigger"});
  const FakePlatform::Made made = Make("FROM base:1\nCMD y\n", {{"x", "1"}});
  EXPECT_EQ(made.files.at("from-trigger"), "1");
  EXPECT_TRUE(made.info.config.on_build.empty());
  EXPECT_FALSE(Build("FROM base:1\nCMD y\n").ok());
}

TEST_F(BuildTest, HeredocsAndRemoteFiles) {
  const FakePlatform::Made made = Make(
      "FROM base:1\nENV v=1\nCOPY <<a <<'b' /d/\n$v\na\n$v\nb\nADD http://there/f?q=1 /d/\n"
      "RUN <<X\none\ntwo\nX\nRUN cat <<Y > /z\nin\nY\n");
  EXPECT_EQ(made.files.at("d/a"), "1\n");
  EXPECT_EQ(made.files.at("d/b"), "$v\n");
  EXPECT_EQ(made.files.at("d/f"), "fetched");
  EXPECT_EQ(platform_->runs()[0].argv.back(), "one\ntwo\n");
  EXPECT_EQ(platform_->runs()[1].argv.back(), "cat <<Y > /z\nin\nY");
}

TEST_F(BuildTest, IgnoredFilesAreNotThere) {
  const Files files = {
      {".dockerignore", "*.log\n!keep.log\nDockerfile\n"}, {"a.log", "1"}, {"keep.log", "2"}};
  const FakePlatform::Made made = Make("FROM base:1\nCOPY . /c/\n", files);
  EXPECT_FALSE(made.files.contains("c/a.log"));
  EXPECT_FALSE(made.files.contains("c/Dockerfile"));
  EXPECT_TRUE(made.files.contains("c/keep.log"));
  BuildRequest request;
  request.context_is_filtered = true;
  EXPECT_TRUE(Make("FROM base:1\nCOPY . /c/\n", files, request).files.contains("c/a.log"));
}

TEST_F(BuildTest, MountsAndSecrets) {
  BuildRequest request;
  request.secrets = {{"token", "s3cret"}};
  const FakePlatform::Made made = Make(
      "FROM base:1\nWORKDIR /w\nRUN --mount=type=cache,target=/var/cache,sharing=locked "
      "--mount=type=secret,id=token --mount=type=secret,id=other "
      "--mount=type=tmpfs,target=/t,size=1m "
      "--mount=type=bind,source=x,target=x --mount=type=secret,id=token,env=TOKEN it\n",
      {{"x", "1"}}, request);
  const RunSpec run = platform_->runs().at(0);
  ASSERT_EQ(run.mounts.size(), 4u);
  EXPECT_TRUE(absl::StartsWith(run.mounts[0].source, "build-cache-"));
  EXPECT_EQ(run.mounts[1].target, "/run/secrets/token");
  EXPECT_TRUE(run.mounts[1].read_only);
  EXPECT_EQ(run.mounts[2].size_bytes, 1 << 20);
  EXPECT_EQ(run.mounts[3].target, "/w/x");
  EXPECT_EQ(run.env, std::vector<std::string>{"TOKEN=s3cret"});
  for (const std::string& line : platform_->history(made.info.id)) {
    EXPECT_FALSE(absl::StrContains(line, "s3cret")) << line;
  }
  EXPECT_FALSE(absl::StrContains(platform_->output(), "s3cret"));
  // The files that were mounted are gone.
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
  EXPECT_EQ(platform_->needs().images, std::vector<std::string>{"base:1"});
  EXPECT_EQ(platform_->needs().secrets, (std::vector<std::string>{"other", "token"}));
  EXPECT_TRUE(platform_->needs().ssh_agents.empty());
}

TEST_F(BuildTest, ImagesThatTheRequestNames) {
  BuildRequest request;
  request.named_images = {{"alpine:3", "base:1"}, {"tools", "base:1"}, {"made", "base:1"}};
  const FakePlatform::Made made = Make(
      "FROM gone:1 AS made\nRUN fail 3\nFROM docker.io/library/alpine:3\nRUN it\n"
      "RUN --mount=type=bind,from=tools:latest,target=/t --mount=type=bind,from=made,target=/m x\n",
      {}, request);
  EXPECT_EQ(platform_->runs().size(), 2u);
  EXPECT_EQ(platform_->needs().images, std::vector<std::string>{"base:1"});
  // An image, also where a stage has its name; and what is asked for may be given.
  request.named_images = {{"alpine", "base:1"}};
  Make("FROM gone:1 AS base\nRUN fail 3\nFROM index.docker.io/library/alpine:latest\nRUN more\n",
       {}, request);
  request.named_images = {{"made", "base:1"}, {"0", "gone:1"}, {"scratch", "gone:1"}};
  request.target = "made";
  Make("FROM gone:1 AS made\nRUN fail 3\n", {}, request);
  request.target = "";
  Make("FROM base:1 AS one\nRUN it\nFROM scratch\nCOPY --from=0 made/by-run /got\n", {}, request);
}

TEST_F(BuildTest, ContextsOfElsewhere) {
  BuildRequest request;
  request.remote = "ftp://h/x";
  EXPECT_TRUE(absl::IsUnimplemented(Build("", {}, request).status()));
  request.remote = "git@h:x.git";
  EXPECT_TRUE(absl::IsUnimplemented(Build("", {}, request).status()));
  request.remote = "http://gone/x";
  EXPECT_TRUE(absl::IsNotFound(Build("", {}, request).status()));
  request.remote = "http://there/Dockerfile";  // "fetched": what is no archive is a Dockerfile
  EXPECT_TRUE(
      absl::StrContains(Build("", {}, request).status().message(), "unknown instruction: fetched"));
}

TEST_F(BuildTest, TimesCanBeGiven) {
  BuildRequest request;
  request.build_args = {{"SOURCE_DATE_EPOCH", "1600000000"}};
  EXPECT_EQ(Make("FROM base:1\nENV a=b\n", {}, request).created_unix_ns, 1600000000000000000);
}

TEST_F(BuildTest, PlansCanBeHadAlone) {
  BuildRequest request;
  request.plan_only = true;
  request.dockerfile_content = "FROM none\nRUN x\n";
  EXPECT_TRUE(Build("", {}, request).ok());
  EXPECT_EQ(platform_->plan().size(), 2u);
}

TEST_F(BuildTest, PruningRemovesWhatNothingNeeds) {
  BuildRequest request;
  request.tags = {"named:1"};
  ASSERT_TRUE(Build("FROM base:1\nENV a=b\nRUN it\n", {}, request).ok());
  ASSERT_TRUE(Build("FROM base:1\nENV c=d\nRUN other\n").ok());
  EXPECT_EQ(cache_->List(*platform_)->size(), 4u);
  EXPECT_EQ(cache_->Prune({}, *platform_)->ids.size(), 2u);
  EXPECT_EQ(platform_->images(), 3u);
  EXPECT_EQ(cache_->Prune({.all = true}, *platform_)->ids.size(), 2u);
  EXPECT_EQ(platform_->images(), 3u);
  EXPECT_TRUE(cache_->List(*platform_)->empty());
}

TEST_F(BuildTest, GitRepositoriesAsContextAndSource) {
  BuildRequest request;
  request.remote = "https://host/repo.git#main";
  FakePlatform::Made made = Make("", {}, request);
  EXPECT_EQ(made.files.at("from/file"), "of main");
  EXPECT_EQ(made.files.at("from/sub/file"), "in sub");
  EXPECT_FALSE(made.files.contains("from/.git/HEAD"));
  request.build_args["BUILDKIT_CONTEXT_KEEP_GIT_DIR"] = "1";
  made = Make("", {}, request);
  EXPECT_TRUE(made.files.contains("from/.git/HEAD"));
  request.remote = "https://host/other.git";
  EXPECT_TRUE(absl::IsNotFound(Build("", {}, request).status()));

  made = Make("FROM base:1\nADD --keep-git-dir=true https://host/repo.git#v1 /there\n");
  EXPECT_EQ(made.files.at("there/file"), "of v1");
  EXPECT_TRUE(made.files.contains("there/.git/HEAD"));
  EXPECT_TRUE(Build("FROM base:1\nADD --checksum=0123456789012345678901234567890123456789 "
                    "https://host/repo.git /x\n")
                  .ok());
  const auto other = Build("FROM base:1\nADD --checksum=ffff https://host/repo.git /x\n");
  EXPECT_TRUE(absl::StrContains(other.status().message(), "commit mismatch"));
}

TEST_F(BuildTest, SquashIsOnWhatTheLastStageBeganWith) {
  BuildRequest request;
  request.squash = true;
  request.tags = {"one:1"};
  request.build_args["SOURCE_DATE_EPOCH"] = "5";
  const FakePlatform::Made made =
      Make("FROM base:1 AS a\nCOPY f /a\nFROM a\nCOPY f /b\n", {{"f", "1"}}, request);
  EXPECT_EQ(made.created_by, "squash");
  EXPECT_EQ(made.created_unix_ns, 5'000'000'000);
  EXPECT_EQ(made.names, std::vector<std::string>({"one:1"}));
  EXPECT_EQ(platform_->image(made.parent).files.count("a"), 1u);
  EXPECT_EQ(platform_->image(made.parent).files.count("b"), 0u);
}

TEST_F(BuildTest, SshNeedsAnAgentUnlessItIsNotRequired) {
  for (const char* mount : {"type=ssh", "type=ssh,required=true", "type=ssh,id=x"}) {
    const auto failed = Build(absl::StrCat("FROM base:1\n\nRUN --mount=", mount, " x\n"));
    EXPECT_TRUE(absl::StartsWith(failed.status().message(),
                                 "dockerfile line 3: RUN --mount=type=ssh: the client gives no"))
        << failed.status();
  }
  EXPECT_TRUE(Build("FROM base:1\nRUN --mount=type=ssh,required=false x\n").ok());
}

}  // namespace
}  // namespace slipway::build
