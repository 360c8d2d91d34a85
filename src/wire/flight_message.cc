// FlightData as protobuf, field by field: bodies stay where the transport put them.
#include "flight.pb.h"

#include "base/limits.h"
#include "wire/flight_data.h"
#include "wire/protobuf_bytes.h"

namespace longbow::wire {
namespace {

// Field numbers of FlightData and PutResult.
constexpr uint64_t kDescriptor = 1;
constexpr uint64_t kDataHeader = 2;
constexpr uint64_t kAppMetadata = 3;
constexpr uint64_t kDataBody = 1000;
constexpr uint32_t kPutResultMetadata = 1;

Result<Descriptor> ParseDescriptor(const std::string& bytes) {
  arrow::flight::protocol::FlightDescriptor parsed;
  if (!parsed.ParseFromString(bytes)) {
    return InvalidArgument("malformed FlightData: bad flight descriptor");
  }
  Descriptor descriptor;
  if (parsed.type() == arrow::flight::protocol::FlightDescriptor::PATH) {
    descriptor.type = Descriptor::Type::kPath;
  } else if (parsed.type() == arrow::flight::protocol::FlightDescriptor::CMD) {
    descriptor.type = Descriptor::Type::kCommand;
  }
  descriptor.command = parsed.cmd();
  descriptor.path.assign(parsed.path().begin(), parsed.path().end());
  return descriptor;
}

Status ParseBytesField(ProtobufCursor& in, uint64_t field, FlightData* data) {
  uint64_t size = 0;
  if (!in.Varint(&size) || size > in.left()) {
    return InvalidArgument("malformed FlightData: truncated field " + std::to_string(field));
  }
  std::string bytes;
  switch (field) {
    case kDescriptor: {
      in.Copy(size, &bytes);
      LB_ASSIGN(data->descriptor, ParseDescriptor(bytes));
      break;
    }
    case kDataHeader:
      if (size > limits::kIpcHeaderSizeMaxBytes) {
        return InvalidArgument("the data header is too large: at most " + std::to_string(limits::kIpcHeaderSizeMaxBytes) + " bytes, got " +
                               std::to_string(size));
      }
      in.Copy(size, &data->header);
      break;
    case kAppMetadata:
      in.Copy(size, &data->app_metadata.emplace());
      break;
    case kDataBody:
      in.Take(size, &data->body);
      break;
    default:
      in.Skip(size);
  }
  return {};
}

net::Message OneMetadataField(uint32_t field, std::string_view app_metadata) {
  std::string bytes;
  AppendBytes(&bytes, field, app_metadata);
  return {Slice::Own(std::move(bytes))};
}

}  // namespace

Result<FlightData> ParseFlightData(const net::Message& message) {
  FlightData data;
  ProtobufCursor in(message);
  while (!in.done()) {
    uint64_t tag = 0;
    uint64_t ignored = 0;
    if (!in.Varint(&tag) || tag >> 3 == 0) {
      return InvalidArgument("malformed FlightData: bad field tag");
    }
    bool there = true;
    switch (static_cast<FieldKind>(tag & 7)) {
      case FieldKind::kVarint:
        there = in.Varint(&ignored);
        break;
      case FieldKind::kFixed64:
        there = in.Skip(8);
        break;
      case FieldKind::kFixed32:
        there = in.Skip(4);
        break;
      case FieldKind::kBytes:
        LB_TRY(ParseBytesField(in, tag >> 3, &data));
        break;
      default:
        return InvalidArgument("malformed FlightData: wire type " + std::to_string(tag & 7));
    }
    if (!there) {
      return InvalidArgument("malformed FlightData: truncated field " + std::to_string(tag >> 3));
    }
  }
  return data;
}

net::Message MetadataMessage(std::string_view app_metadata) { return OneMetadataField(kAppMetadata, app_metadata); }
net::Message PutResultMessage(std::string_view app_metadata) { return OneMetadataField(kPutResultMetadata, app_metadata); }

}  // namespace longbow::wire
