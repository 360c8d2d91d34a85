#include <arrow/api.h>
#include <benchmark/benchmark.h>

#include <random>

#include "filter/evaluate.h"
#include "filter/index_answers.h"

namespace longbow::filter {
namespace {

using Op = Predicate::Op;

constexpr int64_t kRows = 1 << 20;

template <typename Builder>
std::shared_ptr<arrow::RecordBatch> Numbers(std::shared_ptr<arrow::DataType> type, bool nulls) {
  std::mt19937 random(1);
  Builder builder(std::move(type), arrow::default_memory_pool());
  for (int64_t i = 0; i < kRows; ++i) {
    const auto status = nulls && i % 7 == 0 ? builder.AppendNull()
                                            : builder.Append(static_cast<typename Builder::value_type>(random() % 100));
    if (!status.ok()) {
      std::abort();
    }
  }
  const auto array = *builder.Finish();
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("f", array->type())}), kRows, {array});
}

std::shared_ptr<arrow::RecordBatch> Words() {
  std::mt19937 random(1);
  arrow::StringBuilder builder;
  for (int64_t i = 0; i < kRows; ++i) {
    if (!builder.Append("package-" + std::to_string(random() % 1000)).ok()) {
      std::abort();
    }
  }
  const auto array = *builder.Finish();
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("f", array->type())}), kRows, {array});
}

void Run(benchmark::State& state, const std::shared_ptr<arrow::RecordBatch>& rows, Op op,
         std::vector<std::string> values, uint64_t first_bit = 0) {
  const auto bound = BoundPredicate::Bind({op, "f", std::move(values), {}}, *rows->schema());
  std::vector<uint64_t> bits(kRows / 64 + 2);
  for (auto _ : state) {
    bound->Evaluate(*rows, bits.data(), first_bit);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}

// The same by an index of all rows: from the bound predicate to the bitmap.
void RunIndexed(benchmark::State& state, const std::shared_ptr<arrow::RecordBatch>& rows, Op op,
                std::vector<std::string> values) {
  const auto bound = BoundPredicate::Bind({op, "f", std::move(values), {}}, *rows->schema());
  AdaptiveFilterIndex adaptive({.rows_min = 1, .size_max_bytes_per_row = 1024});
  adaptive.NoteUse(*bound);
  const std::vector<PlacedRows> batches = {{0, rows}};
  adaptive.Build(*rows->schema(), batches, kRows);
  std::vector<uint64_t> bits(kRows / 64 + 2);
  for (auto _ : state) {
    IndexAnswers answers(*bound, adaptive.current());
    answers.Materialise();
    answers.Fill(bits.data(), kRows);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kRows);
  state.counters["bytes_per_row"] = static_cast<double>(adaptive.current()->size_bytes()) / kRows;
}

// Every row another number, in no order.
std::shared_ptr<arrow::RecordBatch> DistinctNumbers() {
  arrow::Int64Builder builder;
  for (int64_t i = 0; i < kRows; ++i) {
    if (!builder.Append(i * 7'919 % kRows).ok()) {
      std::abort();
    }
  }
  const auto array = *builder.Finish();
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("f", array->type())}), kRows, {array});
}

std::shared_ptr<arrow::RecordBatch> DistinctWords() {
  arrow::StringBuilder builder;
  for (int64_t i = 0; i < kRows; ++i) {
    if (!builder.Append("package-" + std::to_string(i * 7'919 % kRows) + "-x").ok()) {
      std::abort();
    }
  }
  const auto array = *builder.Finish();
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("f", array->type())}), kRows, {array});
}

