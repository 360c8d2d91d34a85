#include "cli/bench_options.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/file.h"
#include "base/limits.h"
#include "base/parse_value.h"
#include "cli/metric_word.h"
#include "cli/subject.h"

namespace longbow::cli {
namespace {

using enum OptionType;

constexpr uint32_t kUsualEfs[] = {10, 12,  14,  17,  20,  24,  28,  34,  40,  48,  56,  68,   80,
                                  96, 112, 136, 160, 192, 224, 272, 320, 448, 640, 896, 1280, 1792};
constexpr double kThreadsMax = 1024;

constexpr std::array kTable = {
    Option{.name = "base", .default_text = "", .help = "The rows: .npy, [n, d] float16 or float32. Required."},
    Option{.name = "query", .default_text = "", .help = "The queries: .npy, [q, d]. Required."},
    Option{.name = "gt",
           .default_text = "",
           .help = "Exact answers: .npy, [q, k or more] int32 or int64, nearest first. Computed if not given."},
    Option{.name = "metric", .default_text = "", .help = "ip, l2 or cosine. Required.", .choices = " ip l2 cosine"},
    Option{.name = "k",
           .type = kInt,
           .default_text = "10",
           .help = "Rows asked for.",
           .min = 1,
           .max = limits::kSearchKMax},
    Option{.name = "threads",
           .type = kInt,
           .default_text = "1",
           .help = "Threads that build and threads that search.",
           .min = 1,
           .max = kThreadsMax},
    Option{.name = "dtype",
           .default_text = "f32",
           .help = "Element type that rows are kept in: f32 or f16.",
           .choices = "f32 f16"},
    Option{.name = "state",
           .default_text = "sealed",
           .help = "The index: sealed, lean (a third of the memory), active (rows just inserted), flat (exact scan) or "
                   "engine (as "
                   "served: planner, filter indexes).",
           .choices = kSubjectStates},
    Option{.name = "distances",
           .default_text = "exact",
           .help = "Of answers: exact (of the rows) or codes (sealed, lean; rows then need no memory).",
           .choices = "exact codes"},
    Option{.name = "filter",
           .default_text = "",
           .help =
               "Rows that may be returned: random:0.1, range:0.1, correlated:0.1 or a .npy of bool, one for each row. "
               "Several with commas between, none among them, are measured in turns. State engine: @bool, @text or "
               "@number behind it for the column's type."},
    Option{.name = "churn",
           .default_text = "",
           .help = "RxP: R rounds that delete P % of the rows and insert as many from a part of the base held back."},
    Option{.name = "recall_target", .default_text = "", .help = "Recalls to ask for instead of ef: 0.9,0.95,0.99."},
    Option{.name = "ef", .default_text = "", .help = "Beam widths, 10,20,40; default: a sweep up to recall 0.9995."},
    Option{.name = "runs",
           .type = kInt,
           .default_text = "5",
           .help = "Times the curve is measured.",
           .min = 1,
           .max = 1000},
    Option{.name = "min_time",
           .type = kDuration,
           .default_text = "200ms",
           .help = "Least time spent on each point of the curve.",
           .min = 0,
           .max = 3600},
    Option{.name = "dataset",
           .default_text = "",
           .help = "Name of the data in the report; default: the base's file name."},
    Option{
        .name = "step",
        .type = kBool,
        .default_text = "false",
        .help = "Before each run print 'ready' and wait for a line on standard input, so that others can alternate."},
    Option{.name = "json", .default_text = "", .help = "Where to write the report, docs/bench-index.md."},
};

std::vector<std::string> SplitAtCommas(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

Result<std::vector<uint32_t>> ParseEfs(const std::string& text, uint32_t k) {
  std::vector<uint32_t> efs;
  if (text.empty()) {
    std::copy_if(std::begin(kUsualEfs), std::end(kUsualEfs), std::back_inserter(efs),
                 [&](uint32_t ef) { return ef > k; });
    efs.insert(efs.begin(), k);
    return efs;
  }
  for (const std::string& part : SplitAtCommas(text)) {
    const Result<int64_t> ef = ParseInt(part);
    if (!ef.ok() || *ef < k || *ef > limits::kEfMax) {
      return InvalidArgument("flag --ef: expected whole numbers from k = " + std::to_string(k) + " to " +
                             std::to_string(limits::kEfMax) + " with commas between, got '" + part + "'");
    }
    efs.push_back(static_cast<uint32_t>(*ef));
  }
  std::sort(efs.begin(), efs.end());
  efs.erase(std::unique(efs.begin(), efs.end()), efs.end());
  return efs;
}

Result<std::vector<double>> ParseTargets(const std::string& text) {
  std::vector<double> targets;
  for (const std::string& part : text.empty() ? std::vector<std::string>() : SplitAtCommas(text)) {
    const Result<double> target = ParseFloat(part);
    if (!target.ok() || !(*target >= limits::kRecallTargetMin && *target < 1)) {
      return InvalidArgument("flag --recall-target: expected numbers from 0.5 to below 1 with commas between, got '" +
                             part + "'");
    }
    targets.push_back(*target);
  }
  return targets;
}

Result<std::vector<FilterSpec>> ParseFilters(const std::string& text) {
  std::vector<FilterSpec> filters;
  for (const std::string& part : text.empty() ? std::vector<std::string>() : SplitAtCommas(text)) {
    LB_ASSIGN(filters.emplace_back(), FilterSpec::Parse(part));
  }
  return filters;
}

Result<std::optional<ChurnPlan>> ParseChurn(const std::string& text) {
  if (text.empty()) {
    return std::optional<ChurnPlan>();
  }
  const size_t x = std::min(text.find('x'), text.size());
  const Result<int64_t> rounds = ParseInt(std::string_view(text).substr(0, x));
  const Result<int64_t> percent = ParseInt(std::string_view(text).substr(std::min(x + 1, text.size())));
  if (!rounds.ok() || !percent.ok() || *rounds < 1 || *rounds > 1000 || *percent < 1 || *percent > 100) {
    return InvalidArgument("flag --churn: expected RxP, rounds and percent such as 10x20, got '" + text + "'");
  }
  return std::optional<ChurnPlan>({static_cast<uint32_t>(*rounds), static_cast<uint32_t>(*percent)});
}

Status CheckCombination(const BenchOptions& options, const Config& config) {
  if (options.base_path.empty() || options.query_path.empty()) {
    return InvalidArgument("flags --base and --query are needed: .npy files of rows and queries");
  }
  if (!options.recall_targets.empty() && options.efs_given) {
    return InvalidArgument("flags --recall-target and --ef: give one of them");
  }
  if (!options.recall_targets.empty() && (options.churn || options.state == "flat")) {
    return InvalidArgument("flag --recall-target: cannot be combined with --churn or --state flat");
  }
  const bool is_sealed = options.state == "sealed" || options.state == "lean";
  if (config.String("distances") == "codes" && !is_sealed) {
    return InvalidArgument("flag --distances: only states sealed and lean answer with distances of codes");
  }
  if (options.churn && is_sealed) {
    return InvalidArgument("flag --churn: a sealed index takes no rows; give --state active or engine");
  }
  const bool has_types = std::ranges::any_of(
      options.filters, [](const FilterSpec& filter) { return filter.column != FilterColumn::kInt8; });
  if (options.state != "engine" && has_types) {
    return InvalidArgument("flag --filter: only --state engine has columns, of the type behind the @");
  }
  if (options.churn && !(options.filters.empty() && options.truth_path.empty())) {
    return InvalidArgument(
        "flag --churn: cannot be combined with --filter or --gt; answers change from round to round");
  }
  return {};
}

}  // namespace

std::span<const Option> BenchIndexTable() { return kTable; }

Result<BenchOptions> ParseBenchOptions(std::span<const std::string> arguments) {
  // No environment: a benchmark is what its command line says.
  LB_ASSIGN(const Config config, Config::Load(kTable, {}, arguments, {}, RealFileSystem()));
  BenchOptions options;
  options.base_path = config.String("base");
  options.query_path = config.String("query");
  options.truth_path = config.String("gt");
  options.state = config.String("state");
  options.exact_distances = config.String("distances") == "exact";
  LB_ASSIGN(options.filters, ParseFilters(config.String("filter")));
  LB_ASSIGN(options.churn, ParseChurn(config.String("churn")));
  options.efs_given = !config.String("ef").empty();
  LB_ASSIGN(options.recall_targets, ParseTargets(config.String("recall_target")));
  LB_TRY(CheckCombination(options, config));
  options.type = config.String("dtype") == "f16" ? ElementType::kFloat16 : ElementType::kFloat32;
  options.metric_word = config.String("metric");
  LB_ASSIGN(options.metric, MetricOfWord(options.metric_word));
  options.k = static_cast<uint32_t>(config.Int("k"));
  options.threads = static_cast<uint32_t>(config.Int("threads"));
  LB_ASSIGN(options.efs, ParseEfs(config.String("ef"), options.k));
  options.runs = static_cast<uint32_t>(config.Int("runs"));
  options.seconds_min = std::chrono::duration<double>(config.Duration("min_time")).count();
  options.step = config.Bool("step");
  options.json_path = config.String("json");
  options.dataset = config.String("dataset");
  if (options.dataset.empty()) {
    options.dataset = std::filesystem::path(options.base_path).stem().string();
  }
  return options;
}

}  // namespace longbow::cli
