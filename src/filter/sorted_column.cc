#include "filter/sorted_column.h"

#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <string_view>
#include <type_traits>

#include "filter/bitmap_words.h"
#include "filter/text_rows.h"
#include "model/widening.h"

namespace longbow::filter {
namespace {

constexpr int64_t kNull = -1;

// A float16 by its bits.
enum class HalfBits : uint16_t {};
// One bit of a column of booleans.
enum class Bit : uint8_t {};

// --- numbers as keys that order as unsigned integers do
// ---------------------------------------------------------------

template <typename Bits>
Bits OrderedBits(Bits bits) {
  constexpr Bits kSign = static_cast<Bits>(Bits{1} << (sizeof(Bits) * 8 - 1));
  return (bits & kSign) != 0 ? static_cast<Bits>(~bits) : static_cast<Bits>(bits | kSign);
}
template <typename Bits>
Bits UnorderedBits(Bits ordered) {
  constexpr Bits kSign = static_cast<Bits>(Bits{1} << (sizeof(Bits) * 8 - 1));
  return (ordered & kSign) != 0 ? static_cast<Bits>(ordered & ~kSign) : static_cast<Bits>(~ordered);
}

// Values that compare equal have one key (0 and -0). Nothing for NaN.
template <typename T>
std::optional<uint64_t> KeyOf(T value) {
  if constexpr (std::is_same_v<T, HalfBits>) {
    const auto bits = static_cast<uint16_t>(value);
    const int magnitude = bits & 0x7fff;
    if (magnitude > 0x7c00) {
      return std::nullopt;
    }
    return OrderedBits<uint16_t>(magnitude == 0 ? 0 : bits);
  } else if constexpr (std::is_floating_point_v<T>) {
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    if (std::isnan(value)) {
      return std::nullopt;
    }
    return OrderedBits(std::bit_cast<Bits>(value == 0 ? T{0} : value));
  } else if constexpr (std::is_signed_v<T>) {
    return static_cast<uint64_t>(static_cast<int64_t>(value)) ^ (uint64_t{1} << 63);
  } else {
    return static_cast<uint64_t>(value);
  }
}

template <typename T>
T ValueOf(uint64_t key) {
  if constexpr (std::is_same_v<T, HalfBits>) {
    return static_cast<HalfBits>(UnorderedBits(static_cast<uint16_t>(key)));
  } else if constexpr (std::is_floating_point_v<T>) {
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    return std::bit_cast<T>(UnorderedBits(static_cast<Bits>(key)));
  } else if constexpr (std::is_signed_v<T>) {
    return static_cast<T>(key ^ (uint64_t{1} << 63));
  } else {
    return static_cast<T>(key);
  }
}

// --- reading batches
// --------------------------------------------------------------------------------------------------

bool IsValid(const arrow::ArrayData& data, int64_t i) {
  return data.type->id() != arrow::Type::NA &&
         (data.buffers[0] == nullptr || LoadBits(data.buffers[0]->data(), data.offset + i, 1) != 0);
}

int64_t DictionaryIndex(const arrow::ArrayData& column, int64_t row) {
  const auto& type = *static_cast<const arrow::DictionaryType&>(*column.type).index_type();
  switch (static_cast<const arrow::FixedWidthType&>(type).bit_width()) {
    case 8:
      return column.GetValues<uint8_t>(1)[row];
    case 16:
      return column.GetValues<uint16_t>(1)[row];
    case 32:
      return column.GetValues<uint32_t>(1)[row];
    default:
      return column.GetValues<int64_t>(1)[row];
  }
}

// Where the values of a batch's rows stand: row i is values[positions[i]], kNull where it is null.
struct BatchValues {
  std::shared_ptr<const arrow::ArrayData> values;
  std::vector<int64_t> positions;
};

BatchValues Locate(const std::shared_ptr<const arrow::ArrayData>& column, int64_t rows) {
  BatchValues located{column, std::vector<int64_t>(static_cast<size_t>(rows), kNull)};
  if (column == nullptr) {
    return located;
  }
  const bool dictionary = column->dictionary != nullptr;
  if (dictionary) {
    located.values = UnwrapExtension(column->dictionary);
  }
  for (int64_t row = 0; row < rows; ++row) {
    if (!IsValid(*column, row)) {
      continue;
    }
    const int64_t position = dictionary ? DictionaryIndex(*column, row) : row;
    if (!dictionary || IsValid(*located.values, position)) {
      located.positions[static_cast<size_t>(row)] = position;
    }
  }
  return located;
}

// --- sorting
// ----------------------------------------------------------------------------------------------------------

void SetBit(std::vector<uint64_t>& words, uint32_t bit) { words[bit / kWordBits] |= uint64_t{1} << (bit % kWordBits); }

template <typename Key>
struct Entry {
  Key key;
  uint32_t row;
  friend bool operator<(const Entry& a, const Entry& b) { return a.key < b.key || (a.key == b.key && a.row < b.row); }
};

template <typename Key>
class Sorter {
 public:
  explicit Sorter(uint32_t rows) {
    column_.valid.resize(static_cast<size_t>(WordsFor(rows)));
    entries_.reserve(rows);
  }

