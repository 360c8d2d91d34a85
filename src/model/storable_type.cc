#include "model/storable_type.h"

#include <arrow/extension_type.h>
#include <arrow/type.h>

#include "model/type_name.h"

namespace longbow {
namespace {

// Empty if the type is storable, else what is wrong with it.
std::string Obstacle(const arrow::DataType& type);

std::string ChildObstacle(const arrow::DataType& type) {
  for (const auto& field : type.fields()) {
    if (std::string obstacle = Obstacle(*field->type()); !obstacle.empty()) {
      return obstacle;
    }
  }
  return {};
}

std::string DictionaryObstacle(const arrow::DictionaryType& type) {
  const arrow::DataType& values = *type.value_type();
  const bool view = values.id() == arrow::Type::STRING_VIEW || values.id() == arrow::Type::BINARY_VIEW;
  if (view || values.num_fields() > 0 || values.id() == arrow::Type::DICTIONARY ||
      values.id() == arrow::Type::EXTENSION) {
    return "a dictionary of " + TypeName(values) + " cannot be stored";
  }
  return Obstacle(values);
}

std::string DecimalObstacle(const arrow::DecimalType& type) {
  return type.scale() < 0 || type.scale() > type.precision() ? "a decimal's scale must be between 0 and its precision"
                                                             : std::string();
}

std::string Obstacle(const arrow::DataType& type) {
  using arrow::Type;
  switch (type.id()) {
    case Type::SPARSE_UNION:
    case Type::DENSE_UNION:
    case Type::RUN_END_ENCODED:
    case Type::INTERVAL_MONTHS:
    case Type::INTERVAL_DAY_TIME:
    case Type::INTERVAL_MONTH_DAY_NANO:
    case Type::LIST_VIEW:
    case Type::LARGE_LIST_VIEW:
      return type.name() + " cannot be stored";
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL128:
    case Type::DECIMAL256:
      return DecimalObstacle(static_cast<const arrow::DecimalType&>(type));
    case Type::FIXED_SIZE_BINARY:
      return static_cast<const arrow::FixedSizeBinaryType&>(type).byte_width() == 0 ? "its width is 0" : std::string();
    case Type::STRUCT:
      return type.num_fields() == 0 ? "a struct without fields cannot be stored" : ChildObstacle(type);
    case Type::DICTIONARY:
      return DictionaryObstacle(static_cast<const arrow::DictionaryType&>(type));
    case Type::EXTENSION:
      return Obstacle(*static_cast<const arrow::ExtensionType&>(type).storage_type());
    case Type::FIXED_SIZE_LIST:
      // Parquet writes such a list and cannot read it back.
      return static_cast<const arrow::FixedSizeListType&>(type).list_size() == 0 ? "its list size is 0"
                                                                                 : ChildObstacle(type);
    case Type::LIST:
    case Type::LARGE_LIST:
    case Type::MAP:
      return ChildObstacle(type);
    case Type::NA:
    case Type::BOOL:
    case Type::UINT8:
    case Type::INT8:
    case Type::UINT16:
    case Type::INT16:
    case Type::UINT32:
    case Type::INT32:
    case Type::UINT64:
    case Type::INT64:
    case Type::HALF_FLOAT:
    case Type::FLOAT:
    case Type::DOUBLE:
    case Type::STRING:
    case Type::LARGE_STRING:
    case Type::STRING_VIEW:
    case Type::BINARY:
    case Type::LARGE_BINARY:
    case Type::BINARY_VIEW:
    case Type::DATE32:
    case Type::DATE64:
    case Type::TIMESTAMP:
    case Type::TIME32:
    case Type::TIME64:
    case Type::DURATION:
      return {};
    default:
      return type.name() + " cannot be stored";
  }
}

}  // namespace

Status CheckStorable(const arrow::Field& column) {
  const std::string obstacle = Obstacle(*column.type());
  if (obstacle.empty()) {
    return {};
  }
  return InvalidArgument("column \"" + column.name() + "\" of type " + TypeName(*column.type()) +
                         " cannot be part of a collection: " + obstacle + " in Parquet; convert it before the put");
}

}  // namespace longbow
