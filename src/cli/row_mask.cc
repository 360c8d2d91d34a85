#include "cli/row_mask.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/parse_value.h"
#include "base/random.h"

namespace longbow::cli {
namespace {

constexpr uint64_t kSeed = 20'240'607;

// The `count` rows whose vectors reach farthest along one random direction.
void AddFarthestAlong(RowMask& mask, const Matrix<float>& base, uint32_t count) {
  Random random(kSeed);
  std::vector<float> direction(base.columns);
  for (float& v : direction) {
    v = static_cast<float>(random.Fraction() + random.Fraction() + random.Fraction() - 1.5);
  }
  std::vector<float> reach(base.rows);
  for (size_t i = 0; i < base.rows; ++i) {
    reach[i] = std::inner_product(direction.begin(), direction.end(), base.row(i), 0.0f);
  }
  std::vector<uint32_t> order(base.rows);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return reach[a] > reach[b] || (reach[a] == reach[b] && a < b); });
  for (uint32_t i = 0; i < count; ++i) {
    AddRow(mask, order[i]);
  }
}

Status Unknown(const std::string& spec) {
  return InvalidArgument("filter '" + spec +
                         "': expected random:F, range:F or correlated:F with 0 < F <= 1, or a file that ends in .npy");
}

}  // namespace

Result<FilterSpec> FilterSpec::Parse(const std::string& text) {
  FilterSpec spec{.text = text, .rows = text == "none" ? "" : text};
  const size_t at = text.rfind('@');
  if (at == std::string::npos) {
    return spec;
  }
  spec.rows = text.substr(0, at);
  const std::string column = text.substr(at + 1);
  if (column == "bool") {
    spec.column = FilterColumn::kBool;
  } else if (column == "text") {
    spec.column = FilterColumn::kText;
  } else if (column == "number") {
    spec.column = FilterColumn::kNumber;
  } else if (column != "int8") {
    return InvalidArgument("filter '" + text + "': expected @int8, @bool, @text or @number behind the rows");
  }
  return spec;
}

RowMask EmptyMask(uint32_t rows) { return {std::vector<uint64_t>((rows + 63) / 64), rows, 0}; }

void AddRow(RowMask& mask, size_t row) {
  mask.passing += mask.Contains(row) ? 0 : 1;
  mask.words[row >> 6] |= uint64_t{1} << (row & 63);
}

Result<RowMask> MakeMask(FileSystem& fs, const std::string& spec, const Matrix<float>& base) {
  RowMask mask = EmptyMask(static_cast<uint32_t>(base.rows));
  if (spec.ends_with(".npy")) {
    LB_ASSIGN(const std::vector<uint8_t> flags, ReadNpyFlags(fs, spec));
    if (flags.size() != base.rows) {
      return InvalidArgument(spec + ": has " + std::to_string(flags.size()) +
                             " elements, expected one for each of the " + std::to_string(base.rows) + " base rows");
    }
    for (size_t i = 0; i < flags.size(); ++i) {
      if (flags[i] != 0) {
        AddRow(mask, i);
      }
    }
    return mask.passing > 0 ? Result<RowMask>(std::move(mask)) : InvalidArgument(spec + ": lets no row pass");
  }
  const size_t colon = spec.find(':');
  if (colon == std::string::npos) {
    return Unknown(spec);
  }
  const std::string kind = spec.substr(0, colon);
  const Result<double> fraction = ParseFloat(std::string_view(spec).substr(colon + 1));
  if (!fraction.ok() || !(*fraction > 0 && *fraction <= 1)) {
    return Unknown(spec);
  }
  const auto count = std::max(1u, static_cast<uint32_t>(std::lround(*fraction * mask.rows)));
  Random random(kSeed);
  if (kind == "random") {
    while (mask.passing < count) {
      AddRow(mask, random.Below(mask.rows));
    }
  } else if (kind == "range") {
    const uint64_t first = random.Below(mask.rows - count + 1);
    for (uint32_t i = 0; i < count; ++i) {
      AddRow(mask, first + i);
    }
  } else if (kind == "correlated") {
    AddFarthestAlong(mask, base, count);
  } else {
    return Unknown(spec);
  }
  return mask;
}

}  // namespace longbow::cli
