#include "storage/s3_target.h"

#include <arrow/filesystem/filesystem.h>
#include <arrow/filesystem/s3fs.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <arrow/util/config.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <mutex>
#include <thread>
#include <utility>

namespace longbow::storage {
namespace {

constexpr int64_t kTries = 6;
constexpr int64_t kFirstDelayMs = 50;  // doubled after each try
constexpr char kLibrary[] = "libarrow_s3.so." ARROW_SO_VERSION;

std::atomic<bool> library_is_loaded{false};

Status FromS3(const arrow::Status& status, const std::string& where) {
  if (status.ok()) {
    return {};
  }
  const std::string text = status.message();
  const auto says = [&](const char* words) { return text.find(words) != std::string::npos; };
  StatusCode code = StatusCode::kUnavailable;
  if (says("NO_SUCH_BUCKET") || says("NO_SUCH_KEY") || says("RESOURCE_NOT_FOUND") || says("Path does not exist")) {
    code = StatusCode::kNotFound;
  } else if (says("ACCESS_DENIED") || says("INVALID_ACCESS_KEY_ID") || says("SIGNATURE_DOES_NOT_MATCH") ||
             says("HTTP status 403")) {
    code = StatusCode::kPermissionDenied;
  } else if (status.IsInvalid()) {
    code = StatusCode::kInvalidArgument;
  } else if (status.IsOutOfMemory()) {
    code = StatusCode::kResourceExhausted;
  }
  return {code, where + ": " + text};
}

class Retry final : public arrow::fs::S3RetryStrategy {
 public:
  explicit Retry(const Cancellation* cancellation) : cancellation_(cancellation) {}

  bool ShouldRetry(const AWSErrorDetail& error, int64_t attempted) override {
    return error.should_retry && attempted + 1 < kTries && !IsCancelled(cancellation_);
  }
  int64_t CalculateDelayBeforeNextRetry(const AWSErrorDetail&, int64_t attempted) override {
    return kFirstDelayMs << std::min<int64_t>(attempted, kTries);
  }

 private:
  const Cancellation* const cancellation_;
};

class ObjectWriter final : public SnapshotTarget::Writer {
 public:
  ObjectWriter(std::shared_ptr<arrow::fs::FileSystem> fs, std::shared_ptr<arrow::io::OutputStream> stream,
               std::string path, std::string where)
      : fs_(std::move(fs)), stream_(std::move(stream)), path_(std::move(path)), where_(std::move(where)) {}
  ~ObjectWriter() override {
    if (!finished_) {
      (void)stream_->Abort();  // what it cannot take back, the bucket's rule for unfinished uploads does
    }
  }

  Status Append(std::span<const uint8_t> bytes) override {
    size_ += bytes.size();
    return FromS3(stream_->Write(bytes.data(), static_cast<int64_t>(bytes.size())), where_);
  }

  Status Finish() override {
    finished_ = true;
    const arrow::Status closed = stream_->Close();
    if (closed.ok()) {
      return {};
    }
    // If only the answer was lost, completing it once more fails: there is no such upload any more.
    const auto info = fs_->GetFileInfo(path_);
    const bool is_there = info.ok() && info->IsFile() && info->size() == static_cast<int64_t>(size_);
    return is_there ? Status() : Status(StatusCode::kUnavailable, where_ + ": " + closed.message());
  }

 private:
  const std::shared_ptr<arrow::fs::FileSystem> fs_;
  const std::shared_ptr<arrow::io::OutputStream> stream_;
  const std::string path_;
  const std::string where_;
  uint64_t size_ = 0;
  bool finished_ = false;
};

class ObjectReader final : public SnapshotTarget::Reader {
 public:
  ObjectReader(std::shared_ptr<arrow::io::RandomAccessFile> file, std::string where)
      : file_(std::move(file)), where_(std::move(where)) {}

  // Each is a request of its own, which is repeated if it fails.
  Result<size_t> Read(std::span<uint8_t> out) override {
    size_t got = 0;
    while (got < out.size()) {
      const auto more = file_->Read(static_cast<int64_t>(out.size() - got), out.data() + got);
      LB_TRY(FromS3(more.status(), where_));
      if (*more == 0) {
        break;
      }
      got += static_cast<size_t>(*more);
    }
    return got;
  }

