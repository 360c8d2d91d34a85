#include "kernels/kernel_report.h"

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <random>

#include "base/limits.h"
#include "kernels/dispatch.h"

namespace longbow::kernels {
namespace {

constexpr size_t kCachedRows = 8;
constexpr size_t kBatchRows = 64;
constexpr size_t kQueries = 8;        // that share rows
constexpr size_t kBitmapWords = 512;  // a "row" of the bitmap kernels: 4 KiB

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Nanoseconds of one turn; turn(i) is called with 0, 1, 2, ... The best of three, for others use the machine too.
template <typename Turn>
double BestNanoseconds(double seconds, Turn turn) {
  double best = 1e30;
  size_t i = 0;
  for (int run = 0; run < 3; ++run) {
    size_t turns = 0;
    const double start = CpuSeconds();
    double took = 0;
    for (; took < seconds / 3; took = CpuSeconds() - start) {
      for (int batch = 0; batch < 16; ++batch, ++turns, ++i) {
        turn(i);
      }
    }
    best = std::min(best, took * 1e9 / static_cast<double>(turns));
  }
  return best;
}

class Measurement {
 public:
  explicit Measurement(const KernelReportOptions& options) : options_(options), memory_(options.memory_bytes) {
    // Bytes that make ordinary numbers of every type: floats around 1, neither subnormal nor infinite.
    std::mt19937_64 random(1);
    for (uint8_t& byte : memory_) {
      byte = static_cast<uint8_t>(0x3c | (random() & 3));
    }
    for (uint32_t& position : positions_) {
      position = static_cast<uint32_t>(random());
    }
  }

  double ReadGigabytesPerSecond(const BitsetKernels& bitsets) {
    const size_t words = size_t{1} << 14;
    const size_t parts = std::max<size_t>(1, memory_.size() / 8 / words);
    const auto* all = reinterpret_cast<const uint64_t*>(memory_.data());
    const double ns = BestNanoseconds(options_.figure_seconds * 10, [&](size_t i) {
      sink_ = sink_ + static_cast<double>(bitsets.count(all + i % parts * words, words));
    });
    return static_cast<double>(words * 8) / ns;
  }

  KernelFigure Rows(const RowKernels& kernels, size_t row_bytes) {
    const size_t dim = options_.dimension;
    const size_t batches = memory_.size() / row_bytes / kBatchRows;
    const uint8_t* query = memory_.data();
    double out[kBatchRows];
    uint32_t ids[kBatchRows];
    const auto time_of = [&](size_t rows, auto turn) {
      return BestNanoseconds(options_.figure_seconds,
                             [&](size_t i) {
                               turn(i);
                               sink_ = sink_ + out[0];
                             }) /
             static_cast<double>(rows);
    };
    KernelFigure figure;
    figure.row_bytes = row_bytes;
    figure.cached_ns =
        time_of(kCachedRows, [&](size_t) { kernels.rows(query, query + row_bytes, dim, kCachedRows, out); });
    figure.memory_ns = time_of(kBatchRows, [&](size_t i) {
      kernels.rows(query, memory_.data() + i % batches * kBatchRows * row_bytes, dim, kBatchRows, out);
    });
    figure.picked_ns = time_of(kBatchRows, [&](size_t i) {
      for (size_t j = 0; j < kBatchRows; ++j) {
        ids[j] = static_cast<uint32_t>(positions_[(i * kBatchRows + j) % positions_.size()] % (batches * kBatchRows));
      }
      kernels.ids(query, memory_.data(), dim, ids, kBatchRows, out);
    });
    figure.shared_ns = time_of(kBatchRows * kQueries, [&](size_t i) {
      kernels.many(query, kQueries, memory_.data() + i % batches * kBatchRows * row_bytes, dim, kBatchRows,
                   shared_.data());
    });
    return figure;
  }

  // work(words): one turn on that part of a bitmap.
  template <typename Work>
  KernelFigure Bitmap(Work work) {
    const auto* all = reinterpret_cast<const uint64_t*>(memory_.data());
    const size_t parts = memory_.size() / 8 / kBitmapWords;
    KernelFigure figure;
    figure.row_bytes = kBitmapWords * 8;
    figure.cached_ns = BestNanoseconds(options_.figure_seconds, [&](size_t) { work(all); });
    figure.memory_ns =
        BestNanoseconds(options_.figure_seconds, [&](size_t i) { work(all + i % parts * kBitmapWords); });
    return figure;
  }

