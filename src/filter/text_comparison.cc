#include "filter/text_comparison.h"

#include <cstring>
#include <functional>
#include <string_view>
#include <unordered_set>

#include "filter/bitmap_words.h"
#include "filter/text_rows.h"

namespace longbow::filter {
namespace {

using Op = Predicate::Op;
using Test = std::shared_ptr<const CompiledComparison>;

// --- what is asked of a row
// ---------------------------------------------------------------------------------------------

struct Equals {
  std::string value;
  bool operator()(std::string_view row) const { return row == value; }
};
struct Prefix {
  std::string value;
  bool operator()(std::string_view row) const { return row.starts_with(value); }
};
struct Contains {
  std::string value;
  bool operator()(std::string_view row) const {
    return row.size() >= value.size() &&
           (value.empty() || memmem(row.data(), row.size(), value.data(), value.size()) != nullptr);
  }
};
struct Before {
  std::string value;
  bool or_equal;
  bool operator()(std::string_view row) const { return or_equal ? row <= value : row < value; }
};
struct After {
  std::string value;
  bool or_equal;
  bool operator()(std::string_view row) const { return or_equal ? row >= value : row > value; }
};
struct Between {
  std::string low, high;
  bool operator()(std::string_view row) const { return row >= low && row <= high; }
};
struct Among {
  // Found with a string_view, without making a string of each row.
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_set<std::string, Hash, std::equal_to<>> values;
  bool operator()(std::string_view row) const { return values.contains(row); }
};

template <typename Ask>
class TextTest final : public CompiledComparison {
 public:
  explicit TextTest(Ask ask) : ask_(std::move(ask)) {}
  void Words(const arrow::ArrayData& column, int64_t begin, int64_t count, uint64_t* out) const override {
    WithTextRows(column, begin,
                 [&](const auto& rows) { FillWords(count, out, [&](int64_t i) { return ask_(rows[i]); }); });
  }

 private:
  const Ask ask_;
};

template <typename Ask>
Test Make(Ask ask) {
  return std::make_shared<TextTest<Ask>>(std::move(ask));
}

}  // namespace

Result<std::shared_ptr<const CompiledComparison>> CompileText(const Comparison& comparison, const arrow::DataType&) {
  const std::vector<std::string>& values = comparison.values;
  switch (comparison.op) {
    case Op::kEq:
      return Make(Equals{values.front()});
    case Op::kLt:
    case Op::kLe:
      return Make(Before{values.front(), comparison.op == Op::kLe});
    case Op::kGt:
    case Op::kGe:
      return Make(After{values.front(), comparison.op == Op::kGe});
    case Op::kIn:
      return Make(Among{{values.begin(), values.end()}});
    case Op::kBetween:
      return Make(Between{values.front(), values.back()});
    case Op::kContains:
      return Make(Contains{values.front()});
    case Op::kPrefix:
      return Make(Prefix{values.front()});
    default:
      return Internal("operator " + OperatorName(comparison.op) + " is not a comparison");
  }
}

}  // namespace longbow::filter
