// How fast each kernel of each instruction set is on this machine, beside what its memory can deliver.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/kernels.h"

namespace longbow::kernels {

struct KernelReportOptions {
  size_t dimension = 384;                   // elements of a row; bytes of packed bits. 1 to limits::kDimensionMax
  size_t memory_bytes = size_t{256} << 20;  // the rows "from memory": more than the last cache holds. At least 64 rows
  double figure_seconds = 0.02;             // CPU time spent on each figure
};

// One kernel: rows one after another out of the cache, the same out of memory, rows picked at random out of memory, and
// rows one after another for several queries at once.
struct KernelFigure {
  Isa isa = Isa::kScalar;
  std::string elements;  // "float32", ..., "bits"
  std::string distance;  // "l2", "ip", "hamming", "jaccard", and of bitmaps "and", "count"
  size_t row_bytes = 0;
  double cached_ns = 0;  // per row
  double memory_ns = 0;
  double picked_ns = 0;  // 0 for bitmaps
  double shared_ns = 0;  // out of memory, when 8 queries share every row; 0 for bitmaps
};

struct KernelReport {
  size_t dimension = 0;
  double memory_gb_per_s = 0;  // reading, one thread: the limit of memory_ns
  std::vector<KernelFigure> figures;
};

// Measures on this thread, by its CPU time, on random rows; takes some seconds. INVALID_ARGUMENT for options out of
// range.
Result<KernelReport> MeasureKernels(const KernelReportOptions& options, const std::vector<Isa>& isas);

// One line a kernel: nanoseconds per row and, out of memory, GB/s and the share of the limit.
std::string KernelReportAsTable(const KernelReport& report);

}  // namespace longbow::kernels