  void Add(uint32_t row, Key key) {
    SetBit(column_.valid, row);
    entries_.push_back({key, row});
  }
  // A value that no comparison finds.
  void AddUnordered(uint32_t row) {
    SetBit(column_.valid, row);
    ++unordered_;
  }

  // Fills all but `values`, whose keys it returns.
  std::vector<Key> Finish(SortedColumn* out) {
    std::sort(entries_.begin(), entries_.end());
    std::vector<Key> distinct;
    column_.order.reserve(entries_.size());
    for (const Entry<Key>& entry : entries_) {
      if (distinct.empty() || distinct.back() != entry.key) {
        distinct.push_back(entry.key);
        column_.starts.push_back(static_cast<uint32_t>(column_.order.size()));
      }
      column_.order.push_back(entry.row);
    }
    column_.starts.push_back(static_cast<uint32_t>(column_.order.size()));
    column_.valid_count = entries_.size() + unordered_;
    if (unordered_ > 0) {
      column_.ordered.resize(column_.valid.size());
      for (const uint32_t row : column_.order) {
        SetBit(column_.ordered, row);
      }
    }
    *out = std::move(column_);
    return distinct;
  }

 private:
  SortedColumn column_;
  std::vector<Entry<Key>> entries_;
  uint64_t unordered_ = 0;
};

using Batches = std::vector<std::pair<uint32_t, BatchValues>>;

template <typename T>
std::optional<SortedColumn> SortNumbers(const std::shared_ptr<arrow::DataType>& type, const Batches& batches,
                                        uint32_t rows) {
  Sorter<uint64_t> sorter(rows);
  for (const auto& [first_row, batch] : batches) {
    for (size_t i = 0; i < batch.positions.size(); ++i) {
      const int64_t position = batch.positions[i];
      if (position == kNull) {
        continue;
      }
      const auto row = first_row + static_cast<uint32_t>(i);
      std::optional<uint64_t> key;
      if constexpr (std::is_same_v<T, Bit>) {
        key = LoadBits(batch.values->buffers[1]->data(), batch.values->offset + position, 1);
      } else {
        key = KeyOf(batch.values->template GetValues<T>(1)[position]);
      }
      key ? sorter.Add(row, *key) : sorter.AddUnordered(row);
    }
  }
  SortedColumn column;
  const std::vector<uint64_t> keys = sorter.Finish(&column);
  std::shared_ptr<arrow::Buffer> values;
  if constexpr (std::is_same_v<T, Bit>) {
    uint8_t bits = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
      bits = static_cast<uint8_t>(bits | keys[i] << i);
    }
    values = arrow::Buffer::FromVector(std::vector<uint8_t>{bits});
  } else {
    std::vector<T> decoded(keys.size());
    std::transform(keys.begin(), keys.end(), decoded.begin(), [](uint64_t key) { return ValueOf<T>(key); });
    values = arrow::Buffer::FromVector(std::move(decoded));
  }
  column.values = arrow::ArrayData::Make(type, static_cast<int64_t>(keys.size()), {nullptr, std::move(values)}, 0);
  return column;
}

std::optional<SortedColumn> SortTexts(const Batches& batches, uint32_t rows, size_t text_max_bytes) {
  Sorter<std::string_view> sorter(rows);
  for (const auto& [first_row, batch] : batches) {
    if (batch.values == nullptr || batch.values->type->id() == arrow::Type::NA) {
      continue;
    }
    WithTextRows(*batch.values, 0, [&](const auto& texts) {
      for (size_t i = 0; i < batch.positions.size(); ++i) {
        if (batch.positions[i] != kNull) {
          sorter.Add(first_row + static_cast<uint32_t>(i), texts[batch.positions[i]]);
        }
      }
    });
  }
  SortedColumn column;
  const std::vector<std::string_view> keys = sorter.Finish(&column);
  std::vector<int64_t> offsets = {0};
  for (const std::string_view key : keys) {
    offsets.push_back(offsets.back() + static_cast<int64_t>(key.size()));
  }
  if (static_cast<size_t>(offsets.back()) > text_max_bytes) {
    return std::nullopt;
  }
  std::string data;
  data.reserve(static_cast<size_t>(offsets.back()));
  for (const std::string_view key : keys) {
    data += key;
  }
  column.values = arrow::ArrayData::Make(
      arrow::large_binary(), static_cast<int64_t>(keys.size()),
      {nullptr, arrow::Buffer::FromVector(std::move(offsets)), arrow::Buffer::FromString(std::move(data))}, 0);
  return column;
}

}  // namespace

