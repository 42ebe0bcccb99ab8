#include "runtime-agent/archive/tree_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/archive/changes.h"
#include "runtime-agent/archive/unpack.h"

namespace slipway::agent {
namespace {

class Archive : public testing::Test {
 protected:
  Archive() {
    char pattern[] = "/tmp/tree-archive-XXXXXX";
    root_ = mkdtemp(pattern);
    for (const char* name : {"/from", "/to", "/lower"}) {
      mkdir((root_ + name).c_str(), 0755);
    }
  }
  ~Archive() override { std::filesystem::remove_all(root_); }

  std::string From(const std::string& name) const { return root_ + "/from/" + name; }
  std::string To(const std::string& name) const { return root_ + "/to/" + name; }

  static void Write(const std::string& path, const std::string& text) {
    const auto fd = OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC);
    ASSERT_TRUE(fd.ok()) << fd.status();
    ASSERT_TRUE(WriteAll(fd->get(), text, path).ok());
  }
  static std::string Read(const std::string& path) {
    const auto text = ReadFile(path);
    return text.ok() ? *text : std::string(text.status().message());
  }

  UniqueFd Pack(const std::string& path, const std::string& name, const TreeOptions& options = {}) {
    UniqueFd file(memfd_create("tar", MFD_CLOEXEC));
    TarWriter tar(file.get());
    EXPECT_EQ(ArchiveTree(path, name, options, tar), absl::OkStatus());
    EXPECT_EQ(tar.Finish(), absl::OkStatus());
    lseek(file.get(), 0, SEEK_SET);
    return file;
  }

  static std::string Contents(const UniqueFd& tar) {
    return Read(absl::StrCat("/proc/self/fd/", tar.get()));
  }

  static std::vector<std::string> Names(const UniqueFd& tar) {
    std::vector<std::string> names;
    archive* reader = archive_read_new();
    archive_read_support_format_tar(reader);
    archive_read_open_fd(reader, tar.get(), 65536);
    archive_entry* entry = nullptr;
    while (archive_read_next_header(reader, &entry) == ARCHIVE_OK) {
      names.emplace_back(archive_entry_pathname(entry));
    }
    archive_read_free(reader);
    lseek(tar.get(), 0, SEEK_SET);
    return names;
  }

  // An archive of one entry, made by libarchive.
  static UniqueFd One(const char* name, mode_t type, const char* link, const char* hard_link) {
    UniqueFd file(memfd_create("tar", MFD_CLOEXEC));
    archive* writer = archive_write_new();
    archive_write_set_format_gnutar(writer);
    archive_write_open_fd(writer, file.get());
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, 0644);
    if (link != nullptr) archive_entry_set_symlink(entry, link);
    if (hard_link != nullptr) archive_entry_set_hardlink(entry, hard_link);
    archive_write_header(writer, entry);
    archive_entry_free(entry);
    archive_write_free(writer);
    lseek(file.get(), 0, SEEK_SET);
    return file;
  }

  std::string root_;
};

