#include "text/bm25.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/random.h"

namespace longbow::text {
namespace {

using Row = std::vector<std::string>;

std::string Word(uint64_t number) { return "w" + std::to_string(number); }

// Few words are everywhere, most are rare, as in a language.
Row RandomRow(Random& random, uint32_t words) {
  Row row;
  for (uint64_t left = random.Below(40); left > 0; --left) {
    row.push_back(Word(static_cast<uint64_t>(std::pow(static_cast<double>(words), random.Fraction())) - 1));
  }
  return row;
}

std::shared_ptr<const InvertedIndex> IndexOf(std::span<const Row> rows) {
  InvertedIndexBuilder builder;
  for (const Row& row : rows) {
    builder.BeginRow();
    for (const std::string& term : row) {
      builder.Add(term);
    }
  }
  return builder.Finish();
}

TextPart PartOf(const InvertedIndex& index) { return {.rows = index.rows(), .columns = {&index}, .passes = nullptr}; }

// The formula, row by row.
std::vector<double> ScoresOf(std::span<const Row> rows, const Row& query, const Bm25Parameters& parameters) {
  double tokens = 0;
  std::map<std::string, double> rows_with;
  for (const Row& row : rows) {
    tokens += static_cast<double>(row.size());
    for (const std::string& term : std::set<std::string>(row.begin(), row.end())) {
      ++rows_with[term];
    }
  }
  const auto n = static_cast<double>(rows.size());
  std::vector<double> scores;
  for (const Row& row : rows) {
    const double length = LengthOf(LengthCode(static_cast<uint32_t>(row.size())));
    double score = 0;
    for (const std::string& term : query) {
      const auto tf = static_cast<double>(std::count(row.begin(), row.end(), term));
      const double rarity = std::log(1 + (n - rows_with[term] + 0.5) / (rows_with[term] + 0.5));
      const double norm = parameters.k1 * (1 - parameters.b + parameters.b * length / (tokens / n));
      score += tf == 0 ? 0 : rarity * (parameters.k1 + 1) * tf / (tf + norm);
    }
    scores.push_back(score);
  }
  return scores;
}

TEST(LengthCode, IsMonotoneExactForShortRowsAndNearForLongOnes) {
  uint32_t before = 0;
  for (uint32_t length = 0; length < 300'000; ++length) {
    const uint32_t told = LengthOf(LengthCode(length));
    ASSERT_LE(told, length);
    ASSERT_GE(told, before);
    ASSERT_GE(told * 1.0625 + 1, length);
    if (length < 32) {
      ASSERT_EQ(told, length);
    }
    before = told;
  }
  EXPECT_GT(LengthOf(LengthCode(UINT32_MAX)), 500'000u);
}

TEST(Bm25, IsTheFormulaWhateverThePartsTheFilterAndK) {
  Random random(11);
  for (int round = 0; round < 60; ++round) {
    std::vector<Row> rows;
    const uint64_t count = round < 10 ? random.Below(5) : 1 + random.Below(round % 3 == 0 ? 20'000 : 700);
    const uint32_t words = 2 + static_cast<uint32_t>(random.Below(3000));
    for (uint64_t i = 0; i < count; ++i) {
      rows.push_back(RandomRow(random, words));
    }
    // Any division into parts.
    std::vector<std::shared_ptr<const InvertedIndex>> indexes;
    std::vector<size_t> begins;
    const uint64_t divisor = 1 + random.Below(4);
    for (size_t begin = 0; begin < rows.size();) {
      const size_t size = std::min<size_t>(rows.size() - begin, rows.size() / divisor + random.Below(3));
      begins.push_back(begin);
      indexes.push_back(IndexOf(std::span(rows).subspan(begin, size)));
      begin += size;
    }
    const uint64_t kept_of_8 = 1 + random.Below(8);
    const auto passes = [&](size_t row) { return (row * 2654435761u >> 7) % 8 < kept_of_8; };
    std::vector<TextPart> parts;
    for (size_t p = 0; p < indexes.size(); ++p) {
      parts.push_back(PartOf(*indexes[p]));
      if (kept_of_8 < 8) {
        parts.back().passes = [&, p](uint32_t row) { return passes(begins[p] + row); };
      }
    }
    for (int q = 0; q < 6; ++q) {
      Row query;
      for (uint64_t left = 1 + random.Below(7); left > 0; --left) {
        query.push_back(Word(static_cast<uint64_t>(std::pow(words, random.Fraction())) - (random.Below(20) != 0)));
      }
      const size_t k = 1 + random.Below(30);
      const Bm25Parameters parameters{.k1 = random.Below(2) == 0 ? 1.2f : 0.6f, .b = random.Below(4) == 0 ? 0 : 0.75f};
      const std::vector<double> scores = ScoresOf(rows, query, parameters);
      std::vector<double> best;
      for (size_t row = 0; row < rows.size(); ++row) {
        if (scores[row] > 0 && (kept_of_8 == 8 || passes(row))) {
          best.push_back(scores[row]);
        }
      }
      std::sort(best.rbegin(), best.rend());
      const auto hits = SearchText(parts, std::vector<Row>{query}, k, parameters, nullptr);
      ASSERT_TRUE(hits.ok());
      ASSERT_EQ(hits->size(), std::min(k, best.size()));
      std::set<std::pair<uint32_t, uint32_t>> seen;
      for (size_t i = 0; i < hits->size(); ++i) {
        const TextHit& hit = (*hits)[i];
        const size_t row = begins[hit.part] + hit.row;
        ASSERT_TRUE(seen.emplace(hit.part, hit.row).second);
        ASSERT_TRUE(kept_of_8 == 8 || passes(row));
        ASSERT_NEAR(hit.score, scores[row], 1e-4 * scores[row]);
        ASSERT_NEAR(hit.score, best[i], 1e-4 * best[i]);
      }
    }
  }
}

TEST(Bm25, AddsTheScoresOfColumns) {
  Random random(17);
  std::vector<Row> titles;
  std::vector<Row> texts;
  for (int i = 0; i < 3000; ++i) {
    titles.push_back(RandomRow(random, 50));
    texts.push_back(RandomRow(random, 400));
  }
  // The last rows have no titles: they were put before there was such a column.
  constexpr size_t kWithTitles = 2000;
  const auto title_index = IndexOf(std::span(titles).first(kWithTitles));
  std::fill(titles.begin() + kWithTitles, titles.end(), Row());
  const auto first = IndexOf(std::span(texts).first(kWithTitles));
  const auto last = IndexOf(std::span(texts).subspan(kWithTitles));
  const std::vector<TextPart> parts = {{kWithTitles, {title_index.get(), first.get()}, nullptr},
                                       {last->rows(), {nullptr, last.get()}, nullptr}};
  const std::vector<Row> query = {{Word(3), Word(20)}, {Word(3), Word(100)}};
  const std::vector<double> of_titles = ScoresOf(titles, query[0], {});
  const std::vector<double> of_texts = ScoresOf(texts, query[1], {});
  std::vector<double> best;
  for (size_t row = 0; row < texts.size(); ++row) {
    best.push_back(of_titles[row] + of_texts[row]);
  }
  std::sort(best.rbegin(), best.rend());
  const auto hits = SearchText(parts, query, 50, {}, nullptr);
  ASSERT_TRUE(hits.ok());
  ASSERT_EQ(hits->size(), 50u);
  for (size_t i = 0; i < hits->size(); ++i) {
    EXPECT_NEAR((*hits)[i].score, best[i], 1e-4 * best[i]);
  }
}

TEST(Bm25, LeavesOutWhatCannotBeAmongTheBest) {
  Random random(3);
  std::vector<Row> rows;
  for (int i = 0; i < 60'000; ++i) {
    rows.push_back(RandomRow(random, 5000));
  }
  const auto index = IndexOf(rows);
  const std::vector<TextPart> parts = {PartOf(*index)};
  TextCounters counters;
  ASSERT_TRUE(SearchText(parts, std::vector<Row>{{Word(0), Word(1), Word(800)}}, 10, {}, nullptr, &counters).ok());
  EXPECT_GT(counters.postings, 30'000u);
  EXPECT_LT(counters.scored, counters.postings / 4);
}

TEST(Bm25, FindsNothingWhereNothingIs) {
  const auto empty = InvertedIndexBuilder().Finish();
  const std::vector<TextPart> parts = {PartOf(*empty)};
  EXPECT_TRUE(SearchText(parts, std::vector<Row>{{"a"}}, 10, {}, nullptr)->empty());
  EXPECT_TRUE(SearchText({}, std::vector<Row>{{"a"}}, 10, {}, nullptr)->empty());
  const std::vector<Row> rows = {{"a"}, {}, {"b", "a"}};
  const auto index = IndexOf(rows);
  const std::vector<TextPart> some = {PartOf(*index)};
  EXPECT_TRUE(SearchText(some, std::vector<Row>{{}}, 10, {}, nullptr)->empty());
  EXPECT_TRUE(SearchText(some, std::vector<Row>{{"c"}}, 10, {}, nullptr)->empty());
  EXPECT_TRUE(SearchText(some, std::vector<Row>{{"a"}}, 0, {}, nullptr)->empty());
  EXPECT_EQ(SearchText(some, std::vector<Row>{{"a", "c"}}, 10, {}, nullptr)->size(), 2u);
}

TEST(Bm25, ACancelledSearchEnds) {
  const std::vector<Row> rows(10, Row{"a"});
  const auto index = IndexOf(rows);
  const std::vector<TextPart> parts = {PartOf(*index)};
  Cancellation cancellation;
  cancellation.Cancel();
  EXPECT_EQ(SearchText(parts, std::vector<Row>{{"a"}}, 3, {}, &cancellation).status().code(), StatusCode::kCancelled);
}

// ---- the index itself --------------------------------------------------------------------------------------------

TEST(InvertedIndex, JoinedIsWhatOneOfAllRowsWouldBe) {
  Random random(5);
  for (int round = 0; round < 10; ++round) {
    std::vector<Row> rows;
    for (uint64_t i = 0; i < 1000; ++i) {
      rows.push_back(RandomRow(random, 300));
    }
    std::vector<std::shared_ptr<const InvertedIndex>> parts;
    for (size_t begin = 0; begin < rows.size();) {
      const size_t size = std::min<size_t>(rows.size() - begin, random.Below(500));
      parts.push_back(IndexOf(std::span(rows).subspan(begin, size)));
      begin += size;
    }
    const auto joined = InvertedIndex::Join(parts);
    EXPECT_EQ(joined->image().view(), IndexOf(rows)->image().view());
  }
}

TEST(InvertedIndex, EveryFlippedByteAndEveryCutIsToldOfAnImage) {
  Random random(6);
  std::vector<Row> rows;
  for (int i = 0; i < 200; ++i) {
    rows.push_back(RandomRow(random, 50));
  }
  const std::string image(IndexOf(rows)->image().view());
  ASSERT_TRUE(InvertedIndex::Open(Slice::Own(image)).ok());
  for (size_t at = 0; at < image.size(); at += 1 + at / 100) {
    std::string flipped = image;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << random.Below(8)));
    EXPECT_FALSE(InvertedIndex::Open(Slice::Own(flipped)).ok()) << "byte " << at;
    EXPECT_FALSE(InvertedIndex::Open(Slice::Own(image.substr(0, at))).ok()) << "cut at " << at;
  }
  EXPECT_FALSE(InvertedIndex::Open(Slice::Own(image + std::string(8, '\0'))).ok());
}

}  // namespace
}  // namespace longbow::text
