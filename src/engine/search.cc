#include "engine/search.h"

#include <arrow/api.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/limits.h"
#include "engine/row_filter.h"
#include "index/flat_search.h"

namespace longbow::engine {
namespace {

using index::Neighbor;

constexpr uint32_t kExactRowsMax = 2048;  // up to here a scan is as fast as walking the graph

struct Found {
  float distance = 0;
  uint64_t ordinal = 0;

  friend bool operator<(const Found& a, const Found& b) {
    return a.distance < b.distance || (a.distance == b.distance && a.ordinal < b.ordinal);
  }
};

// How one segment answers all queries of a request.
struct SegmentPlan {
  const SegmentView* view = nullptr;
  Selection selection;  // of the predicate; without one every row passes
  uint32_t linked = 0;  // rows below may be answered by the graph
  bool exact = false;

  uint32_t scanned_from() const { return exact ? 0 : linked; }
};

// Distances a graph search computes, about: every expanded node's links, and 1 / selectivity more nodes to collect ef
// rows.
bool ScanIsCheaper(uint64_t passing, uint64_t rows, uint32_t ef, uint32_t links) {
  return passing * passing <= static_cast<uint64_t>(ef) * links * rows;
}

SegmentPlan PlanSegment(const View& view, const SegmentView& segment, const filter::BoundPredicate& predicate,
                        uint32_t ef) {
  SegmentPlan plan;
  plan.view = &segment;
  plan.linked = std::min(segment.rows, segment.segment->indexed_rows());
  plan.exact = segment.rows <= kExactRowsMax;
  if (!predicate.MatchesAll()) {
    plan.selection = Select(view, segment, predicate);
    plan.exact =
        plan.exact || ScanIsCheaper(plan.selection.count, segment.rows, ef, segment.segment->graph().options().m);
  }
  return plan;
}

void Collect(const SegmentView& segment, const std::vector<Neighbor>& neighbors, std::vector<Found>* found) {
  for (const Neighbor& neighbor : neighbors) {
    found->push_back({neighbor.distance, segment.segment->first_ordinal() + neighbor.id});
  }
}

Status SearchSegment(const View& view, const SegmentPlan& plan, const float* query, index::SearchOptions options,
                     std::vector<Found>* found) {
  const Segment& segment = *plan.view->segment;
  const index::RowFilter visible = [&] {
    index::RowFilter filter = view.FilterOf(*plan.view);
    filter.passing = plan.selection.bits.empty() ? nullptr : plan.selection.bits.data();
    return filter;
  }();
  const uint32_t scan_begin = plan.scanned_from();
  if (scan_begin > 0) {
    options.filter = visible;
    options.filter.end = scan_begin;
    LB_ASSIGN(const std::vector<Neighbor> neighbors, segment.graph().Search(query, options));
    Collect(*plan.view, neighbors, found);
  }
  if (scan_begin < plan.view->rows) {
    options.filter = visible;
    options.filter.begin = scan_begin;
    LB_ASSIGN(const std::vector<Neighbor> neighbors, index::FlatSearch(segment.vectors(), query, options));
    Collect(*plan.view, neighbors, found);
  }
  return {};
}

Result<std::vector<Found>> SearchOne(const View& view, std::vector<SegmentPlan>& plans, const float* query,
                                     const index::SearchOptions& options, uint64_t candidates) {
  std::vector<Found> found;
  for (const SegmentPlan& plan : plans) {
    LB_TRY(SearchSegment(view, plan, query, options, &found));
  }
  if (found.size() < std::min<uint64_t>(options.k, candidates)) {
    // The walk ended early, in an island or among deleted rows: k rows exist, so they are found the sure way.
    found.clear();
    for (SegmentPlan& plan : plans) {
      plan.exact = true;
      LB_TRY(SearchSegment(view, plan, query, options, &found));
    }
  }
  const size_t k = std::min<size_t>(options.k, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(k), found.end());
  found.resize(k);
  return found;
}

Status CheckRequest(const View& view, const SearchRequest& request) {
  const CollectionSchema& schema = *view.schema;
  if (request.k < 1) {
    return InvalidArgument("k must be at least 1");
  }
  if (request.k > limits::kSearchKMax) {
    return InvalidArgument("k must be at most " + std::to_string(limits::kSearchKMax) + ", got " +
                           std::to_string(request.k));
  }
  if (request.ef > limits::kEfMax) {
    return InvalidArgument("ef must be at most " + std::to_string(limits::kEfMax) + ", got " +
                           std::to_string(request.ef));
  }
  if (!request.text_query.empty() && request.alpha != 1.0) {
    return Unimplemented(
        "hybrid search (text_query with alpha != 1) is not in this version; leave text_query out for a dense search");
  }
  if (schema.vector_column < 0) {
    return FailedPrecondition("index not initialized: dataset '" + request.collection + "' has no vector column");
  }
  if (request.vectors.empty()) {
    return InvalidArgument("no query vector provided");
  }
  for (const std::vector<float>& query : request.vectors) {
    if (query.empty()) {
      return InvalidArgument("no query vector provided");
    }
    if (query.size() != schema.dimension) {
      return InvalidArgument("dimension mismatch: expected " + std::to_string(schema.dimension) + ", got " +
                             std::to_string(query.size()));
    }
    if (!std::all_of(query.begin(), query.end(), [](float value) { return std::isfinite(value); })) {
      return InvalidArgument("the query vector holds NaN or infinity");
    }
  }
  return {};
}

const Chunk& ChunkOf(const View& view, uint64_t ordinal, int64_t* row_in_chunk) {
  const SegmentView& segment = view.Find(ordinal);
  const auto row = static_cast<uint32_t>(ordinal - segment.segment->first_ordinal());
  const Chunk& chunk = segment.chunks.Find(row);
  *row_in_chunk = row - chunk.first_row;
  return chunk;
}

std::string VectorBytes(const View& view, uint64_t ordinal) {
  int64_t row = 0;
  const Chunk& chunk = ChunkOf(view, ordinal, &row);
  const auto& column = static_cast<const arrow::FixedSizeListArray&>(*chunk.rows->column(view.schema->vector_column));
  const arrow::ArrayData& elements = *column.values()->data();
  const int width = static_cast<const arrow::FixedWidthType&>(*elements.type).bit_width() / 8;
  const uint8_t* bytes = elements.buffers[1]->data() + (elements.offset + column.value_offset(row)) * width;
  return {reinterpret_cast<const char*>(bytes),
          static_cast<size_t>(view.schema->dimension) * static_cast<size_t>(width)};
}

QueryResult Present(const View& view, const std::vector<Found>& found, bool include_vectors) {
  QueryResult result;
  result.hits.reserve(found.size());
  for (const Found& row : found) {
    result.hits.push_back(
        {ShownIdOf(view, row.ordinal), row.ordinal, ScoreOfDistance(view.schema->metric, row.distance)});
    if (include_vectors) {
      result.vectors.push_back(VectorBytes(view, row.ordinal));
    }
  }
  return result;
}

}  // namespace

uint64_t ShownIdOf(const View& view, uint64_t ordinal) {
  if (view.schema->id_column < 0) {
    return ordinal;
  }
  int64_t row = 0;
  const Chunk& chunk = ChunkOf(view, ordinal, &row);
  return ShownId(KeyAt(*chunk.rows->column(view.schema->id_column), row), ordinal);
}

Result<std::vector<float>> VectorOf(const View& view, uint64_t ordinal) {
  const SegmentView& segment = view.Find(ordinal);
  if (!segment.segment->searchable()) {
    return FailedPrecondition("index not initialized: the dataset has no vector column");
  }
  const float* row =
      segment.segment->vectors().row(static_cast<index::LocalId>(ordinal - segment.segment->first_ordinal()));
  return std::vector<float>(row, row + view.schema->dimension);
}

Result<std::vector<QueryResult>> Search(const View& view, const SearchRequest& request, const SearchDefaults& defaults,
                                        const Cancellation* cancellation) {
  LB_TRY(CheckRequest(view, request));
  LB_ASSIGN(const filter::BoundPredicate predicate,
            filter::BoundPredicate::Bind(request.filter, *view.schema->columns));
  index::SearchOptions options;
  options.k =
      static_cast<uint32_t>(std::min<uint64_t>(static_cast<uint64_t>(request.k), std::max<uint64_t>(view.rows, 1)));
  options.ef = std::max(options.k, request.ef != 0 ? request.ef : defaults.ef);
  options.cancellation = cancellation;

  std::vector<SegmentPlan> plans;
  uint64_t candidates = 0;
  for (const SegmentView& segment : view.segments) {
    plans.push_back(PlanSegment(view, segment, predicate, options.ef));
    candidates += plans.back().selection.count;
  }
  if (predicate.MatchesAll()) {
    candidates = view.live_rows;
  }

  std::vector<QueryResult> results;
  results.reserve(request.vectors.size());
  for (const std::vector<float>& query : request.vectors) {
    if (cancellation != nullptr) {
      LB_TRY(cancellation->Check());
    }
    LB_ASSIGN(const std::vector<Found> found, SearchOne(view, plans, query.data(), options, candidates));
    results.push_back(Present(view, found, request.include_vectors));
  }
  return results;
}

}  // namespace longbow::engine
