#include "cli/bench_report.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "kernels/dispatch.h"

namespace longbow::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

Json Machine(const kernels::Kernels& kernels) {
  utsname name{};
  uname(&name);
  std::string cpu = "unknown";
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name") && line.find(": ") != std::string::npos) {
      cpu = line.substr(line.find(": ") + 2);
      break;
    }
  }
  return {{"cpu", cpu},
          {"cores", std::thread::hardware_concurrency()},
          {"kernel", name.release},
          {"compiler", __VERSION__},
          {"isa", kernels::IsaName(kernels.isa)}};
}

Json PointsAsJson(const std::vector<CurvePoint>& curve) {
  Json points = Json::array();
  for (const CurvePoint& p : curve) {
    points.push_back({{"param", p.recall_target > 0 ? Json(p.recall_target) : Json(p.param)},
                      {"recall", p.recall},
                      {"qps_wall", p.qps_wall},
                      {"qps_cpu", p.qps_cpu},
                      {"p50_us", p.p50_us},
                      {"p99_us", p.p99_us},
                      {"short_answers", p.short_answers}});
  }
  return points;
}

using Runs = std::vector<std::vector<CurvePoint>>;

std::optional<Spread> SpreadAt(const Runs& runs, double recall, Speed speed) {
  std::vector<double> values;
  for (const auto& run : runs) {
    const auto value = SpeedAtRecall(run, recall, speed);
    if (!value) {
      return std::nullopt;
    }
    values.push_back(*value);
  }
  return values.empty() ? std::nullopt : std::optional(SpreadOf(std::move(values)));
}

Json SpreadAsJson(const std::optional<Spread>& spread) {
  return spread ? Json{{"median", spread->median}, {"min", spread->min}, {"max", spread->max}} : Json();
}

Json AtRecallAsJson(const Runs& runs) {
  Json levels = Json::array();
  for (const double recall : kRecallLevels) {
    levels.push_back({{"recall", recall},
                      {"qps_wall", SpreadAsJson(SpreadAt(runs, recall, Speed::kWall))},
                      {"qps_cpu", SpreadAsJson(SpreadAt(runs, recall, Speed::kCpu))}});
  }
  return levels;
}

Json RunsAsJson(const Runs& runs) {
  Json json = Json::array();
  for (const auto& run : runs) {
    json.push_back({{"curve", PointsAsJson(run)}});
  }
  return json;
}

Json FiltersAsJson(const std::vector<FilterRuns>& filters) {
  Json json = Json::array();
  for (const FilterRuns& filter : filters) {
    json.push_back({{"spec", filter.spec},
                    {"passing", filter.passing},
                    {"curve", PointsAsJson(MedianCurve(filter.runs))},
                    {"at_recall", AtRecallAsJson(filter.runs)},
                    {"runs", RunsAsJson(filter.runs)}});
  }
  return json;
}

Json ChurnAsJson(const BenchReport& report) {
  Json rounds = Json::array();
  for (const ChurnRound& round : report.churn) {
    Json recalls = Json::array();
    for (size_t i = 0; i < round.curve.size(); ++i) {
      recalls.push_back({{"param", round.curve[i].param},
                         {"recall", round.curve[i].recall},
                         {"fresh_recall", round.fresh_curve[i].recall},
                         {"short_answers", round.curve[i].short_answers}});
    }
    rounds.push_back({{"round", round.round},
                      {"replaced_rows", round.round == 0 ? 0 : report.churned_rows},
                      {"wall_s", round.seconds},
                      {"cpu_s", round.cpu_s},
                      {"unreachable", round.unreachable},
                      {"recalls", recalls}});
  }
  return rounds;
}

[[gnu::format(printf, 2, 3)]] void Append(std::string* text, const char* format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  *text += line;
}

void AppendCurve(const Runs& runs, std::string* text) {
  const bool by_target = !runs.empty() && runs.front().front().recall_target > 0;
  Append(text, "\n%8s %9s %11s %11s %9s %9s %6s\n", by_target ? "target" : "ef", "recall", "QPS wall", "QPS CPU",
         "p50 us", "p99 us", "short");
  for (const CurvePoint& p : MedianCurve(runs)) {
    Append(text, "%8.*f %9.4f %11.0f %11.0f %9.1f %9.1f %6llu\n", by_target ? 3 : 0,
           by_target ? p.recall_target : p.param, p.recall, p.qps_wall, p.qps_cpu, p.p50_us, p.p99_us,
           static_cast<unsigned long long>(p.short_answers));
  }
  Append(text, "\nat recall      QPS wall [min - max]              QPS CPU [min - max]\n");
  for (const double recall : kRecallLevels) {
    const auto wall = SpreadAt(runs, recall, Speed::kWall);
    const auto cpu = SpreadAt(runs, recall, Speed::kCpu);
    if (!wall || !cpu) {
      Append(text, "   %5.3f   not reached\n", recall);
      continue;
    }
    Append(text, "   %5.3f   %9.0f [%.0f - %.0f]      %9.0f [%.0f - %.0f]\n", recall, wall->median, wall->min,
           wall->max, cpu->median, cpu->min, cpu->max);
  }
}

