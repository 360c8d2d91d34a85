// The path of a search that is served, without log and network: shard, planner, filter indexes, segments.
#pragma once

#include <memory>

#include "base/status.h"
#include "cli/subject.h"

namespace longbow::cli {

// Ids are the shard's ordinals. A filter is an equality on a column that holds options.mask. RESOURCE_EXHAUSTED if
// there is no memory for the rows.
Result<std::unique_ptr<Subject>> MakeEngineSubject(const SubjectOptions& options, const kernels::Kernels& kernels);

}  // namespace longbow::cli
