#include "text/tokenizer.h"

#include <gtest/gtest.h>

namespace longbow::text {
namespace {

using Terms = std::vector<std::string>;

Terms TermsOf(std::string_view text, const std::string& stemmer = "") {
  auto tokenizer = Tokenizer::Create({.stemmer = stemmer});
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().ToString();
  return tokenizer.ok() ? (*tokenizer)->Terms(text) : Terms();
}

TEST(Tokenizer, DividesAtWhatIsNoLetterNoDigitNoMark) {
  EXPECT_EQ(TermsOf("The quick-brown fox, 42 times; e-mail: a_b@example.com"),
            (Terms{"the", "quick", "brown", "fox", "42", "times", "e", "mail", "a", "b", "example", "com"}));
  EXPECT_EQ(TermsOf(""), Terms());
  EXPECT_EQ(TermsOf(" .,;!? \t\n"), Terms());
}

TEST(Tokenizer, FoldsCaseAndCompatibilityForms) {
  EXPECT_EQ(TermsOf("Straße STRASSE ＡＢＣ ﬁne İ Ünïcode"),
            (Terms{"strasse", "strasse", "abc", "fine", "i̇", "ünïcode"}));
  EXPECT_EQ(TermsOf("u\xcc\x88"), TermsOf("\xc3\xbc")) << "a letter and its mark are the letter";
}

TEST(Tokenizer, DividesScriptsWithoutSpaces) {
  const Terms japanese = TermsOf("私はガラスを食べられます。");
  EXPECT_GT(japanese.size(), 3u);
  EXPECT_EQ(japanese.front(), "私");
  EXPECT_GT(TermsOf("ฉันกินกระจกได้").size(), 2u);
  EXPECT_EQ(TermsOf("abc 北京 def").front(), "abc");
  EXPECT_EQ(TermsOf("abc 北京 def").back(), "def");
}

TEST(Tokenizer, Stems) {
  EXPECT_EQ(TermsOf("running runs ran easily", "english"), (Terms{"run", "run", "ran", "easili"}));
  EXPECT_EQ(TermsOf("Häuser", "german"), (Terms{"haus"}));
  const auto unknown = Tokenizer::Create({.stemmer = "klingon"});
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(std::string(unknown.status().message()).find("english"), std::string::npos);
}

TEST(Tokenizer, BadBytesEndWordsAndLongWordsAreLeftOut) {
  EXPECT_EQ(TermsOf("ab\xff"
                    "cd\xc3 ef\xe2\x82"),
            (Terms{"ab", "cd", "ef"}));
  const std::string longest(Tokenizer::kTermMaxBytes, 'x');
  EXPECT_EQ(TermsOf("a " + longest + " " + longest + "x b"), (Terms{"a", longest, "b"}));
  EXPECT_EQ(TermsOf(std::string_view("a\0b", 3)), (Terms{"a", "b"}));
}

}  // namespace
}  // namespace longbow::text
