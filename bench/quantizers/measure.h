// One quantizer against one data set.
#pragma once

#include <string>

#include "data_set.h"
#include "kernels/code_scan.h"
#include "quantize/quantizer.h"

namespace longbow::bench {

// The fields are described in README.md.
struct Measurement {
  std::string name;
  size_t bytes = 0;
  double block_bytes = 0;
  double train_s = 0;
  double encode_us = 0;
  double prepare_us = 0;
  double scan_ns = 0;
  double ids_ns = 0;
  double packed_ns = 0;
  double recall = 0;
  double packed_recall = 0;
  double rerank_recall = 0;
  double error = 0;
  double outside_bound = -1;  // below 0: it has no bound
};

// The rows as they are: what the codes are compared with.
Measurement MeasureExact(const DataSet& data, const kernels::Kernels& kernels);

// Encodes the base and asks all queries. The quantizer's own errors.
Result<Measurement> MeasureQuantizer(const DataSet& data, const quantize::Quantizer& quantizer,
                                     const kernels::Kernels& kernels);

}  // namespace longbow::bench
