#include "model/schema.h"

#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/key_value_metadata.h>
#include <arrow/util/utf8.h>

#include <unordered_set>

#include "base/limits.h"
#include "base/parse_value.h"
#include "model/expiry.h"
#include "model/storable_type.h"
#include "model/type_name.h"
#include "model/widening.h"

namespace longbow {
namespace {

constexpr char kMetricKey[] = "longbow.metric";
constexpr char kVectorTypeKey[] = "longbow.vector_type";
constexpr char kComplexKey[] = "longbow.complex";
constexpr char kVersionKey[] = "longbow.schema_version";

std::string Quoted(const std::string& name) { return "\"" + name + "\""; }

// The metric a schema asks for; nothing if it does not say.
Result<std::optional<Metric>> StatedMetric(const arrow::Schema& schema) {
  if (schema.metadata() != nullptr) {
    if (const int at = schema.metadata()->FindKey(kMetricKey); at >= 0) {
      LB_ASSIGN(const Metric metric, ParseMetric(schema.metadata()->value(at)));
      return std::optional<Metric>(metric);
    }
  }
  return std::optional<Metric>();
}

Status CheckColumns(const arrow::Schema& schema) {
  if (schema.num_fields() == 0) {
    return InvalidArgument("the schema has no columns");
  }
  if (static_cast<size_t>(schema.num_fields()) > limits::kColumnsMax) {
    return InvalidArgument("too many columns: at most " + std::to_string(limits::kColumnsMax) + " allowed, got " +
                           std::to_string(schema.num_fields()));
  }
  std::unordered_set<std::string_view> names;
  arrow::util::InitializeUTF8();  // once per process, else ValidateUTF8 accepts anything
  for (int i = 0; i < schema.num_fields(); ++i) {
    const arrow::Field& field = *schema.field(i);
    if (field.name().empty()) {
      return InvalidArgument("column " + std::to_string(i) + " has no name");
    }
    if (field.name().size() > limits::kNameSizeMaxBytes) {
      return InvalidArgument("name of column " + std::to_string(i) + " is too long: at most " +
                             std::to_string(limits::kNameSizeMaxBytes) + " bytes allowed, got " +
                             std::to_string(field.name().size()));
    }
    if (!arrow::util::ValidateUTF8(field.name())) {
      return InvalidArgument("name of column " + std::to_string(i) + " is not valid UTF-8");
    }
    if (!names.insert(field.name()).second) {
      return InvalidArgument("duplicate column name " + Quoted(field.name()));
    }
    LB_TRY(CheckStorable(field));
  }
  return {};
}

Status CheckId(const arrow::Field& field) {
  const arrow::Type::type type = field.type()->id();
  if (arrow::is_integer(type) || type == arrow::Type::STRING || type == arrow::Type::LARGE_STRING) {
    return {};
  }
  return InvalidArgument("column \"id\" of type " + TypeName(*field.type()) +
                         " cannot be an id: use an integer type, utf8 or large_utf8");
}

// What the client says about its vectors: at the column, else at the schema.
std::string Mark(const arrow::Schema& schema, const arrow::Field& field, const char* key) {
  for (const auto& metadata : {field.metadata(), schema.metadata()}) {
    if (const int at = metadata == nullptr ? -1 : metadata->FindKey(key); at >= 0) {
      return metadata->value(at);
    }
  }
  return {};
}

std::optional<ElementType> ElementOf(arrow::Type::type type) {
  switch (type) {
    case arrow::Type::HALF_FLOAT:
      return ElementType::kFloat16;
    case arrow::Type::FLOAT:
      return ElementType::kFloat32;
    case arrow::Type::DOUBLE:
      return ElementType::kFloat64;
    case arrow::Type::INT8:
      return ElementType::kInt8;
    case arrow::Type::UINT8:
      return ElementType::kUInt8;
    case arrow::Type::INT16:
      return ElementType::kInt16;
    case arrow::Type::UINT16:
      return ElementType::kUInt16;
    case arrow::Type::INT32:
      return ElementType::kInt32;
    case arrow::Type::UINT32:
      return ElementType::kUInt32;
    case arrow::Type::INT64:
      return ElementType::kInt64;
    case arrow::Type::UINT64:
      return ElementType::kUInt64;
    default:
      return std::nullopt;
  }
}

// Sets dimension and element from the vector column.
Status ReadVectorColumn(CollectionSchema* schema) {
  const arrow::Field& field = *schema->columns->field(schema->vector_column);
  const std::string what =
      "column " + Quoted(field.name()) + " of type " + TypeName(*field.type()) + " cannot hold vectors: ";
  if (field.type()->id() != arrow::Type::FIXED_SIZE_LIST) {
    return InvalidArgument(what + "FixedSizeList is needed, for example fixed_size_list<item: float32>[384]");
  }
  const auto& list = static_cast<const arrow::FixedSizeListType&>(*field.type());
  const std::optional<ElementType> element = ElementOf(list.value_type()->id());
  if (!element) {
    return InvalidArgument(what + "elements must be float16, float32, float64 or an integer type of 8 to 64 bits");
  }
  if (list.list_size() < 1 || static_cast<uint32_t>(list.list_size()) > limits::kDimensionMax) {
    return InvalidArgument(what + "dimension must be 1 to " + std::to_string(limits::kDimensionMax));
  }
  schema->dimension = static_cast<uint32_t>(list.list_size());
  schema->element = *element;
  // Arrow has no such type; its bits travel as uint16.
  if (*element == ElementType::kUInt16 && Mark(*schema->columns, field, kVectorTypeKey) == "bfloat16") {
    schema->element = ElementType::kBFloat16;
  }
  const bool is_float = *element == ElementType::kFloat32 || *element == ElementType::kFloat64;
  if (is_float && Mark(*schema->columns, field, kComplexKey) == "true" && schema->dimension % 2 != 0) {
    return InvalidArgument(what +
                           "longbow.complex says that real and imaginary parts alternate, so the list size must " +
                           "be even, got " + std::to_string(schema->dimension));
  }
  return {};
}

Status CheckMetricOfElements(const CollectionSchema& schema) {
  if (!IsBitMetric(schema.metric) || schema.vector_column < 0 || schema.element == ElementType::kUInt8) {
    return {};
  }
  return InvalidArgument(
      "longbow.metric=" + std::string(MetricName(schema.metric)) +
      " compares packed bits, eight to an element: the vector column must be a FixedSizeList of uint8, "
      "got " +
      TypeName(*schema.columns->field(schema.vector_column)->type()));
}

// `vector`, else `embedding`, else -1.
int VectorColumnOf(const arrow::Schema& schema) {
  const int vector = schema.GetFieldIndex("vector");
  return vector >= 0 ? vector : schema.GetFieldIndex("embedding");
}

// A batch must bring the columns that have a role, and cannot bring ids to rows that have none.
Status CheckRoles(const CollectionSchema& existing, const CollectionSchema& incoming) {
  const arrow::Schema& columns = *existing.columns;
  for (const int role : {existing.id_column, existing.vector_column}) {
    if (role >= 0 && incoming.columns->GetFieldIndex(columns.field(role)->name()) < 0) {
      return InvalidArgument("column " + Quoted(columns.field(role)->name()) +
                             " is missing: the collection needs it in every put");
    }
  }
  if (existing.id_column < 0 && incoming.id_column >= 0) {
    return InvalidArgument("column \"id\" cannot be added: the collection was created without ids");
  }
  if (incoming.vector_column < 0) {
    return {};
  }
  if (existing.vector_column < 0) {
    return {};
  }
  const std::string& vector = incoming.columns->field(incoming.vector_column)->name();
  if (const std::string& known = columns.field(existing.vector_column)->name(); known != vector) {
    return InvalidArgument("column " + Quoted(vector) + " cannot be added: the collection's vectors are in column " +
                           Quoted(known));
  }
  return {};
}

Status CheckMetric(const CollectionSchema& existing, const arrow::Schema& incoming) {
  LB_ASSIGN(const std::optional<Metric> metric, StatedMetric(incoming));
  LB_ASSIGN(const std::optional<Metric> known, StatedMetric(*existing.columns));
  if (existing.vector_column < 0 && !known && VectorColumnOf(incoming) >= 0) {
    return {};  // its first vectors say what theirs is
  }
  if (metric && *metric != existing.metric) {
    return InvalidArgument(
        "metric mismatch: the collection has longbow.metric=" + std::string(MetricName(existing.metric)) +
        ", the put says " + std::string(MetricName(*metric)) + "; a collection's metric cannot change");
  }
  return {};
}

// A put may repeat what the collection has, and nothing else: SetTtl is what changes it.
Status CheckExpiry(const CollectionSchema& existing, const arrow::Schema& incoming) {
  LB_ASSIGN(const ExpiryRequest request, StatedExpiry(incoming));
  const std::string hint = "; the action SetTtl changes it";
  if (request.ttl_seconds && *request.ttl_seconds != existing.ttl_seconds) {
    return InvalidArgument(
        "ttl mismatch: the collection has longbow.ttl_seconds=" + std::to_string(existing.ttl_seconds) +
        ", the put says " + std::to_string(*request.ttl_seconds) + hint);
  }
  const std::string column = existing.expiry_column < 0 ? "" : existing.columns->field(existing.expiry_column)->name();
  if (request.column && *request.column != column) {
    return InvalidArgument(
        "expiry mismatch: the collection " +
        (column.empty() ? std::string("has no expiry column") : "expires by column " + Quoted(column)) +
        ", the put says longbow.expires_at=" + *request.column + hint);
  }
  return {};
}

// 1 if the schema does not say.
uint64_t VersionOf(const arrow::Schema& schema) {
  const int at = schema.metadata() == nullptr ? -1 : schema.metadata()->FindKey(kVersionKey);
  const Result<int64_t> version = at < 0 ? Result<int64_t>(1) : ParseInt(schema.metadata()->value(at));
  return version.ok() && *version > 0 ? static_cast<uint64_t>(*version) : 1;
}

std::shared_ptr<const arrow::KeyValueMetadata> MetadataOfVersion(const arrow::Schema& schema, uint64_t version) {
  auto metadata =
      schema.metadata() == nullptr ? std::make_shared<arrow::KeyValueMetadata>() : schema.metadata()->Copy();
  (void)metadata->Set(kVersionKey, std::to_string(version));
  return metadata;
}

// The type of a column after a put with `incoming`.
Result<std::shared_ptr<arrow::DataType>> MergeType(const arrow::Field& existing, const arrow::Field& incoming,
                                                   bool is_vector) {
  const std::shared_ptr<arrow::DataType>& type = existing.type();
  if (type->Equals(*incoming.type()) || IsWidening(*incoming.type(), *type)) {
    return type;
  }
  if (IsWidening(*type, *incoming.type())) {
    return incoming.type();
  }
  std::string detail;
  if (is_vector && incoming.type()->id() == arrow::Type::FIXED_SIZE_LIST) {
    const auto& have = static_cast<const arrow::FixedSizeListType&>(*existing.type());
    const auto& got = static_cast<const arrow::FixedSizeListType&>(*incoming.type());
    if (have.list_size() != got.list_size()) {
      detail = " (dimension mismatch: expected " + std::to_string(have.list_size()) + ", got " +
               std::to_string(got.list_size()) + ")";
    } else if (have.value_type()->Equals(*got.value_type())) {
      return type;  // only the element's name or nullability differs
    }
  } else if (const std::string advice = WideningAdvice(*type); !advice.empty()) {
    detail = " (without losing anything the column " + advice + ")";
  }
  return InvalidArgument("schema mismatch: type mismatch for column " + Quoted(existing.name()) +
                         ": existing=" + TypeName(*existing.type()) + ", new=" + TypeName(*incoming.type()) + detail);
}

// Fields of the collection after a put with `incoming`; the same pointers where nothing changes.
Result<arrow::FieldVector> MergeFields(const CollectionSchema& existing, const arrow::Schema& incoming) {
  arrow::FieldVector fields = existing.columns->fields();
  for (size_t i = 0; i < fields.size(); ++i) {
    const auto match = incoming.GetFieldByName(fields[i]->name());
    if (match != nullptr) {
      LB_ASSIGN(const auto type, MergeType(*fields[i], *match, static_cast<int>(i) == existing.vector_column));
      if (type != fields[i]->type()) {
        fields[i] = fields[i]->WithType(type);
      }
    }
    // Rows of this put may lack the value from now on.
    if (!fields[i]->nullable() && (match == nullptr || match->nullable())) {
      fields[i] = fields[i]->WithNullable(true);
    }
  }
  for (const auto& field : incoming.fields()) {
    if (existing.columns->GetFieldIndex(field->name()) < 0) {
      fields.push_back(field->WithNullable(true));  // rows before this put lack it
    }
  }
  return fields;
}

// Makes the collection one of vectors from this put on: what the put says of them comes with the column.
Status AdoptVectorColumn(const arrow::Schema& incoming, CollectionSchema* merged) {
  const std::shared_ptr<arrow::Field> field = incoming.field(VectorColumnOf(incoming));
  auto marks = field->metadata() == nullptr ? std::make_shared<arrow::KeyValueMetadata>() : field->metadata()->Copy();
  for (const char* key : {kVectorTypeKey, kComplexKey}) {
    if (const std::string mark = Mark(incoming, *field, key); !mark.empty()) {
      (void)marks->Set(key, mark);
    }
  }
  LB_ASSIGN(const std::optional<Metric> metric, StatedMetric(incoming));
  const auto metadata = merged->columns->metadata()->Copy();
  if (metric) {
    (void)metadata->Set(kMetricKey, std::string(MetricName(*metric)));
    merged->metric = *metric;
  }
  merged->vector_column = VectorColumnOf(*merged->columns);
  arrow::FieldVector fields = merged->columns->fields();
  auto& own = fields[static_cast<size_t>(merged->vector_column)];
  own = own->WithMetadata(std::move(marks));
  merged->columns = arrow::schema(std::move(fields), metadata);
  LB_TRY(ReadVectorColumn(merged));
  return CheckMetricOfElements(*merged);
}

}  // namespace

Result<CollectionSchema> CollectionSchema::FromArrow(const std::shared_ptr<arrow::Schema>& schema) {
  CollectionSchema result;
  result.columns = schema;
  result.version = VersionOf(*schema);
  result.id_column = schema->GetFieldIndex("id");
  if (result.id_column >= 0) {
    LB_TRY(CheckId(*schema->field(result.id_column)));
  }
  result.vector_column = VectorColumnOf(*schema);
  if (result.vector_column >= 0) {
    LB_TRY(ReadVectorColumn(&result));
  }
  LB_TRY(CheckColumns(*schema));  // after the roles, whose messages say more
  LB_ASSIGN(const std::optional<Metric> metric, StatedMetric(*schema));
  result.metric = metric.value_or(Metric::kL2);
  LB_TRY(CheckMetricOfElements(result));
  LB_ASSIGN(const ExpiryRequest expiry, StatedExpiry(*schema));
  LB_ASSIGN(result.columns, WithExpiry(schema, expiry));
  if (result.columns != schema) {
    LB_TRY(CheckColumns(*result.columns));
    LB_ASSIGN(const ExpiryRequest complete, StatedExpiry(*result.columns));
    result.expiry_column = result.columns->GetFieldIndex(complete.column.value_or(""));
    result.ttl_seconds = expiry.ttl_seconds.value_or(0);
  }
  return result;
}

Result<CollectionSchema> CollectionSchema::FromFirstPut(const std::shared_ptr<arrow::Schema>& schema) {
  if (schema->metadata() == nullptr || !schema->metadata()->Contains(kVersionKey)) {
    return FromArrow(schema);
  }
  const auto metadata = schema->metadata()->Copy();
  (void)metadata->Delete(kVersionKey);
  return FromArrow(schema->WithMetadata(metadata));
}

Result<CollectionSchema> CollectionSchema::Merge(const std::shared_ptr<arrow::Schema>& incoming) const {
  if (incoming == columns) {
    return *this;
  }
  LB_TRY(CheckColumns(*incoming));
  LB_TRY(CheckMetric(*this, *incoming));
  LB_TRY(CheckExpiry(*this, *incoming));
  LB_ASSIGN(arrow::FieldVector fields, MergeFields(*this, *incoming));
  CollectionSchema view;
  view.columns = incoming;
  view.id_column = incoming->GetFieldIndex("id");
  view.vector_column = VectorColumnOf(*incoming);
  LB_TRY(CheckRoles(*this, view));
  if (fields == columns->fields()) {
    return *this;
  }
  CollectionSchema merged = *this;
  ++merged.version;
  merged.columns = arrow::schema(std::move(fields), MetadataOfVersion(*columns, merged.version));
  LB_TRY(CheckColumns(*merged.columns));
  if (vector_column < 0 && view.vector_column >= 0) {
    LB_TRY(AdoptVectorColumn(*incoming, &merged));
  }
  return merged;
}

Result<CollectionSchema> CollectionSchema::WithTtl(int64_t ttl, const std::optional<std::string>& column) const {
  ExpiryRequest request{.ttl_seconds = ttl, .column = column};
  if (expiry_column >= 0) {
    const std::string& known = columns->field(expiry_column)->name();
    if (column && *column != known) {
      return InvalidArgument("rows expire by column " + Quoted(known) + " already: it cannot become " +
                             Quoted(*column));
    }
    request.column = known;
  }
  LB_ASSIGN(std::shared_ptr<arrow::Schema> changed, WithExpiry(columns, request));
  if (changed->num_fields() != columns->num_fields()) {
    changed = changed->WithMetadata(MetadataOfVersion(*changed, version + 1));
  }
  return FromArrow(changed);
}

}  // namespace longbow
