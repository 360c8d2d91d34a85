#include "node/row_actions.h"

#include <nlohmann/json.hpp>

#include "node/json_answer.h"
#include "wire/row_requests.h"

namespace longbow::node {

using Answers = std::vector<std::string>;

Result<Answers> CountRows(Services& services, const std::string& body, const Cancellation* cancellation) {
  LB_ASSIGN(const wire::CountRequest request, wire::ParseCount(body));
  LB_ASSIGN(const uint64_t count, services.store.Count(request.collection, request.filter, cancellation));
  return JsonAnswer({{"count", count}});
}

// By id the answer is the contract's word, by filter it tells how many.
Result<Answers> DeleteRows(Services& services, const std::string& body, const Cancellation* cancellation) {
  LB_ASSIGN(const wire::RowsRequest request, wire::ParseDelete(body));
  if (!request.ids.empty()) {
    LB_TRY(services.store.Delete(request.collection, request.ids));
    return Answers{"deleted"};
  }
  LB_ASSIGN(const uint64_t count, services.store.DeleteWhere(request.collection, request.filter, cancellation));
  return JsonAnswer({{"deleted", count}});
}

Result<Answers> DeleteVector(Services& services, const std::string& body, const Cancellation*) {
  LB_ASSIGN(const wire::DeleteVectorRequest request, wire::ParseDeleteVector(body));
  LB_TRY(services.store.DeleteOrdinal(request.collection, request.ordinal));
  return Answers{"deleted"};
}

Result<Answers> UpdateRows(Services& services, const std::string& body, const Cancellation* cancellation) {
  LB_ASSIGN(const wire::UpdateRequest request, wire::ParseUpdate(body));
  LB_ASSIGN(const uint64_t count, services.store.Update(request.rows.collection, request.rows.ids, request.rows.filter,
                                                        request.values, cancellation));
  return JsonAnswer({{"updated", count}});
}

}  // namespace longbow::node
