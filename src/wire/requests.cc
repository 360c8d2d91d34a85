#include "wire/requests.h"

#include <arrow/util/utf8.h>

#include <cfloat>
#include <cmath>

#include "base/limits.h"
#include "wire/filter_json.h"
#include "wire/json_document.h"

namespace longbow::wire {
namespace {

using Element = simdjson::dom::element;

constexpr char kTicket[] = "invalid ticket format";
constexpr char kSearch[] = "invalid search request";
constexpr char kSearchById[] = "invalid search-by-id request";
constexpr char kSetTtl[] = "invalid SetTtl request";
constexpr char kName[] = "invalid request";
constexpr char kJob[] = "invalid job request";
constexpr char kSnapshot[] = "invalid snapshot request";

void CheckName(JsonReader& reader, std::string_view key, const std::string& name) {
  if (name.size() > limits::kNameSizeMaxBytes) {
    reader.Fail("\"" + std::string(key) + "\" is too long: at most " + std::to_string(limits::kNameSizeMaxBytes) +
                " bytes allowed, got " + std::to_string(name.size()));
  }
}

// Whole numbers stay what they are, whatever their size. Returns what is wrong with any other.
std::string AddNumber(const Element& value, QueryVector* vector) {
  double number = 0;
  switch (value.type()) {
    case simdjson::dom::element_type::INT64:
      vector->Add(int64_t{value.get_int64().value_unsafe()});
      return {};
    case simdjson::dom::element_type::UINT64:
      vector->Add(uint64_t{value.get_uint64().value_unsafe()});
      return {};
    default:
      if (value.get_double().get(number) != simdjson::SUCCESS) {
        return "no number";
      }
      if (!(std::fabs(number) <= FLT_MAX)) {
        return "beyond the range of float32";
      }
      vector->Add(number);
      return {};
  }
}

void ReadVector(JsonReader& reader, const Element& element, QueryVector* vector) {
  simdjson::dom::array array;
  if (element.get_array().get(array) != simdjson::SUCCESS) {
    return reader.Fail("a vector must be an array of numbers");
  }
  for (const Element& value : array) {
    if (vector->size() == limits::kDimensionMax) {
      return reader.Fail("a vector has more than " + std::to_string(limits::kDimensionMax) + " elements");
    }
    if (const std::string wrong = AddNumber(value, vector); !wrong.empty()) {
      return reader.Fail("element " + std::to_string(vector->size()) + " of a vector is " + wrong);
    }
  }
}

void ReadVectors(JsonReader& reader, std::vector<QueryVector>* vectors) {
  if (const auto vector = reader.Find("vector")) {
    ReadVector(reader, *vector, &vectors->emplace_back());
    if (vectors->back().empty()) {
      vectors->pop_back();  // how some clients write "none"
    }
  }
  const auto more = reader.Find("vectors");
  simdjson::dom::array array;
  if (!more) {
    return;
  }
  if (more->get_array().get(array) != simdjson::SUCCESS) {
    return reader.Fail("\"vectors\" must be an array of vectors");
  }
  for (const Element& vector : array) {
    if (vectors->size() == limits::kQueriesPerSearchMax) {
      return reader.Fail("at most " + std::to_string(limits::kQueriesPerSearchMax) + " vectors in one search");
    }
    ReadVector(reader, vector, &vectors->emplace_back());
  }
}

void ReadVectorFormat(JsonReader& reader, VectorFormat* format) {
  std::string name;
  reader.Text("vector_format", &name);
  if (name.empty()) {
    *format = VectorFormat::kStored;
  } else if (name == "f32") {
    *format = VectorFormat::kFloat32;
  } else if (name == "f16") {
    *format = VectorFormat::kFloat16;
  } else if (name == "quantized" || name == "sq8") {
    *format = VectorFormat::kQuantized;
  } else {
    reader.Fail("unknown vector_format \"" + name + "\": use f32, f16, sq8 or quantized");
  }
}

// A name or an array of names.
void ReadColumns(JsonReader& reader, std::vector<std::string>* columns) {
  const auto value = reader.Find("columns");
  if (!value || value->is_null()) {
    return;
  }
  simdjson::dom::array names;
  std::string_view name;
  if (value->get(name) == simdjson::SUCCESS) {
    columns->emplace_back(name);
    return;
  }
  if (value->get(names) != simdjson::SUCCESS) {
    return reader.Fail("\"columns\" must be an array of names");
  }
  for (const simdjson::dom::element element : names) {
    if (element.get(name) != simdjson::SUCCESS) {
      return reader.Fail("\"columns\" must be an array of names");
    }
    columns->emplace_back(name);
  }
}

void ReadFusion(JsonReader& reader, Fusion* fusion) {
  std::string name;
  reader.Text("fusion", &name);
  if (name.empty() || name == "rrf") {
    *fusion = Fusion::kRank;
  } else if (name == "weighted") {
    *fusion = Fusion::kScore;
  } else {
    reader.Fail("unknown fusion \"" + name + "\": use rrf or weighted");
  }
}

void ReadCursor(JsonReader& reader, std::optional<std::string>* cursor) {
  if (reader.Find("cursor")) {
    reader.Text("cursor", &cursor->emplace());
  }
}

void ReadOptionalNumber(JsonReader& reader, std::string_view key, std::optional<double>* value) {
  if (reader.Find(key)) {
    reader.Number(key, &value->emplace());
  }
}

Result<SearchRequest> ReadSearch(const simdjson::dom::object& object, const std::string& what) {
  JsonReader reader(object, what);
  SearchRequest request;
  reader.Name("dataset", "name", &request.collection);
  ReadVectors(reader, &request.vectors);
  reader.Integer("k", &request.k);
  int64_t ef = 0;
  reader.Integer("ef", &ef);
  if (ef < 0 || ef > static_cast<int64_t>(limits::kEfMax)) {
    reader.Fail("\"ef\" must be 0 to " + std::to_string(limits::kEfMax));
  }
  request.ef = static_cast<uint32_t>(ef);
  ReadOptionalNumber(reader, "recall_target", &request.recall_target);
  reader.Text("text_query", &request.text_query);
  request.alpha = DefaultAlpha(request.text_query);
  reader.Number("alpha", &request.alpha);
  ReadFusion(reader, &request.fusion);
  reader.Number("graph_alpha", &request.graph_alpha);
  reader.Bool("include_vectors", &request.include_vectors);
  ReadColumns(reader, &request.columns);
  ReadVectorFormat(reader, &request.vector_format);
  reader.Bool("local_only", &request.local_only);
  ReadOptionalNumber(reader, "radius", &request.radius);
  ReadOptionalNumber(reader, "score_min", &request.score_min);
  if (reader.Find("id")) {
    reader.Id("id", &request.id.emplace());
  }
  ReadCursor(reader, &request.cursor);
  reader.Bool("explain", &request.explain);
  LB_TRY(reader.Finish());
  LB_ASSIGN(request.filter, ParseFilters(object, what));
  return request;
}

Result<ScanRequest> ReadScan(const simdjson::dom::object& object) {
  JsonReader reader(object, kTicket);
  ScanRequest request;
  reader.Name("name", "dataset", &request.collection);
  int64_t limit = 0;
  reader.Integer("limit", &limit);
  ReadCursor(reader, &request.cursor);
  LB_TRY(reader.Finish());
  if (limit > 0) {  // clients that always send a limit send 0 for none
    request.limit = static_cast<uint64_t>(limit);
  }
  LB_ASSIGN(request.filter, ParseFilters(object, kTicket));
  return request;
}

bool IsUtf8(std::string_view text) {
  arrow::util::InitializeUTF8();  // once per process, else ValidateUTF8 accepts anything
  return arrow::util::ValidateUTF8(text);
}

bool IsJson(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

}  // namespace

Result<std::variant<ScanRequest, SearchRequest>> ParseTicket(std::string_view ticket) {
  using Ticket = std::variant<ScanRequest, SearchRequest>;
  if (!IsJson(ticket)) {
    if (!IsUtf8(ticket)) {
      return InvalidArgument(std::string(kTicket) + ": neither a JSON object nor a dataset name in UTF-8");
    }
    if (ticket.size() > limits::kNameSizeMaxBytes) {
      return InvalidArgument(std::string(kTicket) + ": a dataset name has at most " +
                             std::to_string(limits::kNameSizeMaxBytes) + " bytes, got " +
                             std::to_string(ticket.size()));
    }
    ScanRequest scan;
    scan.collection = ticket;
    return Ticket(std::move(scan));
  }
  LB_ASSIGN(const JsonDocument document, JsonDocument::Parse(ticket, kTicket));
  const auto search = JsonReader(document.root(), kTicket).Find("search");
  if (!search) {
    LB_ASSIGN(ScanRequest scan, ReadScan(document.root()));
    return Ticket(std::move(scan));
  }
  simdjson::dom::object object;
  if (search->get_object().get(object) != simdjson::SUCCESS) {
    return InvalidArgument(std::string(kTicket) + ": \"search\" must be an object");
  }
  LB_ASSIGN(SearchRequest request, ReadSearch(object, kTicket));
  return Ticket(std::move(request));
}

Result<SearchRequest> ParseSearch(std::string_view body) {
  LB_ASSIGN(const JsonDocument document, JsonDocument::Parse(body, kSearch));
  return ReadSearch(document.root(), kSearch);
}

double DefaultAlpha(std::string_view text_query) { return text_query.empty() ? 1.0 : 0.5; }

Result<SearchByIdRequest> ParseSearchById(std::string_view body) {
  LB_ASSIGN(const JsonDocument document, JsonDocument::Parse(body, kSearchById));
  JsonReader reader(document.root(), kSearchById);
  SearchByIdRequest request;
  reader.Name("dataset", "name", &request.collection);
  if (!reader.Find("id")) {
    reader.Fail("\"id\" is missing");
  }
  reader.Id("id", &request.id);
  reader.Integer("k", &request.k);
  reader.Bool("include_vectors", &request.include_vectors);
  LB_TRY(reader.Finish());
  LB_ASSIGN(request.filter, ParseFilters(document.root(), kSearchById));
  return request;
}

Result<SetTtlRequest> ParseSetTtl(std::string_view body) {
  LB_ASSIGN(const JsonDocument document, JsonDocument::Parse(body, kSetTtl));
  JsonReader reader(document.root(), kSetTtl);
  SetTtlRequest request;
  reader.Name("dataset", "name", &request.collection);
  if (request.collection.empty()) {
    return InvalidArgument("missing dataset name");
  }
  if (!reader.Find("ttl_seconds")) {
    reader.Fail("\"ttl_seconds\" is missing: a whole number of seconds, 0 for rows that stay");
  }
  reader.Integer("ttl_seconds", &request.ttl_seconds);
  if (reader.Find("expires_at")) {
    reader.Text("expires_at", &request.expiry_column.emplace());
  }
  LB_TRY(reader.Finish());
  return request;
}

Result<NameRequest> ParseName(std::string_view body) {
  NameRequest request;
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return request;
  }
  LB_ASSIGN(const JsonDocument document, JsonDocument::Parse(body, kName));
  JsonReader reader(document.root(), kName);
  reader.Text("dataset", &request.dataset);
  CheckName(reader, "dataset", request.dataset);
  reader.Text("name", &request.name);
  CheckName(reader, "name", request.name);
  LB_TRY(reader.Finish());
  return request;
}

Result<JobRequest> ParseJob(std::string_view body) {
  JobRequest request;
  LB_ASSIGN(const JsonDocument document, JsonDocument::Parse(body, kJob));
  JsonReader reader(document.root(), kJob);
  reader.Text("id", &request.id);
  CheckName(reader, "id", request.id);
  LB_TRY(reader.Finish());
  return request;
}

Result<SnapshotRequest> ParseSnapshot(std::string_view body) {
  SnapshotRequest request;
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return request;
  }
  LB_ASSIGN(const JsonDocument document, JsonDocument::Parse(body, kSnapshot));
  JsonReader reader(document.root(), kSnapshot);
  reader.Name("dataset", "collection", &request.dataset);
  reader.Text("target", &request.target);
  CheckName(reader, "target", request.target);
  reader.Text("id", &request.id);
  CheckName(reader, "id", request.id);
  LB_TRY(reader.Finish());
  return request;
}

}  // namespace longbow::wire
