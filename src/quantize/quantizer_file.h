// Quantizers as bytes: docs/formats/quantizer.md. Little-endian, versioned, checksummed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "quantize/quantizer.h"

namespace longbow::quantize {

// Reads what Quantizer::Serialize wrote. DATA_LOSS if the bytes are damaged or their values cannot be,
// FAILED_PRECONDITION if a newer version wrote them. Never crashes, whatever the bytes.
Result<std::unique_ptr<Quantizer>> OpenQuantizer(std::string_view bytes, const kernels::CodeKernels& kernels);

// Appends the fields of one quantizer and seals them.
class QuantizerWriter {
 public:
  explicit QuantizerWriter(QuantizerKind kind) : kind_(kind) {}

  void Put(uint32_t value);
  void Put(std::span<const float> values);  // without their number

  // Header, fields and checksum.
  std::string Seal() const;

 private:
  const QuantizerKind kind_;
  std::string body_;
};

// Takes the fields in the order in which they were put. After the first failure every value is 0 and Finish tells it.
class QuantizerReader {
 public:
  explicit QuantizerReader(std::string_view body) : left_(body) {}

  // A number in [least, most], else a failure that names `what`.
  uint32_t Number(std::string_view what, uint32_t least, uint32_t most);
  // `count` values of magnitudes that training can give; empty after a failure. Allocates only what the bytes can fill.
  std::vector<float> Floats(std::string_view what, size_t count);

  bool failed() const { return !status_.ok(); }
  // DATA_LOSS if a field was missing or impossible, or if bytes are left over.
  Status Finish() const;

 private:
  const char* Take(std::string_view what, size_t size);
  void Fail(const std::string& why);

  std::string_view left_;
  Status status_;
};

}  // namespace longbow::quantize