 private:
  const std::shared_ptr<arrow::io::RandomAccessFile> file_;
  const std::string where_;
};

class S3Target final : public SnapshotTarget {
 public:
  S3Target(std::shared_ptr<arrow::fs::FileSystem> fs, std::string path, std::string where)
      : fs_(std::move(fs)), path_(std::move(path)), where_(std::move(where)) {}

  const std::string& where() const override { return where_; }
  size_t streams() const override { return 8; }  // a request waits far longer than it works

  Result<std::vector<Object>> List(const std::string& folder) override {
    arrow::fs::FileSelector selector;
    selector.base_dir = path_ + "/" + folder;
    selector.allow_not_found = true;
    const auto infos = fs_->GetFileInfo(selector);
    LB_TRY(FromS3(infos.status(), where_ + "/" + folder));
    std::vector<Object> objects;
    for (const arrow::fs::FileInfo& info : *infos) {
      if (info.IsFile()) {
        objects.push_back({info.base_name(), static_cast<uint64_t>(info.size())});
      }
    }
    if (infos->empty()) {
      LB_TRY(CheckBucket());
    }
    std::sort(objects.begin(), objects.end(), [](const Object& a, const Object& b) { return a.name < b.name; });
    return objects;
  }

  Result<std::unique_ptr<Writer>> Create(const std::string& name) override {
    const std::string path = path_ + "/" + name;
    auto stream = fs_->OpenOutputStream(path);
    LB_TRY(FromS3(stream.status(), where_ + "/" + name));
    return std::unique_ptr<Writer>(std::make_unique<ObjectWriter>(fs_, *stream, path, where_ + "/" + name));
  }

  Result<std::unique_ptr<Reader>> Open(const std::string& name) override {
    auto file = fs_->OpenInputFile(path_ + "/" + name);
    LB_TRY(FromS3(file.status(), where_ + "/" + name));
    return std::unique_ptr<Reader>(std::make_unique<ObjectReader>(*file, where_ + "/" + name));
  }

  Status Remove(const std::string& name) override {
    const Status removed = FromS3(fs_->DeleteFile(path_ + "/" + name), where_ + "/" + name);
    return removed.code() == StatusCode::kNotFound ? Status() : removed;
  }

  Status Sync() override { return {}; }  // an answered upload is durable

 private:
  // A listing does not tell an empty bucket from none.
  Status CheckBucket() {
    const std::string bucket = path_.substr(0, path_.find('/'));
    const auto info = fs_->GetFileInfo(bucket);
    LB_TRY(FromS3(info.status(), where_));
    return info->type() == arrow::fs::FileType::NotFound
               ? NotFound("there is no bucket '" + bucket + "': make it, or name another one")
               : Status();
  }

  const std::shared_ptr<arrow::fs::FileSystem> fs_;
  const std::string path_;  // "bucket/prefix"
  const std::string where_;
};

Status LoadLibrary() {
  static std::mutex mu;
  const std::lock_guard lock(mu);
  if (!library_is_loaded.load()) {
    if (const arrow::Status status = arrow::fs::LoadFileSystemFactories(kLibrary); !status.ok()) {
      return Unimplemented("snapshots in S3 need the library " + std::string(kLibrary) +
                           " beside libarrow.so: " + status.message());
    }
    library_is_loaded.store(true);
  }
  return {};
}

bool IsPlain(std::string_view text, std::string_view more) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || more.find(c) != std::string_view::npos;
  });
}

// Splits "http://host:port" into scheme and the rest.
Result<std::pair<std::string, std::string>> ParseEndpoint(const std::string& endpoint) {
  const size_t colon = endpoint.find("://");
  const std::string scheme = colon == std::string::npos ? "https" : endpoint.substr(0, colon);
  std::string host = colon == std::string::npos ? endpoint : endpoint.substr(colon + 3);
  if (host.ends_with('/')) {
    host.pop_back();
  }
  if ((scheme != "http" && scheme != "https") || host.empty() || !IsPlain(host, ".-:[]")) {
    return InvalidArgument("'" + endpoint + "' is no endpoint: https://HOST or http://HOST:PORT");
  }
  return std::pair(scheme, host);
}

}  // namespace

