// One quantizer of every kind and setting, for the tests that all of them must pass.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "quantize/lvq_quantizer.h"
#include "quantize/product_quantizer.h"
#include "quantize/rabitq_quantizer.h"
#include "quantize/residual_quantizer.h"
#include "quantize/scalar_quantizer.h"

namespace longbow::quantize {

struct QuantizerCase {
  std::string name;
  std::function<Result<std::unique_ptr<Quantizer>>(const TrainingRows&, const kernels::CodeKernels&)> train;
  // Root mean square error of squared L2 estimates on ClusteredRows of 64 dimensions, as a part of the mean distance.
  double error_max;
  double recall_min;  // recall@10 there of a scan of the codes
};

template <typename Q>
Result<std::unique_ptr<Quantizer>> AsQuantizer(Result<std::unique_ptr<Q>> trained) {
  if (!trained.ok()) {
    return trained.status();
  }
  return std::unique_ptr<Quantizer>(std::move(*trained));
}

template <typename Q, typename Options>
QuantizerCase CaseOf(std::string name, Options options, double error_max, double recall_min) {
  return {std::move(name),
          [options](const TrainingRows& sample, const kernels::CodeKernels& kernels) {
            Options fitting = options;
            if constexpr (requires { fitting.subspaces; }) {
              fitting.subspaces = std::min(fitting.subspaces, sample.dimension);
            }
            return AsQuantizer(Q::Train(sample, fitting, kernels));
          },
          error_max, recall_min};
}

inline std::vector<QuantizerCase> AllQuantizers() {
  using Scalar = ScalarQuantizerOptions;
  using Lvq = LvqQuantizerOptions;
  using Product = ProductQuantizerOptions;
  std::vector<QuantizerCase> cases = {
      CaseOf<ScalarQuantizer>("sq8", Scalar{.bits = 8}, 0.003, 0.97),
      CaseOf<ScalarQuantizer>("sq8cut", Scalar{.bits = 8, .outside = 0.001}, 0.009, 0.93),
      CaseOf<ScalarQuantizer>("sq4", Scalar{.bits = 4}, 0.036, 0.75),
      CaseOf<LvqQuantizer>("lvq8", Lvq{.bits = 8}, 0.002, 0.97),
      CaseOf<LvqQuantizer>("lvq4", Lvq{.bits = 4}, 0.025, 0.84),
      CaseOf<LvqQuantizer>("lvq4x4", Lvq{.bits = 4, .residual_bits = 4}, 0.0018, 0.95),
      CaseOf<LvqQuantizer>("lvq4x8", Lvq{.bits = 4, .residual_bits = 8}, 0.00016, 0.99),
      CaseOf<LvqQuantizer>("lvq8x8", Lvq{.bits = 8, .residual_bits = 8}, 2e-05, 0.99),
      CaseOf<ProductQuantizer>("pq32x4", Product{.subspaces = 32, .bits = 4, .train_rows_max = 4096}, 0.11, 0.52),
      CaseOf<ProductQuantizer>("pq15x4", Product{.subspaces = 15, .bits = 4, .train_rows_max = 4096}, 0.23, 0.28),
      CaseOf<ProductQuantizer>("pq16x8", Product{.subspaces = 16, .bits = 8, .train_rows_max = 4096}, 0.085, 0.62),
      CaseOf<ResidualQuantizer>("rq8", ResidualQuantizerOptions{.codebooks = 8, .train_rows_max = 4096}, 0.07, 0.65),
  };
  const double rabitq_error[] = {0.12, 0.057, 0.03, 0.015, 0.0075, 0.004, 0.0022, 0.0014};
  const double rabitq_recall[] = {0.4, 0.65, 0.78, 0.86, 0.91, 0.94, 0.96, 0.97};
  for (uint32_t bits = 1; bits <= 8; ++bits) {
    cases.push_back(CaseOf<RabitqQuantizer>("rabitq" + std::to_string(bits), RabitqQuantizerOptions{.bits = bits},
                                            rabitq_error[bits - 1], rabitq_recall[bits - 1]));
  }
  return cases;
}

}  // namespace longbow::quantize
