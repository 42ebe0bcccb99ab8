#include "services/build/dockerfile/words.h"

#include <gtest/gtest.h>

#include <map>

namespace slipway::build {
namespace {

std::optional<std::string> Look(absl::string_view name) {
  static const std::map<std::string, std::string, std::less<>> values = {
      {"a", "one"}, {"empty", ""}, {"path", "/usr/local/lib/libx.so.1"}, {"two", "x y"}};
  const auto found = values.find(std::string(name));
  if (found == values.end()) return std::nullopt;
  return found->second;
}

struct Case {
  const char* text;
  const char* expanded;  // null: an error
};

TEST(ExpandWord, FollowsTheRulesOfDockerfiles) {
  const Case cases[] = {
      // Broken ones first.
      {"'a", nullptr},
      {"\"a", nullptr},
      {"${a", nullptr},
      {"${", nullptr},
      {"${}", nullptr},
      {"${a:", nullptr},
      {"${a:=x}", nullptr},
      {"${a^}", nullptr},
      {"${none:?is needed}", nullptr},
      {"${empty:?}", nullptr},
      {"${a:-x", nullptr},
      {"${a/x", nullptr},
      {"${a#x", nullptr},

      {"plain", "plain"},
      {"$a", "one"},
      {"${a}", "one"},
      {"$a$a", "oneone"},
      {"$none", ""},
      {"$", "$"},
      {"a$", "a$"},
      {"$.x", "$.x"},
      {"\\$a", "$a"},
      {"\\${a}", "${a}"},
      {"a\\", "a\\"},
      {"'$a'", "$a"},
      {"\"$a\"", "one"},
      {"\"\\$a\"", "$a"},
      {"\"a\\nb\"", "a\\nb"},
      {"'a'\"b\"c", "abc"},
      {"${none:-word}", "word"},
      {"${none-word}", "word"},
      {"${empty:-word}", "word"},
      {"${empty-word}", ""},
      {"${a:+word}", "word"},
      {"${empty:+word}", ""},
      {"${empty+word}", "word"},
      {"${none+word}", ""},
      {"${a:?must}", "one"},
      {"${none:-${a}}", "one"},
      {"${none:-${also:-deep}}", "deep"},
      {"${none:-'a b'}", "a b"},
      {"${path#*/}", "usr/local/lib/libx.so.1"},
      {"${path##*/}", "libx.so.1"},
      {"${path%/*}", "/usr/local/lib"},
      {"${path%%.*}", "/usr/local/lib/libx"},
      {"${path%nothing}", "/usr/local/lib/libx.so.1"},
      {"${path/lib/LIB}", "/usr/local/LIB/libx.so.1"},
      {"${path//lib/LIB}", "/usr/local/LIB/LIBx.so.1"},
      {"${path//lib}", "/usr/local//x.so.1"},
      {"${a/o?/XX}", "XXe"},
      {"${a/\\*/X}", "one"},
      {"pre-${a}-post", "pre-one-post"},
      {"${1}", ""},
      {"$1x", "x"},
  };
  for (const Case& c : cases) {
    const auto got = ExpandWord(c.text, Look, '\\');
    if (c.expanded == nullptr) {
      EXPECT_FALSE(got.ok()) << c.text << " became " << *got;
    } else {
      ASSERT_TRUE(got.ok()) << c.text << ": " << got.status();
      EXPECT_EQ(*got, c.expanded) << c.text;
    }
  }
}

TEST(ExpandWord, TheEscapeCharacterCanBeAnother) {
  EXPECT_EQ(*ExpandWord("`$a\\b", Look, '`'), "$a\\b");
}

TEST(ExpandWord, IsBounded) {
  std::string nested;
  for (int i = 0; i < 2000; ++i) nested += "${none:-";
  EXPECT_FALSE(ExpandWord(nested, Look, '\\').ok());
  const Variables large = [](absl::string_view) {
    return std::optional<std::string>(std::string(500000, 'x'));
  };
  EXPECT_FALSE(ExpandWord("$a$a$a", large, '\\').ok());
  EXPECT_FALSE(ExpandWord("${a//x*x/y}", large, '\\').ok());
}

TEST(ExpandWords, ValuesAreCutAtBlanks) {
  EXPECT_EQ(*ExpandWords("a $two \"$two\" 'q q'", Look, '\\'),
            (std::vector<std::string>{"a", "x", "y", "x y", "q q"}));
  EXPECT_EQ(*ExpandWords("''", Look, '\\'), (std::vector<std::string>{""}));
  EXPECT_TRUE(ExpandWords("  $none ", Look, '\\')->empty());
}

TEST(ExpandVariables, QuotesStay) {
  EXPECT_EQ(*ExpandVariables("it's \"$a\" \\$a \\n", Look, '\\'), "it's \"one\" $a \\n");
}

TEST(FindHeredocs, TakesWordsOutsideOfQuotes) {
  const auto found = FindHeredocs("RUN cat <<EOF <<-\"X\" 3<<Y \"<<NO\" a<<NO << <<<NO");
  ASSERT_EQ(found.size(), 3);
  EXPECT_EQ(found[0].name, "EOF");
  EXPECT_TRUE(found[0].expands);
  EXPECT_EQ(found[1].name, "X");
  EXPECT_FALSE(found[1].expands);
  EXPECT_TRUE(found[1].strips_tabs);
  EXPECT_EQ(found[2].name, "Y");
}

}  // namespace
}  // namespace slipway::build
