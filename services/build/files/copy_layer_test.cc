#include "services/build/files/copy_layer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "services/build/files/tar_reader.h"
#include "services/build/files/tar_writer.h"

namespace slipway::build {
namespace {

using Set = std::shared_ptr<const FileSet>;

ByteSource Pieces(const std::string& bytes, size_t& at, size_t piece_bytes) {
  return [&bytes, &at, piece_bytes]() -> absl::StatusOr<absl::string_view> {
    const absl::string_view piece = absl::string_view(bytes).substr(at, piece_bytes);
    at += piece.size();
    return piece;
  };
}

absl::StatusOr<Set> ReadBytes(const std::string& tar, size_t piece_bytes = 700) {
  size_t at = 0;
  return ReadTar(Pieces(tar, at, piece_bytes), "/tmp");
}

struct Item {
  std::string path;
  std::string content;
  uint32_t mode = S_IFREG | 0644;
  std::string link;
};

std::string Tar(const std::vector<Item>& items) {
  std::string out;
  const TarSink sink = [&out](std::string bytes) {
    out += bytes;
    return absl::OkStatus();
  };
  TarWriter writer(sink);
  for (const Item& item : items) {
    FileInfo info;
    info.path = item.path;
    info.mode = item.mode;
    info.link_target = item.link;
    info.size_bytes = item.content.size();
    info.mtime_s = 1'600'000'000;
    info.mtime_ns = 5;
    info.uid = 4'000'000;
    EXPECT_TRUE(writer.Add(info).ok());
    EXPECT_TRUE(writer.Append(item.content).ok());
  }
  EXPECT_TRUE(writer.Finish().ok());
  return out;
}

Set Context() {
  return *ReadBytes(Tar({{"a.txt", "A"},
                         {"b.md", "B"},
                         {"dir", "", S_IFDIR | 0700},
                         {"dir/x", std::string(3000, 'x'), S_IFREG | 0755},
                         {"dir/sub/y", "Y"},
                         {"dir-other", "no"},
                         {"to-dir", "", S_IFLNK | 0777, "dir"},
                         {"to-a", "", S_IFLNK | 0777, "./dir/../a.txt"},
                         {std::string(150, 'n'), "long"}}));
}

PathInfo Destination(const std::string& path, bool is_directory = false) {
  PathInfo info;
  info.path = path;
  FileInfo directory;
  directory.mode = S_IFDIR | 01777;
  info.directories.push_back(directory);
  if (is_directory) {
    directory.path = path;
    info.file = directory;
    if (!path.empty()) info.directories.push_back(directory);
  }
  return info;
}

absl::StatusOr<CopyLayer> Plan(const std::vector<std::string>& patterns, const PathInfo& to,
                               CopyOptions options = {}) {
  std::vector<CopySource> sources;
  for (const std::string& pattern : patterns) sources.push_back({Context(), pattern});
  return CopyLayer::Plan(sources, to, options);
}

// "path mode uid content" of a layer's tar.
std::vector<std::string> Listing(const absl::StatusOr<CopyLayer>& layer) {
  if (!layer.ok()) return {std::string(layer.status().message())};
  std::string bytes;
  EXPECT_TRUE(layer
                  ->Write([&bytes](std::string piece) {
                    bytes += piece;
                    return absl::OkStatus();
                  })
                  .ok());
  const Set set = *ReadBytes(bytes);
  std::vector<std::string> lines;
  for (const auto& [path, file] : set->files()) {
    const std::string content = *set->ReadAll(file, 1 << 20);
    lines.push_back(absl::StrCat(path, " ", absl::Hex(file.info.mode), " ", file.info.uid, " ",
                                 content.size() > 10 ? absl::StrCat(content.size()) : content,
                                 file.info.link_target));
  }
  return lines;
}

TEST(ReadTar, HostileArchives) {
  EXPECT_TRUE(ReadBytes("")->get()->files().empty());
  EXPECT_FALSE(ReadBytes(std::string(3000, 'x')).ok());
  EXPECT_FALSE(ReadBytes(Tar({{"../out", "x"}})).ok());
  EXPECT_FALSE(ReadBytes(Tar({{"a/../../out", "x"}})).ok());
  const std::string whole = Tar({{"a", std::string(5000, 'a')}});
  EXPECT_FALSE(ReadBytes(whole.substr(0, 3000)).ok());
  const ByteSource broken = []() -> absl::StatusOr<absl::string_view> {
    return absl::CancelledError("gone");
  };
  EXPECT_EQ(ReadTar(broken, "/tmp").status().code(), absl::StatusCode::kCancelled);
}

// As the docker client leaves a context that it put a Dockerfile from elsewhere into.
TEST(ReadTar, TheLastBlockNeedNotBeFull) {
  std::string tar = Tar({{"a", std::string(5000, 'a')}});
  tar.resize(tar.size() - 1024 - 120);
  auto file = std::make_shared<UniqueFd>(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_TRUE(WriteAll(file->get(), tar, "a test's file").ok());
  for (const auto& archive : {std::shared_ptr<UniqueFd>(), file}) {
    for (const size_t missing : {0, 1, 4999}) {
      size_t at = 0;
      const std::string cut = tar.substr(0, tar.size() - missing);
      const auto set = ReadTar(Pieces(cut, at, 700), "/tmp", archive);
      ASSERT_EQ(set.ok(), missing == 0) << set.status();
      if (missing > 0) continue;
      EXPECT_EQ((*set)->Find("a")->digest, Sha256Of(std::string(5000, 'a')));
    }
  }
}

TEST(ReadTar, AbsolutePathsAreBelowTheRoot) {
  EXPECT_NE(ReadBytes(Tar({{"/etc//./passwd", "x"}}))->get()->Find("etc/passwd"), nullptr);
}

TEST(FileSet, LinksStayInside) {
  const Set set = *ReadBytes(Tar({{"a", "", S_IFLNK | 0777, "../../../b"},
                                  {"b", "B"},
                                  {"loop", "", S_IFLNK | 0777, "loop"},
                                  {"d/f", "F"}}));
  EXPECT_EQ(set->Resolve("a"), "b");
  EXPECT_EQ(set->Resolve("loop"), std::nullopt);
  EXPECT_EQ(set->Resolve("d"), "d");
  EXPECT_EQ(set->Resolve("none"), std::nullopt);
}

TEST(CopyLayer, SaysWhatIsWrong) {
  const PathInfo to = Destination("to");
  struct Case {
    std::vector<std::string> patterns;
    const char* message;
  };
  for (const Case& c : std::vector<Case>{
           {{"none"},
            "COPY failed: file not found in build context or excluded by .dockerignore: stat none"},
           {{"../a"}, "forbidden path outside the build context: ../a ()"},
           {{"dir/../../a"}, "forbidden path outside"},
           {{"*.none"}, "no source files were specified"},
           {{"a.txt", "b.md"}, "must be a directory and end with a /"},
           {{"["}, "syntax error in pattern"}}) {
    const auto layer = Plan(c.patterns, to);
    ASSERT_FALSE(layer.ok()) << c.message;
    EXPECT_TRUE(absl::StrContains(layer.status().message(), c.message)) << layer.status();
  }
  PathInfo file = Destination("to");
  file.file = FileInfo{.path = "to", .mode = S_IFREG | 0644};
  EXPECT_FALSE(Plan({"dir"}, file).ok());
  EXPECT_TRUE(Plan({"a.txt"}, file).ok());
}

TEST(CopyLayer, AFileIntoADirectoryOrUnderAName) {
  const std::vector<std::string> named = {" 43ff 0 ", "to 81a4 0 A"};
  EXPECT_EQ(Listing(Plan({"a.txt"}, Destination("to"))), named);
  const std::vector<std::string> inside = {" 43ff 0 ", "to 43ff 0 ", "to/a.txt 81a4 0 A"};
  EXPECT_EQ(Listing(Plan({"a.txt"}, Destination("to", true))), inside);
  CopyOptions slash;
  slash.ends_with_slash = true;
  const std::vector<std::string> made = {" 43ff 0 ", "to 41ed 0 ", "to/to-a 81a4 0 A"};
  EXPECT_EQ(Listing(Plan({"to-a"}, Destination("to"), slash)), made);
}

TEST(CopyLayer, ADirectorysContent) {
  const std::vector<std::string> expected = {
      " 43ff 0 ",         "q 41ed 0 ",           "q/to 41ed 0 ",
      "q/to/sub 41ed 0 ", "q/to/sub/y 81a4 0 Y", "q/to/x 81ed 0 3000"};
  EXPECT_EQ(Listing(Plan({"dir"}, Destination("q/to"))), expected);
  EXPECT_EQ(Listing(Plan({"/to-dir/"}, Destination("q/to"))), expected);
  EXPECT_EQ(Plan({"dir"}, Destination("q/to"))->kind(), "dir");
}

TEST(CopyLayer, PatternsOwnersAndModes) {
  CopyOptions options;
  options.ends_with_slash = true;
  options.owner = {7, 8};
  options.mode = 0600;
  const std::vector<std::string> expected = {" 43ff 0 ", "t 41ed 7 ", "t/a.txt 8180 7 A",
                                             "t/b.md 8180 7 B"};
  EXPECT_EQ(Listing(Plan({"*.txt", "[b]*"}, Destination("t"), options)), expected);
}

TEST(CopyLayer, ParentsAndExcludes) {
  CopyOptions options;
  options.ends_with_slash = true;
  options.keep_parents = true;
  const std::vector<std::string> kept = {" 43ff 0 ", "t 41ed 0 ", "t/dir 41c0 0 ",
                                         "t/dir/sub 41ed 0 ", "t/dir/sub/y 81a4 0 Y"};
  EXPECT_EQ(Listing(Plan({"dir/sub/y"}, Destination("t"), options)), kept);
  const std::vector<std::string> pivoted = {" 43ff 0 ", "t 41ed 0 ", "t/sub 41ed 0 ",
                                            "t/sub/y 81a4 0 Y"};
  EXPECT_EQ(Listing(Plan({"dir/./sub/y"}, Destination("t"), options)), pivoted);
  CopyOptions excluding;
  excluding.excludes = *IgnoreFile::OfPatterns({"sub"});
  const std::vector<std::string> without = {" 43ff 0 ", "t 41ed 0 ", "t/x 81ed 0 3000"};
  EXPECT_EQ(Listing(Plan({"dir"}, Destination("t"), excluding)), without);
}

TEST(CopyLayer, TheDigestIsOfWhatIsCopied) {
  const auto digest = [](const std::string& pattern, const PathInfo& to) {
    return Plan({pattern}, to)->digest();
  };
  EXPECT_EQ(digest("a.txt", Destination("t")), digest("to-a", Destination("t")));
  EXPECT_NE(digest("a.txt", Destination("t")), digest("b.md", Destination("t")));
  EXPECT_NE(digest("a.txt", Destination("t")), digest("a.txt", Destination("u")));
}

TEST(CopyLayer, ArchivesKeepTheirOwners) {
  const std::string inner = Tar({{"in", "I"}});
  const Set outer = *ReadBytes(Tar({{"x.tar", inner}, {"plain", "not a tar at all"}}));
  EXPECT_EQ(*ReadNestedTar(*outer, *outer->Find("plain"), "/tmp"), nullptr);
  const Set unpacked = *ReadNestedTar(*outer, *outer->Find("x.tar"), "/tmp");
  ASSERT_NE(unpacked, nullptr);
  const auto layer = CopyLayer::Plan({{unpacked, "x.tar", true}}, Destination("t"), {});
  const std::vector<std::string> expected = {" 43ff 0 ", "t 41ed 0 ", "t/in 81a4 4000000 I"};
  EXPECT_EQ(Listing(layer), expected);
}

// What a plain tar has stays where it is; the same bytes come out of it, wherever pieces end.
TEST(ReadTar, ContentStaysInItsFile) {
  const std::string large(700'000, 'l');
  const std::string tar = Tar({{"empty", ""},
                               {"small", "s"},
                               {std::string(180, 'n'), "long name"},
                               {"dir", "", S_IFDIR | 0755},
                               {"dir/large", large},
                               {"link", "", S_IFLNK | 0777, "small"},
                               {"last", std::string(512, '5')}});
  auto file = std::make_shared<UniqueFd>(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_TRUE(WriteAll(file->get(), tar, "a test's file").ok());
  for (const size_t piece_bytes : {size_t{1}, size_t{511}, size_t{700}, size_t{4096}, tar.size()}) {
    size_t at = 0;
    const auto set = ReadTar(Pieces(tar, at, piece_bytes), "/tmp", file);
    ASSERT_TRUE(set.ok()) << set.status();
    const auto expect = [&](const std::string& path, const std::string& content) {
      const FileSet::File* found = (*set)->Find(path);
      ASSERT_NE(found, nullptr) << path;
      EXPECT_TRUE(content.empty() || found->place.in_archive) << path;
      EXPECT_EQ(found->digest, Sha256Of(content)) << path;
      EXPECT_EQ((*set)->ReadAll(*found, 1 << 20).value_or("?"), content) << path << piece_bytes;
    };
    expect("empty", "");
    expect("small", "s");
    expect(std::string(180, 'n'), "long name");
    expect("dir/large", large);
    expect("last", std::string(512, '5'));
  }
}

TEST(CopyLayer, LargeContentGoesAsPartOfItsFile) {
  const std::string large(300'000, 'x');
  const Set set = *ReadBytes(Tar({{"large", large}, {"small", "s"}}));
  const auto layer = CopyLayer::Plan({{set, "."}}, Destination(""), {});
  ASSERT_TRUE(layer.ok()) << layer.status();
  const auto write = [&](bool by_files) {
    std::string tar;
    int parts = 0;
    const auto bytes = [&tar](std::string piece) {
      tar += piece;
      return absl::OkStatus();
    };
    const auto part = [&](int fd, uint64_t offset, uint64_t size_bytes) {
      ++parts;
      std::string piece(size_bytes, '?');
      EXPECT_EQ(pread(fd, piece.data(), piece.size(), static_cast<off_t>(offset)),
                static_cast<ssize_t>(piece.size()));
      tar += piece;
      return absl::OkStatus();
    };
    EXPECT_TRUE(layer->Write(by_files ? TarSink(bytes, part) : TarSink(bytes)).ok());
    EXPECT_EQ(parts, by_files ? 1 : 0);
    return tar;
  };
  EXPECT_EQ(write(true), write(false));
}

TEST(CopyLayer, ChownTakesSetUserIdAway) {
  const Set set = *ReadBytes(Tar({{"u", "1", S_IFREG | 04755},
                                  {"g", "1", S_IFREG | 02711},
                                  {"lock", "1", S_IFREG | 02644},
                                  {"dir", "", S_IFDIR | 03775}}));
  for (const bool changes_owner : {false, true}) {
    CopyOptions options;
    options.changes_owner = changes_owner;
    const auto layer = CopyLayer::Plan({{set, "."}}, Destination(""), options);
    ASSERT_TRUE(layer.ok());
    std::string tar;
    ASSERT_TRUE(layer
                    ->Write(TarSink([&tar](std::string piece) {
                      tar += piece;
                      return absl::OkStatus();
                    }))
                    .ok());
    const Set written = *ReadBytes(tar);
    EXPECT_EQ(written->Find("u")->info.mode & 07777, changes_owner ? 0755u : 04755u);
    EXPECT_EQ(written->Find("g")->info.mode & 07777, changes_owner ? 0711u : 02711u);
    EXPECT_EQ(written->Find("lock")->info.mode & 07777, 02644u);
    EXPECT_EQ(written->Find("dir")->info.mode & 07777, 03775u);
  }
}

// libarchive would start a program for these.
TEST(ReadTar, NoProgramIsStartedForACompression) {
  for (const std::string& magic :
       {std::string("LRZI\0\6\0", 7), std::string("GRZipII\0\2\4:)", 12)}) {
    EXPECT_FALSE(ReadBytes(magic + std::string(4096, 'x')).ok());
  }
}

}  // namespace
}  // namespace slipway::build