void AppendChurn(const BenchReport& report, std::string* text) {
  Append(text, "\n%6s %8s %8s %9s %12s %12s\n", "round", "ef", "recall", "fresh", "points lost", "unreachable");
  for (const ChurnRound& round : report.churn) {
    for (size_t i = 0; i < round.curve.size(); ++i) {
      const double lost = 100 * (round.fresh_curve[i].recall - round.curve[i].recall);
      Append(text, "%6u %8u %8.4f %9.4f %12.2f %12llu\n", round.round, round.curve[i].param, round.curve[i].recall,
             round.fresh_curve[i].recall, lost, static_cast<unsigned long long>(round.unreachable));
    }
  }
}

}  // namespace

std::vector<CurvePoint> MedianCurve(const std::vector<std::vector<CurvePoint>>& runs) {
  std::vector<CurvePoint> curve;
  for (size_t i = 0; !runs.empty() && i < runs.front().size(); ++i) {
    const auto median = [&](double CurvePoint::*field) {
      std::vector<double> values;
      for (const auto& run : runs) {
        values.push_back(run[i].*field);
      }
      return SpreadOf(std::move(values)).median;
    };
    CurvePoint point = runs.front()[i];
    point.recall = median(&CurvePoint::recall);
    point.qps_wall = median(&CurvePoint::qps_wall);
    point.qps_cpu = median(&CurvePoint::qps_cpu);
    point.p50_us = median(&CurvePoint::p50_us);
    point.p99_us = median(&CurvePoint::p99_us);
    curve.push_back(point);
  }
  return curve;
}

std::string ReportAsJson(const BenchOptions& options, const BenchReport& report, const kernels::Kernels& kernels) {
  const Runs runs = options.churn ? Runs() : report.runs();
  Json json = {{"format", kFormat},
               {"system", "longbow-" + options.state},
               {"distances", options.exact_distances ? "exact" : "codes"},
               {"dataset", options.dataset},
               {"metric", options.metric_word},
               {"k", options.k},
               {"threads", options.threads},
               {"rows", report.rows},
               {"dimension", report.dimension},
               {"dtype", options.type == ElementType::kFloat16 ? "f16" : "f32"},
               {"queries", report.queries},
               {"machine", Machine(kernels)},
               {"build",
                {{"rows", report.build.rows},
                 {"wall_s", report.build.wall_s},
                 {"cpu_s", report.build.cpu_s},
                 {"bytes", report.build.bytes},
                 {"resident_bytes", report.build.resident_bytes}}},
               {"curve", PointsAsJson(MedianCurve(runs))},
               {"at_recall", AtRecallAsJson(runs)},
               {"runs", RunsAsJson(runs)}};
  if (options.filters.size() == 1) {
    json["filter"] = {{"spec", report.filters.front().spec}, {"passing", report.filters.front().passing}};
  }
  if (options.filters.size() > 1) {
    json["filters"] = FiltersAsJson(report.filters);
  }
  if (options.churn) {
    json["churn"] = ChurnAsJson(report);
  }
  return json.dump(1) + "\n";
}

std::string ReportAsTable(const BenchOptions& options, const BenchReport& report) {
  std::string text;
  Append(&text, "%s: %u x %u, %s, %u queries, k = %u, %u thread%s, state %s\n", options.dataset.c_str(), report.rows,
         report.dimension, options.metric_word.c_str(), report.queries, options.k, options.threads,
         options.threads == 1 ? "" : "s", options.state.c_str());
  const double raw_bytes = static_cast<double>(report.build.rows) * report.dimension * sizeof(float);
  Append(&text, "build: %.2f s CPU, %.2f s, %.1f MB = %.2f x raw float32\n", report.build.cpu_s, report.build.wall_s,
         static_cast<double>(report.build.bytes) / 1e6, static_cast<double>(report.build.bytes) / raw_bytes);
  if (options.churn) {
    AppendChurn(report, &text);
  }
  for (const FilterRuns& filter : report.filters) {
    if (!filter.spec.empty()) {
      Append(&text, "\nfilter %s: %u rows pass\n", filter.spec.c_str(), filter.passing);
    }
    AppendCurve(filter.runs, &text);
  }
  return text;
}

}  // namespace longbow::cli
