// hot path: filtered searches. Budget: 384 dimensions, 2.5 ns a row of the range, 100 ns a row refined.
#include "index/projection.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "index/candidate.h"
#include "index/query_distance.h"
#include "kernels/graph_kernels.h"

namespace longbow::index {
namespace {

using kernels::kBlockNeighbors;
using kernels::kLineBytes;
using kernels::kLineDimensions;

constexpr size_t kBlocksBetweenChecks = 256;  // of cancellation, by a search
constexpr size_t kRowsBetweenChecks = 1024;   // and while building

// The candidates that look best so far. Twice as many as wanted are let in before the worse half is thrown out.
class Shortlist {
 public:
  explicit Shortlist(size_t size) : size_(size) { candidates_.reserve(2 * size + kBlockNeighbors); }

  float threshold() const { return threshold_; }
  void Add(float key, LocalId id) { candidates_.push_back(MakeCandidate(key, id)); }
  void CutIfFull() {
    if (candidates_.size() >= 2 * size_) {
      Cut();
    }
  }
  void Cut() {
    if (candidates_.size() > size_) {
      const auto last = candidates_.begin() + static_cast<std::ptrdiff_t>(size_ - 1);
      std::nth_element(candidates_.begin(), last, candidates_.end());
      threshold_ = DistanceOf(*last);
      candidates_.resize(size_);
    }
  }
  const std::vector<Candidate>& candidates() const { return candidates_; }

