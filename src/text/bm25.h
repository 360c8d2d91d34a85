// Rows ranked by how well they match words.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "text/inverted_index.h"

namespace longbow::text {

// Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009.
struct Bm25Parameters {
  float k1 = 1.2f;  // how soon more of a term stops to count
  float b = 0.75f;  // how much long rows are held back
};

// Some rows of the collection, with which of them may be found.
struct TextPart {
  uint32_t rows = 0;
  std::vector<const InvertedIndex*> columns;  // of all these rows each; null: none of them has that column
  std::function<bool(uint32_t row)> passes;   // null: all
};

struct TextHit {
  uint32_t part = 0;
  uint32_t row = 0;
  float score = 0;

  // Best first; equal scores in the order of rows.
  friend bool operator<(const TextHit& a, const TextHit& b) {
    return a.score > b.score || (a.score == b.score && (a.part < b.part || (a.part == b.part && a.row < b.row)));
  }
};

struct TextCounters {
  uint64_t scored = 0;    // postings that were scored
  uint64_t postings = 0;  // of all terms, in all parts
};

// The k rows with the highest scores, best first; rows that hold none of the terms never come back. `terms`: what is
// asked of each column, whose scores are added. A term that stands in the query twice counts twice. Statistics (how
// rare a term is, how long rows are) are those of all rows of all parts, passing or not, so that a filter does not
// change scores. Exact: block maxima only leave out what cannot be among the best (MaxScore by windows: Turtle and
// Flood, Query evaluation: strategies and optimizations, 1995; the windows are Lucene's). Errors: CANCELLED,
// DEADLINE_EXCEEDED. Thread safe.
Result<std::vector<TextHit>> SearchText(std::span<const TextPart> parts,
                                        std::span<const std::vector<std::string>> terms, size_t k,
                                        const Bm25Parameters& parameters, const Cancellation* cancellation,
                                        TextCounters* counters = nullptr);

}  // namespace longbow::text
