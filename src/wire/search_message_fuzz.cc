// The search service's requests on the input.
#include <google/protobuf/stubs/logging.h>

#include "search.pb.h"
#include "wire/search_message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  [[maybe_unused]] static auto* const quiet = google::protobuf::SetLogHandler(nullptr);
  longbow::v1::SearchRequest message;
  if (message.ParseFromArray(data, static_cast<int>(size))) {
    (void)longbow::wire::ToSearchRequest(message);
  }
  return 0;
}
