// The index of columns with many values, extremes, NaN, empty and unicode texts, against reading the columns.
#include "filter/index_answers.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "model/widening.h"

namespace longbow::filter {
namespace {

using Op = Predicate::Op;

constexpr int64_t kRows = 20'000;

class WideColumns {
 public:
  explicit WideColumns(uint32_t seed) : random_(seed) {
    Add<arrow::Int64Builder, int64_t>("i64", arrow::int64());
    Add<arrow::UInt64Builder, uint64_t>("u64", arrow::uint64());
    Add<arrow::Int8Builder, int8_t>("i8", arrow::int8());
    Add<arrow::TimestampBuilder, int64_t>("time", arrow::timestamp(arrow::TimeUnit::MICRO));
    AddFloats<arrow::DoubleBuilder, double>("f64", arrow::float64());
    AddFloats<arrow::FloatBuilder, float>("f32", arrow::float32());
    AddHalves();
    AddTexts();
    rows_ = arrow::RecordBatch::Make(arrow::schema(fields_), kRows, arrays_);
  }

  uint64_t Below(uint64_t bound) { return random_() % bound; }
  const std::shared_ptr<arrow::RecordBatch>& rows() const { return rows_; }

  // A value that stands in some row, or near one, or none at all.
  std::string Literal(const std::string& field) {
    const auto scalar = *rows_->GetColumnByName(field)->GetScalar(static_cast<int64_t>(Below(kRows)));
    if (!scalar->is_valid) {
      return field == "text" ? "" : "0";
    }
    if (field == "text") {
      const std::string value = scalar->ToString();
      const size_t begin = Below(value.size() + 1);
      return Below(2) == 0 ? value : value.substr(begin, Below(value.size() - begin + 1));
    }
    if (field == "time") {
      return std::to_string(static_cast<const arrow::TimestampScalar&>(*scalar).value);
    }
    const std::string value = scalar->ToString();
    return value.find("nan") == std::string::npos ? value : "1.5";
  }

  Predicate Condition() {
    const std::string field = fields_[Below(fields_.size())]->name();
    std::vector<Op> ops = {Op::kEq, Op::kNe,    Op::kLt,      Op::kLe,     Op::kGt,       Op::kGe,
                           Op::kIn, Op::kNotIn, Op::kBetween, Op::kIsNull, Op::kIsNotNull};
    if (field == "text") {
      ops.insert(ops.end(), {Op::kContains, Op::kContains, Op::kPrefix, Op::kPrefix});
    }
    const Op op = ops[Below(ops.size())];
    Predicate predicate{op, field, {}, {}};
    const uint64_t values = op == Op::kIn || op == Op::kNotIn           ? Below(400)
                            : op == Op::kBetween                        ? 2
                            : op == Op::kIsNull || op == Op::kIsNotNull ? 0
                                                                        : 1;
    for (uint64_t i = 0; i < values; ++i) {
      predicate.values.push_back(Literal(field));
    }
    return predicate;
  }

  Predicate Tree(int depth) {
    if (depth == 0 || Below(3) == 0) {
      return Condition();
    }
    Predicate predicate;
    predicate.op = std::vector<Op>{Op::kAnd, Op::kOr, Op::kNot}[Below(3)];
    for (uint64_t i = predicate.op == Op::kNot ? 1 : Below(4); i > 0; --i) {
      predicate.children.push_back(Tree(depth - 1));
    }
    return predicate;
  }

