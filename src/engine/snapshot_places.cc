#include "engine/snapshot_places.h"

namespace longbow::engine {

Result<std::unique_ptr<SnapshotTarget>> OpenPlace(FileSystem& fs, const SnapshotPlaces& places, const std::string& word,
                                                  TargetAccess access, const Cancellation* cancellation) {
  const bool has_folder = !places.folder.empty();
  const bool has_bucket = !places.s3.bucket.empty();
  if (!word.empty() && word != "local" && word != "s3") {
    return InvalidArgument("unknown target of snapshots, expected \"local\" or \"s3\"");
  }
  if (word == "s3" || (word.empty() && has_bucket)) {
    return has_bucket ? storage::OpenS3Target(places.s3, cancellation)
                      : FailedPrecondition("this node keeps no snapshots in S3: set s3_bucket");
  }
  if (!has_folder) {
    return FailedPrecondition("this node keeps no snapshots: set snapshot_path, or s3_bucket");
  }
  return storage::OpenFolderTarget(fs, places.folder, access);
}

Result<std::unique_ptr<SnapshotTarget>> OpenPath(FileSystem& fs, const std::string& path, S3Settings s3,
                                                 TargetAccess access) {
  if (path.starts_with("s3://")) {
    LB_TRY(storage::ParseS3Url(path, &s3));
    return storage::OpenS3Target(s3, nullptr);
  }
  if (path.find("://") != std::string::npos) {
    return InvalidArgument("'" + path + "': snapshots are in a folder or in s3://BUCKET/PREFIX");
  }
  return storage::OpenFolderTarget(fs, path, access);
}

void FinishPlaces() { storage::FinishS3(); }

}  // namespace longbow::engine
