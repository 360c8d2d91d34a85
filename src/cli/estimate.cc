#include "cli/estimate.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "cli/build_subject.h"
#include "cli/subject.h"

namespace longbow::cli {
namespace {

constexpr uint32_t kFirstRows = 1024;  // of the smallest index built
constexpr uint32_t kMadeRowsMax = 64'000;
constexpr size_t kMadeBytesMax = 256 << 20;
constexpr uint32_t kMadeClusters = 200;
constexpr uint32_t kMadeInner = 24;  // dimensions that the rows of a cluster spread over
constexpr std::string_view kBestFirst[] = {"sealed", "active", "lean", "flat"};

// Rows as embeddings are: clusters that spread over few directions of their own, of unit norm.
Matrix<float> MakeRows(uint32_t rows, uint32_t dimension) {
  Random random(1);
  const auto normal = [&] {  // nearly: the sum of three uniform numbers, of variance 1
    return static_cast<float>(2 * (random.Fraction() + random.Fraction() + random.Fraction() - 1.5));
  };
  const uint32_t inner = std::min(kMadeInner, dimension);
  std::vector<float> centres(static_cast<size_t>(kMadeClusters) * dimension);
  std::vector<float> directions(static_cast<size_t>(inner) * dimension);
  std::generate(centres.begin(), centres.end(), normal);
  std::generate(directions.begin(), directions.end(), normal);
  Matrix<float> made{rows, dimension, std::vector<float>(static_cast<size_t>(rows) * dimension)};
  for (uint32_t i = 0; i < rows; ++i) {
    float* const row = made.values.data() + static_cast<size_t>(i) * dimension;
    const float* const centre = centres.data() + random.Below(kMadeClusters) * dimension;
    std::copy(centre, centre + dimension, row);
    for (uint32_t j = 0; j < inner; ++j) {
      const float weight = 0.25f * normal();
      for (uint32_t d = 0; d < dimension; ++d) {
        row[d] += weight * directions[static_cast<size_t>(j) * dimension + d];
      }
    }
    double squared = 0;
    for (uint32_t d = 0; d < dimension; ++d) {
      row[d] += 0.1f * normal();
      squared += static_cast<double>(row[d]) * row[d];
    }
    const auto scale = static_cast<float>(1 / std::sqrt(std::max(squared, 1e-30)));
    std::for_each(row, row + dimension, [&](float& value) { value *= scale; });
  }
  return made;
}

// What builds of growing size took.
class Calibration {
 public:
  Calibration(const EstimateOptions& options, const Matrix<float>& sample, const kernels::Kernels& kernels)
      : options_(options), sample_(sample), kernels_(kernels) {}

  Status Run(const std::string& state) {
    const auto rows_max = static_cast<uint32_t>(std::min<uint64_t>(sample_.rows, options_.rows));
    double spent = 0;
    for (uint32_t rows = std::min(kFirstRows, rows_max);; rows = std::min(2 * rows, rows_max)) {
      const SubjectOptions subject_options{.state = state,
                                           .dimension = options_.dimension,
                                           .capacity = rows,
                                           .metric = options_.metric,
                                           .threads = options_.threads};
      LB_ASSIGN(const std::unique_ptr<Subject> subject, MakeSubject(subject_options, kernels_));
      LB_ASSIGN(const BuildFigures figures, BuildMeasured(*subject, sample_.values.data(), rows));
      builds_.push_back(figures);
      spent += figures.wall_s;
      // The next would take a little more than twice as long as this one. A line needs two.
      const bool late = builds_.size() > 1 && spent + 2 * figures.wall_s > options_.calibration_seconds;
      if (rows == rows_max || late) {
        return {};
      }
    }
  }

  Estimate At(const std::string& state) const {
    Estimate estimate{.state = state, .calibrated_rows = builds_.back().rows};
    const double rows = static_cast<double>(options_.rows);
    estimate.bytes = static_cast<uint64_t>(std::max(0.0, LineThroughEnds(rows, rows, &BytesOf)));
    const double log_rows = std::log2(rows);
    estimate.cpu_s = rows * LineThroughEnds(rows, log_rows, &CpuPerRow);
    estimate.wall_s = rows * LineThroughEnds(rows, log_rows, &WallPerRow);
    estimate.fits = options_.memory_bytes == 0 || estimate.bytes <= options_.memory_bytes;
    return estimate;
  }

 private:
  // x: rows for bytes, their logarithm for times.
  struct Sample {
    double x;
    double y;
  };
  static Sample BytesOf(const BuildFigures& f) { return {static_cast<double>(f.rows), static_cast<double>(f.bytes)}; }
  static Sample CpuPerRow(const BuildFigures& f) { return {std::log2(f.rows), f.cpu_s / f.rows}; }
  static Sample WallPerRow(const BuildFigures& f) { return {std::log2(f.rows), f.wall_s / f.rows}; }

  // The value at x of the line through the last build and the one a quarter of its size, or as near as there is.
  double LineThroughEnds(double rows, double x, Sample (*of)(const BuildFigures&)) const {
    const Sample last = of(builds_.back());
    if (builds_.size() == 1 || rows <= builds_.back().rows) {
      return last.y;  // all rows were built upon
    }
    const Sample first = of(builds_[builds_.size() - std::min<size_t>(builds_.size(), 3)]);
    // Measuring noise must not make larger indexes cheaper.
    const double slope = std::max(0.0, (last.y - first.y) / (last.x - first.x));
    return last.y + slope * (x - last.x);
  }

  const EstimateOptions& options_;
  const Matrix<float>& sample_;
  const kernels::Kernels& kernels_;
  std::vector<BuildFigures> builds_;  // growing
};

}  // namespace

Result<EstimateReport> EstimateIndex(const EstimateOptions& options, const Matrix<float>* sample,
                                     const kernels::Kernels& kernels) {
  if (sample != nullptr && sample->columns != options.dimension) {
    return InvalidArgument("dimension mismatch: the sample has " + std::to_string(sample->columns) + ", expected " +
                           std::to_string(options.dimension));
  }
  const uint64_t least = std::min<uint64_t>(2 * kFirstRows, options.rows);
  if (sample != nullptr && sample->rows < least) {
    return InvalidArgument("the sample has " + std::to_string(sample->rows) + " rows, at least " +
                           std::to_string(least) + " are needed");
  }
  Matrix<float> made;
  if (sample == nullptr) {
    const size_t affordable = std::max<size_t>(2 * kFirstRows, kMadeBytesMax / (sizeof(float) * options.dimension));
    made = MakeRows(static_cast<uint32_t>(std::min<uint64_t>({options.rows, kMadeRowsMax, affordable})),
                    options.dimension);
    sample = &made;
  }
  EstimateReport report;
  for (const std::string_view state : kBestFirst) {
    Calibration calibration(options, *sample, kernels);
    LB_TRY(calibration.Run(std::string(state)));
    report.states.push_back(calibration.At(std::string(state)));
    if (report.states.back().fits && !report.chosen) {
      report.chosen = report.states.back().state;
    }
  }
  return report;
}

}  // namespace longbow::cli
