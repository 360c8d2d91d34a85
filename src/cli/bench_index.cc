#include "cli/bench_index.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <span>

#include "base/limits.h"
#include "cli/build_subject.h"
#include "cli/churn.h"
#include "cli/exact_answers.h"
#include "cli/measure_search.h"
#include "cli/row_mask.h"
#include "index/vector_rows.h"

namespace longbow::cli {
namespace {

constexpr float kFloat16Max = 65'504;
constexpr double kRecallEnd = 0.9995;  // a sweep that nobody prescribed goes no further

struct Data {
  Matrix<float> queries;
  std::vector<std::unique_ptr<const RowMask>> masks;  // one for each filter, null where all rows pass; at least one
  std::shared_ptr<const index::VectorRows> rows;
};

Result<Data> ReadData(const BenchOptions& options, FileSystem& fs, const kernels::Kernels& kernels) {
  Data data;
  LB_ASSIGN(const Matrix<float> base, ReadNpyVectors(fs, options.base_path));
  LB_ASSIGN(data.queries, ReadNpyVectors(fs, options.query_path));
  if (base.columns != data.queries.columns) {
    return InvalidArgument("dimension mismatch: " + options.query_path + " has " +
                           std::to_string(data.queries.columns) + ", " + options.base_path + " has " +
                           std::to_string(base.columns));
  }
  if (base.rows > index::VectorRows::kRowsMax || base.columns > limits::kDimensionMax) {
    return InvalidArgument(options.base_path + ": has shape (" + std::to_string(base.rows) + ", " +
                           std::to_string(base.columns) + "), at most (" + std::to_string(index::VectorRows::kRowsMax) +
                           ", " + std::to_string(limits::kDimensionMax) + ") can be indexed");
  }
  const auto large = std::ranges::find_if(base.values, [](float v) { return std::abs(v) > kFloat16Max; });
  if (options.type == ElementType::kFloat16 && large != base.values.end()) {
    return InvalidArgument(options.base_path + ": holds " + std::to_string(*large) +
                           ", which float16 cannot: --dtype f32");
  }
  for (const FilterSpec& filter : options.filters) {
    data.masks.emplace_back();
    if (!filter.rows.empty()) {
      LB_ASSIGN(RowMask mask, MakeMask(fs, filter.rows, base));
      data.masks.back() = std::make_unique<const RowMask>(std::move(mask));
    }
  }
  if (data.masks.empty()) {
    data.masks.emplace_back();
  }
  LB_ASSIGN(std::shared_ptr<index::VectorRows> rows,
            index::VectorRows::Create(static_cast<uint32_t>(base.columns), static_cast<uint32_t>(base.rows),
                                      options.metric, kernels));
  std::copy(base.values.begin(), base.values.end(), rows->MutableRow(0));
  rows->FinishRows(0, rows->capacity());
  data.rows = std::move(rows);
  return data;
}

Result<ExactAnswers> AnswersOf(const BenchOptions& options, FileSystem& fs, const Data& data, const RowMask* mask) {
  const bool is_of_file = data.masks.size() == 1 || mask == nullptr;  // a file has the answers of one filter
  if (options.truth_path.empty() || !is_of_file) {
    std::fprintf(stderr, "computing the exact answers\n");
    return FindExactAnswers(*data.rows, data.queries, options.k, mask, options.threads);
  }
  LB_ASSIGN(const Matrix<int64_t> file, ReadNpyIds(fs, options.truth_path));
  return TakeExactAnswers(file, options.truth_path, data.queries.rows, options.k, data.rows->capacity(), mask);
}

Status WaitForStep(const BenchOptions& options) {
  if (!options.step) {
    return {};
  }
  std::printf("ready\n");
  std::fflush(stdout);
  std::string line;
  if (!std::getline(std::cin, line)) {
    return {StatusCode::kOutOfRange,
            "standard input ended before the last of " + std::to_string(options.runs) + " runs"};
  }
  return {};
}

// What has been measured of one filter so far.
struct FilterState {
  const SearchRun* run = nullptr;
  FilterRuns* runs = nullptr;
  size_t points = SIZE_MAX;  // of a curve; known when the first one has ended

