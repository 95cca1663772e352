"""A profile of this machine's AWS configuration as keys, for a container that sees no such file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from stack.errors import StackError

PROFILE, KEY = "AWS_PROFILE", "AWS_ACCESS_KEY_ID"
EXPIRATION = "AWS_CREDENTIAL_EXPIRATION"
"""Nothing reads it but people and `make doctor`; the name is that of `aws configure
export-credentials`."""


def with_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with the profile's keys in place of AWS_PROFILE.

    Mounting ~/.aws instead would show a container every profile there is, and its user could not
    read it, nor renew what is cached there. Raises StackError where the profile has no keys.
    """
    given = dict(environment)
    profile = given.pop(PROFILE, None)
    if profile is None or KEY in given:
        return given
    return {**given, **_keys_of(profile)}


# A profile may ask for the code of a device.
@lru_cache(maxsize=4)
def _keys_of(profile: str) -> Mapping[str, str]:
    # Half of what a command imports otherwise; few have a profile.
    import botocore.session  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound  # noqa: PLC0415

    try:
        credentials = botocore.session.Session(profile=profile).get_credentials()
        frozen = credentials.get_frozen_credentials() if credentials else None
    except ProfileNotFound:
        raise StackError(
            f"there is no AWS profile {profile!r}", "aws configure list-profiles shows them"
        ) from None
    except (BotoCoreError, ClientError, OSError, EOFError, ValueError) as failed:
        raise StackError(
            f"the AWS profile {profile!r} gives no keys ({' '.join(str(failed).split())})",
            f"see `aws sts get-caller-identity --profile {profile}`",
        ) from None
    if frozen is None:
        raise StackError(
            f"the AWS profile {profile!r} holds no keys", f"aws configure --profile {profile}"
        )
    keys = {
        KEY: frozen.access_key,
        "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
        "AWS_SESSION_TOKEN": frozen.token,
        EXPIRATION: _end_of(credentials),
    }
    return {name: value for name, value in keys.items() if value}


def _end_of(credentials: object) -> str | None:
    """When temporary keys end; botocore tells nobody else."""
    end = getattr(credentials, "_expiry_time", None)
    return end.isoformat(timespec="seconds") if end else None
