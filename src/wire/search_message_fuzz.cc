// The search service's requests on the input.
#include "search.pb.h"
#include "wire/search_message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  longbow::v1::SearchRequest message;
  if (message.ParseFromArray(data, static_cast<int>(size))) {
    (void)longbow::wire::ToSearchRequest(message);
  }
  return 0;
}
