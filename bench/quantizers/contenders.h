// The quantizers that are compared, with settings that suit the dimension.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "quantize/quantizer.h"

namespace longbow::bench {

struct Contender {
  std::string name;
  std::function<Result<std::unique_ptr<quantize::Quantizer>>(const quantize::TrainingRows&,
                                                             const kernels::CodeKernels&)>
      train;
};

std::vector<Contender> AllContenders(size_t dimension);

}  // namespace longbow::bench
