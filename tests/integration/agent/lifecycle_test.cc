// Containers from prepare to removal, on the real kernel with all real services.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/os/file.h"
#include "tests/integration/agent/host.h"

namespace slipway::agent {
namespace {

using testing::HasSubstr;

class LifecycleTest : public testing::Test {
 protected:
  // Nothing happens but what is asked for: ready_test.cc is about the rest.
  static void SetUpTestSuite() { host_ = new Host({"--ready_runs=0"}); }
  static void TearDownTestSuite() {
    delete host_;
    host_ = nullptr;
  }
  // What a shell script in a container prints; expects that it ends with 0.
  std::string Shell(const std::string& script,
                    const std::function<void(v1::PrepareContainerRequest&)>& change = nullptr) {
    v1::PrepareContainerRequest request = host_->Request({"sh", "-c", script});
    if (change != nullptr) change(request);
    const auto exit = host_->Run(request);
    std::string text = host_->Log(request.container_id());
    EXPECT_EQ(exit.exit_code(), 0) << script << ": " << text;
    EXPECT_TRUE(host_->Remove(request.container_id()).ok());
    return text;
  }
  static Host* host_;
};

Host* LifecycleTest::host_ = nullptr;

// Bad input first.

TEST_F(LifecycleTest, UnknownUser) {
  auto request = host_->Request({"true"});
  request.set_user("foo");
  const grpc::Status status = host_->Prepare(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(),
              HasSubstr("unable to find user foo: no matching entries in passwd file"));
  EXPECT_TRUE(host_->KernelObjects().empty());
}

TEST_F(LifecycleTest, MissingBinary) {
  const auto request = host_->Request({"no-such-command"});
  ASSERT_TRUE(host_->Prepare(request).ok());
  const auto before = host_->KernelObjects();
  grpc::Status status = host_->Start(request.container_id());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(),
              HasSubstr("exec: \"no-such-command\": executable file not found in $PATH"));
  status = host_->Start(request.container_id());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(host_->KernelObjects(), before);
  EXPECT_EQ(host_->List()[0].status(), v1::ContainerActual::STATUS_PREPARED);
  EXPECT_TRUE(host_->Remove(request.container_id()).ok());
  host_->AwaitRemoved(request.container_id());

  const auto path = host_->Request({"/no/such"});
  ASSERT_TRUE(host_->Prepare(path).ok());
  EXPECT_THAT(host_->Start(path.container_id()).error_message(),
              HasSubstr("\"/no/such\": stat /no/such: no such file or directory"));
  EXPECT_TRUE(host_->Remove(path.container_id()).ok());
}

TEST_F(LifecycleTest, NotExecutable) {
  const auto request = host_->Request({"/etc/passwd"});
  ASSERT_TRUE(host_->Prepare(request).ok());
  const grpc::Status status = host_->Start(request.container_id());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("exec: \"/etc/passwd\": permission denied"));
  EXPECT_TRUE(host_->Remove(request.container_id()).ok());
}

// A caller whose first call was answered by an agent that died asks again.
TEST_F(LifecycleTest, AStartWhoseAnswerGotLostRunsTheProgramOnce) {
  const auto request = host_->Request({"echo", "once"});
  const v1::ContainerActual ended = host_->Run(request);
  const auto start_after = [&](int64_t last_started_ns) {
    grpc::ClientContext context;
    v1::StartContainerRequest again;
    again.set_container_id(request.container_id());
    again.set_last_started_unix_ns(last_started_ns);
    v1::StartContainerResponse response;
    EXPECT_TRUE(host_->agent()->StartContainer(&context, again, &response).ok());
    return response;
  };
  const v1::StartContainerResponse repeated = start_after(0);
  EXPECT_TRUE(repeated.was_running());
  EXPECT_EQ(repeated.started_unix_ns(), ended.started_unix_ns());
  EXPECT_EQ(host_->Log(request.container_id()), "once\n");
  const v1::StartContainerResponse next = start_after(ended.started_unix_ns());
  EXPECT_FALSE(next.was_running());
  EXPECT_NE(next.started_unix_ns(), ended.started_unix_ns());
  EXPECT_EQ(host_->Log(request.container_id()), "once\nonce\n");
  EXPECT_TRUE(host_->Remove(request.container_id()).ok());
}