std::shared_ptr<arrow::DataType> ValueTypeOf(const std::shared_ptr<arrow::DataType>& type) {
  if (type->id() == arrow::Type::EXTENSION) {
    return ValueTypeOf(static_cast<const arrow::ExtensionType&>(*type).storage_type());
  }
  if (type->id() == arrow::Type::DICTIONARY) {
    return ValueTypeOf(static_cast<const arrow::DictionaryType&>(*type).value_type());
  }
  return type;
}

std::shared_ptr<const arrow::ArrayData> UnwrapExtension(const std::shared_ptr<arrow::ArrayData>& column) {
  if (column == nullptr || column->type->id() != arrow::Type::EXTENSION) {
    return column;
  }
  const auto storage = column->Copy();
  storage->type = static_cast<const arrow::ExtensionType&>(*column->type).storage_type();
  return UnwrapExtension(storage);
}

std::shared_ptr<arrow::ArrayData> WidenedTo(const std::shared_ptr<arrow::DataType>& type,
                                            const std::shared_ptr<arrow::ArrayData>& column) {
  if (!IsWidening(*column->type, *type)) {
    return nullptr;
  }
  const auto widened = Widen(arrow::MakeArray(column), type);
  return widened.ok() ? (*widened)->data() : nullptr;
}

std::optional<SortedColumn> SortColumn(const std::string& field, const std::shared_ptr<arrow::DataType>& type,
                                       std::span<const PlacedRows> batches, uint32_t rows, size_t text_max_bytes) {
  Batches located;
  for (const PlacedRows& batch : batches) {
    const int index = batch.rows->schema()->GetFieldIndex(field);
    auto column = index < 0 ? nullptr : batch.rows->column_data(index);
    if (column != nullptr) {
      const auto held = ValueTypeOf(column->type);
      if (held->id() != arrow::Type::NA && !held->Equals(*type)) {
        column = WidenedTo(type, column);
        if (column == nullptr) {
          return std::nullopt;
        }
      }
    }
    located.emplace_back(batch.first_row, Locate(UnwrapExtension(column), batch.rows->num_rows()));
  }
  using arrow::Type;
  switch (type->id()) {
    case Type::BOOL:
      return SortNumbers<Bit>(type, located, rows);
    case Type::INT8:
      return SortNumbers<int8_t>(type, located, rows);
    case Type::UINT8:
      return SortNumbers<uint8_t>(type, located, rows);
    case Type::INT16:
      return SortNumbers<int16_t>(type, located, rows);
    case Type::UINT16:
      return SortNumbers<uint16_t>(type, located, rows);
    case Type::INT32:
    case Type::DATE32:
    case Type::TIME32:
    case Type::DECIMAL32:
      return SortNumbers<int32_t>(type, located, rows);
    case Type::UINT32:
      return SortNumbers<uint32_t>(type, located, rows);
    case Type::INT64:
    case Type::DATE64:
    case Type::TIME64:
    case Type::TIMESTAMP:
    case Type::DURATION:
    case Type::DECIMAL64:
      return SortNumbers<int64_t>(type, located, rows);
    case Type::UINT64:
      return SortNumbers<uint64_t>(type, located, rows);
    case Type::HALF_FLOAT:
      return SortNumbers<HalfBits>(type, located, rows);
    case Type::FLOAT:
      return SortNumbers<float>(type, located, rows);
    case Type::DOUBLE:
      return SortNumbers<double>(type, located, rows);
    default:
      break;
  }
  const bool text = arrow::is_base_binary_like(type->id()) || arrow::is_binary_view_like(type->id()) ||
                    type->id() == Type::FIXED_SIZE_BINARY;
  return text ? SortTexts(located, rows, text_max_bytes) : std::nullopt;
}

}  // namespace longbow::filter
