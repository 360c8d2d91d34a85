// The index that a benchmark measures, whatever its kind.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cli/row_mask.h"
#include "index/vector_index.h"
#include "kernels/kernels.h"
#include "model/element_type.h"
#include "model/metric.h"

namespace longbow::cli {

// A predicate that searches may come with.
struct SubjectFilter {
  const RowMask* mask = nullptr;  // rows that pass; outlives the subject
  FilterColumn column = FilterColumn::kInt8;
};

struct SubjectOptions {
  std::string state = "active";  // one of kSubjectStates
  uint32_t dimension = 0;
  uint32_t capacity = 0;  // rows, those that Insert adds included
  Metric metric = Metric::kL2;
  ElementType type = ElementType::kFloat32;  // that rows are kept in: this or kFloat16, which they are rounded to
  uint32_t threads = 1;                      // of Build
  bool exact_distances = true;               // of answers: from the rows; else, in sealed and lean, from codes
  std::vector<SubjectFilter> filters;
};

// Words of --state. flat: exact scan. active: the graph that rows are inserted into and searched in at once. sealed:
// made of an active one, takes no more rows. lean: the same in a third of the memory, slower. engine: the whole path of
// a served search but for log and network.
inline constexpr std::string_view kSubjectStates = "sealed lean active flat engine";

// One index over rows that it numbers itself, from 0 in the order they came. Build first, once. Searches may run on
// several threads; nothing else may run beside anything.
class Subject {
 public:
  virtual ~Subject() = default;

  // Rows 0 to count - 1. rows: [count, dimension] float32, finite; copied.
  virtual Status Build(const float* rows, uint32_t count) = 0;
  // At most options.k living rows that pass options.filter.passing (the words of the mask of one of
  // SubjectOptions::filters, or null = all), nearest first. The rest of options.filter is the subject's own business.
  virtual Result<std::vector<index::Neighbor>> Search(const float* query, index::SearchOptions options) const = 0;
  // Bytes of rows and index together, all in; 0 if it cannot tell.
  virtual uint64_t SizeBytes() const = 0;

  // Adds a row and returns its id. UNIMPLEMENTED where rows can only be built upon.
  virtual Result<index::LocalId> Insert(const float* row) = 0;
  // From now on no search returns the row.
  virtual Status Delete(index::LocalId id) = 0;
  // Living rows that no walk from the entry points reaches.
  virtual uint32_t CountUnreachable() const = 0;
  // Searches from now on ask for this recall and not for an ef, until a target of 0. The first call may take as long as
  // a server takes to learn how. UNIMPLEMENTED where an index knows no recall.
  virtual Status SetRecallTarget(double) { return Unimplemented("this index is exact: it takes no recall target"); }
  // Does what a server would do behind the queries it has seen so far; false if there was nothing to do. Nothing else
  // may run meanwhile.
  virtual bool FinishBackgroundWork() { return false; }
};

// INVALID_ARGUMENT for an unknown state or options that the index refuses. `kernels` outlives the subject.
Result<std::unique_ptr<Subject>> MakeSubject(const SubjectOptions& options, const kernels::Kernels& kernels);

}  // namespace longbow::cli
