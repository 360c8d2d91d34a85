// `longbow bench kernels`: every distance kernel beside the limit of the memory.
#pragma once

#include <span>
#include <string>

#include "base/status.h"

namespace longbow::cli {

// The words of the command line after "bench kernels": none, or --dimension N (384 without). The report as a table, of
// the instruction sets this machine has or of the one LONGBOW_ISA names. INVALID_ARGUMENT for anything else.
Result<std::string> BenchKernels(std::span<const std::string> arguments);

}  // namespace longbow::cli
