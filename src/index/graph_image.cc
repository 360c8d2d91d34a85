#include "index/graph_image.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/crc32c.h"

namespace longbow::index {
namespace {

static_assert(std::endian::native == std::endian::little, "images are little-endian, and are used as they are");

constexpr char kMagic[8] = {'L', 'B', 'G', 'R', 'A', 'P', 'H', '\n'};
constexpr uint32_t kVersion = 1;
constexpr size_t kAlignment = 64;
constexpr uint32_t kGroupBytes = 4u << 20;  // that share a checksum
constexpr uint32_t kSectionsMax = 64;

// The first 32 bytes are the same in every version.
struct Header {
  char magic[8];
  uint32_t version;
  uint32_t crc;  // of the first header_bytes, this field as 0
  uint64_t image_bytes;
  uint64_t header_bytes;  // with the table and the checksums, a multiple of 64
  uint32_t kind;
  uint32_t sections;
  uint32_t metric;
  uint32_t element_type;
  uint32_t row_elements;
  uint32_t rows_end;
  uint32_t group_bytes;
  uint32_t zero;
};
static_assert(sizeof(Header) == 64);

struct TableEntry {
  uint32_t section;
  uint32_t zero;
  uint64_t offset;
  uint64_t size_bytes;
};
static_assert(sizeof(TableEntry) == 24);

size_t Padded(size_t size_bytes) { return (size_bytes + kAlignment - 1) / kAlignment * kAlignment; }
// Of a section, the zeros behind it included.
size_t Groups(size_t size_bytes) { return (Padded(size_bytes) + kGroupBytes - 1) / kGroupBytes; }

size_t HeaderBytes(size_t sections, size_t groups) {
  return Padded(sizeof(Header) + sections * sizeof(TableEntry) + groups * sizeof(uint32_t));
}

uint32_t HeaderCrc(const uint8_t* header, size_t header_bytes) {
  constexpr uint32_t kZero = 0;
  const size_t at = offsetof(Header, crc);
  uint32_t crc = Crc32c(0, header, at);
  crc = Crc32c(crc, &kZero, sizeof(kZero));
  return Crc32c(crc, header + at + sizeof(kZero), header_bytes - at - sizeof(kZero));
}

template <typename T>
T At(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

Status Damaged(const std::string& what, uint64_t offset) {
  return DataLoss("graph image: " + what + " at byte " + std::to_string(offset) + "; build the graph again");
}

Status DoesNotFit(const char* what, uint64_t got, uint64_t expected) {
  return DataLoss(std::string("graph image: not of these rows: ") + what + " is " + std::to_string(got) +
                  ", that of the rows " + std::to_string(expected));
}

Status CheckRows(const Header& header, const VectorRows& rows) {
  if (header.metric != static_cast<uint32_t>(rows.metric())) {
    return DoesNotFit("the metric", header.metric, static_cast<uint32_t>(rows.metric()));
  }
  if (header.element_type != static_cast<uint32_t>(rows.type())) {
    return DoesNotFit("the element type", header.element_type, static_cast<uint32_t>(rows.type()));
  }
  if (header.row_elements != rows.dimension()) {
    return DoesNotFit("the dimension", header.row_elements, rows.dimension());
  }
  if (header.rows_end > rows.capacity()) {
    return DoesNotFit("the number of rows", header.rows_end, rows.capacity());
  }
  return {};
}

// What must hold before any other field may be believed.
Result<Header> ReadHeader(const Slice& image) {
  if (image.size() < sizeof(Header)) {
    return Damaged("cut short: " + std::to_string(image.size()) + " bytes", 0);
  }
  const auto header = At<Header>(image.data());
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) {
    return Damaged("no graph begins", 0);
  }
  if (header.image_bytes != image.size()) {
    return Damaged("it should be " + std::to_string(header.image_bytes) + " bytes long and ends", image.size());
  }
  if (header.header_bytes < sizeof(Header) || header.header_bytes > image.size()) {
    return Damaged("damaged size of the header", offsetof(Header, header_bytes));
  }
  if (HeaderCrc(image.data(), header.header_bytes) != header.crc) {
    return Damaged("damaged header", 0);
  }
  if (header.version > kVersion) {
    return FailedPrecondition("graph image: format version " + std::to_string(header.version) +
                              " was written by a newer program; this one reads up to " + std::to_string(kVersion));
  }
  if (header.version != kVersion || header.group_bytes != kGroupBytes || header.sections > kSectionsMax ||
      header.header_bytes < HeaderBytes(header.sections, 0)) {
    return Damaged("impossible header", 0);
  }
  return header;
}

Status CheckGroups(const Slice& image, const TableEntry& entry, const uint8_t* checksums) {
  const size_t end = entry.offset + Padded(entry.size_bytes);
  for (size_t begin = entry.offset; begin < end; begin += kGroupBytes, checksums += sizeof(uint32_t)) {
    const size_t size = std::min<size_t>(kGroupBytes, end - begin);
    if (Crc32c(0, image.data() + begin, size) != At<uint32_t>(checksums)) {
      return Damaged("damaged bytes among the " + std::to_string(size), begin);
    }
  }
  return {};
}

}  // namespace

Slices ImageWriter::Finish() const {
  size_t groups = 0;
  for (const Section& section : sections_) {
    groups += Groups(section.bytes.size());
  }
  std::string start(HeaderBytes(sections_.size(), groups), '\0');
  char* table = start.data() + sizeof(Header);
  char* checksum = table + sections_.size() * sizeof(TableEntry);
  Slices pieces(1);
  uint64_t offset = start.size();
  static constexpr uint8_t kZeros[kAlignment] = {};
  for (const auto& [section, bytes] : sections_) {
    const TableEntry entry{static_cast<uint32_t>(section), 0, offset, bytes.size()};
    std::memcpy(table, &entry, sizeof(entry));
    table += sizeof(entry);
    const size_t padding = Padded(bytes.size()) - bytes.size();
    for (size_t begin = 0; begin < Padded(bytes.size()); begin += kGroupBytes) {
      const size_t end = std::min<size_t>(begin + kGroupBytes, bytes.size());
      uint32_t crc = begin < end ? Crc32c(0, bytes.data() + begin, end - begin) : 0;
      if (begin + kGroupBytes >= Padded(bytes.size())) {
        crc = Crc32c(crc, kZeros, padding);
      }
      std::memcpy(checksum, &crc, sizeof(crc));
      checksum += sizeof(crc);
    }
    pieces.push_back(bytes);
    if (padding > 0) {
      pieces.push_back(Slice(kZeros, padding, nullptr));
    }
    offset += Padded(bytes.size());
  }
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kVersion;
  header.image_bytes = offset;
  header.header_bytes = start.size();
  header.kind = static_cast<uint32_t>(kind_);
  header.sections = static_cast<uint32_t>(sections_.size());
  header.metric = static_cast<uint32_t>(rows_.metric());
  header.element_type = static_cast<uint32_t>(rows_.type());
  header.row_elements = rows_.dimension();
  header.rows_end = rows_end_;
  header.group_bytes = kGroupBytes;
  std::memcpy(start.data(), &header, sizeof(header));
  header.crc = HeaderCrc(reinterpret_cast<const uint8_t*>(start.data()), start.size());
  std::memcpy(start.data(), &header, sizeof(header));
  pieces.front() = Slice::Own(std::move(start));
  return pieces;
}

Result<ImageReader> ImageReader::Open(Slice image, ImageKind kind, const VectorRows& rows) {
  LB_ASSIGN(const Header header, ReadHeader(image));
  if (header.kind != static_cast<uint32_t>(kind)) {
    return DataLoss("graph image: of another kind: " + std::to_string(header.kind) + ", expected " +
                    std::to_string(static_cast<uint32_t>(kind)));
  }
  LB_TRY(CheckRows(header, rows));
  ImageReader reader;
  reader.rows_end_ = header.rows_end;
  const uint8_t* const table = image.data() + sizeof(Header);
  size_t checksum_at = sizeof(Header) + header.sections * sizeof(TableEntry);
  uint64_t offset = header.header_bytes;
  for (uint32_t i = 0; i < header.sections; ++i) {
    const auto entry = At<TableEntry>(table + i * sizeof(TableEntry));
    const bool inside = entry.offset == offset && entry.size_bytes <= image.size() - offset &&
                        Padded(entry.size_bytes) <= image.size() - offset;
    const size_t groups = inside ? Groups(entry.size_bytes) : 0;
    if (!inside || checksum_at + groups * sizeof(uint32_t) > header.header_bytes) {
      return Damaged("impossible section", sizeof(Header) + i * sizeof(TableEntry));
    }
    LB_TRY(CheckGroups(image, entry, image.data() + checksum_at));
    checksum_at += groups * sizeof(uint32_t);
    offset += Padded(entry.size_bytes);
    reader.entries_.push_back({static_cast<ImageSection>(entry.section), image.Sub(entry.offset, entry.size_bytes)});
  }
  if (offset != image.size()) {
    return Damaged("bytes of no section", offset);
  }
  return reader;
}

Result<Slice> ImageReader::Section(ImageSection section) const {
  for (const Entry& entry : entries_) {
    if (entry.section == section) {
      return entry.bytes;
    }
  }
  return BadGraphImage("section " + std::to_string(static_cast<uint32_t>(section)) + " is missing");
}

Result<Slice> ImageReader::Section(ImageSection section, size_t size_bytes) const {
  LB_ASSIGN(Slice bytes, Section(section));
  if (bytes.size() != size_bytes) {
    return BadGraphImage("section " + std::to_string(static_cast<uint32_t>(section)) + " has " +
                         std::to_string(bytes.size()) + " bytes, expected " + std::to_string(size_bytes));
  }
  return bytes;
}

Status ImageReader::CheckIds(const uint8_t* ids, size_t count, const char* of) const {
  for (size_t i = 0; i < count; ++i) {
    if (const auto id = At<uint32_t>(ids + i * sizeof(uint32_t)); id >= rows_end_) {
      return BadGraphImage(std::string(of) + " name row " + std::to_string(id) + " of " + std::to_string(rows_end_));
    }
  }
  return {};
}

ImageKind ImageKindOf(const Slice& image) {
  const bool is_lean =
      image.size() >= sizeof(Header) && At<Header>(image.data()).kind == static_cast<uint32_t>(ImageKind::kLean);
  return is_lean ? ImageKind::kLean : ImageKind::kSealed;
}

std::optional<uint32_t> ImageChecksum(const Slice& image) {
  return image.size() >= sizeof(Header) ? std::optional(At<Header>(image.data()).crc) : std::nullopt;
}

Status BadGraphImage(const std::string& what) { return DataLoss("graph image: " + what + "; build the graph again"); }

}  // namespace longbow::index