TEST_F(Archive, RefusesNamesThatLeadOut) {
  for (const char* name : {"../evil", "a/../../evil", "/../evil"}) {
    EXPECT_EQ(Unpack(One(name, AE_IFREG, nullptr, nullptr).get(), root_ + "/to", {}).code(),
              absl::StatusCode::kInvalidArgument)
        << name;
  }
  EXPECT_EQ(Unpack(One("link", AE_IFREG, nullptr, "../from/x").get(), root_ + "/to", {}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(root_ + "/evil"));
}

TEST_F(Archive, RefusesWhatIsNoArchive) {
  const UniqueFd file(memfd_create("tar", MFD_CLOEXEC));
  ASSERT_TRUE(WriteAll(file.get(), std::string(2000, 'x'), "file").ok());
  lseek(file.get(), 0, SEEK_SET);
  EXPECT_EQ(Unpack(file.get(), root_ + "/to", {}).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(Archive, RefusesACutArchive) {
  Write(From("f"), std::string(100000, 'x'));
  const UniqueFd tar = Pack(root_ + "/from", "d");
  ASSERT_EQ(ftruncate(tar.get(), 50000), 0);
  EXPECT_EQ(Unpack(tar.get(), root_ + "/to", {}).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(Archive, AbsoluteNamesStayInside) {
  ASSERT_EQ(Unpack(One("/a/b", AE_IFREG, nullptr, nullptr).get(), root_ + "/to", {}),
            absl::OkStatus());
  EXPECT_TRUE(std::filesystem::exists(To("a/b")));
}

TEST_F(Archive, KeepsKindsWhenAsked) {
  mkdir(To("d").c_str(), 0755);
  Write(To("f"), "x");
  const UnpackOptions keep{.keep_kinds = true};
  EXPECT_EQ(Unpack(One("d", AE_IFREG, nullptr, nullptr).get(), root_ + "/to", keep).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Unpack(One("f", AE_IFDIR, nullptr, nullptr).get(), root_ + "/to", keep).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Unpack(One("d", AE_IFREG, nullptr, nullptr).get(), root_ + "/to", {}),
            absl::OkStatus());
  EXPECT_TRUE(std::filesystem::is_regular_file(To("d")));
}

TEST_F(Archive, WhatGoesInComesOut) {
  const std::string long_name(150, 'n');
  mkdir(From("dir").c_str(), 0750);
  Write(From("dir/" + long_name), "long");
  Write(From("füße"), "utf-8");
  Write(From("big"), std::string(700000, 'b') + "end");
  link(From("big").c_str(), From("hard").c_str());
  symlink("dir/../big", From("sym").c_str());
  chmod(From("big").c_str(), 04755);
  (void)setxattr(From("big").c_str(), "user.colour", "blue", 4, 0);
  mkfifo(From("fifo").c_str(), 0600);
  const timespec old[2] = {{1000, 0}, {2000, 0}};
  utimensat(AT_FDCWD, From("dir").c_str(), old, 0);

  const UniqueFd tar = Pack(root_ + "/from", "top");
  EXPECT_EQ(Names(tar),
            (std::vector<std::string>{"top/", "top/big", "top/dir/", "top/dir/" + long_name,
                                      "top/fifo", "top/füße", "top/hard", "top/sym"}));
  ASSERT_EQ(Unpack(tar.get(), root_ + "/to", {}), absl::OkStatus());
  EXPECT_EQ(Read(To("top/dir/" + long_name)), "long");
  EXPECT_EQ(Read(To("top/füße")), "utf-8");
  EXPECT_EQ(Read(To("top/sym")), std::string(700000, 'b') + "end");
  struct stat big;
  struct stat hard;
  struct stat dir;
  ASSERT_EQ(stat(To("top/big").c_str(), &big), 0);
  ASSERT_EQ(stat(To("top/hard").c_str(), &hard), 0);
  ASSERT_EQ(stat(To("top/dir").c_str(), &dir), 0);
  EXPECT_EQ(big.st_ino, hard.st_ino);
  EXPECT_EQ(big.st_mode & 07777, 04755u);
  EXPECT_EQ(dir.st_mode & 07777, 0750u);
  EXPECT_EQ(dir.st_mtim.tv_sec, 2000);
  // The same tree, the same bytes.
  const UniqueFd again = Pack(root_ + "/from", "top");
  struct stat first;
  struct stat second;
  fstat(tar.get(), &first);
  fstat(again.get(), &second);
  EXPECT_EQ(first.st_size, second.st_size);
}

TEST_F(Archive, IsTheSameThroughAPipe) {
  std::string text(3'000'000, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7 + i / 1000);
  Write(From("large"), text);
  Write(From("odd"), text.substr(5, 70'001));
  Write(From("small"), "x");
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  std::string through;
  std::thread reader([&through, end = UniqueFd(ends[0])] {
    char piece[10'000];
    for (ssize_t got = 0; (got = read(end.get(), piece, sizeof(piece))) > 0;) {
      through.append(piece, static_cast<size_t>(got));
    }
  });
  {
    const UniqueFd end(ends[1]);
    TarWriter tar(end.get());
    EXPECT_EQ(ArchiveTree(root_ + "/from", "top", {}, tar), absl::OkStatus());
    // What a file lacks by now is zeros.
    const auto shorter = OpenFile(From("odd"), O_RDONLY);
    ASSERT_TRUE(shorter.ok());
    EXPECT_EQ(tar.ContentOf(shorter->get(), 100'000), absl::OkStatus());
    EXPECT_EQ(tar.Finish(), absl::OkStatus());
  }
  reader.join();
  std::string expected = Contents(Pack(root_ + "/from", "top"));
  expected.resize(expected.size() - 1024);  // the end's two blocks
  expected += text.substr(5, 70'001) + std::string(100'352 - 70'001 + 1024, '\0');
  EXPECT_TRUE(through == expected) << through.size() << ", not " << expected.size();
}

TEST_F(Archive, RootIsNamedAsDockerDoes) {
  Write(From("f"), "x");
  EXPECT_EQ(Names(Pack(root_ + "/from", "/")), (std::vector<std::string>{"/", "/f"}));
  EXPECT_EQ(Names(Pack(root_ + "/from", "")), (std::vector<std::string>{"f"}));
  EXPECT_EQ(Names(Pack(root_ + "/from", ".")), (std::vector<std::string>{"./", "./f"}));
  EXPECT_EQ(Names(Pack(From("f"), "g")), (std::vector<std::string>{"g"}));
}

TEST_F(Archive, WhiteoutsAndOpaqueDirectories) {
  if (geteuid() != 0) GTEST_SKIP() << "needs CAP_MKNOD and trusted xattrs";
  mkdir(From("gone").c_str(), 0755);
  ASSERT_EQ(mknod(From("gone/file").c_str(), S_IFCHR, 0), 0);
  mkdir(From("fresh").c_str(), 0755);
  ASSERT_EQ(setxattr(From("fresh").c_str(), "trusted.overlay.opaque", "y", 1, 0), 0);
  Write(From("fresh/new"), "x");
  EXPECT_EQ(Names(Pack(root_ + "/from", "", {.one_mount = true, .whiteouts = true})),
            (std::vector<std::string>{"fresh/", "fresh/.wh..wh..opq", "fresh/new", "gone/",
                                      "gone/.wh.file"}));
}

TEST_F(Archive, ChangesAsDockerTellsThem) {
  if (geteuid() != 0) GTEST_SKIP() << "needs CAP_MKNOD";
  const std::string lower = root_ + "/lower/";
  for (const std::string& base : {lower, root_ + "/from/"}) {
    mkdir((base + "etc").c_str(), 0755);
    mkdir((base + "same").c_str(), 0755);
    const timespec times[2] = {{1000, 0}, {1000, 0}};
    utimensat(AT_FDCWD, (base + "same").c_str(), times, 0);
  }
  Write(lower + "etc/passwd", "xx");
  Write(lower + "gone", "x");
  mkdir((lower + "fresh").c_str(), 0755);
  Write(lower + "fresh/old", "x");
  mkdir(From("fresh").c_str(), 0755);
  ASSERT_EQ(setxattr(From("fresh").c_str(), "trusted.overlay.opaque", "y", 1, 0), 0);
  mkdir((lower + "dir").c_str(), 0755);
  Write(lower + "dir/inside", "x");
  Write(From("dir"), "now a file");
  ASSERT_EQ(mknod(From("never").c_str(), S_IFCHR, 0), 0);
  Write(From("etc/passwd"), "y");
  Write(From("etc/added"), "y");
  mkdir(From("new").c_str(), 0755);
  Write(From("new/file"), "y");
  ASSERT_EQ(mknod(From("gone").c_str(), S_IFCHR, 0), 0);
  std::vector<std::string> found;
  ASSERT_EQ(FindChanges(root_ + "/from", root_ + "/lower",
                        [&found](char kind, const std::string& path) {
                          found.push_back(std::string(1, kind) + " " + path);
                          return absl::OkStatus();
                        }),
            absl::OkStatus());
  EXPECT_EQ(found, (std::vector<std::string>{"C /dir", "D /dir/inside", "C /etc", "A /etc/added",
                                             "C /etc/passwd", "C /fresh", "D /fresh/old", "D /gone",
                                             "A /new", "A /new/file"}));
}

}  // namespace
}  // namespace slipway::agent
