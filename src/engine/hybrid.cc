#include "engine/hybrid.h"

#include <algorithm>
#include <unordered_map>

#include "engine/row_filter.h"
#include "text/bm25.h"

namespace longbow::engine {
namespace {

constexpr double kRankConstant = 60;

void KeepBest(size_t k, std::vector<RankedRow>* rows) {
  const size_t size = std::min(k, rows->size());
  std::partial_sort(rows->begin(), rows->begin() + static_cast<std::ptrdiff_t>(size), rows->end(),
                    [](const RankedRow& a, const RankedRow& b) {
                      return a.score > b.score || (a.score == b.score && a.ordinal < b.ordinal);
                    });
  rows->resize(size);
}

std::vector<RankedRow> BestOf(const std::unordered_map<uint64_t, double>& scores, size_t k) {
  std::vector<RankedRow> rows;
  rows.reserve(scores.size());
  for (const auto& [ordinal, score] : scores) {
    rows.push_back({ordinal, static_cast<float>(score)});
  }
  KeepBest(k, &rows);
  return rows;
}

// Where a part of text::SearchText lies.
struct PlacedPiece {
  const SegmentView* segment;
  uint32_t begin;
};

}  // namespace

Result<std::vector<RankedRow>> SearchWords(const View& view, const std::string& query,
                                           const filter::BoundPredicate& predicate, const std::string& filter_key,
                                           size_t k, const Cancellation* cancellation) {
  const std::vector<TextColumn> columns = TextColumnsOf(*view.schema);
  if (columns.empty()) {
    return FailedPrecondition("text_query: the dataset has no column of text (utf8 or large_utf8)");
  }
  std::vector<std::vector<std::string>> terms;
  for (const TextColumn& column : columns) {
    LB_ASSIGN(const auto tokenizer, text::Tokenizer::Create(column.tokenizer));
    terms.push_back(tokenizer->Terms(query));
  }
  std::vector<std::shared_ptr<const SegmentText::Pieces>> kept;
  std::vector<std::shared_ptr<const Selection>> selections;
  std::vector<text::TextPart> parts;
  std::vector<PlacedPiece> places;
  for (const SegmentView& segment : view.segments) {
    if (segment.rows == 0) {
      continue;
    }
    LB_ASSIGN(auto pieces, segment.segment->text().Cover(*view.schema, segment.chunks, segment.rows, cancellation));
    index::RowFilter visible = view.FilterOf(segment);
    if (!predicate.MatchesAll()) {
      selections.push_back(SelectionOf(segment, predicate, filter_key));
      visible.passing = selections.back()->bits.data();
    }
    for (const SegmentText::Piece& piece : *pieces) {
      text::TextPart part{.rows = piece.end - piece.begin, .columns = {}, .passes = nullptr};
      for (const TextColumn& column : columns) {
        part.columns.push_back(piece.Find(column.name));
      }
      part.passes = [visible, begin = piece.begin](uint32_t row) { return visible.Contains(begin + row); };
      parts.push_back(std::move(part));
      places.push_back({&segment, piece.begin});
    }
    kept.push_back(std::move(pieces));
  }
  LB_ASSIGN(const std::vector<text::TextHit> hits, text::SearchText(parts, terms, k, {}, cancellation));
  std::vector<RankedRow> rows;
  for (const text::TextHit& hit : hits) {
    const PlacedPiece& place = places[hit.part];
    rows.push_back({place.segment->segment->OrdinalOf(place.begin + hit.row), hit.score});
  }
  return rows;
}

std::vector<RankedRow> FuseByRank(const std::vector<RankedRow>& dense, const std::vector<RankedRow>& words, size_t k) {
  std::unordered_map<uint64_t, double> scores;
  for (const auto* list : {&dense, &words}) {
    for (size_t rank = 0; rank < list->size(); ++rank) {
      scores[(*list)[rank].ordinal] += 1 / (kRankConstant + static_cast<double>(rank) + 1);
    }
  }
  return BestOf(scores, k);
}

std::vector<RankedRow> FuseByScore(const std::vector<RankedRow>& dense, const std::vector<RankedRow>& words,
                                   double alpha, size_t k) {
  std::unordered_map<uint64_t, double> scores;
  const auto add = [&scores](const std::vector<RankedRow>& list, double weight) {
    if (list.empty()) {
      return;
    }
    const double worst = list.back().score;
    const double range = list.front().score - worst;
    for (const RankedRow& row : list) {
      scores[row.ordinal] += weight * (range > 0 ? (row.score - worst) / range : 1);
    }
  };
  add(dense, alpha);
  add(words, 1 - alpha);
  return BestOf(scores, k);
}

double AlphaFor(std::string_view query) {
  const bool is_literal =
      std::any_of(query.begin(), query.end(), [](char c) { return (c >= '0' && c <= '9') || c == '"'; });
  size_t words = 0;
  bool in_word = false;
  for (const char c : query) {
    const bool is_space = c == ' ' || c == '\t' || c == '\n';
    words += !is_space && !in_word ? 1 : 0;
    in_word = !is_space;
  }
  if (is_literal || words <= 2) {
    return 0.3;
  }
  return words >= 6 ? 0.7 : 0.5;
}

}  // namespace longbow::engine
