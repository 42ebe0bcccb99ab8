#include "cli/log_printer.h"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

log::v1::LogEntry Entry(const std::string& data, bool continued = false,
                        common::v1::StdStream stream = common::v1::STD_STREAM_STDOUT,
                        const std::string& id = "") {
  log::v1::LogEntry entry;
  entry.set_stream(stream);
  entry.set_continued(continued);
  entry.set_data(data);
  entry.set_time_unix_ns(1);
  entry.set_container_id(id);
  return entry;
}

std::string NameOf(const std::string& id) { return id == "a" ? "web" : "database"; }

TEST(LogPrinterTest, PiecesOfALongLineHaveOneTimeWhateverTheOtherStreamWrites) {
  LogPrinter printer({.timestamps = true}, NameOf);
  const std::string stamp = "1970-01-01T00:00:00.000000001Z ";
  EXPECT_EQ(printer.Text(Entry("a", true)), stamp + "a");
  EXPECT_EQ(printer.Text(Entry("e\n", false, common::v1::STD_STREAM_STDERR)), stamp + "e\n");
  EXPECT_EQ(printer.Text(Entry("b", true)), "b");
  EXPECT_EQ(printer.Text(Entry("c\n")), "c\n");
  EXPECT_EQ(printer.Text(Entry("d\n")), stamp + "d\n");
}

TEST(LogPrinterTest, NamesColorsAndUnterminatedLines) {
  LogPrinter printer({.names = true, .color = true}, NameOf);
  const auto out = common::v1::STD_STREAM_STDOUT;
  EXPECT_EQ(printer.Text(Entry("x\n", false, out, "a")), "\x1b[36mweb | \x1b[0mx\n");
  EXPECT_EQ(printer.Text(Entry("y", false, out, "b")), "\x1b[33mdatabase | \x1b[0my\n");
  EXPECT_EQ(printer.Text(Entry("z\n", false, out, "a")), "\x1b[36mweb      | \x1b[0mz\n");
  log::v1::LogEntry gap = Entry("", false, out, "a");
  gap.set_dropped_bytes(7);
  EXPECT_TRUE(printer.ToStderr(gap));
  EXPECT_NE(printer.Text(gap).find("7 bytes were dropped here\n"), std::string::npos);
}

TEST(LogPrinterTest, Json) {
  LogPrinter printer({.json = true}, NameOf);
  EXPECT_EQ(printer.Text(Entry("q\"\xff\n", false, common::v1::STD_STREAM_STDERR, "a")),
            "{\"time\":\"1970-01-01T00:00:00.000000001Z\",\"container\":\"a\",\"name\":\"web\","
            "\"stream\":\"stderr\",\"log\":\"q\\\"\xef\xbf\xbd\\n\"}\n");
}

}  // namespace
}  // namespace slipway::cli
