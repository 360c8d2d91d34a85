// Points of recall against speed, and what can be read off them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace longbow::cli {

struct CurvePoint {
  uint32_t param = 0;        // ef
  double recall_target = 0;  // asked for in the place of ef; 0: none was
  double recall = 0;         // at k
  double qps_wall = 0;       // queries a second by the clock, all threads together
  double qps_cpu = 0;        // queries a second of CPU time, summed over the threads
  double p50_us = 0;         // of one query, by the clock
  double p99_us = 0;
  uint64_t short_answers = 0;  // queries that got fewer rows than exist for them
};

enum class Speed : uint8_t { kWall, kCpu };

// The recalls at which systems are compared.
inline constexpr double kRecallLevels[] = {0.90, 0.95, 0.99, 0.999};

// Queries a second at `recall`: log(QPS) taken as linear in log(1 - recall) between the two neighbouring points, as
// recall curves nearly are. Of points with more recall than that only the fastest counts, so a curve that bends back
// is no disadvantage. The first point's speed if it lies beyond `recall` already; nothing if no point reaches it.
std::optional<double> SpeedAtRecall(std::span<const CurvePoint> curve, double recall, Speed speed);

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};
// Of at least one value.
Spread SpreadOf(std::vector<double> values);

}  // namespace longbow::cli