Status CheckS3Settings(const S3Settings& settings) {
  const std::string& bucket = settings.bucket;
  if (bucket.size() < 3 || bucket.size() > 63 || !IsPlain(bucket, ".-") || bucket.front() == '.') {
    return InvalidArgument("'" + bucket + "' is no name of a bucket: 3 to 63 letters, digits, dots and hyphens");
  }
  if (!IsPlain(settings.prefix, "!_.*'()/-") || ("/" + settings.prefix + "/").find("/../") != std::string::npos ||
      ("/" + settings.prefix + "/").find("/./") != std::string::npos ||
      settings.prefix.find("//") != std::string::npos || settings.prefix.size() > 512) {
    return InvalidArgument("'" + settings.prefix + "' is no prefix in a bucket: letters, digits, !_.*'()- and slashes");
  }
  if (!IsPlain(settings.region, "-")) {
    return InvalidArgument("'" + settings.region + "' is no region");
  }
  if (settings.access_key_id.empty() != settings.secret_access_key.empty()) {
    return InvalidArgument("aws_access_key_id and aws_secret_access_key go together: give both, or none");
  }
  return settings.endpoint.empty() ? Status() : ParseEndpoint(settings.endpoint).status();
}

std::string S3Settings::where() const { return "s3://" + bucket + (prefix.empty() ? "" : "/" + prefix); }

Status ParseS3Url(const std::string& url, S3Settings* settings) {
  constexpr std::string_view kScheme = "s3://";
  if (!url.starts_with(kScheme)) {
    return InvalidArgument("'" + url + "' is no s3://BUCKET/PREFIX");
  }
  const std::string path = url.substr(kScheme.size());
  const size_t slash = std::min(path.find('/'), path.size());
  settings->bucket = path.substr(0, slash);
  settings->prefix = path.substr(std::min(slash + 1, path.size()));
  while (settings->prefix.ends_with('/')) {
    settings->prefix.pop_back();
  }
  return CheckS3Settings(*settings);
}

Result<std::unique_ptr<SnapshotTarget>> OpenS3Target(const S3Settings& settings, const Cancellation* cancellation) {
  LB_TRY(CheckS3Settings(settings));
  std::string region = settings.region;
  std::string query;
  if (!settings.endpoint.empty() || settings.use_path_style) {
    region = region.empty() ? "us-east-1" : region;
    const std::string endpoint =
        settings.endpoint.empty() ? "https://s3." + region + ".amazonaws.com" : settings.endpoint;
    LB_ASSIGN(const auto parts, ParseEndpoint(endpoint));
    query += "&scheme=" + parts.first + "&endpoint_override=" + parts.second;
  }
  if (!region.empty()) {
    query += "&region=" + region;
  }
  LB_TRY(LoadLibrary());
  arrow::fs::FileSystemFactoryOptions options;
  const std::shared_ptr<arrow::fs::S3RetryStrategy> retry = std::make_shared<Retry>(cancellation);
  options.emplace_back("retry_strategy", retry);
  if (!settings.access_key_id.empty()) {  // never in the URL, which errors show
    options.emplace_back("access_key", settings.access_key_id);
    options.emplace_back("secret_key", settings.secret_access_key);
    if (!settings.session_token.empty()) {
      options.emplace_back("session_token", settings.session_token);
    }
  }
  std::string path;
  const std::string url = settings.where() + (query.empty() ? "" : "?" + query.substr(1));
  auto fs = arrow::fs::FileSystemFromUriAndOptions(url, options, &path);
  LB_TRY(FromS3(fs.status(), settings.where()));
  while (path.ends_with('/')) {
    path.pop_back();
  }
  return std::unique_ptr<SnapshotTarget>(std::make_unique<S3Target>(*fs, path, settings.where()));
}

void FinishS3() {
  if (library_is_loaded.exchange(false)) {
    arrow::fs::EnsureFinalized();
  }
}

}  // namespace longbow::storage
