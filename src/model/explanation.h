// How a search was answered: what EXPLAIN shows.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace longbow {

enum class SearchMethod : uint8_t {
  kScan,            // exact: every row, or every row that passes, is measured
  kProjectionScan,  // codes of the passing rows in the order of a filter column, the best of them measured
  kWalk,            // the graph
  kFilteredWalk,    // the graph, collecting rows that pass
  kWalkThenCheck,   // the graph without the filter, its answers checked against the columns
};

constexpr std::string_view SearchMethodName(SearchMethod method) {
  switch (method) {
    case SearchMethod::kScan:
      return "scan";
    case SearchMethod::kProjectionScan:
      return "projection_scan";
    case SearchMethod::kWalk:
      return "walk";
    case SearchMethod::kFilteredWalk:
      return "filtered_walk";
    case SearchMethod::kWalkThenCheck:
      break;
  }
  return "walk_then_check";
}

// The graph that a segment has for a reader.
enum class GraphKind : uint8_t {
  kNone,    // too few rows, or none linked yet
  kActive,  // takes rows
  kSealed,  // made for speed
  kLean,    // made for little memory, or for inner products of unequal norms
};

constexpr std::string_view GraphKindName(GraphKind kind) {
  switch (kind) {
    case GraphKind::kNone:
      return "none";
    case GraphKind::kActive:
      return "active";
    case GraphKind::kSealed:
      return "sealed";
    case GraphKind::kLean:
      break;
  }
  return "lean";
}

// One segment of one query. Planning is done once for all queries of a request.
struct SegmentExplanation {
  uint64_t first_row = 0;  // ordinal
  uint64_t rows = 0;
  uint64_t tail_rows = 0;  // not in the graph yet: scanned whatever the method
  SearchMethod method = SearchMethod::kScan;
  GraphKind graph = GraphKind::kNone;        // that was there; only methods that walk use it
  double estimated_selectivity = 1;          // before any bitmap was made
  std::optional<double> actual_selectivity;  // none: no bitmap was needed
  uint64_t visited = 0;                      // rows or nodes whose distance was computed or estimated
  uint64_t refined = 0;                      // of them measured again, more exactly
  uint64_t filtered = 0;                     // rows looked at that the filter or a delete ruled out
  uint64_t ef = 0;                           // beam width of the walk; 0: none
  double plan_us = 0;                        // counting, choosing, making the bitmap
  double search_us = 0;
};

struct SearchExplanation {
  std::vector<SegmentExplanation> segments;
  bool repeated_exactly = false;  // the first try found fewer than k: every segment was scanned
  double total_us = 0;
};

}  // namespace longbow
