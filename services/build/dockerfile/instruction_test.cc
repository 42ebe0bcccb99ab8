#include "services/build/dockerfile/instruction.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace slipway::build {
namespace {

std::string ErrorOf(absl::string_view text) {
  return std::string(ParseDockerfile(text).status().message());
}

// What BuildKit's frontend refuses, and with which words.
TEST(ParseDockerfile, SaysWhatIsWrongAndWhere) {
  struct Case {
    const char* text;
    const char* message;  // contained in the error
  };
  const Case cases[] = {
      {"", "cannot be empty"},
      {"  \n\t\n", "cannot be empty"},
      {"# only a comment\n", "no instructions"},
      {"FROM a\nRUNN x\n", "line 2, column 1: unknown instruction: RUNN (did you mean RUN?)"},
      {"FROM a\n  COPPY x y\n",
       "line 2, column 3: unknown instruction: COPPY (did you mean COPY?)"},
      {"FROM a\nXYZZY\n", "unknown instruction: XYZZY"},
      {"RUN x\n", "line 1, column 1: no build stage in current context"},
      {"ARG a\n", "no build stage"},
      {"FROM\n", "FROM requires either one or three arguments"},
      {"FROM a b\n", "FROM requires either one or three arguments"},
      {"FROM a of b\n", "FROM requires either one or three arguments"},
      {"FROM --platfrom=x a\n",
       "line 1, column 6: unknown flag: --platfrom (did you mean platform?)"},
      {"FROM a\nCOPY --from=a --from=b x y\n",
       "line 2, column 15: duplicate flag specified: --from"},
      {"FROM a\nCOPY --chown x y\n", "missing a value on flag: --chown"},
      {"FROM a\nCOPY --link=maybe x y\n", "expecting boolean value for flag --link"},
      {"FROM a\nCOPY x\n", "COPY requires at least two arguments"},
      {"FROM a\nADD\n", "ADD requires at least one argument"},
      {"FROM a\nWORKDIR\n", "WORKDIR requires exactly one argument"},
      {"FROM a\nENV a\n", "ENV must have two arguments"},
      {"FROM a\nENV a=b c\n", "line 2, column 9: Syntax error - can't find = in \"c\""},
      {"FROM a\nENV =b\n", "ENV names can not be blank"},
      {"FROM a\nSHELL sh\n", "SHELL requires the arguments to be in JSON form"},
      {"FROM a\nCMD [\"a\", 1]\n", "arrays must be comprised of strings only"},
      {"FROM a\nCMD\n", "CMD requires at least one argument"},
      {"FROM a\nRUN\n", "RUN requires at least one argument"},
      {"FROM a\nONBUILD\n", "ONBUILD requires at least one argument"},
      {"FROM a\nONBUILD ONBUILD RUN x\n", "Chaining ONBUILD"},
      {"FROM a\nONBUILD FROM x\n", "FROM isn't allowed as an ONBUILD trigger"},
      {"FROM a\nONBUILD RUNX x\n",
       "line 2, column 9: unknown instruction: RUNX (did you mean RUN?)"},
      {"FROM a\nHEALTHCHECK\n", "HEALTHCHECK requires at least one argument"},
      {"FROM a\nHEALTHCHECK CMD\n", "Missing command after HEALTHCHECK CMD"},
      {"FROM a\nHEALTHCHECK NONE x\n", "HEALTHCHECK NONE takes no arguments"},
      {"FROM a\nHEALTHCHECK MAYBE x\n", "unknown type \"MAYBE\" in HEALTHCHECK (try CMD)"},
      {"FROM a\nRUN <<EOF\nx\n", "unterminated heredoc"},
      {"# escape=x\nFROM a\n", "invalid escape token 'x'"},
      {"# escape=`\n# escape=`\nFROM a\n", "only one escape parser directive"},
      {"FROM a\nRUN a \\\n  && b \\\n  --c\nFOO\n", "line 5, column 1"},
  };
  for (const Case& c : cases) {
    EXPECT_TRUE(absl::StrContains(ErrorOf(c.text), c.message))
        << c.text << "\nsaid: " << ErrorOf(c.text);
  }
  EXPECT_FALSE(ParseDockerfile(absl::string_view("FROM a\0b", 8)).ok());
  EXPECT_FALSE(ParseDockerfile(std::string(kMaxDockerfileBytes + 1, 'x')).ok());
}

const Instruction& Second(const Dockerfile& file) { return file.instructions.at(1); }

Dockerfile Parse(absl::string_view text) {
  const auto file = ParseDockerfile(text);
  EXPECT_TRUE(file.ok()) << text << ": " << file.status();
  return file.value_or(Dockerfile{.instructions = std::vector<Instruction>(2)});
}

TEST(ParseDockerfile, LinesAreJoined) {
  const Dockerfile file = Parse(
      "\xef\xbb\xbf# syntax=docker/dockerfile:1\r\nFROM a\r\nRUN one \\\r\n# comment\r\n\r\n  two "
      "\\ \n"
      "three\nCMD x\n");
  EXPECT_EQ(file.syntax, "docker/dockerfile:1");
  ASSERT_EQ(file.instructions.size(), 3);
  EXPECT_EQ(Second(file).words, std::vector<std::string>{"one   two three"});
  EXPECT_EQ(Second(file).first_line, 3);
  EXPECT_EQ(Second(file).last_line, 7);
  EXPECT_EQ(file.warnings.size(), 1);
}

TEST(ParseDockerfile, ABackslashBeforeTheLastOneIsNoContinuation) {
  EXPECT_EQ(Parse("FROM a\nRUN x\\\\\nCMD y\n").instructions.size(), 3);
}

TEST(ParseDockerfile, DirectivesEndAtTheFirstOtherLine) {
  EXPECT_EQ(Parse("# a comment\n# escape=`\nFROM a\nRUN b\n").escape, '\\');
  EXPECT_EQ(Parse("#  ESCAPE = `\nFROM a\nRUN c:\\ `\n d\n").escape, '`');
  EXPECT_EQ(Second(Parse("# escape=`\nFROM a\nRUN c:\\ `\n d\n")).words[0], "c:\\  d");
}

TEST(ParseDockerfile, Commands) {
  EXPECT_TRUE(Second(Parse("FROM a\ncmd [ \"a\" , \"b c\" ]\n")).exec_form);
  EXPECT_EQ(Second(Parse("FROM a\nCMD [\"a\", \"b\\u0041\"]")).words,
            (std::vector<std::string>{"a", "bA"}));
  // Not JSON: a line for the shell.
  EXPECT_FALSE(Second(Parse("FROM a\nCMD ['a']\n")).exec_form);
  EXPECT_EQ(Second(Parse("FROM a\nRUN [ -f x ] && y\n")).words[0], "[ -f x ] && y");
  EXPECT_TRUE(Second(Parse("FROM a\nCMD []\n")).exec_form);
}

TEST(ParseDockerfile, Flags) {
  const Dockerfile file = Parse(
      "FROM a\nRUN --mount=type=cache,target=/x --mount=\"type=tmpfs,target=/y z\" --network=none "
      "-- --x\n");
  EXPECT_EQ(Second(file).Flags("mount"),
            (std::vector<std::string>{"type=cache,target=/x", "type=tmpfs,target=/y z"}));
  EXPECT_EQ(*Second(file).FindFlag("network"), "none");
  EXPECT_EQ(Second(file).words, std::vector<std::string>{"--x"});
  EXPECT_EQ(*Second(Parse("FROM a\nCOPY --link x y\n")).FindFlag("link"), "true");
}

TEST(ParseDockerfile, Pairs) {
  const Dockerfile file =
      Parse("FROM a\nENV a=b c=\"d e\" f=g\\ h\nENV old the  rest\nARG x y=z\n");
  const auto& pairs = Second(file).pairs;
  ASSERT_EQ(pairs.size(), 3);
  EXPECT_EQ(pairs[1].value, "\"d e\"");
  EXPECT_EQ(pairs[2].value, "g\\ h");
  EXPECT_EQ(file.instructions[2].pairs[0].value, "the  rest");
  EXPECT_FALSE(file.instructions[3].pairs[0].has_value);
  EXPECT_EQ(file.instructions[3].pairs[1].value, "z");
}

TEST(ParseDockerfile, Heredocs) {
  const Dockerfile file = Parse(
      "FROM a\nRUN <<EOF\necho 1\n# kept\n\nEOF\nCOPY <<-\"A\" <<B /x/\n\tone\n\tA\ntwo $v\nB\nCMD "
      "c\n");
  ASSERT_EQ(file.instructions.size(), 4);
  EXPECT_EQ(Second(file).heredocs[0].content, "echo 1\n# kept\n\n");
  const Instruction& copy = file.instructions[2];
  ASSERT_EQ(copy.heredocs.size(), 2);
  EXPECT_EQ(copy.heredocs[0].content, "one\n");
  EXPECT_FALSE(copy.heredocs[0].expands);
  EXPECT_EQ(copy.heredocs[1].content, "two $v\n");
  EXPECT_TRUE(copy.heredocs[1].expands);
  EXPECT_EQ(copy.last_line, 11);
}

TEST(ParseDockerfile, Healthchecks) {
  const Dockerfile file = Parse(
      "FROM a\nHEALTHCHECK --interval=5s CMD curl x\nHEALTHCHECK CMD [\"a\"]\nHEALTHCHECK none\n");
  EXPECT_EQ(Second(file).words, (std::vector<std::string>{"CMD-SHELL", "curl x"}));
  EXPECT_EQ(file.instructions[2].words, (std::vector<std::string>{"CMD", "a"}));
  EXPECT_EQ(file.instructions[3].words, (std::vector<std::string>{"NONE"}));
}

}  // namespace
}  // namespace slipway::build
