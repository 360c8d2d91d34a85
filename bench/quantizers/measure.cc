#include "measure.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "cli/cpu_clock.h"

namespace longbow::bench {
namespace {

constexpr size_t kRerank = 30;
constexpr size_t kPickedIds = 20'000;  // a query
constexpr size_t kErrorPairs = 500;    // a query
constexpr double kNanoseconds = 1e9;

using Nearest = std::vector<std::pair<float, uint32_t>>;

// The kRerank rows with the lowest distances, lowest first.
Nearest Lowest(const std::vector<float>& distances) {
  Nearest heap;  // the highest on top
  for (uint32_t id = 0; id < distances.size(); ++id) {
    if (heap.size() == kRerank && !(distances[id] < heap.front().first)) {
      continue;
    }
    if (heap.size() == kRerank) {
      std::pop_heap(heap.begin(), heap.end());
      heap.pop_back();
    }
    heap.emplace_back(distances[id], id);
    std::push_heap(heap.begin(), heap.end());
  }
  std::sort_heap(heap.begin(), heap.end());
  return heap;
}

class Measurer {
 public:
  Measurer(const DataSet& data, const kernels::Kernels& kernels) : data_(data), kernels_(kernels) {
    Random random(11);
    for (uint32_t& id : ids_) {
      id = static_cast<uint32_t>(random.Below(data.base.rows));
    }
  }

  void Ask(size_t query, const quantize::Quantizer& quantizer, const uint8_t* codes, const uint8_t* blocks,
           const quantize::QueryEstimator& estimator) {
    const size_t n = data_.base.rows;
    double start = cli::ThreadCpuSeconds();
    estimator.Estimate(codes, n, distances_.data());
    scan_s_ += cli::ThreadCpuSeconds() - start;
    Nearest nearest = Lowest(distances_);
    found_ += Found(query, nearest);
    CountErrors(query, quantizer, codes, estimator);
    for (auto& [distance, id] : nearest) {
      distance = Exact(query, id);
    }
    std::sort(nearest.begin(), nearest.end());
    reranked_ += Found(query, nearest);

    start = cli::ThreadCpuSeconds();
    estimator.EstimateIds(codes, ids_.data(), ids_.size(), picked_.data());
    ids_s_ += cli::ThreadCpuSeconds() - start;
    if (blocks != nullptr) {
      start = cli::ThreadCpuSeconds();
      estimator.EstimateBlocks(blocks, n, distances_.data());
      packed_s_ += cli::ThreadCpuSeconds() - start;
      packed_found_ += Found(query, Lowest(distances_));
    }
    ++asked_;
  }

  void Store(Measurement* m) const {
    const auto asked = static_cast<double>(asked_);
    const double estimates = asked * static_cast<double>(data_.base.rows);
    m->scan_ns = scan_s_ / estimates * kNanoseconds;
    m->packed_ns = packed_s_ / estimates * kNanoseconds;
    m->ids_ns = ids_s_ / (asked * static_cast<double>(ids_.size())) * kNanoseconds;
    m->recall = static_cast<double>(found_) / (asked * kNeighbors);
    m->packed_recall = static_cast<double>(packed_found_) / (asked * kNeighbors);
    m->rerank_recall = static_cast<double>(reranked_) / (asked * kNeighbors);
    const double pairs = asked * kErrorPairs;
    m->error = std::sqrt(squared_error_ / pairs) / (squared_l2_ / pairs);
    m->outside_bound = bounded_ ? static_cast<double>(outside_) / pairs : -1;
  }

  float Exact(size_t query, uint32_t id) const {
    const float* q = data_.queries.row(query);
    const float* row = data_.base.row(id);
    return data_.metric == Metric::kL2 ? kernels_.squared_l2(q, row, data_.base.columns)
                                       : -kernels_.inner_product(q, row, data_.base.columns);
  }

 private:
  size_t Found(size_t query, const Nearest& nearest) const {
    const int64_t* answers = data_.answers.row(query);
    return static_cast<size_t>(std::count_if(nearest.begin(), nearest.begin() + kNeighbors, [&](const auto& each) {
      return std::find(answers, answers + kNeighbors, static_cast<int64_t>(each.second)) != answers + kNeighbors;
    }));
  }

  void CountErrors(size_t query, const quantize::Quantizer& quantizer, const uint8_t* codes,
                   const quantize::QueryEstimator& estimator) {
    const float* q = data_.queries.row(query);
    const size_t first = query * kErrorPairs % (ids_.size() - kErrorPairs);
    bounded_ = quantizer.has_bounds();
    if (bounded_) {
      estimator.EstimateBounded({codes, quantizer.code_bytes(), ids_.data() + first, kErrorPairs}, picked_.data(),
                                bounds_.data());
    }
    for (size_t i = 0; i < kErrorPairs; ++i) {
      const uint32_t id = ids_[first + i];
      const double error = std::abs(static_cast<double>(distances_[id]) - Exact(query, id));
      outside_ += bounded_ && error > bounds_[i] ? 1 : 0;
      const double as_l2 = data_.metric == Metric::kL2 ? error : 2 * error;
      squared_error_ += as_l2 * as_l2;
      squared_l2_ += kernels_.squared_l2(q, data_.base.row(id), data_.base.columns);
    }
  }

