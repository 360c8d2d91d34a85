#include "index/row_codes.h"

namespace longbow::index {

Result<std::unique_ptr<RowCodes>> RowCodes::Create(std::shared_ptr<const CodeSpace> space, uint32_t capacity,
                                                   const ArrayPlace& place) {
  const size_t stride = CodeArray::RowBytes(space->dimension());
  std::unique_ptr<RowCodes> codes(new RowCodes(std::move(space), stride));
  LB_ASSIGN(codes->memory_, ReservedMemory::Create(stride * capacity, "row codes", place));
  return codes;
}

void RowCodes::Write(const VectorRows& rows, LocalId id, float* scratch) {
  const float extra = space_->ToSpace(rows, id, scratch);
  uint8_t* const code = memory_.As<uint8_t>() + static_cast<size_t>(id) * stride_;
  const float scale = space_->kernels().quantize_row(scratch, dimension(), code);
  const float squared = extra + space_->distances().inner_product(scratch, scratch, dimension());
  std::memcpy(code + dimension(), &scale, sizeof(scale));
  std::memcpy(code + dimension() + sizeof(scale), &squared, sizeof(squared));
}

void KeysOf(const CodeArray& codes, const KeyProbe& probe, const LocalId* ids, size_t n, int32_t* dots, float* out) {
  codes.kernels->dot_ids(codes.data, codes.stride, probe.row, codes.dimension, ids, n, dots);
  for (size_t i = 0; i < n; ++i) {
    const float term = probe.term_is_norm ? codes.squared_norm(ids[i]) : 0.0f;
    out[i] =
        probe.constant + term + probe.factor * codes.scale(ids[i]) * static_cast<float>(dots[i] - probe.offset_sum);
  }
}

void RowProbe::Aim(const RowCodes& codes, LocalId id) {
  AimSquared(codes, id);
  if (codes.space().product_constant() > 0) {
    probe_.constant = codes.space().product_constant();
    probe_.term_is_norm = false;
  }
}

void RowProbe::AimSquared(const RowCodes& codes, LocalId id) {
  row_.resize(codes.dimension());
  probe_.offset_sum = codes.space().kernels().row_as_query(codes.row(id), codes.dimension(), row_.data());
  probe_.row = row_.data();
  probe_.factor = -2.0f * codes.scale(id);
  probe_.constant = codes.squared_norm(id);
  probe_.term_is_norm = true;
}

}  // namespace longbow::index
