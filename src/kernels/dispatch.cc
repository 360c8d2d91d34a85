#include "kernels/dispatch.h"

#include <array>
#include <cstdlib>
#include <string>

namespace longbow::kernels {
namespace {

struct Entry {
  Isa isa;
  std::string_view name;
  const Kernels* table;  // null: not in this build
};

// Slowest first.
constexpr std::array<Entry, 5> kEntries = {{
    {Isa::kScalar, "scalar", &kScalarKernels},
#if defined(__x86_64__)
    {Isa::kAvx2, "avx2", &kAvx2Kernels},
    {Isa::kAvx512, "avx512", &kAvx512Kernels},
    {Isa::kAvx512Vnni, "avx512vnni", &kAvx512VnniKernels},
#else
    {Isa::kAvx2, "avx2", nullptr},
    {Isa::kAvx512, "avx512", nullptr},
    {Isa::kAvx512Vnni, "avx512vnni", nullptr},
#endif
#if defined(__aarch64__)
    {Isa::kNeon, "neon", &kNeonKernels},
#else
    {Isa::kNeon, "neon", nullptr},
#endif
}};

// __builtin_cpu_supports reads cpuid and, for the wide registers, whether the operating system saves them (xgetbv).
bool CpuRuns([[maybe_unused]] Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx2) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
           __builtin_cpu_supports("popcnt");
  }
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (isa == Isa::kAvx512) {
    return avx512;
  }
  if (isa == Isa::kAvx512Vnni) {
    return avx512 && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni") &&
           __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512bitalg");
  }
#endif
  return true;
}

bool Supported(const Entry& entry) { return entry.table != nullptr && CpuRuns(entry.isa); }

std::string SupportedNames() {
  std::string names;
  for (const Entry& entry : kEntries) {
    if (Supported(entry)) {
      names += names.empty() ? "" : ", ";
      names += entry.name;
    }
  }
  return names;
}

const Entry& EntryOf(Isa isa) { return kEntries[static_cast<size_t>(isa)]; }

}  // namespace

std::string_view IsaName(Isa isa) { return EntryOf(isa).name; }

Result<Isa> ParseIsa(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (entry.name == name) {
      return entry.isa;
    }
  }
  return InvalidArgument("unknown instruction set '" + std::string(name) + "': LONGBOW_ISA takes one of " +
                         SupportedNames() + " on this machine; unset it to use the fastest");
}

std::vector<Isa> SupportedIsas() {
  std::vector<Isa> isas;
  for (const Entry& entry : kEntries) {
    if (Supported(entry)) {
      isas.push_back(entry.isa);
    }
  }
  return isas;
}

Result<const Kernels*> KernelsOf(Isa isa) {
  const Entry& entry = EntryOf(isa);
  if (!Supported(entry)) {
    return FailedPrecondition("instruction set '" + std::string(entry.name) +
                              "' is not available on this machine, which has " + SupportedNames() +
                              ": change LONGBOW_ISA or unset it to use the fastest");
  }
  return entry.table;
}

Result<const Kernels*> ChooseKernels(std::string_view forced) {
  if (forced.empty()) {
    return KernelsOf(SupportedIsas().back());
  }
  LB_ASSIGN(const Isa isa, ParseIsa(forced));
  return KernelsOf(isa);
}

Result<const Kernels*> KernelsFromEnvironment() {
  const char* forced = std::getenv("LONGBOW_ISA");
  return ChooseKernels(forced == nullptr ? "" : forced);
}

}  // namespace longbow::kernels
