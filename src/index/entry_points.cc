#include "index/entry_points.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <string_view>
#include <unordered_set>

#include "index/mix_bits.h"

namespace longbow::index {
namespace {

constexpr size_t kSampleMax = 2048;
constexpr size_t kSampleBytesMax = size_t{64} << 20;
constexpr size_t kRowsPerCentre = 4;  // fewer and a centre is no centre of anything
// Codes of entry points are held beside the graph: a sixteenth of its rows' at most, but for the smallest graphs.
// A collection of small segments would else have more of them than of anything else in memory.
constexpr size_t kRowsPerEntry = 16;
constexpr size_t kSmallCount = 16;
constexpr int kRounds = 4;

// A sample as floats, and centres among them (Lloyd).
class Clustering {
 public:
  Clustering(const RowCodes& codes, const std::vector<LocalId>& sample, size_t centres)
      : squared_l2_rows_(codes.space().distances().squared_l2_rows),
        dimension_(codes.dimension()),
        rows_(sample.size() * dimension_),
        centres_(centres * dimension_),
        nearest_(sample.size()),
        distance_(sample.size()) {
    for (size_t i = 0; i < sample.size(); ++i) {
      codes.Read(sample[i], &rows_[i * dimension_]);
    }
    for (size_t c = 0; c < centres; ++c) {
      const float* row = &rows_[c * sample.size() / centres * dimension_];
      std::copy(row, row + dimension_, &centres_[c * dimension_]);
    }
  }

  void Run() {
    Assign();
    for (int round = 1; round < kRounds; ++round) {
      MoveCentres();
      Assign();
    }
  }

  // For each centre that has rows the sampled row nearest to it.
  std::vector<size_t> Medoids() const {
    const size_t centres = centres_.size() / dimension_;
    std::vector<size_t> best(centres, nearest_.size());
    for (size_t i = 0; i < nearest_.size(); ++i) {
      size_t& at = best[nearest_[i]];
      if (at == nearest_.size() || distance_[i] < distance_[at]) {
        at = i;
      }
    }
    std::erase(best, nearest_.size());
    return best;
  }

 private:
  void Assign() {
    const size_t centres = centres_.size() / dimension_;
    std::vector<float> distances(centres);
    for (size_t i = 0; i < nearest_.size(); ++i) {
      squared_l2_rows_(&rows_[i * dimension_], centres_.data(), dimension_, centres, distances.data());
      const auto nearest = std::min_element(distances.begin(), distances.end());
      nearest_[i] = static_cast<size_t>(nearest - distances.begin());
      distance_[i] = *nearest;
    }
  }

  void MoveCentres() {
    const size_t centres = centres_.size() / dimension_;
    std::vector<float> sums(centres_.size());
    std::vector<float> counts(centres);
    for (size_t i = 0; i < nearest_.size(); ++i) {
      const size_t c = nearest_[i];
      counts[c] += 1;
      for (size_t j = 0; j < dimension_; ++j) {
        sums[c * dimension_ + j] += rows_[i * dimension_ + j];
      }
    }
    for (size_t c = 0; c < centres; ++c) {
      for (size_t j = 0; j < dimension_ && counts[c] > 0; ++j) {
        centres_[c * dimension_ + j] = sums[c * dimension_ + j] / counts[c];
      }
    }
  }

  decltype(kernels::Kernels::squared_l2_rows) const squared_l2_rows_;
  const size_t dimension_;
  std::vector<float> rows_;
  std::vector<float> centres_;
  std::vector<size_t> nearest_;  // of each row its centre ...
  std::vector<float> distance_;  // ... and how far it is
};

// From all over the candidates, of each piece any: rows may come in turns, and every second be a copy of one. Of
// copies one: as many centres would begin as them, and all but one end without rows.
std::vector<LocalId> Sample(const RowCodes& codes, const std::vector<LocalId>& candidates) {
  const size_t fitting = std::max<size_t>(1, kSampleBytesMax / (codes.dimension() * sizeof(float)));
  const size_t pieces = std::min({candidates.size(), kSampleMax, fitting});
  std::vector<LocalId> sample;
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i < pieces; ++i) {
    const size_t begin = i * candidates.size() / pieces;
    const size_t end = (i + 1) * candidates.size() / pieces;
    const LocalId id = candidates[begin + MixBits(static_cast<uint32_t>(i)) % (end - begin)];
    if (seen.emplace(reinterpret_cast<const char*>(codes.row(id)), codes.stride()).second) {
      sample.push_back(id);
    }
  }
  return sample;
}

std::vector<LocalId> Choose(const RowCodes& codes, const std::vector<LocalId>& candidates) {
  const std::vector<LocalId> sample = Sample(codes, candidates);
  const size_t wanted = std::clamp(candidates.size() / kRowsPerEntry, kSmallCount, EntryPoints::kCountMax);
  const size_t centres = std::min(wanted, (sample.size() + kRowsPerCentre - 1) / kRowsPerCentre);
  Clustering clustering(codes, sample, centres);
  clustering.Run();
  std::vector<LocalId> chosen;
  for (const size_t i : clustering.Medoids()) {
    chosen.push_back(sample[i]);
  }
  return chosen;
}

// Rows so long that float32 does not hold their squared norm are no place to start from.
std::vector<LocalId> WithFiniteNorms(const RowCodes& codes, const std::vector<LocalId>& candidates) {
  std::vector<LocalId> finite;
  std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(finite),
               [&codes](LocalId id) { return std::isfinite(codes.squared_norm(id)); });
  return finite.empty() ? candidates : finite;
}

}  // namespace

std::unique_ptr<const EntryPoints> ChooseEntryPoints(const RowCodes& codes, const std::vector<LocalId>& candidates) {
  auto entries = std::make_unique<EntryPoints>();
  entries->ids = Choose(codes, WithFiniteNorms(codes, candidates));
  for (const LocalId id : entries->ids) {
    entries->codes.insert(entries->codes.end(), codes.row(id), codes.row(id) + codes.stride());
  }
  return entries;
}

}  // namespace longbow::index
