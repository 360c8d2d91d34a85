#include "node/row_actions.h"

#include <nlohmann/json.hpp>

#include "node/json_answer.h"
#include "wire/row_requests.h"

namespace longbow::node {

Result<std::vector<std::string>> CountRows(Services& services, const std::string& body,
                                           const Cancellation* cancellation) {
  LB_ASSIGN(const wire::CountRequest request, wire::ParseCount(body));
  LB_ASSIGN(const uint64_t count, services.store.Count(request.collection, request.filter, cancellation));
  return JsonAnswer({{"count", count}});
}

// By id the answer is the contract's word, by filter it tells how many.
Result<std::vector<std::string>> DeleteRows(Services& services, const std::string& body,
                                            const Cancellation* cancellation) {
  LB_ASSIGN(const wire::RowsRequest request, wire::ParseDelete(body));
  if (!request.ids.empty()) {
    LB_TRY(services.store.Delete(request.collection, request.ids));
    return std::vector<std::string>{"deleted"};
  }
  LB_ASSIGN(const uint64_t count, services.store.DeleteWhere(request.collection, request.filter, cancellation));
  return JsonAnswer({{"deleted", count}});
}

Result<std::vector<std::string>> DeleteVector(Services& services, const std::string& body, const Cancellation*) {
  LB_ASSIGN(const wire::DeleteVectorRequest request, wire::ParseDeleteVector(body));
  LB_TRY(services.store.DeleteOrdinal(request.collection, request.ordinal));
  return std::vector<std::string>{"deleted"};
}

Result<std::vector<std::string>> UpdateRows(Services& services, const std::string& body,
                                            const Cancellation* cancellation) {
  LB_ASSIGN(const wire::UpdateRequest request, wire::ParseUpdate(body));
  LB_ASSIGN(const uint64_t count, services.store.Update(request.rows.collection, request.rows.ids, request.rows.filter,
                                                        request.values, cancellation));
  return JsonAnswer({{"updated", count}});
}

}  // namespace longbow::node
