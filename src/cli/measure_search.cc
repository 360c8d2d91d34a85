#include "cli/measure_search.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "base/parallel_for.h"
#include "cli/cpu_clock.h"

namespace longbow::cli {
namespace {

constexpr size_t kQueriesAtOnce = 16;  // that a thread takes from the common counter
constexpr size_t kPassesMax = 1000;
constexpr int kWarmingMax = 8;  // passes

index::SearchOptions OptionsOf(const SearchRun& run, uint32_t ef) {
  index::SearchOptions options;
  options.k = run.k;
  options.ef = ef;
  options.exact_distances = run.exact_distances;
  if (run.mask != nullptr) {
    options.filter.passing = run.mask->words.data();
    options.passing_share = static_cast<float>(run.mask->passing) / static_cast<float>(run.mask->rows);
  }
  return options;
}

// What one thread has measured.
struct ThreadTimes {
  double cpu_seconds = 0;
  std::vector<float> microseconds;  // of each query
};

// Takes queries from `next` until `total` have been taken, in any number of passes over the set.
Status AskUntil(const SearchRun& run, const index::SearchOptions& options, std::atomic<size_t>& next, size_t total,
                ThreadTimes& times) {
  times.microseconds.reserve(total / run.threads + kQueriesAtOnce);
  const double cpu = ThreadCpuSeconds();
  double before = WallSeconds();
  for (size_t i = next.fetch_add(kQueriesAtOnce); i < total; i = next.fetch_add(kQueriesAtOnce)) {
    for (size_t j = i; j < std::min(i + kQueriesAtOnce, total); ++j) {
      const auto found = run.subject->Search(run.queries->row(j % run.queries->rows), options);
      if (!found.ok()) {
        return found.status();
      }
      const double now = WallSeconds();
      times.microseconds.push_back(static_cast<float>((now - before) * 1e6));
      before = now;
    }
  }
  times.cpu_seconds = ThreadCpuSeconds() - cpu;
  return {};
}

// The value that `share` of all lie at or below.
double Percentile(std::vector<float>& values, double share) {
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(std::max<size_t>(rank, 1) - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

Result<CurvePoint> MeasureRecall(const SearchRun& run, uint32_t ef) {
  const index::SearchOptions options = OptionsOf(run, ef);
  CurvePoint point{.param = ef};
  size_t right = 0;
  size_t expected = 0;
  for (size_t q = 0; q < run.queries->rows; ++q) {
    LB_ASSIGN(const auto found, run.subject->Search(run.queries->row(q), options));
    expected += run.answers->size(q);
    point.short_answers += found.size() < run.answers->size(q) ? 1 : 0;
    for (const index::Neighbor& neighbor : found) {
      const uint32_t row = run.base_rows == nullptr ? neighbor.id : (*run.base_rows)[neighbor.id];
      right += run.answers->Contains(q, row) ? 1 : 0;
    }
  }
  point.recall = static_cast<double>(right) / static_cast<double>(expected);
  return point;
}

Result<CurvePoint> MeasureSearch(const SearchRun& run, uint32_t ef) {
  const double warm_start = WallSeconds();
  LB_ASSIGN(CurvePoint point, MeasureRecall(run, ef));
  // What queries lead to, leads to other work for the next ones (a column's index, and a projection in its order).
  for (int i = 0; i < kWarmingMax && run.subject->FinishBackgroundWork(); ++i) {
    LB_ASSIGN(point, MeasureRecall(run, ef));
  }
  const double pass_seconds = std::max(WallSeconds() - warm_start, 1e-6) / run.threads;
  const auto passes = std::clamp<size_t>(static_cast<size_t>(run.seconds_min / pass_seconds) + 1, 1, kPassesMax);
  const size_t total = passes * run.queries->rows;
  const index::SearchOptions options = OptionsOf(run, ef);
  std::vector<ThreadTimes> times(run.threads);
  std::atomic<size_t> next{0};
  const double start = WallSeconds();
  LB_TRY(ParallelFor(run.threads, {.threads = run.threads},
                     [&](size_t t, size_t) { return AskUntil(run, options, next, total, times[t]); }));
  const double wall = WallSeconds() - start;
  double cpu = 0;
  std::vector<float> all;
  for (const ThreadTimes& thread : times) {
    cpu += thread.cpu_seconds;
    all.insert(all.end(), thread.microseconds.begin(), thread.microseconds.end());
  }
  point.qps_wall = static_cast<double>(total) / wall;
  point.qps_cpu = static_cast<double>(total) / cpu;
  point.p50_us = Percentile(all, 0.50);
  point.p99_us = Percentile(all, 0.99);
  return point;
}

}  // namespace longbow::cli