 private:
  template <typename Builder, typename T>
  void Add(const std::string& name, std::shared_ptr<arrow::DataType> type) {
    Builder builder(std::move(type), arrow::default_memory_pool());
    for (int64_t i = 0; i < kRows; ++i) {
      const uint64_t kind = Below(50);
      const T value = kind == 0   ? std::numeric_limits<T>::max()
                      : kind == 1 ? std::numeric_limits<T>::min()
                      : kind < 10 ? static_cast<T>(Below(5))
                                  : static_cast<T>(random_());
      EXPECT_TRUE((kind == 2 ? builder.AppendNull() : builder.Append(value)).ok());
    }
    Keep(name, *builder.Finish());
  }
  template <typename Builder, typename T>
  void AddFloats(const std::string& name, std::shared_ptr<arrow::DataType> type) {
    Builder builder(std::move(type), arrow::default_memory_pool());
    const std::vector<T> special = {0,
                                    -T{0},
                                    std::numeric_limits<T>::infinity(),
                                    -std::numeric_limits<T>::infinity(),
                                    std::numeric_limits<T>::quiet_NaN(),
                                    std::numeric_limits<T>::denorm_min(),
                                    std::numeric_limits<T>::max(),
                                    std::numeric_limits<T>::lowest()};
    for (int64_t i = 0; i < kRows; ++i) {
      const uint64_t kind = Below(50);
      const T value = kind < special.size() ? special[kind] : static_cast<T>(Below(1 << 20)) / 7 - 50'000;
      EXPECT_TRUE((kind == 49 ? builder.AppendNull() : builder.Append(value)).ok());
    }
    Keep(name, *builder.Finish());
  }
  void AddHalves() {
    arrow::HalfFloatBuilder builder;
    for (int64_t i = 0; i < kRows; ++i) {
      EXPECT_TRUE((Below(50) == 0 ? builder.AppendNull() : builder.Append(static_cast<uint16_t>(Below(1 << 16)))).ok());
    }
    Keep("f16", *builder.Finish());
  }
  void AddTexts() {
    const std::vector<std::string> parts = {"",     "a", "ab", "django", "-", "日本", "é", std::string(1, '\0'),
                                            "\xff", "z"};
    arrow::StringBuilder builder;
    for (int64_t i = 0; i < kRows; ++i) {
      std::string value;
      for (uint64_t n = Below(6); n > 0; --n) {
        value += parts[Below(parts.size())];
      }
      if (Below(2) == 0) {
        value += std::to_string(Below(100'000));
      }
      EXPECT_TRUE((Below(50) == 0 ? builder.AppendNull() : builder.Append(value)).ok());
    }
    Keep("text", *builder.Finish());
  }
  void Keep(const std::string& name, std::shared_ptr<arrow::Array> array) {
    fields_.push_back(arrow::field(name, array->type()));
    arrays_.push_back(std::move(array));
  }

  std::mt19937_64 random_;
  arrow::FieldVector fields_;
  arrow::ArrayVector arrays_;
  std::shared_ptr<arrow::RecordBatch> rows_;
};

// Notes every column and builds until there is nothing left to build.
std::shared_ptr<const FilterIndex> BuildAll(const std::shared_ptr<arrow::RecordBatch>& rows, uint32_t stable_rows) {
  AdaptiveFilterIndex adaptive({.rows_min = 1, .size_max_bytes_per_row = 4096});
  const std::vector<PlacedRows> batches = {{0, rows->Slice(0, 700)}, {700, rows->Slice(700, stable_rows - 700)}};
  EXPECT_FALSE(adaptive.HasWork(*rows->schema(), stable_rows));
  for (const auto& field : rows->schema()->fields()) {
    const bool text = field->name() == "text";
    adaptive.NoteUse(*BoundPredicate::Bind(
        {text ? Op::kContains : Op::kIsNull, field->name(), std::vector<std::string>(text ? 1 : 0, "a"), {}},
        *rows->schema()));
  }
  int built = 0;
  while (adaptive.Build(*rows->schema(), batches, stable_rows)) {
    EXPECT_LE(++built, rows->num_columns());
  }
  EXPECT_EQ(built, rows->num_columns());
  EXPECT_FALSE(adaptive.HasWork(*rows->schema(), stable_rows));
  EXPECT_TRUE(adaptive.HasWork(*rows->schema(), stable_rows * 2));
  EXPECT_EQ(adaptive.current()->columns().size(), static_cast<size_t>(rows->num_columns()));
  return adaptive.current();
}

uint64_t Count(const std::vector<uint64_t>& bits, uint32_t rows) {
  uint64_t count = 0;
  for (uint32_t row = 0; row < rows; ++row) {
    count += bits[row / 64] >> (row % 64) & 1;
  }
  return count;
}

TEST(IndexAnswers, AgreeWithReadingTheColumns) {
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    WideColumns columns(seed);
    const auto indexed = static_cast<uint32_t>(kRows - columns.Below(5'000));
    const auto index = BuildAll(columns.rows(), indexed);
    EXPECT_TRUE(index->Find("text")->has_trigrams());
    EXPECT_FALSE(index->Find("i64")->inverted());
    EXPECT_TRUE(index->Find("i8")->inverted());
    for (int round = 0; round < 400; ++round) {
      const Predicate predicate = columns.Tree(2);
      const auto bound = BoundPredicate::Bind(predicate, *columns.rows()->schema());
      ASSERT_TRUE(bound.ok()) << bound.status().ToString();
      std::vector<uint64_t> expected(kRows / 64 + 1, 0);
      bound->Evaluate(*columns.rows(), expected.data(), 0);
      IndexAnswers answers(*bound, index);
      const double estimate = answers.EstimateSelectivity({});
      const uint32_t covered = std::min<uint32_t>(answers.covered_rows(), kRows);
      answers.Materialise();
      std::vector<uint64_t> found(kRows / 64 + 1, ~uint64_t{0});
      answers.Fill(found.data(), covered);
      bound->Evaluate(*columns.rows()->Slice(covered), found.data(), covered, &answers);
      for (uint32_t row = 0; row < kRows; ++row) {
        ASSERT_EQ(found[row / 64] >> (row % 64) & 1, expected[row / 64] >> (row % 64) & 1)
            << "row " << row << " op " << static_cast<int>(predicate.op) << " field " << predicate.field << " "
            << (predicate.values.empty() ? "" : predicate.values[0]);
      }
      if (!predicate.field.empty() && predicate.op != Op::kContains) {
        ASSERT_EQ(covered, indexed);
        EXPECT_DOUBLE_EQ(estimate, static_cast<double>(Count(expected, covered)) / covered) << "one condition: exact";
      }
      if (const auto range = answers.NarrowestRange(); range && range->whole_predicate) {
        const std::vector<uint32_t> order = range->column->RowsInOrder();
        ASSERT_EQ(order.size(), indexed);
        ASSERT_EQ(range->end - range->begin, Count(expected, indexed));
        for (uint32_t i = range->begin; i < range->end; ++i) {
          ASSERT_TRUE((expected[order[i] / 64] >> (order[i] % 64) & 1) != 0);
        }
      }
    }
  }
}

TEST(IndexAnswers, SwappedBetweenEmptyInAndMissingColumns) {
  WideColumns columns(9);
  const auto index = BuildAll(columns.rows(), kRows);
  const auto passing = [&](const Predicate& predicate) {
    IndexAnswers answers(*BoundPredicate::Bind(predicate, *columns.rows()->schema()), index);
    answers.Materialise();
    std::vector<uint64_t> found(kRows / 64 + 1, ~uint64_t{0});
    answers.Fill(found.data(), kRows);
    return Count(found, kRows);
  };
  EXPECT_EQ(passing({Op::kBetween, "i64", {"10", "-10"}, {}}), 0u);
  EXPECT_EQ(passing({Op::kIn, "i64", {}, {}}), 0u);
  EXPECT_EQ(passing({Op::kNotIn, "i64", {}, {}}), passing({Op::kIsNotNull, "i64", {}, {}}));
  EXPECT_EQ(passing({Op::kOr, "", {}, {}}), 0u);
  EXPECT_EQ(passing({Op::kLe, "i64", {"9223372036854775807"}, {}}), passing({Op::kIsNotNull, "i64", {}, {}}));
  EXPECT_EQ(passing({Op::kGt, "i64", {"9223372036854775807"}, {}}), 0u);
  EXPECT_EQ(passing({Op::kLt, "u64", {"0"}, {}}), 0u);
  EXPECT_EQ(passing({Op::kPrefix, "text", {""}, {}}), passing({Op::kIsNotNull, "text", {}, {}}));
  EXPECT_EQ(passing({Op::kContains, "text", {""}, {}}), passing({Op::kIsNotNull, "text", {}, {}}));

  // A batch that lacks the column, or has it under another type.
  const auto without = *columns.rows()->RemoveColumn(0);
  const std::vector<PlacedRows> batches = {{0, without}};
  const auto sorted = SortColumn("i64", arrow::int64(), batches, kRows, 1 << 20);
  ASSERT_TRUE(sorted.has_value());
  EXPECT_EQ(sorted->valid_count, 0u);
  EXPECT_FALSE(SortColumn("u64", arrow::int64(), batches, kRows, 1 << 20).has_value());
  EXPECT_FALSE(SortColumn("text", arrow::utf8(), batches, kRows, 100).has_value()) << "larger than allowed";
}

TEST(AdaptiveFilterIndex, StaysWithinItsBytesAndTriesAgainWhenRowsHaveDoubled) {
  WideColumns columns(3);
  AdaptiveFilterIndex adaptive({.rows_min = 1, .size_max_bytes_per_row = 20});
  const auto bound = BoundPredicate::Bind({Op::kLt, "i64", {"0"}, {}}, *columns.rows()->schema());
  const auto text = BoundPredicate::Bind({Op::kContains, "text", {"abc"}, {}}, *columns.rows()->schema());
  for (int i = 0; i < 5; ++i) {
    adaptive.NoteUse(*bound);
  }
  adaptive.NoteUse(*text);
  const std::vector<PlacedRows> half = {{0, columns.rows()->Slice(0, kRows / 2)}};
  while (adaptive.Build(*columns.rows()->schema(), half, kRows / 2)) {
  }
  EXPECT_NE(adaptive.current()->Find("i64"), nullptr) << "the most used first";
  EXPECT_EQ(adaptive.current()->Find("text"), nullptr) << "no room";
  EXPECT_LE(adaptive.current()->size_bytes(), 20u * kRows / 2);
  EXPECT_FALSE(adaptive.HasWork(*columns.rows()->schema(), kRows / 2));
  EXPECT_TRUE(adaptive.HasWork(*columns.rows()->schema(), kRows));
}

// Old batches under the schema that is wider now: read directly and by an index made anew, against the same values put
// as the wider type to begin with.
TEST(AdaptiveFilterIndex, AColumnThatWidenedIsReadAndIndexedAsTheWiderOne) {
  WideColumns columns(7);
  const std::map<std::string, std::shared_ptr<arrow::DataType>> wider = {
      {"i8", arrow::int32()}, {"f32", arrow::float64()}, {"f16", arrow::float32()}, {"text", arrow::large_utf8()}};
  const std::vector<PlacedRows> batches = {{0, columns.rows()}};
  for (const auto& [name, type] : wider) {
    const auto narrow = columns.rows()->schema()->GetFieldByName(name);
    ASSERT_NE(narrow, nullptr) << name;
    const auto widened = arrow::schema({arrow::field(name, type)});
    const auto before = arrow::schema({narrow});
    const auto values = *Widen(columns.rows()->GetColumnByName(name), type);
    const auto reference = arrow::RecordBatch::Make(widened, kRows, {values});
    AdaptiveFilterIndex adaptive({.rows_min = 1, .size_max_bytes_per_row = 4096});
    adaptive.NoteUse(*BoundPredicate::Bind({Op::kIsNull, name, {}, {}}, *before));
    ASSERT_TRUE(adaptive.Build(*before, batches, kRows));
    ASSERT_FALSE(adaptive.HasWork(*before, kRows));
    const auto old_index = adaptive.current();
    ASSERT_TRUE(adaptive.HasWork(*widened, kRows)) << name << ": of no use any more";
    ASSERT_TRUE(adaptive.Build(*widened, batches, kRows));
    ASSERT_FALSE(adaptive.HasWork(*widened, kRows));
    for (int i = 0; i < 40; ++i) {
      const Op op = std::array{Op::kEq, Op::kLt, Op::kGe, Op::kNe}[columns.Below(4)];
      const Predicate condition{op, name, {i == 0 ? "0.1" : i == 1 ? "128" : columns.Literal(name)}, {}};
      const auto bound = BoundPredicate::Bind(condition, *widened);
      if (!bound.ok()) {
        continue;  // 0.1 is no text, say
      }
      std::vector<uint64_t> expected(kRows / 64 + 1, 0);
      bound->Evaluate(*reference, expected.data(), 0);
      for (const auto& index : {std::make_shared<const FilterIndex>(), old_index, adaptive.current()}) {
        IndexAnswers answers(*bound, index);
        EXPECT_EQ(answers.covered_rows() > 0, index == adaptive.current()) << name;
        answers.Materialise();
        std::vector<uint64_t> found(kRows / 64 + 1, 0);
        bound->Evaluate(*columns.rows(), found.data(), 0, &answers);
        EXPECT_EQ(found, expected) << name << " " << static_cast<int>(op) << " " << condition.values[0];
      }
    }
  }
}

TEST(IndexAnswers, SampleStandsInWhereThereIsNoIndex) {
  WideColumns columns(5);
  const auto bound = BoundPredicate::Bind({Op::kIsNull, "i64", {}, {}}, *columns.rows()->schema());
  const IndexAnswers answers(*bound, std::make_shared<const FilterIndex>());
  EXPECT_EQ(answers.covered_rows(), 0u);
  EXPECT_FALSE(answers.NarrowestRange().has_value());
  const std::vector<SampleRows> sample = {{columns.rows().get(), 100, 1000}, {columns.rows().get(), 9000, 1000}};
  EXPECT_NEAR(answers.EstimateSelectivity(sample), 0.02, 0.01);
}

}  // namespace
}  // namespace longbow::filter
