// Columns that come later and columns that widen, against a model: random puts of random widths between restarts,
// checkpoints and compactions; scans, filters and filtered searches over segments of every version.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include <cmath>
#include <future>
#include <limits>
#include <map>
#include <set>
#include <variant>

#include "base/memory_file_system.h"
#include "engine/scan.h"
#include "engine/store.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"

namespace longbow::engine {
namespace {

using Op = Predicate::Op;
using Value = std::variant<std::monostate, int64_t, double, std::string>;  // monostate: null

constexpr int kDimension = 4;

// What a column may be, narrow to wide; a put takes any of them.
const std::map<std::string, std::vector<std::shared_ptr<arrow::DataType>>>& Ladders() {
  static const std::map<std::string, std::vector<std::shared_ptr<arrow::DataType>>> kLadders = {
      {"id", {arrow::uint8(), arrow::int16(), arrow::int32(), arrow::int64()}},
      {"signed", {arrow::int8(), arrow::int16(), arrow::int32(), arrow::int64()}},
      {"unsigned", {arrow::uint8(), arrow::uint16(), arrow::uint32(), arrow::int64()}},
      {"number", {arrow::float32(), arrow::float64()}},
      {"text", {arrow::null(), arrow::utf8(), arrow::large_utf8()}},
  };
  return kLadders;
}

// A value at, or near, an edge of what the type holds.
Value RandomValue(const arrow::DataType& type, Random& random) {
  if (type.id() == arrow::Type::NA || random.Below(8) == 0) {
    return {};
  }
  if (arrow::is_floating(type.id())) {
    const double wide = type.id() == arrow::Type::DOUBLE && random.Below(2) == 0 ? 1e300 : 1;
    return (static_cast<double>(random.Below(64)) - 32) * 0.25 * wide;
  }
  if (type.id() == arrow::Type::STRING || type.id() == arrow::Type::LARGE_STRING) {
    return "text " + std::to_string(random.Below(50));
  }
  const int bits = type.bit_width() - (arrow::is_signed_integer(type.id()) ? 1 : 0);
  const int64_t max = bits == 63 ? std::numeric_limits<int64_t>::max() : (int64_t{1} << bits) - 1;
  const int64_t min = arrow::is_signed_integer(type.id()) ? -max - 1 : 0;
  switch (random.Below(4)) {
    case 0:
      return max - static_cast<int64_t>(random.Below(3));
    case 1:
      return min + static_cast<int64_t>(random.Below(3));
    default:
      return static_cast<int64_t>(random.Below(100));
  }
}

std::shared_ptr<arrow::Array> ArrayOf(const std::shared_ptr<arrow::DataType>& type, const std::vector<Value>& values) {
  if (type->id() == arrow::Type::NA) {
    return *arrow::MakeArrayOfNull(type, static_cast<int64_t>(values.size()));
  }
  auto builder = *arrow::MakeBuilder(type);
  for (const Value& value : values) {
    std::shared_ptr<arrow::Scalar> scalar = arrow::MakeNullScalar(type);
    if (const auto* number = std::get_if<int64_t>(&value)) {
      scalar = *arrow::Int64Scalar(*number).CastTo(type);
    } else if (const auto* real = std::get_if<double>(&value)) {
      scalar = *arrow::DoubleScalar(*real).CastTo(type);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      scalar = *arrow::StringScalar(*text).CastTo(type);
    }
    EXPECT_TRUE(builder->AppendScalar(*scalar).ok());
  }
  return *builder->Finish();
}

Value ValueAt(const arrow::Array& array, int64_t i) {
  const auto scalar = *array.GetScalar(i);
  if (!scalar->is_valid) {
    return {};
  }
  if (arrow::is_integer(array.type_id())) {
    return std::static_pointer_cast<arrow::Int64Scalar>(*scalar->CastTo(arrow::int64()))->value;
  }
  if (arrow::is_floating(array.type_id())) {
    return std::static_pointer_cast<arrow::DoubleScalar>(*scalar->CastTo(arrow::float64()))->value;
  }
  return scalar->ToString();
}

std::string TextOf(const Value& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) {
    return std::to_string(*number);
  }
  if (const auto* real = std::get_if<double>(&value)) {
    return arrow::DoubleScalar(*real).ToString();
  }
  return std::get<std::string>(value);
}

bool Holds(Op op, const Value& value, const Value& asked) {
  if (std::holds_alternative<std::monostate>(value)) {
    return op == Op::kIsNull;
  }
  return op == Op::kEq ? value == asked : op == Op::kLt ? value < asked : op == Op::kGe ? value >= asked : false;
}

class SchemaEvolutionTest : public ::testing::Test {
 protected:
  using Row = std::map<std::string, Value>;

