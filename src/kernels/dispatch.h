// Which table of kernels this process uses: decided once, at start, from what the CPU and the operating system offer.
#pragma once

#include <string_view>
#include <vector>

#include "base/status.h"
#include "kernels/kernels.h"

namespace longbow::kernels {

// "scalar", "avx2", "avx512", "avx512vnni", "neon": the values of LONGBOW_ISA.
std::string_view IsaName(Isa isa);
// INVALID_ARGUMENT with the known names.
Result<Isa> ParseIsa(std::string_view name);

// Those that this build holds and this machine can run, slowest first; kScalar always is.
std::vector<Isa> SupportedIsas();

// The table of one instruction set; it lives as long as the process. FAILED_PRECONDITION if this machine cannot run it.
Result<const Kernels*> KernelsOf(Isa isa);

// `forced` is the value of LONGBOW_ISA: empty picks the fastest supported; a name is obeyed or an error, never
// replaced.
Result<const Kernels*> ChooseKernels(std::string_view forced);
// ChooseKernels with the environment variable LONGBOW_ISA. Call once, in bin/ or a test, and pass the table down.
Result<const Kernels*> KernelsFromEnvironment();

}  // namespace longbow::kernels
