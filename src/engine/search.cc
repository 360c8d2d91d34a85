#include "engine/search.h"

#include <arrow/api.h>

#include <algorithm>
#include <cfloat>
#include <chrono>
#include <cmath>

#include "base/limits.h"
#include "engine/fetch.h"
#include "engine/hybrid.h"
#include "engine/search_page.h"
#include "engine/segment_plan.h"
#include "engine/vector_bytes.h"
#include "index/flat_search.h"

namespace longbow::engine {
namespace {

using index::Neighbor;

void Collect(const SegmentView& segment, const std::vector<Neighbor>& neighbors, std::vector<Found>* found) {
  for (const Neighbor& neighbor : neighbors) {
    found->push_back({neighbor.distance, segment.segment->OrdinalOf(neighbor.id)});
  }
}

// How near a row has to be to come back at all.
struct NearnessLimit {
  Metric metric = Metric::kL2;
  std::optional<double> radius;
  std::optional<double> score_min;

  bool any() const { return radius || score_min; }
  bool Within(double distance) const {
    const double shown = metric == Metric::kL2 ? std::sqrt(distance) : distance;
    return (!radius || shown <= *radius) && (!score_min || ScoreOfDistance(metric, distance) >= *score_min);
  }
};

// One query on the segments of a view. One thread.
class QueryRun {
 public:
  QueryRun(const View& view, std::vector<SegmentPlan>& plans, const PlanRequest& plan_request,
           const index::SearchOptions& options, SearchExplanation* explanation)
      : view_(view), plans_(plans), plan_request_(plan_request), options_(options), explanation_(explanation) {}

  // The min(k, those that exist) nearest rows, nearest first.
  Result<std::vector<Found>> Nearest(const index::TypedQuery& query, uint32_t k) {
    found_.clear();
    for (SegmentPlan& plan : plans_) {
      LB_TRY(SearchSegment(plan, query, k));
    }
    uint64_t candidates = 0;
    bool complete = true;
    for (const SegmentPlan& plan : plans_) {
      candidates += plan.candidates();
      complete = complete && plan.complete();
    }
    if (found_.size() < std::min<uint64_t>({k, candidates, view_.live_rows}) && !complete) {
      // The walk ended early, in an island or among deleted rows: k rows exist, so they are found the sure way.
      found_.clear();
      if (explanation_ != nullptr) {
        explanation_->repeated_exactly = true;
      }
      for (SegmentPlan& plan : plans_) {
        plan.UseBitmap(plan_request_);
        plan.method = SearchMethod::kScan;
        LB_TRY(SearchSegment(plan, query, k));
      }
    }
    const size_t size = std::min<size_t>(k, found_.size());
    std::partial_sort(found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(size), found_.end());
    found_.resize(size);
    return std::move(found_);
  }

  // Those of the k_max nearest that are within the limit, if there is one. Few rows are asked for first, and more as
  // long as the last of them is still within: the search reaches as far as the limit, not as far as k.
  Result<std::vector<Found>> NearestWithin(const index::TypedQuery& query, const NearnessLimit& limit, uint32_t k_max) {
    if (!limit.any()) {
      return Nearest(query, k_max);
    }
    for (uint32_t k = std::min(k_max, std::max(options_.ef, kLimitedKFirst));;
         k = std::min(k_max, k * kLimitedKGrowth)) {
      LB_ASSIGN(std::vector<Found> found, Nearest(query, k));
      const bool complete = k == k_max || found.size() < k || !limit.Within(found.back().distance);
      if (complete) {
        std::erase_if(found, [&](const Found& row) { return !limit.Within(row.distance); });
        return found;
      }
    }
  }

