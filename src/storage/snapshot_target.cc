#include "storage/snapshot_target.h"

#include <algorithm>

namespace longbow::storage {

Result<std::string> ReadObject(SnapshotTarget& target, const std::string& name) {
  constexpr size_t kPiece = size_t{1} << 16;
  constexpr size_t kSizeMaxBytes = size_t{1} << 30;
  LB_ASSIGN(const std::unique_ptr<SnapshotTarget::Reader> reader, target.Open(name));
  std::string content;
  std::vector<uint8_t> piece(kPiece);
  while (true) {
    LB_ASSIGN(const size_t got, reader->Read(piece));
    content.append(reinterpret_cast<const char*>(piece.data()), got);
    if (got < piece.size()) {
      return content;
    }
    if (content.size() > kSizeMaxBytes) {
      return DataLoss("'" + target.where() + "/" + name + "' is larger than any index can be");
    }
    piece.resize(std::min(piece.size() * 2, size_t{8} << 20));
  }
}

Status WriteObject(SnapshotTarget& target, const std::string& name, std::string_view content) {
  LB_ASSIGN(const std::unique_ptr<SnapshotTarget::Writer> writer, target.Create(name));
  LB_TRY(writer->Append({reinterpret_cast<const uint8_t*>(content.data()), content.size()}));
  return writer->Finish();
}

}  // namespace longbow::storage