  void Open() {
    store_.reset();
    StoreOptions options = TestStoreOptions("/data", 300);
    options.segment.filters.rows_min = 64;
    options.tidy_files = false;
    options.compact = false;
    auto store = Store::Open({disk_, RealClock(), logger_, metrics_}, options);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = std::move(*store);
    while (!store_->FilesAreChecked()) {
      std::this_thread::yield();
    }
  }
  Status PutBatch(const std::shared_ptr<arrow::RecordBatch>& rows) {
    std::promise<Status> answer;
    store_->Put("a", WithEncoding(rows), nullptr, [&](Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }
  const CollectionSchema& Schema() {
    view_ = (*store_->Find("a"))->shard.Pin();
    return *view_->schema;
  }

  // Each column as a type of its ladder, at most `rank`; some columns are left out.
  void PutSome(size_t rank, bool with_vectors) {
    const auto count = static_cast<int64_t>(1 + random_.Below(80));
    arrow::FieldVector fields;
    arrow::ArrayVector arrays;
    std::vector<Row> rows(static_cast<size_t>(count));
    for (const auto& [name, ladder] : Ladders()) {
      if (name != "id" && random_.Below(5) == 0) {
        continue;
      }
      const size_t at = random_.Below(std::min(ladder.size(), rank + 1));
      std::vector<Value> values;
      for (Row& row : rows) {
        const int64_t ids = at == 0 ? 256 : 2000;
        row[name] = name == "id" ? Value(static_cast<int64_t>(random_.Below(static_cast<uint64_t>(ids))))
                                 : RandomValue(*ladder[at], random_);
        values.push_back(row[name]);
      }
      fields.push_back(arrow::field(name, ladder[at]));
      arrays.push_back(ArrayOf(ladder[at], values));
      widest_[name] = std::max(widest_[name], at);
    }
    std::vector<TestRow> plain;
    for (int64_t i = 0; i < count; ++i) {
      plain.push_back({i, RandomVector(random_, kDimension), ""});
    }
    if (with_vectors) {
      const auto vectors = TestBatch(TestSchema(kDimension), plain);
      fields.push_back(vectors->schema()->field(1));
      arrays.push_back(vectors->column(1));
    }
    const Status status = PutBatch(arrow::RecordBatch::Make(arrow::schema(fields), count, arrays));
    ASSERT_TRUE(status.ok()) << status.ToString();
    for (const Row& row : rows) {
      const int64_t id = std::get<int64_t>(row.at("id"));
      model_[id] = row;
      with_vector_.erase(id);
      if (with_vectors) {
        with_vector_.insert(id);
      }
    }
  }

  void CheckScan() {
    auto cursor = *ScanCursor::Open((*store_->Find("a"))->shard, {});
    const auto schema = cursor->schema();
    size_t found = 0;
    while (const auto batch = *cursor->Next(nullptr)) {
      ASSERT_TRUE(batch->ValidateFull().ok());
      ASSERT_TRUE(batch->schema()->Equals(*schema, false));
      for (int64_t i = 0; i < batch->num_rows(); ++i) {
        const auto row = model_.find(std::get<int64_t>(ValueAt(*batch->GetColumnByName("id"), i)));
        ASSERT_NE(row, model_.end());
        ++found;
        if (const auto vectors = batch->GetColumnByName("vector")) {
          ASSERT_EQ(vectors->IsValid(i), with_vector_.contains(row->first));
        }
        for (const auto& [name, at] : widest_) {
          const auto column = batch->GetColumnByName(name);
          const auto expected = row->second.find(name);
          ASSERT_EQ(ValueAt(*column, i), expected == row->second.end() ? Value() : expected->second) << name;
          ASSERT_TRUE(column->type()->Equals(Ladders().at(name)[at])) << column->type()->ToString();
        }
      }
    }
    ASSERT_EQ(found, model_.size());
  }

  void CheckFilters() {
    for (int i = 0; i < 20; ++i) {
      const auto& ladder = Ladders();
      const std::string name = std::next(ladder.begin(), static_cast<int64_t>(random_.Below(ladder.size())))->first;
      if (!widest_.contains(name) || Ladders().at(name)[widest_[name]]->id() == arrow::Type::NA) {
        continue;
      }
      const Value asked = RandomValue(*Ladders().at(name)[widest_[name]], random_);
      const Op ops[] = {Op::kEq, Op::kLt, Op::kGe};
      const bool is_null = std::holds_alternative<std::monostate>(asked);
      const Op op = is_null ? Op::kIsNull : ops[random_.Below(3)];
      const Predicate filter{op, name, is_null ? std::vector<std::string>() : std::vector{TextOf(asked)}, {}};
      std::set<int64_t> expected;
      for (const auto& [id, row] : model_) {
        const auto value = row.find(name);
        if (Holds(op, value == row.end() ? Value() : value->second, asked)) {
          expected.insert(id);
        }
      }
      SCOPED_TRACE(testing::Message() << name << " op " << static_cast<int>(op) << " "
                                      << (is_null ? "" : TextOf(asked)));
      ScanRequest scan;
      scan.filter = filter;
      auto cursor = ScanCursor::Open((*store_->Find("a"))->shard, scan);
      ASSERT_TRUE(cursor.ok()) << cursor.status().ToString();
      std::set<int64_t> scanned;
      while (const auto batch = *(*cursor)->Next(nullptr)) {
        for (int64_t row = 0; row < batch->num_rows(); ++row) {
          scanned.insert(std::get<int64_t>(ValueAt(*batch->GetColumnByName("id"), row)));
        }
      }
      ASSERT_EQ(scanned, expected);
      SearchRequest search;
      search.collection = "a";
      search.vectors = {RandomVector(random_, kDimension)};
      search.k = 5000;
      search.filter = filter;
      const auto results = store_->Search(search, nullptr);
      if (Schema().vector_column < 0) {
        ASSERT_EQ(results.status().code(), StatusCode::kFailedPrecondition);
        continue;
      }
      ASSERT_TRUE(results.ok()) << results.status().ToString();
      std::erase_if(expected, [&](int64_t id) { return !with_vector_.contains(id); });
      std::set<int64_t> found;
      for (const Hit& hit : results->front().hits) {
        found.insert(static_cast<int64_t>(hit.id));
      }
      ASSERT_EQ(found, expected);
    }
  }

  MemoryFileSystem disk_;
  Logger logger_{{.level = LogLevel::kError, .sink = [](std::string_view) {}}};
  Metrics metrics_;
  std::unique_ptr<Store> store_;
  std::shared_ptr<const View> view_;
  Random random_{31};
  std::map<int64_t, Row> model_;
  std::set<int64_t> with_vector_;
  std::map<std::string, size_t> widest_;  // rung of each column that was put
};

TEST_F(SchemaEvolutionTest, RandomEvolutionsAgreeWithAModel) {
  for (int story = 0; story < 4; ++story) {
    Open();
    uint64_t version = 0;
    for (int step = 0; step < 80; ++step) {
      SCOPED_TRACE(testing::Message() << "story " << story << " step " << step);
      PutSome(static_cast<size_t>(step) / 20, story % 2 == 0 || step >= 30);
      if (random_.Below(4) == 0 && !model_.empty()) {
        const int64_t id = model_.begin()->first;
        ASSERT_TRUE(store_->Delete("a", {std::to_string(id)}).ok());
        model_.erase(id);
        with_vector_.erase(id);
      }
      if (random_.Below(6) == 0) {
        ASSERT_TRUE(store_->Checkpoint().ok());
      }
      if (random_.Below(8) == 0) {
        Open();
      }
      if (random_.Below(10) == 0) {
        size_t compacted = 0;
        const Status status = store_->Compact(&compacted);
        ASSERT_TRUE(status.ok()) << status.ToString();
      }
      EXPECT_GE(Schema().version, version);
      version = Schema().version;
      CheckFilters();
      if (step % 5 == 0) {
        CheckScan();
      }
      ASSERT_FALSE(HasFailure());
    }
    EXPECT_GT(version, 5u);
    ASSERT_TRUE(store_->DropCollection("a").ok());
    model_.clear();
    with_vector_.clear();
    widest_.clear();
  }
}

TEST_F(SchemaEvolutionTest, TheFirstVectorsSayWhatTheyAre) {
  Open();
  const auto id = arrow::field("id", arrow::int64());
  const auto ids = ArrayOf(arrow::int64(), {Value(int64_t{7})});
  ASSERT_TRUE(PutBatch(arrow::RecordBatch::Make(arrow::schema({id}), 1, {ids})).ok());
  const auto vectors = TestBatch(TestSchema(kDimension), {{8, RandomVector(random_, kDimension), ""}})->column(1);
  const auto with = [&](const char* metric, const std::shared_ptr<arrow::Array>& column) {
    const auto metadata = arrow::key_value_metadata({"longbow.metric"}, {metric});
    return arrow::RecordBatch::Make(arrow::schema({id, arrow::field("vector", column->type())}, metadata), 1,
                                    {ArrayOf(arrow::int64(), {Value(int64_t{8})}), column});
  };
  EXPECT_EQ(PutBatch(with("hamming", vectors)).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(PutBatch(with("cosine", ids)).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Schema().vector_column, -1);
  ASSERT_TRUE(PutBatch(with("cosine", vectors)).ok());
  EXPECT_EQ(PutBatch(with("euclidean", vectors)).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(PutBatch(arrow::RecordBatch::Make(arrow::schema({id}), 1, {ids})).code(), StatusCode::kInvalidArgument);
  for (int life = 0; life < 3; ++life) {
    EXPECT_EQ(Schema().metric, Metric::kCosine);
    EXPECT_EQ(Schema().dimension, static_cast<uint32_t>(kDimension));
    const auto hits = store_->SearchById("a", "8", 5, nullptr);
    ASSERT_TRUE(hits.ok()) << hits.status().ToString();
    ASSERT_EQ(hits->size(), 1u);
    EXPECT_EQ(hits->front().id, 8u);
    EXPECT_EQ(store_->SearchById("a", "7", 5, nullptr).status().code(), StatusCode::kFailedPrecondition);
    if (life == 1) {
      ASSERT_TRUE(store_->Checkpoint().ok());
    }
    Open();
  }
}

TEST_F(SchemaEvolutionTest, WhatWouldLoseSomethingIsRefusedAndChangesNothing) {
  Open();
  const auto batch = [](const std::shared_ptr<arrow::DataType>& type) {
    return arrow::RecordBatch::Make(arrow::schema({arrow::field("id", arrow::int64()), arrow::field("x", type)}), 1,
                                    {ArrayOf(arrow::int64(), {Value(int64_t{7})}), *arrow::MakeArrayOfNull(type, 1)});
  };
  ASSERT_TRUE(PutBatch(batch(arrow::int32())).ok());
  for (const auto& type : {arrow::uint32(), arrow::uint64(), arrow::float64(), arrow::utf8(), arrow::boolean()}) {
    const Status status = PutBatch(batch(type));
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << type->ToString();
    EXPECT_NE(status.message().find("(without losing anything the column takes int8, int16, uint8 and uint16 too, and "
                                    "becomes int64 if that comes)"),
              std::string_view::npos)
        << status.ToString();
  }
  EXPECT_TRUE(Schema().columns->field(1)->type()->Equals(arrow::int32()));
  EXPECT_EQ(Schema().version, 1u);
  EXPECT_EQ(view_->live_rows, 1u);
  ASSERT_TRUE(PutBatch(batch(arrow::int64())).ok());
  EXPECT_EQ(Schema().version, 2u);
  Open();
  EXPECT_EQ(Schema().version, 2u);
}

}  // namespace
}  // namespace longbow::engine