  // Of a paged search as many as the page has, and one more if there is one: rows of earlier pages, and what came in
  // front of them since, do not count.
  Result<std::vector<Found>> NearestOnPage(const index::TypedQuery& query, const NearnessLimit& limit,
                                           const SearchPage& page) {
    const auto k_max =
        static_cast<uint32_t>(std::min<uint64_t>(std::max<uint64_t>(view_.rows, 1), limits::kSearchKMax + 1));
    for (uint32_t k = options_.k;; k = std::min(k_max, 2 * k)) {
      LB_ASSIGN(std::vector<Found> found, NearestWithin(query, limit, k));
      const bool is_all = found.size() < k || k >= k_max;
      page.DropEarlier(&found);
      if (!page.paged() || is_all || page.IsMoreThan(found)) {
        return found;
      }
    }
  }

 private:
  static constexpr uint32_t kLimitedKFirst = 128;
  static constexpr uint32_t kLimitedKGrowth = 4;

  Status SearchSegment(SegmentPlan& plan, const index::TypedQuery& query, uint32_t k) {
    const auto started = std::chrono::steady_clock::now();
    index::SearchCounters counters;
    index::SearchOptions options = options_;
    options.k = k;
    options.ef = std::max(options.ef, k);
    options.counters = explanation_ == nullptr ? nullptr : &counters;
    if (plan.method == SearchMethod::kWalkThenCheck) {
      LB_ASSIGN(const bool enough, WalkThenCheck(plan, query, options));
      if (!enough) {
        plan.UseBitmap(plan_request_);
      }
    }
    if (plan.method != SearchMethod::kWalkThenCheck) {
      LB_TRY(WalkAndScan(plan, query, options));
    }
    if (explanation_ != nullptr) {
      Explain(plan, counters, std::chrono::steady_clock::now() - started);
    }
    return {};
  }

  Status WalkAndScan(const SegmentPlan& plan, const index::TypedQuery& query, index::SearchOptions options) {
    const Segment& segment = *plan.view->segment;
    index::RowFilter visible = view_.FilterOf(*plan.view);
    visible.passing = plan.selection == nullptr ? nullptr : plan.selection->bits.data();
    options.passing_share = plan.passing_share();
    uint32_t scan_begin = plan.method == SearchMethod::kScan ? 0 : plan.graph.rows;
    if (plan.method == SearchMethod::kProjectionScan) {
      scan_begin = plan.range->column->rows();
      options.filter = visible;
      if (plan.range->whole_predicate) {
        options.filter.passing = nullptr;
      }
      LB_ASSIGN(const std::vector<Neighbor> neighbors,
                plan.projection->Search(segment.vectors(), query, {plan.range->begin, plan.range->end},
                                        std::max<size_t>(plan.refined, options.k), options));
      Collect(*plan.view, neighbors, &found_);
    } else if (scan_begin > 0) {
      options.filter = visible;
      options.filter.end = scan_begin;
      options.ef = std::max(options.ef, plan.walk_ef);
      // A rule knows no filter; a walk among few rows that pass takes the ef that was planned.
      index::StopRule rule;
      if (plan_request_.recall_target > 0 && plan.method == SearchMethod::kWalk && plan.graph.recall != nullptr) {
        rule = plan.graph.recall->RuleFor(options.k, plan_request_.recall_target);
        options.stop = &rule;
      }
      LB_ASSIGN(const std::vector<Neighbor> neighbors, plan.graph.index->Search(query, options));
      Collect(*plan.view, neighbors, &found_);
    }
    if (scan_begin < plan.view->rows) {
      options.filter = visible;
      options.filter.begin = scan_begin;
      LB_ASSIGN(const std::vector<Neighbor> neighbors, index::FlatSearch(segment.vectors(), query, options));
      Collect(*plan.view, neighbors, &found_);
    }
    return {};
  }

  // False if fewer than k of the rows that came back pass: nothing was collected then.
  Result<bool> WalkThenCheck(const SegmentPlan& plan, const index::TypedQuery& query, index::SearchOptions options) {
    const uint32_t k = options.k;
    options.k = static_cast<uint32_t>(std::ceil(1.5 * k / plan.estimated_selectivity)) + 8;
    options.ef = std::max({options.ef, plan.walk_ef, options.k});
    options.filter = view_.FilterOf(*plan.view);
    LB_ASSIGN(std::vector<Neighbor> neighbors, plan.graph.index->Search(query, options));
    std::vector<Neighbor> passing;
    for (const Neighbor& neighbor : neighbors) {
      if (passing.size() < k && plan.filter->Passes(neighbor.id)) {
        passing.push_back(neighbor);
      } else if (options.counters != nullptr) {
        ++options.counters->filtered;
      }
    }
    if (passing.size() < k) {
      return false;
    }
    Collect(*plan.view, passing, &found_);
    return true;
  }

