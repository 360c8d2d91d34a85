#include "node/grpc_services.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "flight.pb.h"
#include "health.pb.h"
#include "reflection.pb.h"
#include "reflection_v1alpha.pb.h"
#include "search.pb.h"

namespace longbow::node {
namespace {

namespace health = grpc::health::v1;
using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;

constexpr const char* kServices[] = {"arrow.flight.protocol.FlightService", "longbow.v1.SearchService",
                                     "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                                     "grpc.reflection.v1alpha.ServerReflection"};

bool IsService(const std::string& name) {
  return std::find(std::begin(kServices), std::end(kServices), name) != std::end(kServices);
}

// Generated code registers its files when it is linked and used; naming one symbol of each makes sure of both.
void RegisterFiles() {
  (void)arrow::flight::protocol::Ticket::descriptor();
  (void)v1::SearchRequest::descriptor();
  (void)health::HealthCheckRequest::descriptor();
  (void)grpc::reflection::v1::ServiceResponse::descriptor();
  (void)grpc::reflection::v1alpha::ServiceResponse::descriptor();
}

// ---- health ------------------------------------------------------------------------------------------------------

health::HealthCheckResponse::ServingStatus StateOf(const Services& services) {
  return services.Readiness().ok() ? health::HealthCheckResponse::SERVING : health::HealthCheckResponse::NOT_SERVING;
}

void SendState(net::Call& call, health::HealthCheckResponse::ServingStatus state) {
  health::HealthCheckResponse response;
  response.set_status(state);
  call.Send({Slice::Own(response.SerializeAsString())});
}

// UnaryCall::Work of Check.
Status CheckHealth(Services& services, net::Call& call, const std::string& request, const Cancellation*) {
  health::HealthCheckRequest message;
  if (!message.ParseFromString(request)) {
    return InvalidArgument("malformed HealthCheckRequest");
  }
  if (!message.service().empty() && !IsService(message.service())) {
    return NotFound("unknown service " + message.service());
  }
  SendState(call, StateOf(services));
  return {};
}

// Watch: the state at once, and again whenever it has changed, until the client leaves.
class HealthWatch final : public ServiceCall {
 public:
  HealthWatch(std::shared_ptr<net::Call> call, const Services& services)
      : ServiceCall(std::move(call), services, "other") {}

  void OnMessage(net::Message message) override {
    health::HealthCheckRequest request;
    if (!request.ParseFromString(Joined(message))) {
      return End(InvalidArgument("malformed HealthCheckRequest"));
    }
    if (!request.service().empty() && !IsService(request.service())) {
      return SendState(call(), health::HealthCheckResponse::SERVICE_UNKNOWN);
    }
    services().watchers.Add(weak_from_this(), [this] { SendIfChanged(); });
    SendIfChanged();
  }
  void OnEnd() override {}  // the request has come; answers go on

 private:
  void SendIfChanged() {
    std::lock_guard lock(mu_);
    const health::HealthCheckResponse::ServingStatus state = StateOf(services());
    if (state != last_ && !ended()) {
      last_ = state;
      SendState(call(), state);
    }
  }

  std::mutex mu_;
  health::HealthCheckResponse::ServingStatus last_ = health::HealthCheckResponse::UNKNOWN;  // guarded by mu_
};

// ---- reflection --------------------------------------------------------------------------------------------------

// The file and what it imports, imports first, as serialised FileDescriptorProtos.
void CollectFiles(const FileDescriptor* file, std::set<std::string>* seen, std::vector<std::string>* files) {
  if (!seen->insert(file->name()).second) {
    return;
  }
  for (int i = 0; i < file->dependency_count(); ++i) {
    CollectFiles(file->dependency(i), seen, files);
  }
  google::protobuf::FileDescriptorProto proto;
  file->CopyTo(&proto);
  files->push_back(proto.SerializeAsString());
}

// One answer. The two versions of the protocol differ in their package only.
template <typename Request, typename Response>
std::string Reflect(const Request& request) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  Response response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  const FileDescriptor* file = nullptr;
  switch (request.message_request_case()) {
    case Request::kListServices:
      for (const char* name : kServices) {
        response.mutable_list_services_response()->add_service()->set_name(name);
      }
      return response.SerializeAsString();
    case Request::kFileByFilename:
      file = pool.FindFileByName(request.file_by_filename());
      break;
    case Request::kFileContainingSymbol:
      file = pool.FindFileContainingSymbol(request.file_containing_symbol());
      break;
    default:
      break;
  }
  if (file == nullptr) {
    const bool asked_for_file = request.message_request_case() == Request::kFileByFilename ||
                                request.message_request_case() == Request::kFileContainingSymbol;
    response.mutable_error_response()->set_error_code(
        static_cast<int>(asked_for_file ? StatusCode::kNotFound : StatusCode::kUnimplemented));
    response.mutable_error_response()->set_error_message(asked_for_file ? "not found"
                                                                        : "no extensions are declared here");
    return response.SerializeAsString();
  }
  std::set<std::string> seen;
  std::vector<std::string> files;
  CollectFiles(file, &seen, &files);
  // The file that was asked for comes first, as clients that read only one expect.
  for (auto it = files.rbegin(); it != files.rend(); ++it) {
    response.mutable_file_descriptor_response()->add_file_descriptor_proto(*it);
  }
  return response.SerializeAsString();
}

template <typename Request, typename Response>
class ReflectionCall final : public ServiceCall {
 public:
  ReflectionCall(std::shared_ptr<net::Call> call, const Services& services)
      : ServiceCall(std::move(call), services, "other") {}

  void OnMessage(net::Message message) override {
    Request request;
    if (!request.ParseFromString(Joined(message))) {
      return End(InvalidArgument("malformed ServerReflectionRequest"));
    }
    call().Send({Slice::Own(Reflect<Request, Response>(request))});
    call().Read();
  }
  void OnEnd() override { End({}); }
};

std::shared_ptr<ServiceCall> MakeHealthCheck(std::shared_ptr<net::Call> call, const Services& services) {
  return std::make_shared<UnaryCall>(std::move(call), services, "other", services.search_pool, CheckHealth);
}

template <typename Request, typename Response>
std::shared_ptr<ServiceCall> MakeReflection(std::shared_ptr<net::Call> call, const Services& services) {
  RegisterFiles();
  return std::make_shared<ReflectionCall<Request, Response>>(std::move(call), services);
}

namespace v1 = grpc::reflection::v1;
namespace v1alpha = grpc::reflection::v1alpha;

constexpr Rpc kRpcs[] = {
    {{"/grpc.health.v1.Health/Check", access::Right::kNone, Scope::kPublic}, MakeHealthCheck},
    {{"/grpc.health.v1.Health/Watch", access::Right::kNone, Scope::kPublic}, MakeCall<HealthWatch>},
    {{"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", access::Right::kRead, Scope::kAnyKey},
     MakeReflection<v1::ServerReflectionRequest, v1::ServerReflectionResponse>},
    {{"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", access::Right::kRead, Scope::kAnyKey},
     MakeReflection<v1alpha::ServerReflectionRequest, v1alpha::ServerReflectionResponse>},
};

}  // namespace

std::span<const Rpc> StandardRpcs() { return kRpcs; }

}  // namespace longbow::node
