#include "cli/bench.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string_view>

#include "base/file.h"
#include "base/suggest.h"
#include "cli/bench_index.h"
#include "cli/bench_kernels.h"
#include "cli/bench_options.h"
#include "kernels/dispatch.h"

namespace longbow::cli {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

constexpr std::string_view kBenchmarks[] = {"index", "kernels"};

constexpr char kHelp[] = R"(longbow bench index: recall, speed, build cost and memory of an index on .npy files
longbow bench kernels: every distance kernel of this machine beside the limit of its memory

  longbow bench index --base B.npy --query Q.npy --metric ip|l2|cosine [options]
  longbow bench kernels [--dimension N]

Options of bench index:
)";

int Fail(int exit_status, std::string_view message) {
  std::fprintf(stderr, "longbow bench: %.*s\n", static_cast<int>(message.size()), message.data());
  return exit_status;
}

int FailWith(const Status& status) {
  const bool usage = status.code() == StatusCode::kInvalidArgument || status.code() == StatusCode::kUnimplemented;
  return Fail(usage ? kExitUsage : kExitFailed, status.message());
}

Result<std::string> MeasureIndex(std::span<const std::string> arguments) {
  LB_ASSIGN(const BenchOptions options, ParseBenchOptions(arguments));
  LB_ASSIGN(const kernels::Kernels* kernels, kernels::KernelsFromEnvironment());
  FileSystem& fs = RealFileSystem();
  if (!options.json_path.empty()) {
    // Found out before minutes of measuring, not after.
    const std::filesystem::path folder = std::filesystem::absolute(options.json_path).parent_path();
    LB_ASSIGN(const bool exists, fs.Exists(folder.string()));
    if (!exists) {
      return InvalidArgument("flag --json: folder " + folder.string() + " does not exist");
    }
  }
  LB_ASSIGN(const BenchReport report, BenchIndex(options, fs, *kernels));
  if (!options.json_path.empty()) {
    LB_TRY(WriteWholeFile(fs, options.json_path, ReportAsJson(options, report, *kernels)));
  }
  return ReportAsTable(options, report);
}

}  // namespace

int RunBench(std::span<const std::string> arguments) {
  const auto asks_for_help = [](const std::string& argument) { return argument == "--help" || argument == "-h"; };
  if (std::ranges::any_of(arguments, asks_for_help)) {
    std::printf("%s%s", kHelp, DescribeOptions(BenchIndexTable()).c_str());
    return kExitOk;
  }
  if (arguments.empty()) {
    return Fail(kExitUsage, "which benchmark? index, kernels");
  }
  if (std::ranges::find(kBenchmarks, arguments.front()) == std::end(kBenchmarks)) {
    const std::string near = Nearest(arguments.front(), kBenchmarks);
    return Fail(kExitUsage, "unknown benchmark '" + arguments.front() + "'" +
                                (near.empty() ? "" : "; did you mean '" + near + "'?") + " (index, kernels)");
  }
  const auto measure = arguments.front() == "index" ? MeasureIndex : BenchKernels;
  const Result<std::string> table = measure(arguments.subspan(1));
  if (!table.ok()) {
    return FailWith(table.status());
  }
  std::printf("%s", table->c_str());
  return kExitOk;
}

}  // namespace longbow::cli