  void Explain(const SegmentPlan& plan, const index::SearchCounters& counters, std::chrono::duration<double> took) {
    SegmentExplanation part;
    part.first_row = plan.view->segment->first_ordinal();
    part.rows = plan.view->rows;
    part.tail_rows = plan.view->rows - plan.graph.rows;
    part.method = plan.method;
    part.graph = plan.graph.kind;
    part.estimated_selectivity = plan.estimated_selectivity;
    part.actual_selectivity = plan.actual_selectivity;
    part.visited = counters.visited;
    part.refined = counters.refined;
    part.filtered = counters.filtered;
    part.ef = counters.ef;
    part.plan_us = plan.plan_us;
    part.search_us = took.count() * 1e6;
    for (SegmentExplanation& earlier : explanation_->segments) {
      if (earlier.first_row == part.first_row) {  // asked once more: the last method, all the work
        part.visited += earlier.visited;
        part.refined += earlier.refined;
        part.filtered += earlier.filtered;
        part.search_us += earlier.search_us;
        earlier = part;
        return;
      }
    }
    explanation_->segments.push_back(part);
  }

  const View& view_;
  std::vector<SegmentPlan>& plans_;
  const PlanRequest plan_request_;
  const index::SearchOptions options_;
  SearchExplanation* const explanation_;  // null: nobody asks
  std::vector<Found> found_;
};

Status CheckLimits(const SearchRequest& request, Metric metric) {
  if (request.radius && !(*request.radius >= 0 && std::isfinite(*request.radius))) {
    return InvalidArgument("radius must be a number of at least 0, got " + std::to_string(*request.radius));
  }
  if (request.radius && metric == Metric::kInnerProduct) {
    return InvalidArgument("radius does not apply to dot_product, which is no distance: use score_min");
  }
  if (request.score_min && !std::isfinite(*request.score_min)) {
    return InvalidArgument("score_min must be a finite number, got " + std::to_string(*request.score_min));
  }
  return {};
}

bool AsksForWords(const SearchRequest& request) {
  return !request.text_query.empty() && (request.alpha != 1 || request.vectors.empty());
}
bool AsksForVectors(const SearchRequest& request) {
  return !AsksForWords(request) || (request.alpha != 0 && !request.vectors.empty());
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
  if (request.recall_target && request.ef != 0) {
    return InvalidArgument("ef and recall_target exclude each other: give one of them");
  }
  if (request.recall_target && !(*request.recall_target >= limits::kRecallTargetMin && *request.recall_target < 1)) {
    return InvalidArgument("recall_target must be at least 0.5 and below 1, got " +
                           std::to_string(*request.recall_target));
  }
  if (request.ef > limits::kEfMax) {
    return InvalidArgument("ef must be at most " + std::to_string(limits::kEfMax) + ", got " +
                           std::to_string(request.ef));
  }
  if (!(request.alpha <= 1)) {
    return InvalidArgument("alpha must be 0 to 1, or negative for a choice by the words; got " +
                           std::to_string(request.alpha));
  }
  if (request.cursor && (AsksForWords(request) || request.vectors.size() != 1)) {
    return InvalidArgument("cursor: pages are those of one vector, without words: fused lists change with k");
  }
  if (AsksForWords(request)) {
    if (request.radius || request.score_min) {
      return InvalidArgument(
          "radius and score_min are for searches by vector alone: leave text_query out, or set alpha to 1");
    }
    if (!AsksForVectors(request)) {
      return request.include_vectors ? CheckVectorFormat(schema, request.vector_format) : Status();
    }
  }
  if (schema.vector_column < 0) {
    return FailedPrecondition("index not initialized: dataset '" + request.collection + "' has no vector column");
  }
  LB_TRY(CheckLimits(request, schema.metric));
  if (request.include_vectors) {
    LB_TRY(CheckVectorFormat(schema, request.vector_format));
  }
  if (request.vectors.empty()) {
    return InvalidArgument("no query vector provided");
  }
  for (const QueryVector& query : request.vectors) {
    if (query.empty()) {
      return InvalidArgument("no query vector provided");
    }
    if (query.size() != schema.dimension) {
      return InvalidArgument("dimension mismatch: expected " + std::to_string(schema.dimension) + ", got " +
                             std::to_string(query.size()));
    }
    const std::vector<double>& numbers = query.numbers();
    if (!std::all_of(numbers.begin(), numbers.end(), [](double number) { return std::fabs(number) <= FLT_MAX; })) {
      return InvalidArgument("the query vector holds NaN, infinity or a number beyond the range of float32");
    }
  }
  return {};
}

// For what is learned from queries.
void NoteQuery(const std::vector<SegmentPlan>& plans, const QueryVector& query, const PlanRequest& request) {
  for (const SegmentPlan& plan : plans) {
    if (plan.method == SearchMethod::kWalk && plan.graph.rows > 0) {
      plan.view->segment->graph().queries().Note(query, request.k, request.recall_target > 0 ? 0 : request.ef,
                                                 request.recall_target);
    }
  }
}

const Chunk& ChunkOf(const View& view, uint64_t ordinal, int64_t* row_in_chunk) {
  const View::Place place = view.Find(ordinal);
  const Chunk& chunk = place.segment->chunks.Find(place.row);
  *row_in_chunk = place.row - chunk.first_row;
  return chunk;
}

// `fields`: of request.columns.
Result<QueryResult> Present(const View& view, const SearchRequest& request, const std::vector<int>& fields,
                            const std::vector<RankedRow>& rows) {
  QueryResult result;
  if (!request.columns.empty()) {
    std::vector<uint64_t> ordinals;
    for (const RankedRow& row : rows) {
      ordinals.push_back(row.ordinal);
    }
    LB_ASSIGN(result.columns, FetchFields(view, fields, ordinals));
  }
  result.hits.reserve(rows.size());
  for (const RankedRow& row : rows) {
    result.hits.push_back({ShownIdOf(view, row.ordinal), row.ordinal, row.score});
    if (request.include_vectors) {
      result.vectors.push_back(VectorBytes(view, row.ordinal, request.vector_format));
    }
  }
  return result;
}

std::vector<RankedRow> Ranked(Metric metric, const std::vector<Found>& found) {
  std::vector<RankedRow> rows;
  rows.reserve(found.size());
  for (const Found& row : found) {
    rows.push_back({row.ordinal, ScoreOfDistance(metric, row.distance)});
  }
  return rows;
}

// Without vectors there is one list, ranked as it would be beside another; with alpha 0 its own scores are shown.
std::vector<RankedRow> Fuse(const SearchRequest& request, const std::vector<RankedRow>& dense,
                            const std::vector<RankedRow>& words) {
  const auto k = static_cast<size_t>(request.k);
  if (request.alpha == 0) {
    return {words.begin(), words.begin() + static_cast<std::ptrdiff_t>(std::min(k, words.size()))};
  }
  if (request.alpha < 0) {
    return FuseByScore(dense, words, AlphaFor(request.text_query), k);
  }
  return request.fusion == Fusion::kScore ? FuseByScore(dense, words, request.alpha, k) : FuseByRank(dense, words, k);
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

Result<QueryVector> VectorOf(const View& view, uint64_t ordinal) {
  const View::Place place = view.Find(ordinal);
  if (place.segment == nullptr) {
    return NotFound("no row has ordinal " + std::to_string(ordinal));
  }
  if (!place.segment->segment->searchable()) {
    return view.schema->vector_column < 0
               ? FailedPrecondition("index not initialized: the dataset has no vector column")
               : FailedPrecondition("the row has no vector: it was put before the dataset got a vector column");
  }
  const index::VectorRows& rows = place.segment->segment->vectors();
  return index::NumbersOf(rows.type(), rows.bytes(place.row), rows.dimension());
}

Result<std::vector<QueryResult>> Search(const View& view, const SearchRequest& request, const SearchDefaults& defaults,
                                        const Cancellation* cancellation, ShardId shard) {
  LB_TRY(CheckRequest(view, request));
  LB_ASSIGN(const std::vector<int> fields, FieldsOf(*view.schema, request.columns));
  LB_ASSIGN(const filter::BoundPredicate predicate,
            filter::BoundPredicate::Bind(request.filter, *view.schema->columns));
  LB_ASSIGN(const SearchPage page, SearchPage::Of(view, shard, request));
  const NearnessLimit limit{view.schema->metric, request.radius, request.score_min};
  // Of two lists the better halves are fused.
  const uint64_t wanted = AsksForWords(request) ? static_cast<uint64_t>(request.k) * 2 : page.wanted_rows(limit.any());
  index::SearchOptions options;
  options.k = static_cast<uint32_t>(std::min<uint64_t>(wanted, std::max<uint64_t>(view.rows, 1)));
  const double recall_target = request.recall_target.value_or(0);
  const uint32_t asked_ef = request.ef != 0 ? request.ef : defaults.ef;
  options.ef = recall_target > 0 ? options.k : std::max(options.k, asked_ef);  // with a target each segment has its own
  options.cancellation = cancellation;

  const PlanRequest plan_request{.k = options.k,
                                 .ef = options.ef,
                                 .queries = request.vectors.size(),
                                 .recall_target = recall_target,
                                 .filter_key = SelectionCache::KeyOf(request.filter, view.schema->version)};
  std::vector<RankedRow> words;
  if (AsksForWords(request)) {
    LB_ASSIGN(words,
              SearchWords(view, request.text_query, predicate, plan_request.filter_key, options.k, cancellation));
    if (!AsksForVectors(request)) {
      LB_ASSIGN(QueryResult only, Present(view, request, fields, Fuse(request, {}, words)));
      return std::vector<QueryResult>{std::move(only)};
    }
  }
  std::vector<SegmentPlan> plans;
  for (const SegmentView& segment : view.segments) {
    if (segment.segment->searchable()) {
      plans.push_back(PlanSegment(segment, predicate, plan_request));
    }
  }

  std::vector<QueryResult> results;
  results.reserve(request.vectors.size());
  for (const QueryVector& numbers : request.vectors) {
    if (cancellation != nullptr) {
      LB_TRY(cancellation->Check());
    }
    const auto started = std::chrono::steady_clock::now();
    std::optional<SearchExplanation> explanation;
    if (request.explain) {
      explanation.emplace();
    }
    LB_ASSIGN(const index::TypedQuery query,
              index::TypedQuery::For(view.schema->element, view.schema->metric, numbers));
    QueryRun run(view, plans, plan_request, options, explanation ? &*explanation : nullptr);
    LB_ASSIGN(std::vector<Found> found, run.NearestOnPage(query, limit, page));
    const bool truncated = limit.any() && page.IsMoreThan(found);
    std::string next_page = AsksForWords(request) ? std::string() : page.Cut(&found);
    NoteQuery(plans, numbers, plan_request);
    std::vector<RankedRow> rows = Ranked(view.schema->metric, found);
    if (AsksForWords(request)) {
      rows = Fuse(request, rows, words);
    }
    LB_ASSIGN(QueryResult result, Present(view, request, fields, rows));
    result.truncated = truncated;
    result.cursor = std::move(next_page);
    results.push_back(std::move(result));
    if (explanation) {
      explanation->total_us =
          std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - started).count();
      results.back().explanation = std::move(explanation);
    }
  }
  return results;
}

}  // namespace longbow::engine
