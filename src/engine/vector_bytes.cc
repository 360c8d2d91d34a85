#include "engine/vector_bytes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "index/typed_query.h"
#include "model/float16.h"

namespace longbow::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "vectors travel as they stand in memory");

template <typename T>
void Append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

std::string Quantized(const std::vector<double>& numbers) {
  const auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
  const auto lowest = static_cast<float>(*least);
  const auto step = static_cast<float>((*most - lowest) / 255);
  std::string bytes;
  bytes.reserve(2 * sizeof(float) + numbers.size());
  Append(bytes, lowest);
  Append(bytes, step);
  for (const double number : numbers) {
    const double code = step > 0 ? std::round((number - lowest) / step) : 0;
    bytes.push_back(static_cast<char>(static_cast<uint8_t>(std::clamp(code, 0.0, 255.0))));
  }
  return bytes;
}

}  // namespace

Status CheckVectorFormat(const CollectionSchema& schema, VectorFormat format) {
  if (schema.vector_column < 0) {
    return FailedPrecondition("include_vectors: the dataset has no vector column");
  }
  if (format != VectorFormat::kStored && IsBitMetric(schema.metric)) {
    return InvalidArgument("vector_format: packed bits travel only as they are stored: leave it out");
  }
  return {};
}

std::string VectorBytes(const View& view, uint64_t ordinal, VectorFormat format) {
  const View::Place place = view.Find(ordinal);
  if (place.segment == nullptr || !place.segment->segment->searchable()) {
    return {};
  }
  const index::VectorRows& rows = place.segment->segment->vectors();
  if (format == VectorFormat::kStored) {
    const auto* begin = reinterpret_cast<const char*>(rows.bytes(place.row));
    return {begin, static_cast<size_t>(view.schema->dimension) * ElementSizeBytes(view.schema->element)};
  }
  const QueryVector vector = index::NumbersOf(rows.type(), rows.bytes(place.row), rows.dimension());
  if (format == VectorFormat::kQuantized) {
    return Quantized(vector.numbers());
  }
  std::string bytes;
  for (const double number : vector.numbers()) {
    if (format == VectorFormat::kFloat16) {
      Append(bytes, HalfFromFloat(static_cast<float>(number)));
    } else {
      Append(bytes, static_cast<float>(number));
    }
  }
  return bytes;
}

}  // namespace longbow::engine
