#ifndef IMAGE_SERVICE_DOMAIN_MEDIA_TYPES_H_
#define IMAGE_SERVICE_DOMAIN_MEDIA_TYPES_H_

// OCI image-spec, media-types.md, and Docker's "Image Manifest V 2, Schema 2".
namespace slipway::image {

inline constexpr char kOciManifestType[] = "application/vnd.oci.image.manifest.v1+json";
inline constexpr char kOciIndexType[] = "application/vnd.oci.image.index.v1+json";
inline constexpr char kOciConfigType[] = "application/vnd.oci.image.config.v1+json";
inline constexpr char kOciTarType[] = "application/vnd.oci.image.layer.v1.tar";
inline constexpr char kOciGzipType[] = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr char kOciZstdType[] = "application/vnd.oci.image.layer.v1.tar+zstd";

inline constexpr char kDockerManifestType[] =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr char kDockerIndexType[] =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr char kDockerConfigType[] = "application/vnd.docker.container.image.v1+json";
inline constexpr char kDockerTarType[] = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr char kDockerGzipType[] = "application/vnd.docker.image.rootfs.diff.tar.gzip";

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_MEDIA_TYPES_H_
