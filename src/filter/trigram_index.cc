#include "filter/trigram_index.h"

#include <algorithm>

namespace longbow::filter {
namespace {

constexpr size_t kTrigramBytes = 3;
constexpr int kSetBits = 14;
constexpr size_t kSetsAskedMax = 8;  // more hardly narrow the candidates further

size_t SetNumber(const char* trigram) {
  const auto byte = [&](int i) { return static_cast<uint32_t>(static_cast<uint8_t>(trigram[i])); };
  return ((byte(0) | byte(1) << 8 | byte(2) << 16) * 0x9e3779b1u) >> (32 - kSetBits);
}

}  // namespace

size_t TrigramIndex::SizeMaxBytes(size_t text_bytes) {
  constexpr size_t kEmptySetBytes = 128;  // with its allocations
  constexpr size_t kEntryBytes = 2;       // in a roaring array: more are a bitmap, which is smaller
  return (size_t{1} << kSetBits) * kEmptySetBytes + text_bytes * kEntryBytes;
}

TrigramIndex::TrigramIndex() : sets_(size_t{1} << kSetBits) {}

void TrigramIndex::Add(uint32_t number, std::string_view text) {
  for (size_t i = 0; i + kTrigramBytes <= text.size(); ++i) {
    sets_[SetNumber(text.data() + i)].Append(number);
  }
}

void TrigramIndex::Finish() {
  size_bytes_ = sizeof(*this);
  for (RoaringSet& set : sets_) {
    set.Shrink();
    size_bytes_ += sizeof(RoaringSet) + set.size_bytes();
  }
}

std::vector<const RoaringSet*> TrigramIndex::SetsOf(std::string_view part) const {
  std::vector<const RoaringSet*> sets;
  for (size_t i = 0; i + kTrigramBytes <= part.size(); ++i) {
    sets.push_back(&sets_[SetNumber(part.data() + i)]);
  }
  std::sort(sets.begin(), sets.end());
  sets.erase(std::unique(sets.begin(), sets.end()), sets.end());
  if (sets.size() > kSetsAskedMax) {
    std::nth_element(sets.begin(), sets.begin() + kSetsAskedMax, sets.end(),
                     [](const RoaringSet* a, const RoaringSet* b) { return a->count() < b->count(); });
    sets.resize(kSetsAskedMax);
  }
  return sets;
}

std::optional<std::vector<uint32_t>> TrigramIndex::Candidates(std::string_view part) const {
  const std::vector<const RoaringSet*> sets = SetsOf(part);
  return sets.empty() ? std::nullopt : std::optional(RoaringSet::Intersection(sets));
}

std::optional<uint64_t> TrigramIndex::CandidatesMax(std::string_view part) const {
  const std::vector<const RoaringSet*> sets = SetsOf(part);
  if (sets.empty()) {
    return std::nullopt;
  }
  uint64_t fewest = sets.front()->count();
  for (const RoaringSet* set : sets) {
    fewest = std::min(fewest, set->count());
  }
  return fewest;
}

}  // namespace longbow::filter
