#include "cli/bench_index.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>

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
  std::optional<RowMask> mask;
  std::shared_ptr<const index::VectorRows> rows;

  const RowMask* mask_or_null() const { return mask ? &*mask : nullptr; }
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
  if (!options.filter.empty()) {
    LB_ASSIGN(data.mask, MakeMask(fs, options.filter, base));
  }
  LB_ASSIGN(std::shared_ptr<index::VectorRows> rows,
            index::VectorRows::Create(static_cast<uint32_t>(base.columns), static_cast<uint32_t>(base.rows),
                                      options.metric, kernels));
  std::copy(base.values.begin(), base.values.end(), rows->MutableRow(0));
  rows->FinishRows(0, rows->capacity());
  data.rows = std::move(rows);
  return data;
}

Result<ExactAnswers> AnswersOf(const BenchOptions& options, FileSystem& fs, const Data& data) {
  if (options.truth_path.empty()) {
    std::fprintf(stderr, "computing the exact answers\n");
    return FindExactAnswers(*data.rows, data.queries, options.k, data.mask_or_null(), options.threads);
  }
  LB_ASSIGN(const Matrix<int64_t> file, ReadNpyIds(fs, options.truth_path));
  return TakeExactAnswers(file, options.truth_path, data.queries.rows, options.k, data.rows->capacity(),
                          data.mask_or_null());
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

// The first run finds out where a sweep of its own ends; the others measure the same parameters.
Status MeasureRuns(const BenchOptions& options, const SearchRun& run, BenchReport* report) {
  std::vector<uint32_t> efs = options.recall_targets.empty() ? options.efs : std::vector<uint32_t>();
  for (uint32_t r = 0; r < options.runs; ++r) {
    LB_TRY(WaitForStep(options));
    std::vector<CurvePoint> curve;
    for (const double target : options.recall_targets) {
      LB_TRY(run.subject->SetRecallTarget(target));
      LB_ASSIGN(CurvePoint point, MeasureSearch(run, options.k));
      point.recall_target = target;
      curve.push_back(point);
    }
    for (const uint32_t ef : efs) {
      LB_ASSIGN(const CurvePoint point, MeasureSearch(run, ef));
      curve.push_back(point);
      if (!options.efs_given && r == 0 && point.recall >= kRecallEnd) {
        break;
      }
    }
    if (!efs.empty()) {
      efs.resize(curve.size());
    }
    std::fprintf(stderr, "run %u of %u done\n", r + 1, options.runs);
    report->runs.push_back(std::move(curve));
  }
  return {};
}

}  // namespace

Result<BenchReport> BenchIndex(const BenchOptions& options, FileSystem& fs, const kernels::Kernels& kernels) {
  LB_ASSIGN(const Data data, ReadData(options, fs, kernels));
  BenchReport report{.rows = data.rows->capacity(),
                     .dimension = data.rows->dimension(),
                     .queries = static_cast<uint32_t>(data.queries.rows),
                     .passing = data.mask ? data.mask->passing : data.rows->capacity()};
  if (options.churn) {
    LB_TRY(RunChurn(options, *data.rows, data.queries, kernels, &report));
    return report;
  }
  LB_ASSIGN(const ExactAnswers answers, AnswersOf(options, fs, data));
  LB_ASSIGN(const std::unique_ptr<Subject> subject,
            MakeSubject(SubjectOptionsOf(options, report.dimension, report.rows, data.mask_or_null()), kernels));
  LB_ASSIGN(report.build, BuildMeasured(*subject, data.rows->data(), report.rows));
  std::fprintf(stderr, "built: %.1f s CPU\n", report.build.cpu_s);
  const SearchRun run{.subject = subject.get(),
                      .queries = &data.queries,
                      .answers = &answers,
                      .mask = data.mask_or_null(),
                      .k = options.k,
                      .exact_distances = options.exact_distances,
                      .threads = options.threads,
                      .seconds_min = options.seconds_min};
  LB_TRY(MeasureRuns(options, run, &report));
  return report;
}

}  // namespace longbow::cli
