#include "index/typed_query.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

#include "model/float16.h"

namespace longbow::index {
namespace {

// The element as T; false if T cannot hold it.
template <typename T>
bool IntegerOf(double number, T* out) {
  // The bounds as float64 are exact: a power of two, and one above the largest.
  const double above = std::ldexp(1.0, std::numeric_limits<T>::digits);
  const double lowest = std::is_signed_v<T> ? -above : 0.0;
  if (!(number >= lowest && number < above) || number != std::trunc(number)) {
    return false;
  }
  *out = static_cast<T>(number);
  return true;
}

template <typename T>
bool IntegerOf(const QueryVector::LargeInteger& number, T* out) {
  const auto largest = static_cast<uint64_t>(std::numeric_limits<T>::max());
  if (number.negative ? !std::is_signed_v<T> || number.magnitude > largest + 1 : number.magnitude > largest) {
    return false;
  }
  *out = static_cast<T>(number.negative ? -number.magnitude : number.magnitude);
  return true;
}

template <typename T>
T Load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

}  // namespace

template <typename T>
void TypedQuery::Fill(const QueryVector& numbers) {
  bytes_.resize(numbers.size() * sizeof(T));
  for (size_t i = 0; i < numbers.size(); ++i) {
    const auto value = static_cast<T>(numbers.numbers()[i]);
    std::memcpy(bytes_.data() + i * sizeof(T), &value, sizeof(T));
  }
}

template <typename T>
bool TypedQuery::FillIntegers(const QueryVector& numbers) {
  bytes_.resize(numbers.size() * sizeof(T));
  auto large = numbers.large_integers().begin();
  for (size_t i = 0; i < numbers.size(); ++i) {
    T value;
    const bool is_large = large != numbers.large_integers().end() && large->at == i;
    if (is_large ? !IntegerOf(*large, &value) : !IntegerOf(numbers.numbers()[i], &value)) {
      return false;
    }
    large += is_large ? 1 : 0;
    std::memcpy(bytes_.data() + i * sizeof(T), &value, sizeof(T));
  }
  return true;
}

// False if the type cannot hold every element.
bool TypedQuery::FillAsRows(const QueryVector& numbers) {
  switch (rows_) {
    case ElementType::kInt8:
      return FillIntegers<int8_t>(numbers);
    case ElementType::kUInt8:
      return FillIntegers<uint8_t>(numbers);
    case ElementType::kInt16:
      return FillIntegers<int16_t>(numbers);
    case ElementType::kUInt16:
      return FillIntegers<uint16_t>(numbers);
    case ElementType::kInt32:
      return FillIntegers<int32_t>(numbers);
    case ElementType::kUInt32:
      return FillIntegers<uint32_t>(numbers);
    case ElementType::kInt64:
      return FillIntegers<int64_t>(numbers);
    case ElementType::kUInt64:
      return FillIntegers<uint64_t>(numbers);
    case ElementType::kFloat64:
    case ElementType::kComplex128:
      Fill<double>(numbers);
      return true;
    default:
      Fill<float>(numbers);
      return true;
  }
}

Result<TypedQuery> TypedQuery::For(ElementType rows, Metric metric, const QueryVector& numbers) {
  TypedQuery query(rows);
  if (query.FillAsRows(numbers)) {
    return query;
  }
  if (IsBitMetric(metric)) {
    return InvalidArgument("metric " + std::string(MetricName(metric)) +
                           " compares packed bits: every element of a query must be a whole number from 0 to 255");
  }
  query.wide_ = true;
  query.Fill<double>(numbers);
  return query;
}

QueryVector NumbersOf(ElementType type, const void* elements, size_t n) {
  QueryVector numbers;
  for (size_t i = 0; i < n; ++i) {
    const std::byte* at = static_cast<const std::byte*>(elements) + i * ElementSizeBytes(type);
    switch (type) {
      case ElementType::kFloat16:
        numbers.Add(static_cast<double>(FloatFromHalf(Load<uint16_t>(at))));
        break;
      case ElementType::kBFloat16:
        numbers.Add(static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(Load<uint16_t>(at)) << 16)));
        break;
      case ElementType::kFloat64:
      case ElementType::kComplex128:
        numbers.Add(Load<double>(at));
        break;
      case ElementType::kInt8:
        numbers.Add(int64_t{Load<int8_t>(at)});
        break;
      case ElementType::kUInt8:
        numbers.Add(int64_t{Load<uint8_t>(at)});
        break;
      case ElementType::kInt16:
        numbers.Add(int64_t{Load<int16_t>(at)});
        break;
      case ElementType::kUInt16:
        numbers.Add(int64_t{Load<uint16_t>(at)});
        break;
      case ElementType::kInt32:
        numbers.Add(int64_t{Load<int32_t>(at)});
        break;
      case ElementType::kUInt32:
        numbers.Add(int64_t{Load<uint32_t>(at)});
        break;
      case ElementType::kInt64:
        numbers.Add(Load<int64_t>(at));
        break;
      case ElementType::kUInt64:
        numbers.Add(Load<uint64_t>(at));
        break;
      case ElementType::kFloat32:
      case ElementType::kComplex64:
        numbers.Add(static_cast<double>(Load<float>(at)));
        break;
    }
  }
  return numbers;
}

}  // namespace longbow::index
