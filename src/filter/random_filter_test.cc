// Random predicates over random columns against a naive evaluation row by row.
#include <arrow/api.h>
#include <arrow/util/decimal.h>
#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <variant>

#include "filter/evaluate.h"
#include "filter/index_answers.h"

namespace longbow::filter {
namespace {

using Op = Predicate::Op;
using Array = std::shared_ptr<arrow::Array>;

// What a row holds, and what a predicate's value means: numbers in half steps (3 = "1.5"), so that values between two
// integers occur; floats; text. The naive side compares these and never sees the text that the tested side parses.
using Value = std::variant<int64_t, double, std::string>;
using Row = std::optional<Value>;

struct Column {
  std::string name;
  Array array;
  std::vector<Row> rows;
};

struct Condition {
  Predicate predicate;
  size_t column = 0;
  std::vector<Value> values;
  std::vector<Condition> children;
};

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  int64_t Below(int64_t bound) { return std::uniform_int_distribution<int64_t>(0, bound - 1)(random_); }

  template <typename Builder>
  Column Integers(const std::string& name, std::shared_ptr<arrow::DataType> type, int64_t low, int64_t high,
                  size_t size) {
    Builder builder(std::move(type), arrow::default_memory_pool());
    Column column{name, nullptr, {}};
    for (size_t i = 0; i < size; ++i) {
      const int64_t value = low + Below(high - low + 1);
      const bool null = nulls_ && Below(5) == 0;
      EXPECT_TRUE(
          (null ? builder.AppendNull() : builder.Append(static_cast<typename Builder::value_type>(value))).ok());
      column.rows.push_back(null ? Row() : Row(Value(2 * value)));
    }
    column.array = *builder.Finish();
    return column;
  }

  template <typename Builder, typename Float>
  Column Floats(const std::string& name, std::shared_ptr<arrow::DataType> type, size_t size) {
    Builder builder(std::move(type), arrow::default_memory_pool());
    Column column{name, nullptr, {}};
    for (size_t i = 0; i < size; ++i) {
      const Float value =
          Below(20) == 0 ? std::numeric_limits<Float>::quiet_NaN() : static_cast<Float>(Below(9) - 4) / 4;
      const bool null = nulls_ && Below(5) == 0;
      EXPECT_TRUE((null ? builder.AppendNull() : builder.Append(value)).ok());
      column.rows.push_back(null ? Row() : Row(Value(static_cast<double>(value))));
    }
    column.array = *builder.Finish();
    return column;
  }

  template <typename Builder>
  Column Texts(const std::string& name, std::shared_ptr<arrow::DataType> type, size_t size) {
    Builder builder(std::move(type), arrow::default_memory_pool());
    Column column{name, nullptr, {}};
    for (size_t i = 0; i < size; ++i) {
      const std::string value = Word();
      const bool null = nulls_ && Below(5) == 0;
      EXPECT_TRUE((null ? builder.AppendNull() : builder.Append(value)).ok());
      column.rows.push_back(null ? Row() : Row(Value(value)));
    }
    column.array = *builder.Finish();
    return column;
  }

  std::vector<Column> Columns(size_t size) {
    nulls_ = Below(3) != 0;
    std::vector<Column> columns;
    columns.push_back(Integers<arrow::Int8Builder>("i8", arrow::int8(), -4, 4, size));
    columns.push_back(Integers<arrow::UInt16Builder>("u16", arrow::uint16(), 0, 5, size));
    columns.push_back(Integers<arrow::Int32Builder>("i32", arrow::int32(), -4, 4, size));
    columns.push_back(Integers<arrow::Int64Builder>("i64", arrow::int64(), -4, 4, size));
    columns.push_back(Integers<arrow::UInt64Builder>("u64", arrow::uint64(), 0, 5, size));
    columns.push_back(Integers<arrow::BooleanBuilder>("bool", arrow::boolean(), 0, 1, size));
    columns.push_back(Integers<arrow::Date32Builder>("day", arrow::date32(), -4, 4, size));
    columns.push_back(Integers<arrow::TimestampBuilder>("time", arrow::timestamp(arrow::TimeUnit::NANO), -4, 4, size));
    columns.push_back(Floats<arrow::FloatBuilder, float>("f32", arrow::float32(), size));
    columns.push_back(Floats<arrow::DoubleBuilder, double>("f64", arrow::float64(), size));
    columns.push_back(Texts<arrow::StringBuilder>("text", arrow::utf8(), size));
    columns.push_back(Texts<arrow::LargeStringBuilder>("large", arrow::large_utf8(), size));
    columns.push_back(Texts<arrow::StringViewBuilder>("view", arrow::utf8_view(), size));
    columns.push_back(Texts<arrow::StringDictionaryBuilder>("dictionary", arrow::utf8(), size));
    return columns;
  }