void Int64LessIndexed(benchmark::State& state) {
  RunIndexed(state, Numbers<arrow::Int64Builder>(arrow::int64(), false), Op::kLt, {"50"});
}
void Int64EqualIndexed(benchmark::State& state) {
  RunIndexed(state, Numbers<arrow::Int64Builder>(arrow::int64(), false), Op::kEq, {"50"});
}
void Int64In5Indexed(benchmark::State& state) {
  RunIndexed(state, Numbers<arrow::Int64Builder>(arrow::int64(), false), Op::kIn, {"1", "5", "7", "50", "99"});
}
void DistinctLess(benchmark::State& state) { Run(state, DistinctNumbers(), Op::kLt, {"500000"}); }
void DistinctLessIndexed(benchmark::State& state) { RunIndexed(state, DistinctNumbers(), Op::kLt, {"500000"}); }
void DistinctNarrow(benchmark::State& state) { Run(state, DistinctNumbers(), Op::kBetween, {"5000", "6000"}); }
void DistinctNarrowIndexed(benchmark::State& state) {
  RunIndexed(state, DistinctNumbers(), Op::kBetween, {"5000", "6000"});
}
void TextEqualIndexed(benchmark::State& state) { RunIndexed(state, Words(), Op::kEq, {"package-500"}); }
void DistinctTextPrefix(benchmark::State& state) { Run(state, DistinctWords(), Op::kPrefix, {"package-77"}); }
void DistinctTextPrefixIndexed(benchmark::State& state) {
  RunIndexed(state, DistinctWords(), Op::kPrefix, {"package-77"});
}
void DistinctTextContains(benchmark::State& state) { Run(state, DistinctWords(), Op::kContains, {"12345"}); }
void DistinctTextContainsIndexed(benchmark::State& state) {
  RunIndexed(state, DistinctWords(), Op::kContains, {"12345"});
}

void Int8Less(benchmark::State& state) {
  Run(state, Numbers<arrow::Int8Builder>(arrow::int8(), false), Op::kLt, {"50"});
}
void Int32Less(benchmark::State& state) {
  Run(state, Numbers<arrow::Int32Builder>(arrow::int32(), false), Op::kLt, {"50"});
}
void Int64Less(benchmark::State& state) {
  Run(state, Numbers<arrow::Int64Builder>(arrow::int64(), false), Op::kLt, {"50"});
}
void Int64LessNulls(benchmark::State& state) {
  Run(state, Numbers<arrow::Int64Builder>(arrow::int64(), true), Op::kLt, {"50"});
}
void Int64LessOddBit(benchmark::State& state) {
  Run(state, Numbers<arrow::Int64Builder>(arrow::int64(), false), Op::kLt, {"50"}, 13);
}
void Int64In5(benchmark::State& state) {
  Run(state, Numbers<arrow::Int64Builder>(arrow::int64(), false), Op::kIn, {"1", "5", "7", "50", "99"});
}
void FloatBetween(benchmark::State& state) {
  Run(state, Numbers<arrow::FloatBuilder>(arrow::float32(), false), Op::kBetween, {"10", "20"});
}
void DoubleGreater(benchmark::State& state) {
  Run(state, Numbers<arrow::DoubleBuilder>(arrow::float64(), false), Op::kGt, {"10"});
}
void DateGreater(benchmark::State& state) {
  Run(state, Numbers<arrow::Date32Builder>(arrow::date32(), true), Op::kGe, {"1970-02-01"});
}
void TextEqual(benchmark::State& state) { Run(state, Words(), Op::kEq, {"package-500"}); }
void TextContains(benchmark::State& state) { Run(state, Words(), Op::kContains, {"e-50"}); }

BENCHMARK(Int64LessIndexed);
BENCHMARK(Int64EqualIndexed);
BENCHMARK(Int64In5Indexed);
BENCHMARK(DistinctLess);
BENCHMARK(DistinctLessIndexed);
BENCHMARK(DistinctNarrow);
BENCHMARK(DistinctNarrowIndexed);
BENCHMARK(TextEqualIndexed);
BENCHMARK(DistinctTextPrefix);
BENCHMARK(DistinctTextPrefixIndexed);
BENCHMARK(DistinctTextContains);
BENCHMARK(DistinctTextContainsIndexed);
BENCHMARK(Int8Less);
BENCHMARK(Int32Less);
BENCHMARK(Int64Less);
BENCHMARK(Int64LessNulls);
BENCHMARK(Int64LessOddBit);
BENCHMARK(Int64In5);
BENCHMARK(FloatBetween);
BENCHMARK(DoubleGreater);
BENCHMARK(DateGreater);
BENCHMARK(TextEqual);
BENCHMARK(TextContains);

}  // namespace
}  // namespace longbow::filter
