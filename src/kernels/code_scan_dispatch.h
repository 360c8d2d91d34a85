// Which table of code kernels serves an instruction set.
#pragma once

#include "base/status.h"
#include "kernels/code_scan.h"

namespace longbow::kernels {

// The table for a process that runs `isa`. avx512 without VNNI takes the AVX2 table and NEON the scalar one: they have
// none of their own. It lives as long as the process. FAILED_PRECONDITION if this machine cannot run `isa`.
Result<const CodeKernels*> CodeKernelsOf(Isa isa);

}  // namespace longbow::kernels
