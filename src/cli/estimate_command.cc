#include "cli/estimate_command.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/config.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/estimate.h"
#include "cli/metric_word.h"
#include "index/vector_rows.h"
#include "kernels/dispatch.h"

namespace longbow::cli {
namespace {

using enum OptionType;

constexpr std::array kTable = {
    Option{.name = "rows",
           .type = kInt,
           .default_text = "1000000",
           .help = "Rows the index would hold.",
           .min = 1,
           .max = index::VectorRows::kRowsMax},
    Option{.name = "dim",
           .type = kInt,
           .default_text = "384",
           .help = "Dimension of the vectors.",
           .min = 1,
           .max = limits::kDimensionMax},
    Option{.name = "metric", .default_text = "", .help = "ip, l2 or cosine. Required.", .choices = " ip l2 cosine"},
    Option{.name = "type", .default_text = "f32", .help = "Element type the index holds.", .choices = "f32"},
    Option{.name = "memory",
           .type = kSize,
           .default_text = "0",
           .help = "What the index may take, such as 8GiB; 0: any amount.",
           .min = 0},
    Option{.name = "threads", .type = kInt, .default_text = "1", .help = "Threads that build.", .min = 1, .max = 1024},
    Option{.name = "sample",
           .default_text = "",
           .help = "Rows like those to come: .npy, [n, d]. Without it rows are made up, and times are less sure."},
    Option{.name = "calibration",
           .type = kDuration,
           .default_text = "4s",
           .help = "How long small indexes are built for each kind of index, to measure this machine.",
           .min = 0,
           .max = 3600},
    Option{.name = "json", .default_text = "", .help = "Where to write the estimate as JSON."},
};

constexpr char kHelp[] = R"(longbow estimate: bytes and minutes that an index would take on this machine

  longbow estimate --rows N --dim D --metric ip|l2|cosine [options]

Options:
)";

int Fail(int exit_status, std::string_view message) {
  std::fprintf(stderr, "longbow estimate: %.*s\n", static_cast<int>(message.size()), message.data());
  return exit_status;
}

std::string AsJson(const EstimateOptions& options, const EstimateReport& report) {
  nlohmann::ordered_json json = {
      {"format", 1}, {"rows", options.rows}, {"dimension", options.dimension}, {"threads", options.threads}};
  json["chosen"] = report.chosen ? nlohmann::ordered_json(*report.chosen) : nlohmann::ordered_json();
  for (const Estimate& estimate : report.states) {
    json["states"].push_back({{"state", estimate.state},
                              {"bytes", estimate.bytes},
                              {"cpu_s", estimate.cpu_s},
                              {"wall_s", estimate.wall_s},
                              {"calibrated_rows", estimate.calibrated_rows},
                              {"fits", estimate.fits}});
  }
  return json.dump(1) + "\n";
}

void PrintTable(const EstimateOptions& options, const EstimateReport& report) {
  const double raw_bytes = static_cast<double>(options.rows) * options.dimension * sizeof(float);
  std::printf("%-8s %12s %8s %14s %14s %18s\n", "state", "MB", "x raw", "CPU minutes", "minutes", "measured at rows");
  for (const Estimate& estimate : report.states) {
    std::printf("%-8s %12.1f %8.2f %14.2f %14.2f %18u%s\n", estimate.state.c_str(),
                static_cast<double>(estimate.bytes) / 1e6, static_cast<double>(estimate.bytes) / raw_bytes,
                estimate.cpu_s / 60, estimate.wall_s / 60, estimate.calibrated_rows,
                estimate.fits ? "" : "  does not fit");
  }
  if (report.chosen) {
    std::printf("chosen: %s\n", report.chosen->c_str());
  } else {
    std::printf("nothing fits into %llu bytes\n", static_cast<unsigned long long>(options.memory_bytes));
  }
}

Status EstimateAndPrint(std::span<const std::string> arguments) {
  FileSystem& fs = RealFileSystem();
  LB_ASSIGN(const Config config, Config::Load(kTable, {}, arguments, {}, fs));
  EstimateOptions options;
  options.rows = static_cast<uint64_t>(config.Int("rows"));
  options.dimension = static_cast<uint32_t>(config.Int("dim"));
  LB_ASSIGN(options.metric, MetricOfWord(config.String("metric")));
  options.memory_bytes = config.Size("memory");
  options.threads = static_cast<uint32_t>(config.Int("threads"));
  options.calibration_seconds = std::chrono::duration<double>(config.Duration("calibration")).count();
  std::optional<Matrix<float>> sample;
  if (!config.String("sample").empty()) {
    LB_ASSIGN(sample, ReadNpyVectors(fs, config.String("sample")));
  }
  LB_ASSIGN(const kernels::Kernels* kernels, kernels::KernelsFromEnvironment());
  LB_ASSIGN(const EstimateReport report, EstimateIndex(options, sample ? &*sample : nullptr, *kernels));
  if (!config.String("json").empty()) {
    LB_TRY(WriteWholeFile(fs, config.String("json"), AsJson(options, report)));
  }
  PrintTable(options, report);
  return {};
}

}  // namespace

int RunEstimate(std::span<const std::string> arguments) {
  const auto asks_for_help = [](const std::string& argument) { return argument == "--help" || argument == "-h"; };
  if (std::ranges::any_of(arguments, asks_for_help)) {
    std::printf("%s%s", kHelp, DescribeOptions(kTable).c_str());
    return 0;
  }
  const Status status = EstimateAndPrint(arguments);
  if (!status.ok()) {
    return Fail(status.code() == StatusCode::kInvalidArgument ? 2 : 1, status.message());
  }
  return 0;
}

}  // namespace longbow::cli
