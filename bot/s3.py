"""A bucket of an S3-compatible store, with errors that say what to do.

Blocking: call it in a thread. This module knows no table and no platform.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.exceptions import StorageUnavailable
from bot.settings import MediaSettings

REMEDIES = {
    "InvalidAccessKeyId": "media.access_key is not known to the store: copy it again",
    "SignatureDoesNotMatch": "media.secret_key does not belong to media.access_key: copy it again",
    "AccessDenied": "the key may not do this: allow it s3:PutObject, GetObject, DeleteObject and ListBucket",
    "NoSuchBucket": "make the bucket, or correct media.bucket",
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it (systemd-timesyncd or chrony)",
    "InvalidBucketName": "media.bucket is no name for a bucket",
    "PermanentRedirect": "the bucket is in another region: correct media.region",
    "AuthorizationHeaderMalformed": "the bucket is in another region: correct media.region",
    "EndpointConnectionError": "media.endpoint cannot be reached: check the address and the network",
    "ConnectTimeoutError": "media.endpoint does not answer: check the address and the network",
    "NoCredentialsError": "set media.access_key and media.secret_key",
}
_MISSING = ("NoSuchKey", "404")


class Bucket:
    """Objects by name. Every method raises `StorageUnavailable` when the store refuses or is not there."""

    def __init__(self, settings: MediaSettings) -> None:
        import boto3  # heavy, and most installations do without
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        self._errors = (BotoCoreError, ClientError, ValueError)  # ValueError: an endpoint that is no address
        self.name = str(settings.bucket)
        options: dict[str, Any] = {
            "connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 2, "mode": "standard"},
        }  # fmt: skip
        if settings.endpoint:  # what AWS itself does by default is not known to all who speak its protocol
            options |= {
                "s3": {"addressing_style": "path"},
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
            }
        with _said(self._errors):
            self._client: Any = boto3.client(
                "s3",
                endpoint_url=settings.endpoint,
                region_name=settings.region or "us-east-1",
                aws_access_key_id=settings.access_key,
                aws_secret_access_key=settings.secret_key,
                config=Config(**options),
            )

    def put(self, name: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        with _said(self._errors):
            self._client.put_object(Bucket=self.name, Key=name, Body=data, ContentType=content_type)

    def get(self, name: str) -> bytes | None:
        """The object, or None when there is none of this name."""
        found = self._object(name)
        return found[0] if found is not None else None

    def rewrite(self, name: str, change: Callable[[bytes], bytes]) -> bool:
        """Put the object again as `change` makes it, under its content type; False when there is none."""
        found = self._object(name)
        if found is None:
            return False
        data, content_type = found
        self.put(name, change(data), content_type)
        return True

    def _object(self, name: str) -> tuple[bytes, str] | None:
        try:
            with _said(self._errors):
                found = self._client.get_object(Bucket=self.name, Key=name)
                return found["Body"].read(), str(found.get("ContentType") or "application/octet-stream")
        except StorageUnavailable as exc:
            if exc.code in _MISSING:
                return None
            raise

    def delete(self, name: str) -> None:
        with _said(self._errors):
            self._client.delete_object(Bucket=self.name, Key=name)

    def names(self) -> list[tuple[str, float]]:
        """(name, seconds since 1970-01-01 UTC of the last change) of every object."""
        with _said(self._errors):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
            return [
                (one["Key"], one["LastModified"].timestamp())
                for page in pages
                for one in page.get("Contents", ())
            ]


class _said:  # noqa: N801 - used as a word in `with`
    """Turns the library's errors into ours; none of them holds a key."""

    def __init__(self, errors: tuple[type[Exception], ...]) -> None:
        self._errors = errors

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if not isinstance(error, self._errors):
            return
        response = getattr(error, "response", None) or {}
        code = str(response.get("Error", {}).get("Code") or type(error).__name__)
        remedy = REMEDIES.get(code, "see the store's own log")
        raise StorageUnavailable(f"The store of media refuses ({code}): {remedy}", code=code) from None
