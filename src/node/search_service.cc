#include "node/search_service.h"

#include <mutex>
#include <utility>

#include "base/limits.h"
#include "node/searching.h"
#include "search.pb.h"
#include "wire/results.h"
#include "wire/search_message.h"

namespace longbow::node {
namespace {

constexpr size_t kAnswersWaitingMax = 64;

Status Answer(Services& services, const std::string& bytes, const Cancellation* cancellation,
              v1::SearchResponse* response) {
  v1::SearchRequest message;
  if (!message.ParseFromString(bytes)) {
    return InvalidArgument("malformed SearchRequest");
  }
  response->set_request_id(message.request_id());
  LB_ASSIGN(const SearchRequest request, wire::ToSearchRequest(message));
  LB_ASSIGN(std::vector<engine::QueryResult> results, Search(services, request, cancellation));
  for (engine::QueryResult& result : results) {
    v1::Hits& hits = *response->add_results();
    LB_TRY(wire::WriteHits(result.hits, std::move(result.vectors), result.columns.get(), &hits));
    hits.set_truncated(result.truncated);
    hits.set_cursor(std::move(result.cursor));
  }
  if (request.explain) {
    response->set_explanations(wire::ExplanationsJson(ExplanationsOf(results)));
  }
  return {};
}

// UnaryCall::Work of Search.
Status AnswerOne(Services& services, net::Call& call, const std::string& bytes, const Cancellation* cancellation) {
  v1::SearchResponse response;
  LB_TRY(Answer(services, bytes, cancellation, &response));
  call.Send({Slice::Own(response.SerializeAsString())});
  return {};
}

// Reads on while few enough searches run and few enough answers wait for the client; the pool runs them side by side.
class SearchStream final : public ServiceCall {
 public:
  SearchStream(std::shared_ptr<net::Call> call, const Services& services)
      : ServiceCall(std::move(call), services, "search_stream") {}

  void OnMessage(net::Message message) override {
    {
      const std::lock_guard lock(mu_);
      reading_ = false;
      ++running_;
    }
    const auto search = [this, self = shared_from_this(), bytes = Joined(message)] {
      if (!ended()) {
        Send(bytes);
      }
      OnAnswered();
    };
    if (const Status submitted = Submit(services().search_pool, search); !submitted.ok()) {
      End(submitted);
    }
    EndOrReadOn();
  }

  void OnEnd() override {
    {
      const std::lock_guard lock(mu_);
      input_ended_ = true;
    }
    EndOrReadOn();
  }

  void OnDrain() override { EndOrReadOn(); }

 private:
  void Send(const std::string& bytes) {
    v1::SearchResponse response;
    if (const Status status = Answer(services(), bytes, cancellation(), &response); !status.ok()) {
      response.clear_results();
      response.set_code(static_cast<int>(status.code()));
      response.set_message(std::string(status.message()));
    }
    call().Send({Slice::Own(response.SerializeAsString())});
  }

  void OnAnswered() {
    {
      const std::lock_guard lock(mu_);
      --running_;
    }
    EndOrReadOn();
  }

  void EndOrReadOn() {
    std::unique_lock lock(mu_);
    const bool is_full = running_ >= limits::kStreamSearchesMax || call().Waiting() >= kAnswersWaitingMax;
    if (input_ended_ ? running_ > 0 : reading_ || is_full) {
      return;
    }
    const bool ends = input_ended_;
    reading_ = !ends;
    lock.unlock();
    if (ends) {
      End({});
    } else {
      call().Read();
    }
  }

  std::mutex mu_;
  bool reading_ = true;       // guarded by mu_: Start asks for the first message
  bool input_ended_ = false;  // guarded by mu_
  size_t running_ = 0;        // guarded by mu_: searches without an answer
};

std::shared_ptr<ServiceCall> MakeSearch(std::shared_ptr<net::Call> call, const Services& services) {
  return std::make_shared<UnaryCall>(std::move(call), services, "search", services.search_pool, AnswerOne);
}

constexpr Rpc kRpcs[] = {
    {{"/longbow.v1.SearchService/Search", access::Right::kRead, Scope::kDataset}, MakeSearch},
    {{"/longbow.v1.SearchService/SearchStream", access::Right::kRead, Scope::kDataset}, MakeCall<SearchStream>},
};

}  // namespace

std::span<const Rpc> SearchRpcs() { return kRpcs; }

}  // namespace longbow::node
