// Every parser of requests, filters among them, on the input.
#include <string_view>

#include "wire/requests.h"
#include "wire/row_requests.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longbow::wire;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)ParseTicket(text);
  (void)ParseSearch(text);
  (void)ParseSearchById(text);
  (void)ParseDelete(text);
  (void)ParseSetTtl(text);
  (void)ParseName(text);
  if (const auto criteria = ParseCriteria(text); criteria.ok()) {
    (void)criteria->Matches("name", 7);
  }
  return 0;
}