  const DataSet& data_;
  const kernels::Kernels& kernels_;
  std::vector<uint32_t> ids_ = std::vector<uint32_t>(kPickedIds);
  std::vector<float> distances_ = std::vector<float>(data_.base.rows);
  std::vector<float> picked_ = std::vector<float>(kPickedIds);
  std::vector<float> bounds_ = std::vector<float>(kErrorPairs);
  size_t asked_ = 0;
  double scan_s_ = 0;
  double ids_s_ = 0;
  double packed_s_ = 0;
  size_t found_ = 0;
  size_t packed_found_ = 0;
  size_t reranked_ = 0;
  bool bounded_ = false;
  size_t outside_ = 0;
  double squared_error_ = 0;
  double squared_l2_ = 0;
};

// Bytes on huge pages where the system has them, as the index keeps its rows: with small pages a look-up of a page
// costs as much as a short code.
class HugeBytes {
 public:
  explicit HugeBytes(size_t size)
      : size_((size + kHugePage - 1) / kHugePage * kHugePage),
        bytes_(static_cast<uint8_t*>(std::aligned_alloc(kHugePage, std::max(size_, kHugePage)))) {
    LB_CHECK(bytes_ != nullptr);
    madvise(bytes_.get(), size_, MADV_HUGEPAGE);  // a wish; small pages work as well
  }
  uint8_t* data() const { return bytes_.get(); }

 private:
  static constexpr size_t kHugePage = size_t{2} << 20;
  struct Free {
    void operator()(uint8_t* bytes) const { std::free(bytes); }
  };
  const size_t size_;
  const std::unique_ptr<uint8_t, Free> bytes_;
};

// The rows behind the interface of a quantizer, so that they are measured by the same code.
class ExactRows final : public quantize::Quantizer {
 public:
  ExactRows(const DataSet& data, const kernels::Kernels& kernels)
      : Quantizer(kernels::kScalarCodeKernels, data.base.columns, data.base.columns * sizeof(float)), exact_(kernels) {}
  quantize::QuantizerKind kind() const override { return quantize::QuantizerKind::kScalar; }
  std::string name() const override { return "float32"; }
  std::string Serialize() const override { return {}; }

 protected:
  void EncodeRows(const float* rows, size_t n, uint8_t* codes) const override {
    const auto* bytes = reinterpret_cast<const uint8_t*>(rows);
    std::copy(bytes, bytes + n * code_bytes(), codes);
  }
  std::unique_ptr<quantize::QueryEstimator> PrepareQuery(const float* query, Metric metric) const override {
    return std::make_unique<Estimator>(exact_, query, dimension(), metric);
  }

 private:
  class Estimator final : public quantize::QueryEstimator {
   public:
    Estimator(const kernels::Kernels& kernels, const float* query, size_t dimension, Metric metric)
        : QueryEstimator(dimension * sizeof(float)),
          kernels_(kernels),
          query_(query),
          dimension_(dimension),
          l2_(metric == Metric::kL2) {}
    void EstimateRows(const kernels::CodeRows& rows, float* distances) const override {
      const auto* floats = reinterpret_cast<const float*>(rows.codes);
      if (rows.ids == nullptr) {
        (l2_ ? kernels_.squared_l2_rows : kernels_.inner_product_rows)(query_, floats, dimension_, rows.n, distances);
      } else {
        (l2_ ? kernels_.squared_l2_ids : kernels_.inner_product_ids)(query_, floats, dimension_, rows.ids, rows.n,
                                                                     distances);
      }
      for (size_t i = 0; !l2_ && i < rows.n; ++i) {
        distances[i] = -distances[i];
      }
    }

   private:
    const kernels::Kernels& kernels_;
    const float* query_;
    const size_t dimension_;
    const bool l2_;
  };

  const kernels::Kernels& exact_;
};

}  // namespace

Measurement MeasureExact(const DataSet& data, const kernels::Kernels& kernels) {
  return *MeasureQuantizer(data, ExactRows(data, kernels), kernels);
}

Result<Measurement> MeasureQuantizer(const DataSet& data, const quantize::Quantizer& quantizer,
                                     const kernels::Kernels& kernels) {
  const size_t n = data.base.rows;
  Measurement m;
  m.name = quantizer.name();
  m.bytes = quantizer.code_bytes();
  m.block_bytes = static_cast<double>(quantizer.block_bytes()) / kernels::kScanRows;
  const HugeBytes codes(n * quantizer.code_bytes());
  double start = cli::ThreadCpuSeconds();
  LB_TRY(quantizer.Encode(data.base.values.data(), n, codes.data()));
  m.encode_us = (cli::ThreadCpuSeconds() - start) / static_cast<double>(n) * 1e6;
  const HugeBytes blocks((n + kernels::kScanRows - 1) / kernels::kScanRows * quantizer.block_bytes());
  const bool packs = quantizer.block_bytes() != 0;
  if (packs) {
    quantizer.PackBlocks(codes.data(), n, blocks.data());
  }
  Measurer measurer(data, kernels);
  for (size_t q = 0; q < data.queries.rows; ++q) {
    start = cli::ThreadCpuSeconds();
    LB_ASSIGN(const auto estimator, quantizer.Prepare(data.queries.row(q), data.metric));
    m.prepare_us += (cli::ThreadCpuSeconds() - start) / static_cast<double>(data.queries.rows) * 1e6;
    measurer.Ask(q, quantizer, codes.data(), packs ? blocks.data() : nullptr, *estimator);
  }
  measurer.Store(&m);
  return m;
}

}  // namespace longbow::bench
