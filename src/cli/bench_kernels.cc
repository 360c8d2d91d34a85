#include "cli/bench_kernels.h"

#include <cstdlib>
#include <vector>

#include "base/limits.h"
#include "base/parse_value.h"
#include "kernels/dispatch.h"
#include "kernels/kernel_report.h"

namespace longbow::cli {

Result<std::string> BenchKernels(std::span<const std::string> arguments) {
  kernels::KernelReportOptions options;
  if (!arguments.empty()) {
    if (arguments.size() != 2 || arguments[0] != "--dimension") {
      return InvalidArgument("bench kernels takes --dimension N, got '" + arguments[0] + "'");
    }
    const Result<int64_t> dimension = ParseInt(arguments[1]);
    if (!dimension.ok() || *dimension < 1 || *dimension > int64_t{limits::kDimensionMax}) {
      return InvalidArgument("flag --dimension: a whole number from 1 to " + std::to_string(limits::kDimensionMax) +
                             " is needed, got '" + arguments[1] + "'");
    }
    options.dimension = static_cast<size_t>(*dimension);
  }
  std::vector<kernels::Isa> isas = kernels::SupportedIsas();
  if (std::getenv("LONGBOW_ISA") != nullptr) {
    LB_ASSIGN(const kernels::Kernels* forced, kernels::KernelsFromEnvironment());
    isas = {forced->isa};
  }
  LB_ASSIGN(const kernels::KernelReport report, kernels::MeasureKernels(options, isas));
  return kernels::KernelReportAsTable(report);
}

}  // namespace longbow::cli