 private:
  const size_t size_;
  float threshold_ = std::numeric_limits<float>::infinity();
  std::vector<Candidate> candidates_;
};

std::vector<Neighbor> Measure(const VectorRows& rows, const TypedQuery& query, const std::vector<Candidate>& candidates,
                              size_t k) {
  std::vector<LocalId> ids(candidates.size());
  std::vector<double> distances(candidates.size());
  std::transform(candidates.begin(), candidates.end(), ids.begin(), IdOf);
  QueryDistance(rows, query).ToIds(ids.data(), ids.size(), distances.data());
  std::vector<Neighbor> nearest(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    nearest[i] = {distances[i], ids[i]};
  }
  const size_t size = std::min(k, nearest.size());
  std::partial_sort(nearest.begin(), nearest.begin() + static_cast<std::ptrdiff_t>(size), nearest.end());
  nearest.resize(size);
  return nearest;
}

}  // namespace

Projection::Projection(std::shared_ptr<const CodeSpace> space, std::vector<LocalId> order)
    : space_(std::move(space)), line_count_(space_->dimension() / kLineDimensions), order_(std::move(order)) {}

Result<std::unique_ptr<const Projection>> Projection::Build(std::shared_ptr<const CodeSpace> space,
                                                            const VectorRows& rows, std::vector<LocalId> order,
                                                            const Cancellation* cancellation) {
  std::unique_ptr<Projection> projection(new Projection(std::move(space), std::move(order)));
  const size_t blocks = (projection->order_.size() + kBlockNeighbors - 1) / kBlockNeighbors;
  LB_ASSIGN(projection->lines_,
            ReservedMemory::Create(blocks * projection->line_count_ * kLineBytes, "a projection", rows.place()));
  projection->terms_.assign(blocks * kBlockNeighbors, std::numeric_limits<float>::infinity());
  projection->ratios_.assign(blocks * kBlockNeighbors, 0.0f);
  LB_TRY(projection->Write(rows, cancellation));
  return std::unique_ptr<const Projection>(std::move(projection));
}

Status Projection::Write(const VectorRows& rows, const Cancellation* cancellation) {
  const size_t dimension = space_->dimension();
  const std::vector<float> origin(dimension, 0.0f);
  std::vector<float> values(dimension);
  std::vector<uint8_t> signs((dimension + 7) / 8);
  for (size_t position = 0; position < order_.size(); ++position) {
    if (cancellation != nullptr && position % kRowsBetweenChecks == 0) {
      LB_TRY(cancellation->Check());
    }
    const float extra = space_->ToSpace(rows, order_[position], values.data());
    const kernels::SignSums sums =
        space_->kernels().encode_signs(values.data(), origin.data(), dimension, signs.data());
    terms_[position] = space_->term_is_norm() ? sums.squared_norm + extra : 0.0f;
    ratios_[position] = sums.absolute > 0 ? -2.0f * sums.squared_norm / sums.absolute : 0.0f;
    if (!std::isfinite(terms_[position]) || !std::isfinite(ratios_[position])) {
      terms_[position] = std::numeric_limits<float>::max();  // last of all, but there
      ratios_[position] = 0;
    }
    uint8_t* const block = lines_.As<uint8_t>() + position / kBlockNeighbors * line_count_ * kLineBytes;
    const size_t row = position % kBlockNeighbors;
    for (size_t group = 0; group < dimension / 4; ++group) {
      const int code = signs[group / 2] >> (4 * (group % 2)) & 15;
      uint8_t& byte = block[group / 4 * kLineBytes + row % 16 * 4 + group % 4];
      byte = static_cast<uint8_t>(byte | code << (row < 16 ? 0 : 4));
    }
  }
  return {};
}

size_t Projection::size_bytes() const {
  return sizeof(*this) + order_.size() * sizeof(LocalId) +
         terms_.size() * (2 * sizeof(float) + line_count_ * kLineBytes / kBlockNeighbors);
}

Result<std::vector<Neighbor>> Projection::Search(const VectorRows& rows, const TypedQuery& query, Range range,
                                                 size_t refined, const SearchOptions& options) const {
  if (options.k == 0 || range.begin >= range.end) {
    return std::vector<Neighbor>();
  }
  const size_t dimension = space_->dimension();
  std::vector<float> values(dimension);
  std::vector<uint8_t> tables(dimension / 4 * 16);
  (void)space_->QueryToSpace(rows, query, values.data());  // what all keys share does not order them
  float step = space_->kernels().make_tables(values.data(), dimension, tables.data());
  float base = -127.5f * step * static_cast<float>(dimension / 4);
  if (!std::isfinite(base)) {  // the query is beyond what the estimate can hold: k rows come back all the same
    step = 0;
    base = 0;
  }

  Shortlist shortlist(std::max<size_t>(options.k, refined));
  uint64_t filtered = 0;
  std::array<uint32_t, kBlockNeighbors> sums;
  std::array<float, kBlockNeighbors> keys;
  for (size_t block = range.begin / kBlockNeighbors; block * kBlockNeighbors < range.end; ++block) {
    if (options.cancellation != nullptr && block % kBlocksBetweenChecks == 0) {
      LB_TRY(options.cancellation->Check());
    }
    const size_t first = block * kBlockNeighbors;
    space_->kernels().scan_codes(lines_.As<uint8_t>() + block * line_count_ * kLineBytes, tables.data(), line_count_,
                                 sums.data());
    const float threshold = shortlist.threshold();
    int any = 0;
    for (size_t i = 0; i < kBlockNeighbors; ++i) {
      const float product = base + step * static_cast<float>(static_cast<int32_t>(sums[i]));
      keys[i] = terms_[first + i] + ratios_[first + i] * product;
      any |= static_cast<int>(keys[i] <= threshold);
    }
    if (any == 0) {
      continue;
    }
    const size_t begin = std::max<size_t>(range.begin, first) - first;
    const size_t end = std::min<size_t>(range.end, first + kBlockNeighbors) - first;
    for (size_t i = begin; i < end; ++i) {
      // Not "below": while there is room a row with an infinite key, beyond float32, comes in as well.
      if (!(keys[i] <= threshold)) {
        continue;
      }
      if (options.filter.Contains(order_[first + i])) {
        shortlist.Add(keys[i], order_[first + i]);
      } else {
        ++filtered;
      }
    }
    shortlist.CutIfFull();
  }
  shortlist.Cut();
  if (options.counters != nullptr) {
    options.counters->visited += range.end - range.begin;
    options.counters->refined += shortlist.candidates().size();
    options.counters->filtered += filtered;
  }
  return Measure(rows, query, shortlist.candidates(), options.k);
}

}  // namespace longbow::index
