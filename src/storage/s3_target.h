// Snapshots in a bucket of Amazon S3, or of anything that speaks its protocol.
#pragma once

#include <memory>
#include <string>

#include "base/cancellation.h"
#include "base/status.h"
#include "storage/snapshot_target.h"

namespace longbow::storage {

struct S3Settings {
  std::string endpoint;         // "http://127.0.0.1:9000", "https://..." or host:port (https); empty: Amazon's
  std::string bucket;           // must exist
  std::string prefix;           // without slashes at its ends; may be empty
  std::string region;           // empty: us-east-1 with an endpoint, else what the AWS SDK finds out
  bool use_path_style = false;  // at Amazon's endpoint; at others it always is
  // Empty: as the AWS SDK finds them (environment, profile, role of the machine).
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;

  // "s3://bucket/prefix".
  std::string where() const;
};

// "s3://bucket/prefix" -> bucket and prefix of `settings`. INVALID_ARGUMENT if it is none, or a name that S3 does not
// take.
Status ParseS3Url(const std::string& url, S3Settings* settings);

// INVALID_ARGUMENT for settings that cannot be.
Status CheckS3Settings(const S3Settings& settings);

// Loads Arrow's S3 library on the first call: a process that has no use for it does not pay for it. Asks nothing of the
// server yet. A request that fails by the network or the server is tried six times, within about 10 s; then
// UNAVAILABLE. NOT_FOUND, PERMISSION_DENIED and others are not repeated. `cancellation`, if any, outlives the target
// and ends the waiting between tries. UNIMPLEMENTED if the library is not
// there.
Result<std::unique_ptr<SnapshotTarget>> OpenS3Target(const S3Settings& settings, const Cancellation* cancellation);

// To be called before main returns, once no target is left: the library must not be torn down by the end of the
// process.
void FinishS3();

}  // namespace longbow::storage
