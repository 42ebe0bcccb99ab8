#include "runtime-agent/dns/message.h"

#include "gtest/gtest.h"

namespace slipway::dns {
namespace {

std::string Header(uint16_t id, uint16_t flags, uint16_t questions, uint16_t answers = 0,
                   uint16_t authorities = 0, uint16_t additional = 0) {
  std::string bytes(kHeaderBytes, '\0');
  const uint16_t numbers[] = {id, flags, questions, answers, authorities, additional};
  for (size_t i = 0; i < 6; ++i) Write16(bytes, 2 * i, numbers[i]);
  return bytes;
}

std::string Numbers(std::initializer_list<uint16_t> numbers) {
  std::string bytes;
  for (const uint16_t number : numbers) {
    bytes.append(2, '\0');
    Write16(bytes, bytes.size() - 2, number);
  }
  return bytes;
}

std::string QueryFor(const std::string& name, uint16_t type) {
  return Header(7, 0x0100, 1) + EncodeName(name) + Numbers({type, kClassIn});
}

TEST(MessageTest, RefusesWhatIsNoQuery) {
  EXPECT_FALSE(ParseQuery("").has_value());
  EXPECT_FALSE(ParseQuery(std::string(11, '\0')).has_value());
  EXPECT_FALSE(ParseQuery(Header(1, 0, 0)).has_value()) << "no question";
  EXPECT_FALSE(ParseQuery(Header(1, 0, 2) + EncodeName("a") + Numbers({1, 1})).has_value());
  EXPECT_FALSE(ParseQuery(Header(1, 0x8000, 1) + EncodeName("a") + Numbers({1, 1})).has_value());
  const std::string good = QueryFor("web", kTypeA);
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(ParseQuery(good.substr(0, size)).has_value()) << size;
  }
  // Names that point at themselves, forwards, or past the end; labels that are none.
  for (const std::string& name : {std::string("\xc0\x0c", 2), std::string("\xc0\x20", 2),
                                  std::string("\x01"
                                              "a\xc0\x0c",
                                              4),
                                  std::string("\xff\xff", 2),
                                  std::string("\x80"
                                              "a",
                                              2),
                                  std::string("\x03"
                                              "a.b\0",
                                              5),
                                  std::string("\x05"
                                              "ab",
                                              3)}) {
    EXPECT_FALSE(ParseQuery(Header(1, 0, 1) + name + Numbers({1, 1})).has_value());
  }
  std::string long_name;
  for (int i = 0; i < 5; ++i) long_name += "\x3f" + std::string(63, 'a');
  EXPECT_FALSE(ParseQuery(Header(1, 0, 1) + long_name + '\0' + Numbers({1, 1})).has_value());
}

TEST(MessageTest, ReadsAQuery) {
  const auto query = ParseQuery(QueryFor("WeB.Net", kTypeAaaa));
  ASSERT_TRUE(query.has_value());
  EXPECT_EQ(query->id, 7);
  EXPECT_EQ(query->name, "web.net");
  EXPECT_EQ(query->type, kTypeAaaa);
  EXPECT_TRUE(query->recursion_desired);
  EXPECT_EQ(query->udp_bytes, kPlainUdpBytes);
  const std::string edns = Header(7, 0, 1, 0, 0, 1) + EncodeName("a") + Numbers({1, 1}) +
                           std::string(1, '\0') + Numbers({kTypeOpt, 1232, 0, 0x8000, 0});
  const auto with_edns = ParseQuery(edns);
  ASSERT_TRUE(with_edns.has_value());
  EXPECT_EQ(with_edns->udp_bytes, 1232u);
  EXPECT_TRUE(with_edns->dnssec_ok);
}

TEST(MessageTest, AnswersCanBeRead) {
  const std::string request = QueryFor("web", kTypeA);
  const auto query = ParseQuery(request);
  const std::string answer =
      BuildAnswer(request, *query, kNoError, {{kTypeA, "\x0a\x01\x01\x02"}}, 5, false);
  const auto read = ParseAnswer(answer);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->id, 7);
  EXPECT_EQ(read->ttl_seconds, 5u);
  EXPECT_EQ(read->ttl_offsets.size(), 1u);
  EXPECT_EQ(answer.substr(answer.size() - 4), "\x0a\x01\x01\x02");
  for (size_t size = 0; size < answer.size(); ++size) {
    EXPECT_FALSE(ParseAnswer(answer.substr(0, size)).has_value()) << size;
  }
}

