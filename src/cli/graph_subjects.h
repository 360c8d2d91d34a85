// The graphs of src/index as subjects: the one that still takes rows and the two that are sealed.
#pragma once

#include <memory>

#include "base/status.h"
#include "cli/subject.h"
#include "index/vector_rows.h"

namespace longbow::cli {

// rows: of options.capacity, empty.
std::unique_ptr<Subject> MakeActiveSubject(const SubjectOptions& options, std::shared_ptr<index::VectorRows> rows);
std::unique_ptr<Subject> MakeSealedSubject(const SubjectOptions& options, std::shared_ptr<index::VectorRows> rows);
std::unique_ptr<Subject> MakeLeanSubject(const SubjectOptions& options, std::shared_ptr<index::VectorRows> rows);

}  // namespace longbow::cli
