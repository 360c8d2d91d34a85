#include "wire/row_requests.h"

#include "base/limits.h"
#include "wire/filter_json.h"
#include "wire/json_document.h"

namespace longbow::wire {
namespace {

using Element = simdjson::dom::element;

constexpr char kCount[] = "invalid count request";
constexpr char kDelete[] = "invalid delete request";
constexpr char kDeleteVector[] = "invalid delete-vector request";
constexpr char kUpdate[] = "invalid update request";

void ReadIds(JsonReader& reader, std::vector<std::string>* ids) {
  if (reader.Find("id")) {
    reader.Id("id", &ids->emplace_back());
  }
  const auto more = reader.Find("ids");
  if (!more) {
    return;
  }
  simdjson::dom::array array;
  if (more->get_array().get(array) != simdjson::SUCCESS) {
    return reader.Fail("\"ids\" must be an array");
  }
  if (ids->size() + array.size() > limits::kIdsPerRequestMax) {
    return reader.Fail("at most " + std::to_string(limits::kIdsPerRequestMax) + " ids in one request");
  }
  for (const Element& element : array) {
    auto id = IdText(element);
    if (!id) {
      return reader.Fail("\"ids\" must hold strings or whole numbers");
    }
    ids->push_back(std::move(*id));
  }
}

// All rows are nobody's slip of the pen: they have to be asked for by a filter that says so.
Result<RowsRequest> ReadRows(const simdjson::dom::object& object, const std::string& what) {
  JsonReader reader(object, what);
  RowsRequest request;
  reader.Name("dataset", "name", &request.collection);
  if (request.collection.empty()) {
    LB_TRY(reader.Finish());
    return InvalidArgument("missing dataset name");
  }
  ReadIds(reader, &request.ids);
  LB_TRY(reader.Finish());
  LB_ASSIGN(request.filter, ParseFilters(object, what));
  if (request.ids.empty() && request.filter.MatchesAll()) {
    return InvalidArgument(what + ": \"id\" is missing: give id, ids or filters");
  }
  if (!request.ids.empty() && !request.filter.MatchesAll()) {
    return InvalidArgument(what + ": ids and filters exclude each other");
  }
  return request;
}

Result<PayloadValue> ValueOf(const Element& value, const std::string& column) {
  switch (value.type()) {
    case simdjson::dom::element_type::NULL_VALUE:
      return PayloadValue();
    case simdjson::dom::element_type::BOOL:
      return PayloadValue(value.get_bool().value_unsafe());
    case simdjson::dom::element_type::INT64:
      return PayloadValue(int64_t{value.get_int64().value_unsafe()});
    case simdjson::dom::element_type::UINT64:
      return PayloadValue(uint64_t{value.get_uint64().value_unsafe()});
    case simdjson::dom::element_type::DOUBLE:
      return PayloadValue(value.get_double().value_unsafe());
    case simdjson::dom::element_type::STRING:
      return PayloadValue(std::string(value.get_string().value_unsafe()));
    default:
      return InvalidArgument(std::string(kUpdate) + ": \"" + column +
                             "\" must be set to a string, number, boolean or null");
  }
}

}  // namespace

Result<CountRequest> ParseCount(std::string_view body) {
  LB_ASSIGN(const JsonDocument document, JsonDocument::Parse(body, kCount));
  JsonReader reader(document.root(), kCount);
  CountRequest request;
  reader.Name("dataset", "name", &request.collection);
  LB_TRY(reader.Finish());
  if (request.collection.empty()) {
    return InvalidArgument("missing dataset name");
  }
  LB_ASSIGN(request.filter, ParseFilters(document.root(), kCount));
  return request;
}

Result<RowsRequest> ParseDelete(std::string_view body) {
  LB_ASSIGN(const JsonDocument document, JsonDocument::Parse(body, kDelete));
  return ReadRows(document.root(), kDelete);
}

Result<DeleteVectorRequest> ParseDeleteVector(std::string_view body) {
  LB_ASSIGN(const JsonDocument document, JsonDocument::Parse(body, kDeleteVector));
  JsonReader reader(document.root(), kDeleteVector);
  DeleteVectorRequest request;
  reader.Name("dataset", "name", &request.collection);
  int64_t ordinal = -1;
  reader.Integer("vector_id", &ordinal);
  LB_TRY(reader.Finish());
  if (request.collection.empty()) {
    return InvalidArgument("missing dataset name");
  }
  if (ordinal < 0) {
    return InvalidArgument(std::string(kDeleteVector) + ": \"vector_id\" must be a whole number of at least 0");
  }
  request.ordinal = static_cast<uint64_t>(ordinal);
  return request;
}

Result<UpdateRequest> ParseUpdate(std::string_view body) {
  LB_ASSIGN(const JsonDocument document, JsonDocument::Parse(body, kUpdate));
  UpdateRequest request;
  LB_ASSIGN(request.rows, ReadRows(document.root(), kUpdate));
  JsonReader reader(document.root(), kUpdate);
  const auto set = reader.Find("set");
  simdjson::dom::object columns;
  if (!set || set->get_object().get(columns) != simdjson::SUCCESS || columns.size() == 0) {
    return InvalidArgument(std::string(kUpdate) + ": \"set\" must be an object of columns and their new values");
  }
  if (columns.size() > limits::kColumnsMax) {
    return InvalidArgument(std::string(kUpdate) + ": \"set\" names more than " + std::to_string(limits::kColumnsMax) +
                           " columns");
  }
  for (const auto& [name, value] : columns) {
    LB_ASSIGN(PayloadValue read, ValueOf(value, std::string(name)));
    request.values.push_back({std::string(name), std::move(read)});
  }
  return request;
}

}  // namespace longbow::wire
