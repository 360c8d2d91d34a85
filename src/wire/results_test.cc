#include "wire/results.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "wire/outcome.h"

namespace longbow::wire {
namespace {

TEST(Results, HitsAsArrow) {
  const std::vector<Hit> hits = {{7, 70, 1.0f}, {UINT64_MAX, 1, 0.25f}};
  const auto plain = HitBatch(hits, {}, false);
  ASSERT_TRUE(plain->ValidateFull().ok());
  EXPECT_EQ(plain->schema()->ToString(), "id: uint64 not null\nscore: float not null");
  EXPECT_EQ(static_cast<const arrow::UInt64Array&>(*plain->column(0)).Value(1), UINT64_MAX);
  EXPECT_EQ(static_cast<const arrow::FloatArray&>(*plain->column(1)).Value(1), 0.25f);
  const auto with_vectors = HitBatch(hits, {std::string("\0\1", 2), "abcd"}, true);
  ASSERT_TRUE(with_vectors->ValidateFull().ok());
  EXPECT_TRUE(with_vectors->schema()->Equals(*HitSchema(true)));
  EXPECT_EQ(static_cast<const arrow::BinaryArray&>(*with_vectors->column(2)).GetView(0), std::string_view("\0\1", 2));
  EXPECT_EQ(static_cast<const arrow::BinaryArray&>(*with_vectors->column(2)).GetView(1), "abcd");
  const auto none = HitBatch({}, {}, true);
  EXPECT_EQ(none->num_rows(), 0);
  EXPECT_TRUE(none->ValidateFull().ok());
}

TEST(Results, HitsAsJson) {
  EXPECT_EQ(HitsJson({}), R"({"ids":[],"scores":[]})");
  EXPECT_EQ(HitsJson({{7, 0, 1.0f}, {769, 0, 0.24899596f}, {964, 0, -2.5f}}),
            R"({"ids":[7,769,964],"scores":[1,0.24899596,-2.5]})");
  EXPECT_EQ(HitsJson({{1, 0, std::numeric_limits<float>::infinity()}}), R"({"ids":[1],"scores":[null]})");
}

TEST(Results, Explanations) {
  SearchExplanation explanation;
  SegmentExplanation part;
  part.rows = 1000;
  part.method = SearchMethod::kFilteredWalk;
  part.estimated_selectivity = 0.5;
  part.visited = 77;
  part.ef = 96;
  explanation.segments = {part};
  const auto schema = WithExplanations(HitSchema(false), {&explanation, &explanation});
  ASSERT_TRUE(schema->Equals(*HitSchema(false), false));
  const std::string json = *schema->metadata()->Get(kExplainKey);
  const auto parsed = nlohmann::json::parse(json);
  ASSERT_EQ(parsed.size(), 2u);
  const auto& segment = parsed[0]["segments"][0];
  EXPECT_EQ(segment["method"], "filtered_walk");
  EXPECT_EQ(segment["visited"], 77);
  EXPECT_EQ(segment["ef"], 96);
  EXPECT_EQ(segment["estimated_selectivity"], 0.5);
  EXPECT_TRUE(segment["actual_selectivity"].is_null());
  EXPECT_EQ(parsed[1]["repeated_exactly"], false);
}

TEST(Outcome, KeepsTheCodeAndAddsNoTrailers) {
  for (const Status& status : {Status(), NotFound("dataset x not found"), ResourceExhausted("too much")}) {
    const net::Outcome outcome = ToOutcome(status);
    EXPECT_EQ(outcome.status.code(), status.code());
    EXPECT_EQ(outcome.status.message(), status.message());
    EXPECT_TRUE(outcome.trailers.empty());
  }
}

TEST(Outcome, EveryCodeHasAnHttpStatus) {
  const int expected[] = {200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401};
  for (int code = 0; code < 17; ++code) {
    EXPECT_EQ(ToOutcome(Status(static_cast<StatusCode>(code), "m")).http_status, expected[code]) << code;
  }
}

}  // namespace
}  // namespace longbow::wire
