#include "cli/build_subject.h"

#include <malloc.h>

#include <algorithm>

#include "base/process_stats.h"
#include "cli/cpu_clock.h"

namespace longbow::cli {

SubjectOptions SubjectOptionsOf(const BenchOptions& options, uint32_t dimension, uint32_t capacity,
                                std::vector<SubjectFilter> filters) {
  return {.state = options.state,
          .dimension = dimension,
          .capacity = capacity,
          .metric = options.metric,
          .type = options.type,
          .threads = options.threads,
          .exact_distances = options.exact_distances,
          .filters = std::move(filters)};
}

Result<BuildFigures> BuildMeasured(Subject& subject, const float* rows, uint32_t count) {
  // Freed memory that the allocator keeps would count for one side or the other.
  malloc_trim(0);
  const uint64_t resident = ReadProcessStats().resident_bytes;
  const double wall = WallSeconds();
  const double cpu = ProcessCpuSeconds();
  LB_TRY(subject.Build(rows, count));
  BuildFigures figures{.wall_s = WallSeconds() - wall, .cpu_s = ProcessCpuSeconds() - cpu, .rows = count};
  malloc_trim(0);
  const uint64_t grown = ReadProcessStats().resident_bytes;
  figures.resident_bytes = grown - std::min(grown, resident);
  figures.bytes = subject.SizeBytes() > 0 ? subject.SizeBytes() : figures.resident_bytes;
  return figures;
}

}  // namespace longbow::cli
