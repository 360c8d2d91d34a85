#include "text/bm25.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <map>

namespace longbow::text {
namespace {

constexpr uint32_t kWindowRows = 4096;
constexpr uint32_t kNoMoreRows = UINT32_MAX;

// What is the same for all parts.
struct QueryTerm {
  size_t column = 0;
  std::string_view term;
  uint32_t count = 0;  // in the query
  uint64_t rows = 0;   // that hold it
  float weight = 0;    // of a posting whose frequency counts in full
};

// By length code.
struct LengthNorms {
  std::array<float, 256> norm;  // what a frequency is weighed against
  std::array<float, 256> once;  // what a term is worth that stands there once: most do
};

// The best k so far.
class TopK {
 public:
  explicit TopK(size_t k) : k_(k) {}
  // Scores up to this one are of no use any more.
  float threshold() const { return threshold_; }
  void Offer(const TextHit& hit) {
    if (heap_.size() == k_) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = hit;
    } else {
      heap_.push_back(hit);
    }
    std::push_heap(heap_.begin(), heap_.end());
    if (heap_.size() == k_) {
      threshold_ = heap_.front().score;
    }
  }
  std::vector<TextHit> Take() {
    std::sort_heap(heap_.begin(), heap_.end());
    return std::move(heap_);
  }

 private:
  const size_t k_;
  float threshold_ = 0;        // no score is 0
  std::vector<TextHit> heap_;  // the worst in front
};

// The postings of one term in one part, read forwards.
class Cursor {
 public:
  Cursor(const Postings& postings, float weight, const LengthNorms& norms, const InvertedIndex& index)
      : postings_(postings), weight_(weight), norms_(&norms), index_(&index) {
    for (size_t block = 0; block < postings_.blocks.size(); ++block) {
      score_max_ = std::max(score_max_, BlockMax(block));
    }
  }

  // No posting scores more: in the whole list, in the window.
  float score_max() const { return score_max_; }
  float window_max() const { return window_max_; }
  uint32_t rows() const { return postings_.rows; }

  // The last row of the first block that ends at `row` or behind; kNoMoreRows behind the last.
  uint32_t BlockEnd(uint32_t row) {
    SkipTo(row);
    return block_ < postings_.blocks.size() ? postings_.blocks[block_].last_row : kNoMoreRows;
  }
  // Rows [begin, end) come next.
  void EnterWindow(uint32_t begin, uint32_t end) {
    SkipTo(begin);
    window_max_ = 0;
    for (size_t block = block_; block < postings_.blocks.size(); ++block) {
      if (block > block_ && postings_.blocks[block - 1].last_row + 1 >= end) {
        break;
      }
      window_max_ = std::max(window_max_, BlockMax(block));
    }
  }

  // Calls found(row, score) for each row in [begin, end).
  template <typename Found>
  void ForEach(uint32_t begin, uint32_t end, const Found& found) {
    for (SkipTo(begin); block_ < postings_.blocks.size(); ++block_, decoded_ = false) {
      Decode();
      DecodeFrequencies();
      const uint32_t* const first = std::lower_bound(rows_.data(), rows_.data() + count_, begin);
      for (auto i = static_cast<size_t>(first - rows_.data()); i < count_; ++i) {
        if (rows_[i] >= end) {
          return;
        }
        found(rows_[i], ScoreAt(i));
      }
    }
  }
  // 0 if the row does not hold the term. Rows ascend from call to call.
  float ScoreOf(uint32_t row) {
    SkipTo(row);
    if (block_ == postings_.blocks.size()) {
      return 0;
    }
    Decode();
    const uint32_t* const at = std::lower_bound(rows_.data(), rows_.data() + count_, row);
    const auto i = static_cast<size_t>(at - rows_.data());
    if (i == count_ || *at != row) {
      return 0;
    }
    DecodeFrequencies();
    return ScoreAt(i);
  }

  uint64_t scored() const { return scored_; }

