#include "engine/hybrid.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "engine/search.h"
#include "engine/shard.h"
#include "engine/test_rows.h"

namespace longbow::engine {
namespace {

constexpr int kDimension = 4;

std::vector<uint64_t> IdsOf(const std::vector<RankedRow>& rows) {
  std::vector<uint64_t> ids;
  for (const RankedRow& row : rows) {
    ids.push_back(row.ordinal);
  }
  return ids;
}

TEST(Fusion, ByRankAddsReciprocalRanks) {
  const std::vector<RankedRow> fused = FuseByRank({{1, 9}, {2, 8}, {3, 7}}, {{3, 2}, {4, 1}}, 3);
  ASSERT_EQ(IdsOf(fused), (std::vector<uint64_t>{3, 1, 2}));  // 2 and 4 are equal: the lower ordinal
  EXPECT_FLOAT_EQ(fused[0].score, 1 / 63.0f + 1 / 61.0f);
  EXPECT_FLOAT_EQ(fused[1].score, 1 / 61.0f);
  EXPECT_TRUE(FuseByRank({}, {}, 3).empty());
}

TEST(Fusion, ByScoreWeighsEachListFromItsWorstToItsBest) {
  const std::vector<RankedRow> dense = {{1, 0.9f}, {2, 0.8f}, {3, 0.5f}};
  const std::vector<RankedRow> words = {{3, 12}, {2, 3}};
  const std::vector<RankedRow> fused = FuseByScore(dense, words, 0.5, 10);
  ASSERT_EQ(IdsOf(fused), (std::vector<uint64_t>{1, 3, 2}));
  EXPECT_FLOAT_EQ(fused[0].score, 0.5f);
  EXPECT_FLOAT_EQ(fused[2].score, 0.375f);
  EXPECT_EQ(IdsOf(FuseByScore(dense, words, 1, 2)), (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(FuseByScore(dense, words, 0, 1)[0].ordinal, 3u);
  EXPECT_FLOAT_EQ(FuseByScore({{7, 0.2f}}, {}, 0.4, 5)[0].score, 0.4f) << "the only one is the best one";
}

TEST(Fusion, TheWeightGoesByTheLookOfTheWords) {
  EXPECT_EQ(AlphaFor("fox"), 0.3);
  EXPECT_EQ(AlphaFor("error 0x80070005 when installing the update today"), 0.3);
  EXPECT_EQ(AlphaFor("quick brown fox"), 0.5);
  EXPECT_EQ(AlphaFor("how do foxes find food in winter"), 0.7);
}

// Drives a shard as the log would.
class WordSearchTest : public ::testing::Test {
 protected:
  void Put(const std::vector<TestRow>& rows) {
    ASSERT_TRUE(shard_.ApplyRows(TestBatch(schema_, rows), LogIndex{++index_}).ok());
  }
  void Delete(int64_t id) { shard_.ApplyDelete({RowKey(static_cast<uint64_t>(id))}, LogIndex{++index_}); }
  TestRow Row(int64_t id, const std::string& name) { return {id, RandomVector(random_, kDimension), name}; }

  Result<std::vector<Hit>> Find(SearchRequest request) {
    LB_ASSIGN(const auto results, Search(*shard_.Pin(), request, {}, nullptr));
    return results.front().hits;
  }
  std::vector<uint64_t> Words(const std::string& words, int64_t k = 10, const Predicate& filter = {}) {
    SearchRequest request;
    request.text_query = words;
    request.alpha = 0;
    request.k = k;
    request.filter = filter;
    const auto hits = Find(request);
    EXPECT_TRUE(hits.ok()) << hits.status().ToString();
    std::vector<uint64_t> ids;
    for (const Hit& hit : hits.ok() ? *hits : std::vector<Hit>()) {
      ids.push_back(hit.id);
    }
    return ids;
  }

  std::shared_ptr<arrow::Schema> schema_ = TestSchema(kDimension);
  Shard shard_{ShardId{1}, *CollectionSchema::FromArrow(TestSchema(kDimension)), TestSegmentOptions(500)};
  uint64_t index_ = 1;
  Random random_{7};
};

TEST_F(WordSearchTest, EveryPutIsFoundAtOnceAndNothingDeletedIs) {
  Put({Row(1, "The quick brown fox"), Row(2, "a lazy dog"), Row(3, "foxes are quick")});
  EXPECT_EQ(Words("quick fox"), (std::vector<uint64_t>{1, 3}));
  Put({Row(4, "fox fox fox")});
  EXPECT_EQ(Words("fox").front(), 4u);
  Put({Row(4, "no longer")});
  EXPECT_EQ(Words("FOX"), (std::vector<uint64_t>{1}));
  Delete(1);
  EXPECT_TRUE(Words("fox").empty());
  EXPECT_EQ(Words("longer"), (std::vector<uint64_t>{4}));
  EXPECT_TRUE(Words("unheard of").empty());
}

TEST_F(WordSearchTest, OneListOrBothAreRankedAsTheContractSays) {
  Put({Row(1, "fox"), Row(2, "dog"), Row(3, "fox dog cat bird mouse")});
  SearchRequest request;
  request.text_query = "fox";
  request.alpha = 0.5;
  const auto words_alone = Find(request);
  ASSERT_TRUE(words_alone.ok());
  ASSERT_EQ(words_alone->size(), 2u);
  EXPECT_FLOAT_EQ((*words_alone)[0].score, 1 / 61.0f);
  request.vectors = {{0, 0, 0, 0}};
  request.k = 1;
  const auto both = Find(request);
  ASSERT_TRUE(both.ok());
  EXPECT_GT((*both)[0].score, 1 / 61.0f);
  request.alpha = 1;
  const auto dense = Find(request);
  request.text_query.clear();
  ASSERT_TRUE(dense.ok());
  EXPECT_EQ((*Find(request))[0].score, (*dense)[0].score);
}

TEST_F(WordSearchTest, AgreesWithTheWordsThemselvesWhateverTheFilterAndTheMixOfPuts) {
  std::map<int64_t, TestRow> model;
  for (int step = 0; step < 80; ++step) {
    std::vector<TestRow> rows(1 + random_.Below(step % 9 == 0 ? 700 : 5));
    for (TestRow& row : rows) {
      std::string name;
      for (uint64_t left = random_.Below(6); left > 0; --left) {
        name += "w" + std::to_string(random_.Below(random_.Below(2) == 0 ? 5 : 300)) + " ";
      }
      row = Row(static_cast<int64_t>(random_.Below(3000)), name);
      model[row.id] = row;
    }
    Put(rows);
    if (step % 5 == 0) {
      const auto gone = static_cast<int64_t>(random_.Below(3000));
      Delete(gone);
      model.erase(gone);
    }
    const std::string word = "w" + std::to_string(random_.Below(8));
    const auto below = static_cast<int64_t>(random_.Below(3000));
    Predicate filter;
    if (step % 2 == 0) {
      filter = {.op = Predicate::Op::kLt, .field = "id", .values = {std::to_string(below)}, .children = {}};
    }
    std::set<uint64_t> expected;
    for (const auto& [id, row] : model) {
      if ((row.name + " ").find(word + " ") != std::string::npos && (step % 2 != 0 || id < below)) {
        expected.insert(static_cast<uint64_t>(id));
      }
    }
    const std::vector<uint64_t> found = Words(word, 4000, filter);
    EXPECT_EQ(std::set<uint64_t>(found.begin(), found.end()), expected) << "step " << step;
    EXPECT_EQ(found.size(), expected.size());
  }
}

TEST_F(WordSearchTest, WhatCannotBeAnsweredSaysSo) {
  Put({Row(1, "fox")});
  SearchRequest request;
  request.text_query = "fox";
  request.alpha = 0;
  request.k = 0;
  EXPECT_EQ(Find(request).status().message(), "k must be at least 1");
  const auto numbers = arrow::schema({arrow::field("id", arrow::int64()), arrow::field("n", arrow::int64())});
  Shard plain(ShardId{2}, *CollectionSchema::FromArrow(numbers), TestSegmentOptions());
  request.k = 3;
  EXPECT_EQ(Search(*plain.Pin(), request, {}, nullptr).status().code(), StatusCode::kFailedPrecondition);
  const auto odd =
      TestSchema(kDimension)->WithMetadata(arrow::key_value_metadata({"longbow.text.stemmer"}, {"klingon"}));
  EXPECT_EQ(CheckTextColumns(*CollectionSchema::FromArrow(odd)).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace longbow::engine