  // A value of the column's kind and how a request writes it.
  std::pair<Value, std::string> Literal(const Column& column, bool whole) {
    const arrow::Type::type type = column.array->type_id();
    if (type == arrow::Type::FLOAT || type == arrow::Type::DOUBLE) {
      const double value = static_cast<double>(Below(17) - 8) / 8;
      return {value, std::to_string(value)};
    }
    if (column.array->type_id() == arrow::Type::BOOL) {
      const int64_t value = Below(2);
      return {2 * value, value != 0 ? "true" : "false"};
    }
    if (column.name == "text" || column.name == "large" || column.name == "view" || column.name == "dictionary") {
      const std::string value = Word();
      return {value, value};
    }
    const int64_t halves = whole ? 2 * (Below(11) - 5) : Below(21) - 10;
    std::string text = std::to_string(std::abs(halves) / 2) + (halves % 2 != 0 ? ".5" : "");
    return {halves, halves < 0 ? "-" + text : text};
  }

  Condition Make(const std::vector<Column>& columns, int depth) {
    Condition condition;
    if (depth > 0 && Below(2) == 0) {
      condition.predicate.op = std::vector<Op>{Op::kAnd, Op::kOr, Op::kNot}[static_cast<size_t>(Below(3))];
      const int64_t children = condition.predicate.op == Op::kNot ? 1 : Below(4);
      for (int64_t i = 0; i < children; ++i) {
        condition.children.push_back(Make(columns, depth - 1));
        condition.predicate.children.push_back(condition.children.back().predicate);
      }
      return condition;
    }
    condition.column = static_cast<size_t>(Below(static_cast<int64_t>(columns.size())));
    const Column& column = columns[condition.column];
    condition.predicate.field = column.name;
    const bool text = std::holds_alternative<std::string>(Literal(column, true).first);
    std::vector<Op> ops = {Op::kEq, Op::kNe,    Op::kLt,      Op::kLe,     Op::kGt,       Op::kGe,
                           Op::kIn, Op::kNotIn, Op::kBetween, Op::kIsNull, Op::kIsNotNull};
    if (text) {
      ops.insert(ops.end(), {Op::kContains, Op::kPrefix});
    }
    const Op op = ops[static_cast<size_t>(Below(static_cast<int64_t>(ops.size())))];
    condition.predicate.op = op;
    const int64_t values = op == Op::kIn || op == Op::kNotIn           ? Below(14)
                           : op == Op::kBetween                        ? 2
                           : op == Op::kIsNull || op == Op::kIsNotNull ? 0
                                                                       : 1;
    for (int64_t i = 0; i < values; ++i) {
      auto [value, written] = Literal(column, Below(2) == 0);
      condition.values.push_back(std::move(value));
      condition.predicate.values.push_back(std::move(written));
    }
    return condition;
  }

 private:
  std::string Word() {
    std::string word;
    for (int64_t i = Below(4); i > 0; --i) {
      word += static_cast<char>('a' + Below(2));
    }
    return Below(10) == 0 ? word + std::string(20, 'b') : word;
  }