 private:
  float Score(uint32_t frequency, uint8_t length) const {
    if (frequency == 1) {
      return weight_ * norms_->once[length];
    }
    const auto tf = static_cast<float>(frequency);
    return weight_ * tf / (tf + norms_->norm[length]);
  }
  float BlockMax(size_t block) const {
    return Score(postings_.blocks[block].tf_max, postings_.blocks[block].length_min);
  }
  float ScoreAt(size_t i) {
    ++scored_;
    return Score(frequencies_[i], index_->length_code(rows_[i]));
  }
  void SkipTo(uint32_t row) {
    if (block_ < postings_.blocks.size() && postings_.blocks[block_].last_row < row) {
      decoded_ = false;
      size_t step = 1;  // gallop, then halve
      size_t low = block_;
      while (low + step < postings_.blocks.size() && postings_.blocks[low + step].last_row < row) {
        low += step;
        step *= 2;
      }
      const auto begin = postings_.blocks.begin() + static_cast<std::ptrdiff_t>(low + 1);
      const auto end =
          postings_.blocks.begin() + static_cast<std::ptrdiff_t>(std::min(low + step + 1, postings_.blocks.size()));
      const auto found = std::lower_bound(
          begin, end, row, [](const PostingBlock& block, uint32_t value) { return block.last_row < value; });
      block_ = static_cast<size_t>(found - postings_.blocks.begin());
    }
  }
  void Decode() {
    if (!decoded_) {
      rows_bytes_ = postings_.DecodeRows(block_, rows_.data());
      count_ = postings_.RowsIn(block_);
      decoded_ = true;
      has_frequencies_ = false;
    }
  }
  void DecodeFrequencies() {
    if (!has_frequencies_) {
      postings_.DecodeFrequencies(block_, rows_bytes_, frequencies_.data());
      has_frequencies_ = true;
    }
  }

  Postings postings_;
  float weight_;
  const LengthNorms* norms_;
  const InvertedIndex* index_;
  float score_max_ = 0;
  float window_max_ = 0;
  size_t block_ = 0;
  bool decoded_ = false;
  bool has_frequencies_ = false;
  size_t rows_bytes_ = 0;
  size_t count_ = 0;
  std::array<uint32_t, kBlockRows> rows_;
  std::array<uint32_t, kBlockRows> frequencies_;
  uint64_t scored_ = 0;
};

// The search in one part, window by window.
class PartSearch {
 public:
  PartSearch(const TextPart& part, uint32_t number, std::vector<Cursor> cursors, TopK* top)
      : part_(part), number_(number), cursors_(std::move(cursors)), top_(*top) {
    for (Cursor& cursor : cursors_) {
      order_.push_back(&cursor);
    }
    std::sort(order_.begin(), order_.end(),
              [](const Cursor* a, const Cursor* b) { return a->score_max() < b->score_max(); });
  }

  Status Run(const Cancellation* cancellation) {
    uint32_t begin = 0;
    while (begin < part_.rows) {
      if (cancellation != nullptr) {
        LB_TRY(cancellation->Check());
      }
      const uint32_t end = WindowEnd(begin);
      if (end == kNoMoreRows) {
        return {};
      }
      SearchWindow(begin, end);
      begin = end;
    }
    return {};
  }

  uint64_t scored() const {
    uint64_t scored = 0;
    for (const Cursor& cursor : cursors_) {
      scored += cursor.scored();
    }
    return scored;
  }

 private:
  // Where block maxima of the terms change that matter; the others are weak whatever comes.
  uint32_t WindowEnd(uint32_t begin) {
    float weak = 0;
    uint32_t end = kNoMoreRows;
    for (Cursor* cursor : order_) {
      weak += cursor->score_max();
      if (weak > top_.threshold()) {
        end = std::min(end, cursor->BlockEnd(begin));
      }
    }
    return end == kNoMoreRows ? kNoMoreRows : std::min(end + 1, begin + kWindowRows);
  }

  void SearchWindow(uint32_t begin, uint32_t end) {
    by_window_.assign(order_.begin(), order_.end());
    for (Cursor* cursor : by_window_) {
      cursor->EnterWindow(begin, end);
    }
    std::sort(by_window_.begin(), by_window_.end(),
              [](const Cursor* a, const Cursor* b) { return a->window_max() < b->window_max(); });
    // Rows that hold only the first `weak_` of them cannot be among the best.
    weak_ = 0;
    bounds_.clear();
    float bound = 0;
    for (Cursor* cursor : by_window_) {
      if (bound + cursor->window_max() > top_.threshold()) {
        break;
      }
      bound += cursor->window_max();
      bounds_.push_back(bound);
      ++weak_;
    }
    if (weak_ == by_window_.size()) {
      return;
    }
    if (weak_ + 1 == by_window_.size()) {
      by_window_.back()->ForEach(begin, end, [this](uint32_t row, float score) { Consider(row, score); });
      return;
    }
    for (size_t i = weak_; i < by_window_.size(); ++i) {
      by_window_[i]->ForEach(begin, end, [this, begin](uint32_t row, float score) {
        const uint32_t offset = row - begin;
        sums_[offset] += score;
        touched_[offset / 64] |= uint64_t{1} << (offset % 64);
      });
    }
    for (uint32_t word = 0; word < (end - begin + 63) / 64; ++word) {
      for (uint64_t bits = std::exchange(touched_[word], 0); bits != 0; bits &= bits - 1) {
        const uint32_t offset = word * 64 + static_cast<uint32_t>(std::countr_zero(bits));
        Consider(begin + offset, std::exchange(sums_[offset], 0.0f));
      }
    }
  }