  void Keep(double value) { sink_ = sink_ + value; }

 private:
  const KernelReportOptions options_;
  std::vector<uint8_t> memory_;
  std::vector<uint32_t> positions_ = std::vector<uint32_t>(size_t{1} << 16);
  std::vector<double> shared_ = std::vector<double>(kQueries * kBatchRows);
  volatile double sink_ = 0;  // so that no result is computed for nobody
};

void MeasureIsa(const Kernels& k, size_t dimension, Measurement& measurement, std::vector<KernelFigure>* figures) {
  const auto add = [&](KernelFigure figure, const char* elements, const char* distance) {
    figure.isa = k.isa;
    figure.elements = elements;
    figure.distance = distance;
    figures->push_back(std::move(figure));
  };
  for (size_t i = 0; i < kElementTypes; ++i) {
    const auto type = static_cast<ElementType>(i);
    const size_t row_bytes = dimension * ElementSizeBytes(type);
    add(measurement.Rows(k.typed->of[i].squared_l2, row_bytes), ElementTypeName(type), "l2");
    add(measurement.Rows(k.typed->of[i].inner_product, row_bytes), ElementTypeName(type), "ip");
  }
  add(measurement.Rows(k.typed->hamming, dimension), "bits", "hamming");
  add(measurement.Rows(k.typed->jaccard, dimension), "bits", "jaccard");
  std::vector<uint64_t> out(kBitmapWords);
  add(measurement.Bitmap(
          [&](const uint64_t* words) { k.bitsets->and_words(words, out.data(), kBitmapWords, out.data()); }),
      "bitmap", "and");
  add(measurement.Bitmap(
          [&](const uint64_t* words) { measurement.Keep(static_cast<double>(k.bitsets->count(words, kBitmapWords))); }),
      "bitmap", "count");
}

}  // namespace

Result<KernelReport> MeasureKernels(const KernelReportOptions& options, const std::vector<Isa>& isas) {
  if (options.dimension == 0 || options.dimension > limits::kDimensionMax) {
    return InvalidArgument("dimension must be 1 to " + std::to_string(limits::kDimensionMax) + ", got " +
                           std::to_string(options.dimension));
  }
  const size_t least = std::max(options.dimension * 16 * kBatchRows, size_t{1} << 20);
  if (options.memory_bytes < least) {
    return InvalidArgument("the memory to read must hold at least " + std::to_string(least) + " bytes, got " +
                           std::to_string(options.memory_bytes));
  }
  Measurement measurement(options);
  KernelReport report;
  report.dimension = options.dimension;
  LB_ASSIGN(const Kernels* fastest, KernelsOf(SupportedIsas().back()));
  report.memory_gb_per_s = measurement.ReadGigabytesPerSecond(*fastest->bitsets);
  for (const Isa isa : isas) {
    LB_ASSIGN(const Kernels* k, KernelsOf(isa));
    MeasureIsa(*k, options.dimension, measurement, &report.figures);
  }
  return report;
}

std::string KernelReportAsTable(const KernelReport& report) {
  char line[160];
  std::snprintf(line, sizeof(line), "dimension %zu; one thread reads %.1f GB/s from memory\n\n", report.dimension,
                report.memory_gb_per_s);
  std::string table = line;
  std::snprintf(line, sizeof(line), "%-11s %-10s %-8s %9s %11s %11s %11s %11s %8s %7s\n", "isa", "elements", "distance",
                "row bytes", "cached ns", "memory ns", "picked ns", "shared ns", "GB/s", "limit");
  table += line;
  for (const KernelFigure& figure : report.figures) {
    const double gb_per_s = static_cast<double>(figure.row_bytes) / figure.memory_ns;
    std::snprintf(line, sizeof(line), "%-11s %-10s %-8s %9zu %11.1f %11.1f %11.1f %11.1f %8.1f %6.0f%%\n",
                  std::string(IsaName(figure.isa)).c_str(), figure.elements.c_str(), figure.distance.c_str(),
                  figure.row_bytes, figure.cached_ns, figure.memory_ns, figure.picked_ns, figure.shared_ns, gb_per_s,
                  100 * gb_per_s / report.memory_gb_per_s);
    table += line;
  }
  return table;
}

}  // namespace longbow::kernels
