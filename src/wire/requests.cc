#include "wire/requests.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/limits.h"
#include "wire/json.h"
#include "wire/predicate_json.h"

namespace longbow::wire {
namespace {

namespace dom = simdjson::dom;
using Op = Predicate::Op;

// "x" -> "<what>: x"; OK stays OK.
Status Within(std::string_view what, const Status& status) {
  return status.ok() ? status : InvalidArgument(std::string(what) + ": " + std::string(status.message()));
}

Result<VectorFormat> ParseFormat(const std::string& name) {
  if (name == "f32") {
    return VectorFormat::kFloat32;
  }
  if (name == "f16") {
    return VectorFormat::kFloat16;
  }
  if (name == "quantized") {
    return VectorFormat::kQuantized;
  }
  return InvalidArgument("unknown vector_format '" + name + "': expected f32, f16 or quantized");
}

Status ReadVectors(dom::object object, SearchRequest* request) {
  if (const auto vector = Member(object, {"vector"})) {
    LB_ASSIGN(std::vector<float> values, Floats(*vector, "vector"));
    request->vectors.push_back(std::move(values));
  }
  const auto vectors = Member(object, {"vectors"});
  if (!vectors) {
    return {};
  }
  dom::array list;
  if (vectors->get(list) != simdjson::SUCCESS) {
    return InvalidArgument("'vectors' must be a list of lists of numbers");
  }
  for (const dom::element item : list) {
    if (request->vectors.size() == limits::kQueriesPerSearchMax) {
      return InvalidArgument("more than " + std::to_string(limits::kQueriesPerSearchMax) + " vectors in one search: send several");
    }
    LB_ASSIGN(std::vector<float> values, Floats(item, "vectors"));
    request->vectors.push_back(std::move(values));
  }
  return {};
}

Result<SearchRequest> ReadSearch(dom::object object) {
  SearchRequest request;
  LB_ASSIGN(const auto dataset, TextMember(object, {"dataset", "name"}));
  request.collection = dataset.value_or("");
  LB_TRY(ReadVectors(object, &request));
  LB_ASSIGN(const auto k, IntegerMember(object, {"k"}));
  request.k = k.value_or(request.k);
  LB_ASSIGN(const auto ef, IntegerMember(object, {"ef"}));
  request.ef = static_cast<uint32_t>(std::clamp<int64_t>(ef.value_or(0), 0, UINT32_MAX));
  LB_ASSIGN(request.filter, FilterMember(object));
  LB_ASSIGN(const auto text, TextMember(object, {"text_query"}));
  request.text_query = text.value_or("");
  LB_ASSIGN(const auto alpha, NumberMember(object, {"alpha"}));
  // Without a weight, a text beside the vector asks for both.
  request.alpha = alpha.value_or(request.text_query.empty() ? 1.0 : 0.5);
  LB_ASSIGN(const auto graph_alpha, NumberMember(object, {"graph_alpha"}));
  request.graph_alpha = graph_alpha.value_or(0.0);
  LB_ASSIGN(const auto include_vectors, BoolMember(object, {"include_vectors"}));
  request.include_vectors = include_vectors.value_or(false);
  LB_ASSIGN(const auto format, TextMember(object, {"vector_format"}));
  if (format && !format->empty()) {
    LB_ASSIGN(request.vector_format, ParseFormat(*format));
  }
  LB_ASSIGN(const auto local_only, BoolMember(object, {"local_only"}));
  request.local_only = local_only.value_or(false);
  return request;
}

Result<ScanRequest> ReadScan(dom::object object) {
  ScanRequest request;
  LB_ASSIGN(const auto name, TextMember(object, {"name", "dataset"}));
  request.collection = name.value_or("");
  LB_ASSIGN(const auto limit, IntegerMember(object, {"limit"}));
  if (limit && *limit < 0) {
    return InvalidArgument("'limit' must not be negative, got " + std::to_string(*limit));
  }
  // 0 is what clients send that have no limit in mind.
  if (limit && *limit > 0) {
    request.limit = static_cast<uint64_t>(*limit);
  }
  LB_ASSIGN(request.filter, FilterMember(object));
  return request;
}

Result<std::variant<ScanRequest, SearchRequest>> ReadTicket(dom::object object) {
  if (const auto search = Member(object, {"search"})) {
    dom::object inner;
    if (search->get(inner) != simdjson::SUCCESS) {
      return InvalidArgument("'search' must be an object");
    }
    LB_ASSIGN(SearchRequest request, ReadSearch(inner));
    return std::variant<ScanRequest, SearchRequest>(std::move(request));
  }
  LB_ASSIGN(ScanRequest request, ReadScan(object));
  return std::variant<ScanRequest, SearchRequest>(std::move(request));
}

// One id or a list of them, numbers or strings.
Result<std::vector<std::string>> ReadIds(dom::object object) {
  std::vector<std::string> ids;
  const auto member = Member(object, {"id", "ids"});
  if (!member) {
    return InvalidArgument("missing id");
  }
  const auto add = [&](dom::element element) -> Status {
    std::optional<std::string> text = ScalarText(element);
    if (!text || element.is_bool()) {
      return InvalidArgument("an id must be a number or a string");
    }
    ids.push_back(std::move(*text));
    return {};
  };
  dom::array list;
  if (member->get(list) != simdjson::SUCCESS) {
    LB_TRY(add(*member));
    return ids;
  }
  if (list.size() > limits::kIdsPerRequestMax) {
    return InvalidArgument("more than " + std::to_string(limits::kIdsPerRequestMax) + " ids in one request: send several");
  }
  for (const dom::element item : list) {
    LB_TRY(add(item));
  }
  return ids;
}

bool CompareNumber(Op op, double value, double wanted) {
  switch (op) {
    case Op::kEq:
      return value == wanted;
    case Op::kNe:
      return value != wanted;
    case Op::kLt:
      return value < wanted;
    case Op::kLe:
      return value <= wanted;
    case Op::kGt:
      return value > wanted;
    case Op::kGe:
      return value >= wanted;
    default:
      return true;
  }
}

bool CompareName(Op op, std::string_view name, std::string_view wanted) {
  switch (op) {
    case Op::kEq:
      return name == wanted;
    case Op::kNe:
      return name != wanted;
    case Op::kContains:
      return name.find(wanted) != std::string_view::npos;
    case Op::kPrefix:
      return name.starts_with(wanted);
    default:
      return true;
  }
}

// Columns other than name and rows have no meaning here and, by the contract, no effect.
bool MatchesOne(const Predicate& one, std::string_view name, uint64_t rows) {
  if (one.field == "name" && !one.values.empty()) {
    return CompareName(one.op, name, one.values.front());
  }
  if (one.field == "rows" && !one.values.empty()) {
    return CompareNumber(one.op, static_cast<double>(rows), std::strtod(one.values.front().c_str(), nullptr));
  }
  return true;
}

}  // namespace

Result<std::variant<ScanRequest, SearchRequest>> ParseTicket(std::string_view ticket) {
  constexpr std::string_view kWhat = "invalid ticket format";
  if (ticket.empty() || ticket.front() != '{') {
    if (!simdjson::validate_utf8(ticket.data(), ticket.size())) {
      return InvalidArgument(std::string(kWhat) + ": neither JSON nor a dataset name");
    }
    ScanRequest scan;
    scan.collection = std::string(ticket);
    return std::variant<ScanRequest, SearchRequest>(std::move(scan));
  }
  LB_ASSIGN(const JsonObject json, JsonObject::Parse(ticket, kWhat));
  auto request = ReadTicket(json.root());
  if (!request.ok()) {
    return Within(kWhat, request.status());
  }
  return request;
}

Result<SearchRequest> ParseSearch(std::string_view body) {
  LB_ASSIGN(const JsonObject json, JsonObject::Parse(body, "invalid search request"));
  return ReadSearch(json.root());
}

Result<SearchByIdRequest> ParseSearchById(std::string_view body) {
  LB_ASSIGN(const JsonObject json, JsonObject::Parse(body, "invalid search request"));
  SearchByIdRequest request;
  LB_ASSIGN(const auto dataset, TextMember(json.root(), {"dataset"}));
  request.collection = dataset.value_or("");
  LB_ASSIGN(const std::vector<std::string> ids, ReadIds(json.root()));
  if (ids.size() != 1) {
    return InvalidArgument("a search by id takes one id, got " + std::to_string(ids.size()));
  }
  request.id = ids.front();
  LB_ASSIGN(const auto k, IntegerMember(json.root(), {"k"}));
  request.k = k.value_or(request.k);
  LB_ASSIGN(const auto include_vectors, BoolMember(json.root(), {"include_vectors"}));
  request.include_vectors = include_vectors.value_or(false);
  return request;
}

Result<DeleteRequest> ParseDelete(std::string_view body) {
  LB_ASSIGN(const JsonObject json, JsonObject::Parse(body, "invalid delete request"));
  DeleteRequest request;
  LB_ASSIGN(const auto dataset, TextMember(json.root(), {"dataset"}));
  if (!dataset || dataset->empty()) {
    return InvalidArgument("missing dataset name");
  }
  request.collection = *dataset;
  LB_ASSIGN(request.ids, ReadIds(json.root()));
  return request;
}

Result<NameRequest> ParseName(std::string_view body) {
  NameRequest request;
  if (body.empty()) {
    return request;
  }
  LB_ASSIGN(const JsonObject json, JsonObject::Parse(body, "invalid request"));
  LB_ASSIGN(const auto dataset, TextMember(json.root(), {"dataset"}));
  LB_ASSIGN(const auto name, TextMember(json.root(), {"name"}));
  request.dataset = dataset.value_or("");
  request.name = name.value_or("");
  return request;
}

bool Criteria::Matches(std::string_view name, uint64_t rows) const {
  return std::all_of(filter.children.begin(), filter.children.end(), [&](const Predicate& one) { return MatchesOne(one, name, rows); });
}

Result<Criteria> ParseCriteria(std::string_view expression) {
  Criteria criteria;
  if (expression.empty()) {
    return criteria;
  }
  if (expression.front() != '{') {
    return InvalidArgument("Invalid criteria: expected opening brace");
  }
  LB_ASSIGN(const JsonObject json, JsonObject::Parse(expression, "Invalid criteria"));
  Result<Predicate> filter = FilterMember(json.root());
  if (!filter.ok()) {
    return Within("Invalid criteria", filter.status());
  }
  criteria.filter = std::move(*filter);
  return criteria;
}

}  // namespace longbow::wire
