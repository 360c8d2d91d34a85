#include "model/query_vector.h"

namespace longbow {

void QueryVector::Add(int64_t number) {
  AddInteger(number < 0, number < 0 ? -static_cast<uint64_t>(number) : static_cast<uint64_t>(number));
}

void QueryVector::Add(uint64_t number) { AddInteger(false, number); }

void QueryVector::AddInteger(bool negative, uint64_t magnitude) {
  constexpr double kTwoTo64 = 0x1p64;
  const auto nearest = static_cast<double>(magnitude);
  if (nearest == kTwoTo64 || static_cast<uint64_t>(nearest) != magnitude) {
    large_integers_.push_back({numbers_.size(), negative, magnitude});
  }
  numbers_.push_back(negative ? -nearest : nearest);
}

}  // namespace longbow
