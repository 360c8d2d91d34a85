// The numbers of a query as they arrived, before anybody knows what type the rows have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace longbow {

// Every element exactly: as float64, and beside it the integers that float64 cannot hold. Complex numbers are two
// elements: re, im. A plain value.
class QueryVector {
 public:
  struct LargeInteger {
    size_t at = 0;  // element
    bool negative = false;
    uint64_t magnitude = 0;
  };

  QueryVector() = default;
  QueryVector(const std::vector<float>& numbers) : numbers_(numbers.begin(), numbers.end()) {}
  QueryVector(std::vector<double> numbers) : numbers_(std::move(numbers)) {}
  QueryVector(std::initializer_list<double> numbers) : numbers_(numbers) {}
  QueryVector(const float* begin, const float* end) : numbers_(begin, end) {}

  void Add(double number) { numbers_.push_back(number); }
  void Add(int64_t number);
  void Add(uint64_t number);

  size_t size() const { return numbers_.size(); }
  bool empty() const { return numbers_.empty(); }
  // The nearest float64 of each element.
  const std::vector<double>& numbers() const { return numbers_; }
  double& operator[](size_t i) { return numbers_[i]; }
  // In the order of their elements.
  const std::vector<LargeInteger>& large_integers() const { return large_integers_; }

 private:
  void AddInteger(bool negative, uint64_t magnitude);

  std::vector<double> numbers_;
  std::vector<LargeInteger> large_integers_;
};

}  // namespace longbow