TEST(MessageTest, SpellsTheNameAsItIsAsked) {
  const std::string request = QueryFor("www.test", kTypeA);
  const std::string answer = BuildAnswer(request, *ParseQuery(request), kNoError,
                                         {{kTypeA, "\x0a\x01\x01\x02"}}, 5, false);
  const std::string other = QueryFor("WwW.TeSt", kTypeA);
  std::string spelt = answer;
  ASSERT_TRUE(UseSpellingOf(other, *ParseQuery(other), spelt));
  EXPECT_EQ(spelt, answer.substr(0, kHeaderBytes) + other.substr(kHeaderBytes) +
                       answer.substr(other.size()));
  // Another name, a longer and a shorter one, another type; with 65 and 97 as if they were letters.
  for (const std::string& wrong :
       {QueryFor("www.best", kTypeA), QueryFor("www.tests", kTypeA), QueryFor("www.tes", kTypeA),
        QueryFor("wwwwtest", kTypeA), QueryFor("www.test", kTypeAaaa), QueryFor("", kTypeA)}) {
    std::string same = answer;
    EXPECT_FALSE(UseSpellingOf(wrong, *ParseQuery(wrong), same));
    EXPECT_EQ(same, answer);
  }
  const std::string https = QueryFor("a", 65), lower = QueryFor("a", 97);
  std::string of_https = BuildAnswer(https, *ParseQuery(https), kNoError, {}, 5, false);
  EXPECT_FALSE(UseSpellingOf(lower, *ParseQuery(lower), of_https));
  for (size_t size = 0; size < request.size(); ++size) {
    std::string cut = answer.substr(0, size);
    EXPECT_FALSE(UseSpellingOf(other, *ParseQuery(other), cut)) << size;
    EXPECT_EQ(cut, answer.substr(0, size));
  }
}

TEST(MessageTest, WhatUdpDoesNotTakeIsCut) {
  const std::string request = QueryFor("web", kTypeA);
  const auto query = ParseQuery(request);
  const std::vector<Record> many(100, Record{kTypeA, "\x0a\x01\x01\x02"});
  const std::string cut = BuildAnswer(request, *query, kNoError, many, 5, false);
  EXPECT_LE(cut.size(), kPlainUdpBytes);
  EXPECT_TRUE(ParseAnswer(cut)->truncated);
  const std::string whole = BuildAnswer(request, *query, kNoError, many, 5, true);
  EXPECT_FALSE(ParseAnswer(whole)->truncated);
  EXPECT_EQ(ParseAnswer(whole)->ttl_offsets.size(), 100u);
}

TEST(MessageTest, NegativeAnswersCountAsLongAsTheirSoaSays) {
  const std::string soa = std::string(1, '\0') + Numbers({kTypeSoa, kClassIn, 0, 900, 22}) +
                          std::string(2, '\0') + Numbers({0, 1, 0, 2, 0, 3, 0, 4, 0, 60});
  const auto read =
      ParseAnswer(Header(7, 0x8003, 1, 0, 1) + EncodeName("x") + Numbers({1, 1}) + soa);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->rcode, kNxDomain);
  EXPECT_EQ(read->ttl_seconds, 60u);
}

TEST(MessageTest, ReverseNames) {
  EXPECT_EQ(*AddressOfReverseName("2.0.30.172.in-addr.arpa"), std::string("\xac\x1e\0\x02", 4));
  for (const char* name :
       {"in-addr.arpa", "1.2.3.in-addr.arpa", "1.2.3.4.5.in-addr.arpa", "web",
        "256.1.1.1.in-addr.arpa", "x.1.1.1.in-addr.arpa", ".1.1.1.in-addr.arpa"}) {
    EXPECT_FALSE(AddressOfReverseName(name).has_value()) << name;
  }
  std::string v6;
  for (int i = 0; i < 31; ++i) v6 += i == 0 ? "2." : "0.";
  const auto address = AddressOfReverseName(v6 + "f.ip6.arpa");
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ((*address)[0], '\xf0');
  EXPECT_EQ((*address)[15], '\x02');
}

TEST(MessageTest, NamesThatCannotBeWritten) {
  EXPECT_EQ(EncodeName(std::string(64, 'a')), "");
  EXPECT_EQ(EncodeName("a..b"), "");
  EXPECT_EQ(EncodeName("a.b"), std::string("\x01"
                                           "a\x01"
                                           "b\0",
                                           5));
}

}  // namespace
}  // namespace slipway::dns