  std::mt19937 random_;
  bool nulls_ = true;
};

bool Holds(Op op, const Value& row, const std::vector<Value>& values) {
  switch (op) {
    case Op::kEq:
      return row == values[0];
    case Op::kNe:
      return !(row == values[0]);
    case Op::kLt:
      return row < values[0];
    case Op::kLe:
      return row <= values[0];
    case Op::kGt:
      return row > values[0];
    case Op::kGe:
      return row >= values[0];
    case Op::kIn:
      return std::find(values.begin(), values.end(), row) != values.end();
    case Op::kNotIn:
      return std::find(values.begin(), values.end(), row) == values.end();
    case Op::kBetween:
      return row >= values[0] && row <= values[1];
    case Op::kContains:
      return std::get<std::string>(row).find(std::get<std::string>(values[0])) != std::string::npos;
    case Op::kPrefix:
      return std::get<std::string>(row).rfind(std::get<std::string>(values[0]), 0) == 0;
    default:
      ADD_FAILURE();
      return false;
  }
}

// True, false or unknown.
std::optional<bool> Naive(const Condition& condition, const std::vector<Column>& columns, size_t row) {
  const Op op = condition.predicate.op;
  if (op == Op::kNot) {
    const auto child = Naive(condition.children[0], columns, row);
    return child ? std::optional(!*child) : std::nullopt;
  }
  if (op == Op::kAnd || op == Op::kOr) {
    const bool decisive = op == Op::kOr;
    bool unknown = false;
    for (const Condition& child : condition.children) {
      const auto truth = Naive(child, columns, row);
      if (truth == decisive) {
        return decisive;
      }
      unknown = unknown || !truth;
    }
    return unknown ? std::nullopt : std::optional(!decisive);
  }
  const Row& value = columns[condition.column].rows[row];
  if (op == Op::kIsNull || op == Op::kIsNotNull) {
    return value.has_value() == (op == Op::kIsNotNull);
  }
  return value ? std::optional(Holds(op, *value, condition.values)) : std::nullopt;
}

std::string Describe(const Predicate& predicate) {
  std::string text = "(" + predicate.field + " op" + std::to_string(static_cast<int>(predicate.op));
  for (const std::string& value : predicate.values) {
    text += " '" + value + "'";
  }
  for (const Predicate& child : predicate.children) {
    text += " " + Describe(child);
  }
  return text + ")";
}

// The columns of some rows, indexed as if they were a segment's first ones, in batches.
std::shared_ptr<const FilterIndex> IndexOf(const arrow::RecordBatch& rows, uint32_t indexed, int64_t batch_rows) {
  std::vector<PlacedRows> batches;
  for (int64_t at = 0; at < indexed; at += batch_rows) {
    batches.push_back({static_cast<uint32_t>(at), rows.Slice(at, std::min<int64_t>(batch_rows, indexed - at))});
  }
  FilterIndex::Columns columns;
  for (const auto& field : rows.schema()->fields()) {
    const auto type = ValueTypeOf(field->type());
    auto sorted = SortColumn(field->name(), type, batches, indexed, 1 << 20);
    EXPECT_TRUE(sorted.has_value()) << field->ToString();
    columns[field->name()] = std::make_shared<const ColumnIndex>(std::move(*sorted), type, indexed, true);
  }
  return std::make_shared<const FilterIndex>(std::move(columns));
}

// The index's answer for the first rows and the columns' for the rest must be what `bits` says.
void ExpectIndexAgrees(const BoundPredicate& bound, const std::shared_ptr<const FilterIndex>& index,
                       const arrow::RecordBatch& rows, uint32_t indexed, const std::vector<uint64_t>& bits) {
  IndexAnswers answers(bound, index);
  const double estimate = answers.EstimateSelectivity({});
  EXPECT_GE(estimate, 0);
  EXPECT_LE(estimate, 1);
  answers.Materialise();
  std::vector<uint64_t> found(static_cast<size_t>(rows.num_rows()) / 64 + 1, 0);
  const uint32_t covered = std::min(indexed, answers.covered_rows());
  EXPECT_EQ(covered, indexed) << "every column has an index";
  answers.Fill(found.data(), covered);
  for (int64_t at = 0; at < rows.num_rows(); at += 100) {
    if (at + 100 > covered) {
      bound.Evaluate(*rows.Slice(at, std::min<int64_t>(100, rows.num_rows() - at)), found.data(),
                     static_cast<uint64_t>(at), &answers);
    }
  }
  for (size_t row = 0; row < static_cast<size_t>(rows.num_rows()); ++row) {
    ASSERT_EQ(found[row / 64] >> (row % 64) & 1, bits[row / 64] >> (row % 64) & 1) << "row " << row;
  }
}

TEST(RandomFilter, AgreesWithNaiveEvaluation) {
  int64_t checked = 0;
  for (uint32_t seed = 1; seed <= 250; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Generator generator(seed);
    const int64_t size = seed % 10 == 0 ? 17'000 + generator.Below(300) : generator.Below(400);
    std::vector<Column> columns = generator.Columns(static_cast<size_t>(size));
    arrow::FieldVector fields;
    arrow::ArrayVector arrays;
    for (const Column& column : columns) {
      fields.push_back(arrow::field(column.name, column.array->type()));
      arrays.push_back(column.array);
    }
    const auto whole = arrow::RecordBatch::Make(arrow::schema(fields), size, arrays);
    const int64_t offset = generator.Below(std::min<int64_t>(size, 70) + 1);
    const int64_t length = generator.Below(size - offset + 1);
    const auto rows = whole->Slice(offset, length);
    const auto indexed = static_cast<uint32_t>(length - generator.Below(length / 2 + 1));
    const auto index = IndexOf(*rows, indexed, 1 + generator.Below(length + 1));
    for (int round = 0; round < 12; ++round) {
      const Condition condition = generator.Make(columns, 3);
      const auto bound = BoundPredicate::Bind(condition.predicate, *rows->schema());
      ASSERT_TRUE(bound.ok()) << bound.status().ToString();
      const auto first_bit = static_cast<uint64_t>(round % 3 == 0 ? 0 : generator.Below(200));
      const uint64_t background = round % 2 == 0 ? 0 : ~uint64_t{0};
      std::vector<uint64_t> bits(first_bit / 64 + static_cast<size_t>(length) / 64 + 3, background);
      bound->Evaluate(*rows, bits.data(), first_bit);
      for (uint64_t bit = 0; bit < bits.size() * 64; ++bit) {
        const bool actual = (bits[bit / 64] >> (bit % 64) & 1) != 0;
        const bool inside = bit >= first_bit && bit < first_bit + static_cast<uint64_t>(length);
        const bool expected =
            inside ? Naive(condition, columns, static_cast<size_t>(offset) + bit - first_bit).value_or(false)
                   : background != 0;
        ASSERT_EQ(actual, expected) << "bit " << bit << " first " << first_bit << " offset " << offset << " rows "
                                    << length << " " << Describe(condition.predicate);
        checked += inside;
      }
      std::vector<uint64_t> alone(static_cast<size_t>(length) / 64 + 1, 0);
      bound->Evaluate(*rows, alone.data(), 0);
      ExpectIndexAgrees(*bound, index, *rows, indexed, alone);
      ASSERT_FALSE(::testing::Test::HasFailure()) << Describe(condition.predicate);
    }
  }
  EXPECT_GT(checked, 1'000'000);
}

}  // namespace
}  // namespace longbow::filter
