#include "model/type_name.h"

#include <arrow/type.h>

namespace longbow {
namespace {

std::string FieldName(const arrow::Field& field) { return field.name() + ": " + TypeName(*field.type()); }

std::string FieldNames(const arrow::DataType& type) {
  std::string names;
  for (const auto& field : type.fields()) {
    names += (names.empty() ? "" : ", ") + FieldName(*field);
  }
  return names;
}

}  // namespace

std::string TypeName(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::HALF_FLOAT:
      return "float16";
    case arrow::Type::FLOAT:
      return "float32";
    case arrow::Type::DOUBLE:
      return "float64";
    case arrow::Type::STRING:
      return "utf8";
    case arrow::Type::LARGE_STRING:
      return "large_utf8";
    case arrow::Type::STRING_VIEW:
      return "utf8_view";
    case arrow::Type::DATE32:
      return "date32";
    case arrow::Type::DATE64:
      return "date64";
    case arrow::Type::LIST:
      return "list<" + FieldNames(type) + ">";
    case arrow::Type::LARGE_LIST:
      return "large_list<" + FieldNames(type) + ">";
    case arrow::Type::STRUCT:
      return "struct<" + FieldNames(type) + ">";
    case arrow::Type::FIXED_SIZE_LIST:
      return "fixed_size_list<" + FieldNames(type) + ">[" +
             std::to_string(static_cast<const arrow::FixedSizeListType&>(type).list_size()) + "]";
    case arrow::Type::DICTIONARY: {
      const auto& dictionary = static_cast<const arrow::DictionaryType&>(type);
      return "dictionary<values=" + TypeName(*dictionary.value_type()) +
             ", indices=" + TypeName(*dictionary.index_type()) + ">";
    }
    default:
      return type.ToString();
  }
}

}  // namespace longbow
