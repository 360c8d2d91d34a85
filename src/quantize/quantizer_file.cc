#include "quantize/quantizer_file.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/crc32c.h"
#include "quantize/lvq_quantizer.h"
#include "quantize/product_quantizer.h"
#include "quantize/rabitq_quantizer.h"
#include "quantize/residual_quantizer.h"
#include "quantize/scalar_quantizer.h"

// quantizer = magic "LBQUANT\n" , version u32 , kind u32 , bytes of body u64 , body , crc32c of all before u32
// Numbers are little-endian. The body of each kind is described with its Serialize.

namespace longbow::quantize {
namespace {

static_assert(std::endian::native == std::endian::little, "fields are copied as they stand in memory");

constexpr std::string_view kMagic = "LBQUANT\n";
constexpr uint32_t kVersion = 1;
constexpr size_t kVersionAt = 8;
constexpr size_t kKindAt = 12;
constexpr size_t kBodySizeAt = 16;
constexpr size_t kBodyAt = 24;
constexpr size_t kCrcBytes = 4;
constexpr float kStoredMagnitudeMax = 8 * kMagnitudeMax;  // what is left of a row, less a point, less a point

template <typename T>
T Load(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

template <typename T>
void Append(std::string* bytes, T value) {
  bytes->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

Status Damaged(const std::string& why) { return DataLoss("quantizer: " + why + "; restore it or train a new one"); }

Result<std::string_view> CheckedBody(std::string_view bytes) {
  if (bytes.size() < kBodyAt + kCrcBytes) {
    return Damaged("has " + std::to_string(bytes.size()) + " bytes, at least " + std::to_string(kBodyAt + kCrcBytes) +
                   " expected");
  }
  if (bytes.substr(0, kMagic.size()) != kMagic) {
    return Damaged("does not begin with LBQUANT");
  }
  const size_t crc_at = bytes.size() - kCrcBytes;
  const auto expected = Load<uint32_t>(bytes, crc_at);
  if (Crc32c(0, bytes.data(), crc_at) != expected) {
    return Damaged("its checksum is wrong");
  }
  if (const auto version = Load<uint32_t>(bytes, kVersionAt); version != kVersion) {
    return FailedPrecondition("quantizer: version " + std::to_string(version) + ", this program reads version " +
                              std::to_string(kVersion) + ": use the newer program that wrote it");
  }
  if (Load<uint64_t>(bytes, kBodySizeAt) != crc_at - kBodyAt) {
    return Damaged("its body has " + std::to_string(crc_at - kBodyAt) + " bytes, its header says " +
                   std::to_string(Load<uint64_t>(bytes, kBodySizeAt)));
  }
  return bytes.substr(kBodyAt, crc_at - kBodyAt);
}

}  // namespace

void QuantizerWriter::Put(uint32_t value) { Append(&body_, value); }
void QuantizerWriter::Put(std::span<const float> values) {
  body_.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

std::string QuantizerWriter::Seal() const {
  std::string bytes(kMagic);
  Append(&bytes, kVersion);
  Append(&bytes, static_cast<uint32_t>(kind_));
  Append(&bytes, static_cast<uint64_t>(body_.size()));
  bytes += body_;
  Append(&bytes, Crc32c(0, bytes.data(), bytes.size()));
  return bytes;
}

void QuantizerReader::Fail(const std::string& why) {
  if (status_.ok()) {
    status_ = Damaged(why);
  }
  left_ = {};
}

const char* QuantizerReader::Take(std::string_view what, size_t size) {
  if (failed() || left_.size() < size) {
    Fail("ends inside '" + std::string(what) + "'");
    return nullptr;
  }
  const char* taken = left_.data();
  left_.remove_prefix(size);
  return taken;
}

uint32_t QuantizerReader::Number(std::string_view what, uint32_t least, uint32_t most) {
  const char* at = Take(what, sizeof(uint32_t));
  if (at == nullptr) {
    return 0;
  }
  uint32_t value;
  std::memcpy(&value, at, sizeof(value));
  if (value < least || value > most) {
    Fail("'" + std::string(what) + "' is " + std::to_string(value) + ", expected " + std::to_string(least) + " to " +
         std::to_string(most));
    return 0;
  }
  return value;
}

std::vector<float> QuantizerReader::Floats(std::string_view what, size_t count) {
  if (count > left_.size() / sizeof(float)) {
    Fail("ends inside '" + std::string(what) + "'");
    return {};
  }
  std::vector<float> values(count);
  if (count == 0) {
    return values;
  }
  std::memcpy(values.data(), Take(what, count * sizeof(float)), count * sizeof(float));
  for (const float value : values) {
    if (!(std::fabs(value) <= kStoredMagnitudeMax)) {
      Fail("'" + std::string(what) + "' holds a value that no training gives");
      return {};
    }
  }
  return values;
}

Status QuantizerReader::Finish() const {
  if (status_.ok() && !left_.empty()) {
    return Damaged(std::to_string(left_.size()) + " bytes are left over");
  }
  return status_;
}

Result<std::unique_ptr<Quantizer>> OpenQuantizer(std::string_view bytes, const kernels::CodeKernels& kernels) {
  LB_ASSIGN(const std::string_view body, CheckedBody(bytes));
  QuantizerReader reader(body);
  const auto kind = Load<uint32_t>(bytes, kKindAt);
  switch (static_cast<QuantizerKind>(kind)) {
    case QuantizerKind::kScalar:
      return ScalarQuantizer::Read(&reader, kernels);
    case QuantizerKind::kLvq:
      return LvqQuantizer::Read(&reader, kernels);
    case QuantizerKind::kRabitq:
      return RabitqQuantizer::Read(&reader, kernels);
    case QuantizerKind::kProduct:
      return ProductQuantizer::Read(&reader, kernels);
    case QuantizerKind::kResidual:
      return ResidualQuantizer::Read(&reader, kernels);
  }
  return Damaged("its kind is " + std::to_string(kind) + ", which no version has");
}

}  // namespace longbow::quantize