  // A row with what the strong terms give it.
  void Consider(uint32_t row, float score) {
    const float bound = weak_ == 0 ? 0 : bounds_.back();
    if (score + bound <= top_.threshold() || (part_.passes && !part_.passes(row))) {
      return;
    }
    for (size_t i = weak_; i-- > 0;) {
      if (score + bounds_[i] <= top_.threshold()) {
        return;
      }
      score += by_window_[i]->ScoreOf(row);
    }
    if (score > top_.threshold()) {
      top_.Offer({number_, row, score});
    }
  }

  const TextPart& part_;
  const uint32_t number_;
  std::vector<Cursor> cursors_;
  TopK& top_;
  std::vector<Cursor*> order_;      // by score_max
  std::vector<Cursor*> by_window_;  // by window_max
  size_t weak_ = 0;
  std::vector<float> bounds_;  // [weak_]: sums of the maxima up to each
  std::array<float, kWindowRows> sums_{};
  std::array<uint64_t, kWindowRows / 64> touched_{};
};

std::vector<QueryTerm> DistinctTerms(std::span<const std::vector<std::string>> terms) {
  std::map<std::pair<size_t, std::string_view>, uint32_t> counts;
  for (size_t column = 0; column < terms.size(); ++column) {
    for (const std::string& term : terms[column]) {
      ++counts[{column, term}];
    }
  }
  std::vector<QueryTerm> distinct;
  for (const auto& [at, count] : counts) {
    distinct.push_back({.column = at.first, .term = at.second, .count = count});
  }
  return distinct;
}

LengthNorms NormsOf(const Bm25Parameters& parameters, uint64_t rows, uint64_t tokens) {
  LengthNorms norms;
  const double mean_length = static_cast<double>(std::max<uint64_t>(1, tokens)) / static_cast<double>(rows);
  for (size_t code = 0; code < norms.norm.size(); ++code) {
    const double length = LengthOf(static_cast<uint8_t>(code)) / mean_length;
    norms.norm[code] = static_cast<float>(parameters.k1 * (1 - parameters.b + parameters.b * length));
    norms.once[code] = 1 / (1 + norms.norm[code]);
  }
  return norms;
}

}  // namespace

Result<std::vector<TextHit>> SearchText(std::span<const TextPart> parts,
                                        std::span<const std::vector<std::string>> terms, size_t k,
                                        const Bm25Parameters& parameters, const Cancellation* cancellation,
                                        TextCounters* counters) {
  std::vector<QueryTerm> query = DistinctTerms(terms);
  uint64_t rows = 0;
  std::vector<uint64_t> tokens(terms.size(), 0);
  std::vector<std::vector<std::optional<Postings>>> found(parts.size());
  for (size_t p = 0; p < parts.size(); ++p) {
    rows += parts[p].rows;
    for (size_t c = 0; c < terms.size(); ++c) {
      tokens[c] += parts[p].columns[c] == nullptr ? 0 : parts[p].columns[c]->tokens();
    }
    for (QueryTerm& term : query) {
      const InvertedIndex* index = parts[p].columns[term.column];
      found[p].push_back(index == nullptr ? std::nullopt : index->Find(term.term));
      term.rows += found[p].back() ? found[p].back()->rows : 0;
    }
  }
  if (k == 0 || rows == 0) {
    return std::vector<TextHit>();
  }
  for (QueryTerm& term : query) {
    const auto n = static_cast<double>(term.rows);
    const double rarity = std::log(1 + (static_cast<double>(rows) - n + 0.5) / (n + 0.5));
    term.weight = static_cast<float>(rarity * (parameters.k1 + 1) * term.count);
  }
  std::vector<LengthNorms> norms;
  for (const uint64_t of_column : tokens) {
    norms.push_back(NormsOf(parameters, rows, of_column));
  }
  TopK top(k);
  for (size_t p = 0; p < parts.size(); ++p) {
    std::vector<Cursor> cursors;
    for (size_t t = 0; t < query.size(); ++t) {
      if (found[p][t]) {
        const size_t column = query[t].column;
        cursors.emplace_back(*found[p][t], query[t].weight, norms[column], *parts[p].columns[column]);
      }
    }
    if (counters != nullptr) {
      for (const Cursor& cursor : cursors) {
        counters->postings += cursor.rows();
      }
    }
    PartSearch search(parts[p], static_cast<uint32_t>(p), std::move(cursors), &top);
    LB_TRY(search.Run(cancellation));
    if (counters != nullptr) {
      counters->scored += search.scored();
    }
  }
  return top.Take();
}

}  // namespace longbow::text
