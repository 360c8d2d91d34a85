#include "cli/subject.h"

#include "cli/engine_subject.h"
#include "cli/flat_subject.h"
#include "cli/graph_subjects.h"

namespace longbow::cli {

Result<std::unique_ptr<Subject>> MakeSubject(const SubjectOptions& options, const kernels::Kernels& kernels) {
  if (options.state == "engine") {
    return MakeEngineSubject(options, kernels);
  }
  LB_ASSIGN(std::shared_ptr<index::VectorRows> rows,
            index::VectorRows::Create(options.dimension, options.capacity, options.metric, kernels, options.type));
  if (options.state == "flat") {
    return std::unique_ptr<Subject>(std::make_unique<FlatSubject>(options, std::move(rows)));
  }
  if (options.state == "active") {
    return MakeActiveSubject(options, std::move(rows));
  }
  if (options.state == "sealed") {
    return MakeSealedSubject(options, std::move(rows));
  }
  if (options.state == "lean") {
    return MakeLeanSubject(options, std::move(rows));
  }
  return InvalidArgument("state must be one of: " + std::string(kSubjectStates) + "; got '" + options.state + "'");
}

}  // namespace longbow::cli
