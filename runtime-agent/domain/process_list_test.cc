#include "runtime-agent/domain/process_list.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace slipway::agent {
namespace {

std::vector<std::string> Titles(const std::vector<std::string>& options) {
  const auto columns = ParsePsOptions(options);
  if (!columns.ok()) return {std::string(columns.status().message())};
  std::vector<std::string> titles;
  for (const ProcessColumn& column : *columns) titles.push_back(column.title);
  return titles;
}
using Strings = std::vector<std::string>;

TEST(PsOptionsTest, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(Titles({"-o", "pid,bogus"}),
            (Strings{"ps: unknown user-defined format specifier \"bogus\""}));
  EXPECT_EQ(Titles({"-Z"}), (Strings{"ps: unsupported option: -Z"}));
  EXPECT_EQ(Titles({"--deselect"}), (Strings{"ps: unsupported option: --deselect"}));
  EXPECT_EQ(Titles({"-o"}), (Strings{"ps: unsupported option: -o without a list"}));
  EXPECT_EQ(Titles({"-o", "cmd"}), (Strings{"Couldn't find PID field in ps output"}));
}

TEST(PsOptionsTest, KnowsTheUsualOnes) {
  const Strings full = {"UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"};
  const Strings user = {"USER", "PID",  "%CPU",  "%MEM", "VSZ",    "RSS",
                        "TTY",  "STAT", "START", "TIME", "COMMAND"};
  EXPECT_EQ(Titles({}), full);
  EXPECT_EQ(Titles({"-ef"}), full);
  EXPECT_EQ(Titles({"-e", "-f"}), full);
  EXPECT_EQ(Titles({"aux"}), user);
  EXPECT_EQ(Titles({"-aux"}), user);
  EXPECT_EQ(Titles({"auxww"}), user);
  EXPECT_EQ(Titles({"ax"}), (Strings{"PID", "TTY", "STAT", "TIME", "COMMAND"}));
  EXPECT_EQ(Titles({"-e"}), (Strings{"PID", "TTY", "TIME", "CMD"}));
  EXPECT_EQ(Titles({"-eo", "pid,ppid=PARENT,cmd"}), (Strings{"PID", "PARENT", "CMD"}));
  EXPECT_EQ(Titles({"-opid", "-o", "user"}), (Strings{"PID", "USER"}));
}

TEST(ProcessListTest, ShowsThisProcess) {
  const auto columns = ParsePsOptions({"-o", "pid,ppid,user,nlwp,stat,time,etime,rss,comm,args"});
  ASSERT_TRUE(columns.ok());
  const auto table = ListProcesses({getpid(), 0x3fffffff}, *columns);
  ASSERT_TRUE(table.ok()) << table.status();
  ASSERT_EQ(table->rows.size(), 1u);  // the other one does not exist
  const Strings& row = table->rows[0];
  EXPECT_EQ(row[0], absl::StrCat(getpid()));
  EXPECT_EQ(row[1], absl::StrCat(getppid()));
  EXPECT_EQ(row[2], geteuid() == 0 ? "root" : row[2]);
  EXPECT_EQ(row[4][0], 'R');
  EXPECT_EQ(row[5].size(), 8u);
  EXPECT_GT(std::stoi(row[7]), 100);
  EXPECT_EQ(row[8], "process_list_te");
  EXPECT_NE(row[9].find("process_list_test"), std::string::npos);
}

}  // namespace
}  // namespace slipway::agent
