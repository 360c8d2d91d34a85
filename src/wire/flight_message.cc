// FlightData as protobuf, field by field: bodies stay where the transport put them. FlightDescriptor by hand too,
// because libprotobuf writes to stderr what it thinks of bad input.
#include <arrow/util/utf8.h>

#include "base/limits.h"
#include "wire/flight_data.h"
#include "wire/protobuf_bytes.h"

namespace longbow::wire {
namespace {

// Field numbers of FlightData, FlightDescriptor and PutResult.
constexpr uint64_t kDescriptor = 1;
constexpr uint64_t kDataHeader = 2;
constexpr uint64_t kAppMetadata = 3;
constexpr uint64_t kDataBody = 1000;
constexpr uint64_t kDescriptorType = 1;
constexpr uint64_t kDescriptorCommand = 2;
constexpr uint64_t kDescriptorPath = 3;
constexpr uint32_t kPutResultMetadata = 1;

Status Malformed(const std::string& detail) { return InvalidArgument("malformed FlightData: " + detail); }

// Calls on_varint(field, value) and on_bytes(field, size, cursor) for every field of a message; on_bytes consumes
// exactly `size` bytes, which are there. Other kinds are skipped.
template <typename OnVarint, typename OnBytes>
Status WalkFields(const Slices& message, OnVarint on_varint, OnBytes on_bytes) {
  ProtobufCursor in(message);
  while (!in.done()) {
    uint64_t tag = 0;
    uint64_t value = 0;
    if (!in.Varint(&tag) || tag >> 3 == 0) {
      return Malformed("bad field tag");
    }
    bool there = true;
    switch (static_cast<FieldKind>(tag & 7)) {
      case FieldKind::kVarint:
        there = in.Varint(&value);
        on_varint(tag >> 3, value);
        break;
      case FieldKind::kFixed64:
        there = in.Skip(8);
        break;
      case FieldKind::kFixed32:
        there = in.Skip(4);
        break;
      case FieldKind::kBytes:
        there = in.Varint(&value) && value <= in.left();
        if (there) {
          LB_TRY(on_bytes(tag >> 3, static_cast<size_t>(value), in));
        }
        break;
      default:
        return Malformed("wire type " + std::to_string(tag & 7));
    }
    if (!there) {
      return Malformed("truncated field " + std::to_string(tag >> 3));
    }
  }
  return {};
}

Result<Descriptor> ParseDescriptor(const Slices& bytes) {
  arrow::util::InitializeUTF8();  // once per process, else ValidateUTF8 accepts anything
  Descriptor descriptor;
  const auto on_varint = [&](uint64_t field, uint64_t value) {
    if (field == kDescriptorType) {
      descriptor.type = value == 1   ? Descriptor::Type::kPath
                        : value == 2 ? Descriptor::Type::kCommand
                                     : Descriptor::Type::kUnknown;
    }
  };
  const auto on_bytes = [&](uint64_t field, size_t size, ProtobufCursor& in) -> Status {
    if (field == kDescriptorCommand) {
      in.Copy(size, &descriptor.command);
    } else if (field == kDescriptorPath) {
      in.Copy(size, &descriptor.path.emplace_back());
      if (!arrow::util::ValidateUTF8(descriptor.path.back())) {
        return Malformed("a path of the flight descriptor is not valid UTF-8");
      }
    } else {
      in.Skip(size);
    }
    return {};
  };
  LB_TRY(WalkFields(bytes, on_varint, on_bytes));
  return descriptor;
}

net::Message OneMetadataField(uint32_t field, std::string_view app_metadata) {
  std::string bytes;
  AppendBytes(&bytes, field, app_metadata);
  return {Slice::Own(std::move(bytes))};
}

}  // namespace

Result<FlightData> ParseFlightData(const net::Message& message) {
  FlightData data;
  const auto on_bytes = [&](uint64_t field, size_t size, ProtobufCursor& in) -> Status {
    Slices pieces;
    switch (field) {
      case kDescriptor: {
        in.Take(size, &pieces);
        LB_ASSIGN(data.descriptor, ParseDescriptor(pieces));
        break;
      }
      case kDataHeader:
        if (size > limits::kIpcHeaderSizeMaxBytes) {
          return InvalidArgument("the data header is too large: at most " +
                                 std::to_string(limits::kIpcHeaderSizeMaxBytes) + " bytes allowed, got " +
                                 std::to_string(size));
        }
        in.Copy(size, &data.header);
        break;
      case kAppMetadata:
        in.Copy(size, &data.app_metadata.emplace());
        break;
      case kDataBody:
        in.Take(size, &data.body);
        break;
      default:
        in.Skip(size);
    }
    return {};
  };
  LB_TRY(WalkFields(
      message, [](uint64_t, uint64_t) {}, on_bytes));
  return data;
}

net::Message MetadataMessage(std::string_view app_metadata) { return OneMetadataField(kAppMetadata, app_metadata); }
net::Message PutResultMessage(std::string_view app_metadata) {
  return OneMetadataField(kPutResultMetadata, app_metadata);
}

}  // namespace longbow::wire