TEST_F(LifecycleTest, OptionsThatAreNotOfferedAreNamed) {
  auto request = host_->Request({"true"});
  request.mutable_spec()->mutable_namespaces()->set_user("keep-id");
  EXPECT_EQ(host_->Prepare(request).error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(LifecycleTest, AnInitStandsInFrontOfTheProgram) {
  EXPECT_EQ(Shell("echo $$; tr '\\0' ' ' </proc/1/cmdline | cut -d' ' -f1",
                  [](auto& request) { request.mutable_spec()->set_init(true); }),
            "2\nslipway-init\n");
}

TEST_F(LifecycleTest, MissingBindSource) {
  auto request = host_->Request({"true"});
  auto* mount = request.mutable_spec()->add_mounts();
  mount->set_type(container::v1::Mount::TYPE_BIND);
  mount->set_source("/nonexistent/slipway");
  mount->set_target("/data");
  const grpc::Status status = host_->Prepare(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("bind source path does not exist"));
}

TEST_F(LifecycleTest, UnknownContainer) {
  EXPECT_EQ(host_->Start(Host::NewId()).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(host_->Signal(Host::NewId(), SIGTERM).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(host_->Remove(Host::NewId()).ok());
}

// What must work.

TEST_F(LifecycleTest, Echo) {
  const auto request = host_->Request({"echo", "hello"});
  const auto exit = host_->Run(request);
  EXPECT_EQ(exit.exit_code(), 0);
  EXPECT_EQ(exit.status(), v1::ContainerActual::STATUS_EXITED);
  EXPECT_GT(exit.started_unix_ns(), 0);
  EXPECT_GE(exit.finished_unix_ns(), exit.started_unix_ns());
  EXPECT_EQ(host_->Log(request.container_id()), "hello\n");
  EXPECT_TRUE(host_->Remove(request.container_id()).ok());
}

TEST_F(LifecycleTest, StreamsApartAndRunsAgain) {
  const auto request = host_->Request({"sh", "-c", "echo out; echo err >&2"});
  host_->Run(request);
  const std::string& id = request.container_id();
  EXPECT_EQ(host_->Log(id, true, false), "out\n");
  EXPECT_EQ(host_->Log(id, false, true), "err\n");
  ASSERT_TRUE(host_->Start(id).ok());
  EXPECT_EQ(host_->AwaitExit(id).exit_code(), 0);
  EXPECT_EQ(host_->Log(id, true, false), "out\nout\n");
  EXPECT_TRUE(host_->Remove(id).ok());
}

TEST_F(LifecycleTest, ExitCodesAndSignals) {
  auto request = host_->Request({"sh", "-c", "exit 42"});
  EXPECT_EQ(host_->Run(request).exit_code(), 42);
  EXPECT_TRUE(host_->Remove(request.container_id()).ok());
  request = host_->Request({"sleep", "1000"});
  ASSERT_TRUE(host_->Prepare(request).ok());
  ASSERT_TRUE(host_->Start(request.container_id()).ok());
  v1::StartContainerResponse again;
  ASSERT_TRUE(host_->Start(request.container_id(), &again).ok());
  EXPECT_TRUE(again.was_running());
  ASSERT_TRUE(host_->Signal(request.container_id(), SIGKILL).ok());
  EXPECT_EQ(host_->AwaitExit(request.container_id()).exit_code(), 137);
  EXPECT_TRUE(host_->Remove(request.container_id()).ok());
  request = host_->Request(
      {"sh", "-c", "trap 'echo term; exit 3' TERM; echo up; while :; do sleep 0.05; done"});
  ASSERT_TRUE(host_->Prepare(request).ok());
  ASSERT_TRUE(host_->Start(request.container_id()).ok());
  while (host_->Log(request.container_id(), true, true, false).empty()) usleep(10000);
  ASSERT_TRUE(host_->Signal(request.container_id(), SIGTERM).ok());
  EXPECT_EQ(host_->AwaitExit(request.container_id()).exit_code(), 3);
  EXPECT_EQ(host_->Log(request.container_id()), "up\nterm\n");
  EXPECT_TRUE(host_->Remove(request.container_id()).ok());
}

TEST_F(LifecycleTest, UserDirectoryAndEnvironment) {
  const auto as = [](const char* user) {
    return [user](v1::PrepareContainerRequest& request) { request.set_user(user); };
  };
  EXPECT_EQ(Shell("id -u; id -g; echo $HOME", as("www-data")), "33\n33\n/var/www\n");
  EXPECT_EQ(Shell("id -u; id -g; echo $HOME", as("7:users")), "7\n100\n/\n");
  EXPECT_EQ(Shell("pwd; echo $HOME $A $HOSTNAME; hostname; echo $PATH",
                  [](auto& request) {
                    request.set_working_directory("/new/place");
                    request.add_env("A=b c");
                    request.set_hostname("berth");
                  }),
            "/new/place\n/root b c berth\nberth\n"
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
}

TEST_F(LifecycleTest, WhatDockerMountsAndHides) {
  const std::string text = Shell(
      "cat /proc/mounts; ls /dev; head -c 1 /proc/kcore | wc -c; echo x >/proc/sys/kernel/shmmax; "
      "touch /sys/x; grep CapEff /proc/self/status; grep -c Seccomp:.*2 /proc/self/status; true");
  EXPECT_THAT(text, HasSubstr("proc /proc proc rw,nosuid,nodev,noexec"));
  EXPECT_THAT(text, HasSubstr("sysfs /sys sysfs ro,nosuid,nodev,noexec"));
  EXPECT_THAT(text, HasSubstr("shm /dev/shm tmpfs rw,nosuid,nodev,noexec"));
  EXPECT_THAT(text, HasSubstr("size=65536k"));
  EXPECT_THAT(text, HasSubstr("/dev/mqueue mqueue"));
  EXPECT_THAT(text, HasSubstr("full"));
  EXPECT_THAT(text, HasSubstr("can't create /proc/sys/kernel/shmmax: Read-only file system"));
  EXPECT_THAT(text, HasSubstr("touch: /sys/x: Read-only file system"));
  EXPECT_THAT(text, HasSubstr("CapEff:\t00000000a80425fb"));
  EXPECT_THAT(text, HasSubstr("\n1\n"));
}

TEST_F(LifecycleTest, NetworkFiles) {
  EXPECT_THAT(Shell("cat /etc/hostname /etc/hosts",
                    [](auto& request) {
                      request.set_hostname("berth");
                      request.mutable_spec()->mutable_network()->add_extra_hosts("db:10.0.0.9");
                    }),
              testing::AllOf(HasSubstr("berth\n127.0.0.1\tlocalhost"), HasSubstr("10.0.0.9\tdb")));
  EXPECT_EQ(Shell("cat /etc/resolv.conf",
                  [](auto& request) {
                    request.mutable_spec()->mutable_network()->add_dns_servers("9.9.9.9");
                    request.mutable_spec()->mutable_network()->add_dns_search(".");
                    request.mutable_spec()->mutable_network()->add_dns_options("rotate");
                  }),
            "nameserver 9.9.9.9\noptions rotate\n");
}

TEST_F(LifecycleTest, ReadOnlyRootAndTmpfs) {
  EXPECT_THAT(Shell("touch /x 2>&1; echo y >/t/y && cat /t/y",
                    [](auto& request) {
                      request.mutable_spec()->set_read_only_root(true);
                      auto* mount = request.mutable_spec()->add_mounts();
                      mount->set_type(container::v1::Mount::TYPE_TMPFS);
                      mount->set_target("/t");
                    }),
              testing::AllOf(HasSubstr("Read-only file system"), HasSubstr("y\n")));
}

TEST_F(LifecycleTest, BindsAndVolumes) {
  const std::string source = host_->root() + "/bindsource";
  ASSERT_TRUE(MakeDirectories(source).ok());
  ASSERT_TRUE(WriteFileAtomically(source + "/f", "from host\n").ok());
  const auto bind = [&](auto& request) {
    auto* mount = request.mutable_spec()->add_mounts();
    mount->set_type(container::v1::Mount::TYPE_BIND);
    mount->set_source(source);
    mount->set_target("/data/deep");
    mount->set_read_only(true);
    auto* file = request.mutable_spec()->add_mounts();
    file->set_type(container::v1::Mount::TYPE_BIND);
    file->set_source(source + "/f");
    file->set_target("/etc/one-file");
    auto* made = request.mutable_spec()->add_mounts();
    made->set_type(container::v1::Mount::TYPE_BIND);
    made->set_source(source + "/made/here");
    made->set_target("/made");
    made->set_create_source(true);
  };
  EXPECT_THAT(
      Shell("cat /data/deep/f /etc/one-file; touch /data/deep/x 2>&1; echo z >/made/z", bind),
      testing::AllOf(HasSubstr("from host\nfrom host\n"), HasSubstr("Read-only file system")));
  EXPECT_EQ(ReadFile(source + "/made/here/z").value(), "z\n");
  const auto volume = [&](auto& request) {
    auto* mount = request.mutable_spec()->add_mounts();
    mount->set_type(container::v1::Mount::TYPE_VOLUME);
    mount->set_source("kept");
    mount->set_target("/etc");
    request.mutable_spec()->add_volumes("/anonymous");
  };
  // What the image has at /etc is in the new volume.
  EXPECT_EQ(Shell("grep -c nobody /etc/passwd; echo v >/etc/v; echo a >/anonymous/a", volume),
            "1\n");
  EXPECT_EQ(Shell("cat /etc/v; ls /anonymous", volume), "v\n");
}

TEST_F(LifecycleTest, MemoryLimitIsToldAsOom) {
  auto request =
      host_->Request({"sh", "-c", "x=$(head -c 200m /dev/zero | tr '\\0' a); echo survived"});
  request.mutable_spec()->mutable_resources()->set_memory_bytes(16 << 20);
  request.mutable_spec()->mutable_resources()->set_memory_swap_bytes(16 << 20);
  const auto exit = host_->Run(request);
  EXPECT_TRUE(exit.oom_killed());
  EXPECT_NE(exit.exit_code(), 0);
  EXPECT_TRUE(host_->Remove(request.container_id()).ok());
}

TEST_F(LifecycleTest, PidsLimit) {
  auto request = host_->Request(
      {"sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1 & done; wait; echo done"});
  request.mutable_spec()->mutable_resources()->set_pids_limit(5);
  host_->Run(request);
  EXPECT_THAT(host_->Log(request.container_id()), HasSubstr("can't fork"));
  EXPECT_TRUE(host_->Remove(request.container_id()).ok());
}

TEST_F(LifecycleTest, CapabilitiesUlimitsAndSysctls) {
  EXPECT_EQ(Shell("grep CapEff /proc/self/status; ulimit -n; cat /proc/sys/kernel/msgmax",
                  [](auto& request) {
                    auto* spec = request.mutable_spec();
                    spec->mutable_security()->add_cap_drop("ALL");
                    spec->mutable_security()->add_cap_add("CHOWN");
                    auto* limit = spec->add_ulimits();
                    limit->set_name("nofile");
                    limit->set_soft(99);
                    limit->set_hard(100);
                    (*spec->mutable_sysctls())["kernel.msgmax"] = "12345";
                  }),
            "CapEff:\t0000000000000001\n99\n12345\n");
}

TEST_F(LifecycleTest, JoinsNamespacesOfAnother) {
  auto first = host_->Request({"sh", "-c", "echo shared >/dev/shm/s; exec sleep 1000"});
  first.set_hostname("first");
  ASSERT_TRUE(host_->Prepare(first).ok());
  ASSERT_TRUE(host_->Start(first.container_id()).ok());
  usleep(200000);
  const std::string join = absl::StrCat("container:", first.container_id());
  EXPECT_EQ(Shell("cat /dev/shm/s; hostname; ps | grep -c '[s]leep 1000'",
                  [&](auto& request) {
                    auto* namespaces = request.mutable_spec()->mutable_namespaces();
                    namespaces->set_ipc(join);
                    namespaces->set_pid(join);
                    namespaces->set_uts(join);
                    request.mutable_spec()->mutable_network()->set_mode(join);
                  }),
            "shared\nfirst\n1\n");
  EXPECT_TRUE(host_->Remove(first.container_id()).ok());
}

TEST_F(LifecycleTest, HostNamespaces) {
  char name[256];
  gethostname(name, sizeof(name));
  EXPECT_EQ(Shell("hostname; ls -d /sys/class/net/lo",
                  [&](auto& request) {
                    auto* namespaces = request.mutable_spec()->mutable_namespaces();
                    namespaces->set_uts("host");
                    namespaces->set_ipc("host");
                    namespaces->set_pid("host");
                    request.mutable_spec()->mutable_network()->set_mode("host");
                  }),
            absl::StrCat(name, "\n/sys/class/net/lo\n"));
}

TEST_F(LifecycleTest, Privileged) {
  v1::PrepareContainerRequest request =
      host_->Request({"sh", "-c", "mount -t tmpfs none /mnt && echo mounted; ls -d /dev/null"});
  request.mutable_spec()->mutable_security()->set_privileged(true);
  request.set_working_directory("/mnt");
  EXPECT_EQ(host_->Run(request).exit_code(), 0);
  EXPECT_THAT(host_->Log(request.container_id()), HasSubstr("mounted"));
  EXPECT_TRUE(host_->Remove(request.container_id()).ok());
}

TEST_F(LifecycleTest, ForcedRemovalOfWhatRuns) {
  const auto request = host_->Request({"sh", "-c", "sleep 1000 & sleep 1000"});
  ASSERT_TRUE(host_->Prepare(request).ok());
  ASSERT_TRUE(host_->Start(request.container_id()).ok());
  EXPECT_TRUE(host_->Remove(request.container_id()).ok());
  EXPECT_TRUE(host_->Remove(request.container_id()).ok());
  EXPECT_EQ(host_->AwaitExit(request.container_id()).exit_code(), 137);
  host_->AwaitRemoved(request.container_id());
  EXPECT_EQ(host_->Start(request.container_id()).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(LifecycleTest, ZLeavesNothingBehind) {
  for (const auto& container : host_->List()) {
    EXPECT_TRUE(host_->Remove(container.container_id()).ok());
    host_->AwaitRemoved(container.container_id());
  }
  for (int i = 0; i < 300 && !host_->KernelObjects().empty(); ++i) usleep(10000);
  EXPECT_THAT(host_->KernelObjects(), testing::IsEmpty());
}

}  // namespace
}  // namespace slipway::agent
