// Test data: batches of many shapes, and a stream of FlightData as a client would send it.
#pragma once

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/api.h>

#include <string>
#include <vector>

#include "wire/flight_data.h"

namespace longbow::wire {

// Test data that cannot be made is no test.
inline void Must(const arrow::Status& status) {
  if (!status.ok()) {
    status.Abort();
  }
}

// How a transport delivers bytes: in pieces of `piece` bytes, each with memory of its own.
inline net::Message Cut(const std::string& bytes, size_t piece) {
  net::Message message;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    message.push_back(Slice::Own(bytes.substr(at, piece)));
  }
  return message;
}

inline std::string Flat(const Slices& slices) {
  std::string bytes;
  for (const Slice& slice : slices) {
    bytes += slice.view();
  }
  return bytes;
}

inline std::shared_ptr<arrow::Array> FromJson(const std::shared_ptr<arrow::DataType>& type,
                                              const std::vector<std::optional<int64_t>>& values) {
  auto builder = *arrow::MakeBuilder(type);
  for (const auto& value : values) {
    Must((value ? builder->AppendScalar(**arrow::MakeScalar(*value)->CastTo(type)) : builder->AppendNull()));
  }
  return *builder->Finish();
}

inline std::shared_ptr<arrow::Array> TextArray(const std::vector<std::optional<std::string>>& values,
                                               const std::shared_ptr<arrow::DataType>& type = arrow::utf8()) {
  arrow::StringBuilder builder;
  for (const auto& value : values) {
    Must((value ? builder.Append(*value) : builder.AppendNull()));
  }
  auto array = *builder.Finish();
  if (type->id() == arrow::Type::STRING) {
    return array;
  }
  auto other = *arrow::MakeBuilder(type);
  for (int64_t i = 0; i < array->length(); ++i) {
    const auto& text = static_cast<const arrow::StringArray&>(*array);
    if (text.IsNull(i)) {
      Must(other->AppendNull());
    } else if (type->id() == arrow::Type::LARGE_STRING) {
      Must(static_cast<arrow::LargeStringBuilder&>(*other).Append(text.GetView(i)));
    } else {
      Must(static_cast<arrow::StringViewBuilder&>(*other).Append(text.GetView(i)));
    }
  }
  return *other->Finish();
}

// `rows` rows with an id, a vector of `dimension` and, where `rich`, text, view, nested and null columns.
inline std::shared_ptr<arrow::RecordBatch> SampleBatch(int64_t rows, int32_t dimension, bool rich) {
  std::vector<int64_t> ids;
  std::vector<float> elements;
  for (int64_t i = 0; i < rows; ++i) {
    ids.push_back(i);
    for (int32_t j = 0; j < dimension; ++j) {
      elements.push_back(static_cast<float>(i) + static_cast<float>(j) / 1000);
    }
  }
  const auto id = std::make_shared<arrow::Int64Array>(rows, arrow::Buffer::FromVector(ids));
  const auto values = std::make_shared<arrow::FloatArray>(rows * dimension, arrow::Buffer::FromVector(elements));
  arrow::FieldVector fields = {arrow::field("id", arrow::int64()),
                               arrow::field("vector", arrow::fixed_size_list(arrow::float32(), dimension))};
  arrow::ArrayVector columns = {id, *arrow::FixedSizeListArray::FromArrays(values, dimension)};
  if (rich) {
    std::vector<std::optional<std::string>> words;
    for (int64_t i = 0; i < rows; ++i) {
      words.push_back(i % 3 == 0 ? std::nullopt : std::optional("word number " + std::to_string(i)));
    }
    for (const auto& type : {arrow::utf8(), arrow::large_utf8(), arrow::utf8_view()}) {
      fields.push_back(arrow::field("text_" + type->ToString(), type));
      columns.push_back(TextArray(words, type));
    }
    fields.push_back(arrow::field("struct", arrow::struct_({arrow::field("a", arrow::int64())})));
    columns.push_back(*arrow::StructArray::Make({id}, std::vector<std::string>{"a"}));
    fields.push_back(arrow::field("nothing", arrow::null()));
    columns.push_back(std::make_shared<arrow::NullArray>(rows));
    fields.push_back(arrow::field("flag", arrow::boolean()));
    columns.push_back(*arrow::MakeArrayOfNull(arrow::boolean(), rows));
  }
  return arrow::RecordBatch::Make(arrow::schema(fields, arrow::key_value_metadata({"longbow.metric"}, {"cosine"})),
                                  rows, columns);
}

inline std::shared_ptr<arrow::RecordBatch> DictionaryBatch(const std::vector<std::string>& values,
                                                           const std::vector<int>& indices) {
  std::vector<std::optional<int64_t>> wide(indices.begin(), indices.end());
  std::vector<std::optional<std::string>> words(values.begin(), values.end());
  const auto column = *arrow::DictionaryArray::FromArrays(arrow::dictionary(arrow::int32(), arrow::utf8()),
                                                          FromJson(arrow::int32(), wide), TextArray(words));
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("d", column->type())}), column->length(), {column});
}

// What Arrow's own writer makes of the batches, message by message as FlightData bytes.
inline std::vector<std::string> ArrowStream(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                                            arrow::ipc::IpcWriteOptions options) {
  auto sink = *arrow::io::BufferOutputStream::Create();
  auto writer = *arrow::ipc::MakeStreamWriter(sink, batches[0]->schema(), options);
  for (const auto& batch : batches) {
    Must(writer->WriteRecordBatch(*batch));
  }
  Must(writer->Close());
  arrow::io::BufferReader source(*sink->Finish());
  auto reader = arrow::ipc::MessageReader::Open(&source);
  std::vector<std::string> messages;
  for (auto message = *reader->ReadNextMessage(); message != nullptr; message = *reader->ReadNextMessage()) {
    const auto varint = [](size_t value) {
      std::string text;
      for (; value > 127; value >>= 7) {
        text += static_cast<char>((value & 127) | 128);
      }
      return text + static_cast<char>(value);
    };
    std::string bytes =
        "\x12" + varint(static_cast<size_t>(message->metadata()->size())) + message->metadata()->ToString();
    if (message->type() != arrow::ipc::MessageType::SCHEMA) {
      bytes += "\xc2\x3e" + varint(static_cast<size_t>(message->body()->size())) + message->body()->ToString();
    }
    messages.push_back(bytes);
  }
  return messages;
}

}  // namespace longbow::wire
