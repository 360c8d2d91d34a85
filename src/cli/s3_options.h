// The options that name an S3 store: the same for every command that keeps or reads snapshots.
#pragma once

#include "base/config.h"
#include "engine/snapshot_places.h"

namespace longbow::cli {

inline constexpr Option kS3Endpoint{.name = "s3_endpoint",
                                    .default_text = "",
                                    .help = "URL of the S3 store, http://HOST:PORT or https://HOST; empty = Amazon's."};
inline constexpr Option kS3Region{.name = "s3_region",
                                  .default_text = "",
                                  .help = "Region of the bucket; empty = us-east-1 at an endpoint, else found out."};
inline constexpr Option kS3UsePathStyle{
    .name = "s3_use_path_style",
    .type = OptionType::kBool,
    .default_text = "false",
    .help = "Name the bucket in the path and not in the host, at Amazon's too; with s3_endpoint it always is."};
inline constexpr Option kAwsAccessKeyId{
    .name = "aws_access_key_id",
    .default_text = "",
    .help = "Who asks; empty = as the AWS SDK finds it: profile, role of the machine."};
inline constexpr Option kAwsSecretAccessKey{.name = "aws_secret_access_key",
                                            .default_text = "",
                                            .help = "Its secret. Set it in the environment: flags can be seen.",
                                            .secret = true};
inline constexpr Option kAwsSessionToken{.name = "aws_session_token",
                                         .default_text = "",
                                         .help = "Of credentials that end. Set it in the environment.",
                                         .secret = true};

// All but bucket and prefix.
inline engine::S3Settings ToS3Settings(const Config& config) {
  engine::S3Settings settings;
  settings.endpoint = config.String("s3_endpoint");
  settings.region = config.String("s3_region");
  settings.use_path_style = config.Bool("s3_use_path_style");
  settings.access_key_id = config.String("aws_access_key_id");
  settings.secret_access_key = config.String("aws_secret_access_key");
  settings.session_token = config.String("aws_session_token");
  return settings;
}

}  // namespace longbow::cli