  bool is_done() const { return runs->runs.back().size() >= points; }
};

// The first run finds out where a sweep of its own ends; the others measure the same parameters. All filters are
// measured at one parameter before the next, so that a busy minute of the machine hits all of them alike.
Status MeasureRun(const BenchOptions& options, std::span<FilterState> filters) {
  for (FilterState& filter : filters) {
    filter.runs->runs.emplace_back();
  }
  for (const double target : options.recall_targets) {
    LB_TRY(filters.front().run->subject->SetRecallTarget(target));
    for (const FilterState& filter : filters) {
      LB_ASSIGN(CurvePoint point, MeasureSearch(*filter.run, options.k));
      point.recall_target = target;
      filter.runs->runs.back().push_back(point);
    }
  }
  const bool sweeps = options.recall_targets.empty();
  for (const uint32_t ef : sweeps ? options.efs : std::vector<uint32_t>()) {
    for (FilterState& filter : filters) {
      if (filter.is_done()) {
        continue;
      }
      LB_ASSIGN(const CurvePoint point, MeasureSearch(*filter.run, ef));
      std::vector<CurvePoint>& curve = filter.runs->runs.back();
      curve.push_back(point);
      if (!options.efs_given && filter.runs->runs.size() == 1 && point.recall >= kRecallEnd) {
        filter.points = curve.size();
      }
    }
  }
  return {};
}

Status MeasureRuns(const BenchOptions& options, std::span<const SearchRun> searches, BenchReport* report) {
  std::vector<FilterState> filters;
  for (size_t i = 0; i < searches.size(); ++i) {
    filters.push_back({&searches[i], &report->filters[i]});
  }
  for (uint32_t r = 0; r < options.runs; ++r) {
    LB_TRY(WaitForStep(options));
    LB_TRY(MeasureRun(options, filters));
    std::fprintf(stderr, "run %u of %u done\n", r + 1, options.runs);
  }
  return {};
}

}  // namespace

Result<BenchReport> BenchIndex(const BenchOptions& options, FileSystem& fs, const kernels::Kernels& kernels) {
  LB_ASSIGN(const Data data, ReadData(options, fs, kernels));
  BenchReport report{.rows = data.rows->capacity(),
                     .dimension = data.rows->dimension(),
                     .queries = static_cast<uint32_t>(data.queries.rows)};
  if (options.churn) {
    LB_TRY(RunChurn(options, *data.rows, data.queries, kernels, &report));
    return report;
  }
  std::vector<ExactAnswers> answers;
  std::vector<SubjectFilter> columns;
  for (size_t i = 0; i < data.masks.size(); ++i) {
    const RowMask* const mask = data.masks[i].get();
    LB_ASSIGN(answers.emplace_back(), AnswersOf(options, fs, data, mask));
    report.filters.push_back({.spec = options.filters.empty() ? "" : options.filters[i].text,
                              .passing = mask == nullptr ? report.rows : mask->passing});
    if (mask != nullptr) {
      columns.push_back({mask, options.filters[i].column});
    }
  }
  LB_ASSIGN(const std::unique_ptr<Subject> subject,
            MakeSubject(SubjectOptionsOf(options, report.dimension, report.rows, std::move(columns)), kernels));
  LB_ASSIGN(report.build, BuildMeasured(*subject, data.rows->data(), report.rows));
  std::fprintf(stderr, "built: %.1f s CPU\n", report.build.cpu_s);
  std::vector<SearchRun> searches;
  for (size_t i = 0; i < answers.size(); ++i) {
    searches.push_back({.subject = subject.get(),
                        .queries = &data.queries,
                        .answers = &answers[i],
                        .mask = data.masks[i].get(),
                        .k = options.k,
                        .exact_distances = options.exact_distances,
                        .threads = options.threads,
                        .seconds_min = options.seconds_min});
  }
  LB_TRY(MeasureRuns(options, searches, &report));
  return report;
}

}  // namespace longbow::cli
