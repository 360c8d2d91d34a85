#include "engine/fetch.h"

#include <arrow/api.h>

#include <algorithm>

#include "engine/arrow_status.h"

namespace longbow::engine {
namespace {

std::string NamesOf(const arrow::Schema& schema) {
  std::string names;
  for (const auto& field : schema.fields()) {
    names += (names.empty() ? "" : ", ") + field->name();
  }
  return names;
}

// One row of a chunk, whose columns may be those of an older schema, in the field's type.
Result<std::shared_ptr<arrow::Array>> ValueAt(const CollectionSchema& schema, int field, const Chunk& chunk,
                                              int64_t row) {
  const auto& wanted = schema.columns->field(field);
  const std::shared_ptr<arrow::Array> column = chunk.rows->GetColumnByName(wanted->name());
  if (column != nullptr && column->type()->Equals(*wanted->type())) {
    return column->Slice(row, 1);
  }
  LB_ASSIGN(const auto conforming, ConformTo(schema, *chunk.rows->Slice(row, 1)));
  return conforming->column(field);
}

}  // namespace

Result<std::vector<int>> FieldsOf(const CollectionSchema& schema, const std::vector<std::string>& names) {
  std::vector<int> fields;
  const auto add = [&fields](int field) {
    if (std::find(fields.begin(), fields.end(), field) == fields.end()) {
      fields.push_back(field);
    }
  };
  for (const std::string& name : names) {
    if (name == "*") {
      for (int field = 0; field < schema.columns->num_fields(); ++field) {
        if (field != schema.vector_column) {
          add(field);
        }
      }
      continue;
    }
    const int field = schema.columns->GetFieldIndex(name);
    if (field < 0) {
      return InvalidArgument("columns: no column \"" + name + "\"; there are: " + NamesOf(*schema.columns));
    }
    add(field);
  }
  return fields;
}

Result<std::shared_ptr<arrow::RecordBatch>> FetchFields(const View& view, const std::vector<int>& fields,
                                                        const std::vector<uint64_t>& ordinals) {
  arrow::FieldVector types;
  arrow::ArrayVector columns;
  for (const int field : fields) {
    types.push_back(view.schema->columns->field(field));
    arrow::ArrayVector values;
    values.reserve(ordinals.size());
    for (const uint64_t ordinal : ordinals) {
      const View::Place place = view.Find(ordinal);
      const Chunk& chunk = place.segment->chunks.Find(place.row);
      LB_ASSIGN(auto value, ValueAt(*view.schema, field, chunk, place.row - chunk.first_row));
      values.push_back(std::move(value));
    }
    if (values.empty()) {
      LB_ASSIGN_ARROW(auto none, arrow::MakeEmptyArray(types.back()->type()));
      columns.push_back(std::move(none));
    } else {
      LB_ASSIGN_ARROW(auto joined, arrow::Concatenate(values));
      columns.push_back(std::move(joined));
    }
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(types)), static_cast<int64_t>(ordinals.size()),
                                  std::move(columns));
}

}  // namespace longbow::engine
