#include "storage/restore_type.h"

#include <arrow/array.h>
#include <arrow/compute/api_vector.h>
#include <arrow/compute/cast.h>
#include <arrow/extension_type.h>
#include <arrow/type.h>

namespace longbow::storage {
namespace {

using arrow::Array;
using arrow::ArrayData;
using arrow::DataType;

using ArrayResult = arrow::Result<std::shared_ptr<Array>>;

// The same buffers under another type of equal layout.
std::shared_ptr<Array> Retype(const Array& array, const std::shared_ptr<DataType>& target) {
  const std::shared_ptr<ArrayData> data = array.data()->Copy();
  data->type = target;
  return arrow::MakeArray(data);
}

ArrayResult Dictionary(const std::shared_ptr<Array>& indices, const std::shared_ptr<Array>& values,
                       const std::shared_ptr<DataType>& target) {
  const auto& type = static_cast<const arrow::DictionaryType&>(*target);
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<Array> narrow, arrow::compute::Cast(*indices, type.index_type()));
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<Array> restored, RestoreType(values, type.value_type()));
  const std::shared_ptr<ArrayData> data = narrow->data()->Copy();
  data->type = target;
  data->dictionary = restored->data();
  return arrow::MakeArray(data);
}

ArrayResult RestoreDictionary(const std::shared_ptr<Array>& array, const std::shared_ptr<DataType>& target) {
  std::shared_ptr<Array> encoded = array;
  if (array->type_id() != arrow::Type::DICTIONARY) {
    ARROW_ASSIGN_OR_RAISE(const arrow::Datum datum, arrow::compute::DictionaryEncode(array));
    encoded = datum.make_array();
  }
  const auto& dictionary = static_cast<const arrow::DictionaryArray&>(*encoded);
  return Dictionary(dictionary.indices(), dictionary.dictionary(), target);
}

ArrayResult RestoreNested(const Array& array, const std::shared_ptr<DataType>& target) {
  const std::shared_ptr<ArrayData> data = array.data()->Copy();
  data->type = target;
  for (int i = 0; i < target->num_fields(); ++i) {
    const auto child = static_cast<size_t>(i);
    ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<Array> restored,
                          RestoreType(arrow::MakeArray(data->child_data[child]), target->field(i)->type()));
    data->child_data[child] = restored->data();
  }
  return arrow::MakeArray(data);
}

}  // namespace

ArrayResult RestoreType(const std::shared_ptr<Array>& array, const std::shared_ptr<DataType>& target) {
  const DataType& got = *array->type();
  if (got.Equals(*target, /*check_metadata=*/true)) {
    return array;
  }
  if (target->id() == arrow::Type::DICTIONARY) {
    return RestoreDictionary(array, target);
  }
  if (target->id() == arrow::Type::EXTENSION) {
    const auto& extension = static_cast<const arrow::ExtensionType&>(*target);
    ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<Array> storage, RestoreType(array, extension.storage_type()));
    return Retype(*storage, target);
  }
  if (got.id() == target->id() && got.num_fields() == target->num_fields() && got.num_fields() > 0) {
    return RestoreNested(*array, target);
  }
  return arrow::compute::Cast(*array, target);
}

}  // namespace longbow::storage
