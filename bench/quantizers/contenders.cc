#include "contenders.h"

#include <utility>

#include "quantize/lvq_quantizer.h"
#include "quantize/product_quantizer.h"
#include "quantize/rabitq_quantizer.h"
#include "quantize/residual_quantizer.h"
#include "quantize/scalar_quantizer.h"

namespace longbow::bench {
namespace {

using quantize::LvqQuantizer;
using quantize::ProductQuantizer;
using quantize::Quantizer;
using quantize::RabitqQuantizer;
using quantize::ResidualQuantizer;
using quantize::ScalarQuantizer;

template <typename Q, typename Options>
Contender Of(std::string name, Options options) {
  return {std::move(name),
          [options](const quantize::TrainingRows& rows,
                    const kernels::CodeKernels& kernels) -> Result<std::unique_ptr<Quantizer>> {
            LB_ASSIGN(std::unique_ptr<Q> trained, Q::Train(rows, options, kernels));
            return std::unique_ptr<Quantizer>(std::move(trained));
          }};
}

}  // namespace

std::vector<Contender> AllContenders(size_t dimension) {
  std::vector<Contender> all = {
      Of<ScalarQuantizer>("sq8", quantize::ScalarQuantizerOptions{.bits = 8}),
      Of<ScalarQuantizer>("sq8-cut", quantize::ScalarQuantizerOptions{.bits = 8, .outside = 0.0005}),
      Of<ScalarQuantizer>("sq4", quantize::ScalarQuantizerOptions{.bits = 4}),
      Of<ScalarQuantizer>("sq4-cut", quantize::ScalarQuantizerOptions{.bits = 4, .outside = 0.005}),
      Of<LvqQuantizer>("lvq8", quantize::LvqQuantizerOptions{.bits = 8}),
      Of<LvqQuantizer>("lvq4", quantize::LvqQuantizerOptions{.bits = 4}),
      Of<LvqQuantizer>("lvq4+8", quantize::LvqQuantizerOptions{.bits = 4, .residual_bits = 8}),
      Of<LvqQuantizer>("lvq8+8", quantize::LvqQuantizerOptions{.bits = 8, .residual_bits = 8}),
  };
  for (const uint32_t bits : {1u, 2u, 3u, 4u, 5u, 6u, 8u}) {
    all.push_back(Of<RabitqQuantizer>("rabitq" + std::to_string(bits), quantize::RabitqQuantizerOptions{.bits = bits}));
  }
  for (const size_t dimensions_each : {2, 4}) {
    const size_t subspaces = std::max<size_t>(dimension / dimensions_each, 1);
    all.push_back(Of<ProductQuantizer>("pq" + std::to_string(subspaces) + "x4",
                                       quantize::ProductQuantizerOptions{.subspaces = subspaces, .bits = 4}));
  }
  for (const size_t subspaces : {dimension / 4, dimension / 8, size_t{16}, size_t{8}}) {
    if (subspaces >= 1 && subspaces <= dimension) {
      all.push_back(Of<ProductQuantizer>("pq" + std::to_string(subspaces) + "x8",
                                         quantize::ProductQuantizerOptions{.subspaces = subspaces, .bits = 8}));
    }
  }
  for (const size_t codebooks : {8, 16}) {
    all.push_back(Of<ResidualQuantizer>("rq" + std::to_string(codebooks) + "x8",
                                        quantize::ResidualQuantizerOptions{.codebooks = codebooks}));
  }
  return all;
}

}  // namespace longbow::bench
