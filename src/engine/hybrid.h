// Searches by words, and what becomes of their answers beside those of vectors.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "engine/view.h"
#include "filter/evaluate.h"

namespace longbow::engine {

struct RankedRow {
  uint64_t ordinal = 0;
  float score = 0;
};

// The k live rows of the view that pass and match the words of `query` best, by BM25 over all text columns, best first;
// equal scores by ordinal. `filter_key`: SelectionCache::KeyOf of the predicate. FAILED_PRECONDITION if the collection
// has no text column; CANCELLED, DEADLINE_EXCEEDED. Thread safe.
Result<std::vector<RankedRow>> SearchWords(const View& view, const std::string& query,
                                           const filter::BoundPredicate& predicate, const std::string& filter_key,
                                           size_t k, const Cancellation* cancellation);

// The k best of both lists by reciprocal rank: a row at rank r, from 0, of a list gets 1 / (60 + r + 1) for it
// (Cormack, Clarke and Buettcher, Reciprocal rank fusion outperforms Condorcet and individual rank learning methods,
// SIGIR 2009).
std::vector<RankedRow> FuseByRank(const std::vector<RankedRow>& dense, const std::vector<RankedRow>& words, size_t k);
// By scores: those of each list from 0 for its worst to 1 for its best, weighted alpha and 1 - alpha; a row that is not
// in a list gets 0 for it.
std::vector<RankedRow> FuseByScore(const std::vector<RankedRow>& dense, const std::vector<RankedRow>& words,
                                   double alpha, size_t k);
// A weight for the dense list by the look of the words: 0.3 for one or two or where a number or a quote stands, which
// are looked for as they are; 0.7 for a sentence of six and more; else 0.5.
double AlphaFor(std::string_view query);

}  // namespace longbow::engine
