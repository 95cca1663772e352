"""AWS: who the keys belong to, what they may do, and whether rule, group and log groups fit.

The write permissions are tried with requests that can store nothing: AWS looks at the permission
first, and then refuses what was sent.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own, which is no OSError
    ConnectTimeoutError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)

from stack.asking import ANSWER_SECONDS, CONNECT_SECONDS
from stack.finding import About, Finding
from stack.provision.template import GROUP_FILE, RULE_FILE, named_services
from stack.vendors.model import CLEAR_FAULTS, Examined, Vendor, not_running

Service = Literal["sts", "xray", "logs"]

NOWHERE = {
    "profile": (None, None, None, None),
    "config_file": (None, None, "/dev/null", None),
    "credentials_file": (None, None, "/dev/null", None),
}
"""A laptop's own profile must not matter to what is played here, not even a broken one."""

PROVISION = "`make provision`"
PROBE_STREAM = "otel-stack-doctor-is-not-there"
SET_CLOCK = "set the clock, for example by switching time synchronisation (NTP) on"
KEY_TODO = "put AWS_ACCESS_KEY_ID right; temporary keys need AWS_SESSION_TOKEN too"
ONLY_LOOKED_AT = frozenset({"xray:GetGroups", "logs:DescribeLogGroups"})

DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedAccess"}
)
WRONG_KEY = frozenset(
    {
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "AuthFailure",
        "InvalidAccessKeyId",
        "IncompleteSignature",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
    }
)
WRONG_SECRET = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "InvalidSignature"})
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
THROTTLED = frozenset({"Throttling", "ThrottlingException", "ThrottledException", "429"})
CLOCK = re.compile(r"RequestTimeTooSkewed|[Ss]ignature (expired|not yet current)")


class _TellError(Exception):
    """Ends a check with this finding. Where it is only `denied`, the next call may work."""

    def __init__(self, finding: Finding, *, denied: bool = False) -> None:
        super().__init__(finding.what)
        self.finding = finding
        self.denied = denied


class Account:
    """Calls to AWS, or to the emulators that play it, for one check.

    A call that fails raises `_TellError` with the finding that says why.
    """

    def __init__(self, about: About, vendor: Vendor) -> None:
        self.about = about
        self.vendor = vendor
        self.who = "AWS" if vendor.live else "the emulator for AWS"

    def client(self, service: Service) -> Any:
        given = self.vendor.collector
        try:
            session = botocore.session.Session(
                session_vars=None if self.vendor.live else NOWHERE,
                profile=given.get("AWS_PROFILE"),
            )
            return session.create_client(
                service,
                region_name=given["AWS_REGION"],
                endpoint_url=None if self.vendor.live else self.vendor.url,
                aws_access_key_id=given.get("AWS_ACCESS_KEY_ID"),
                aws_secret_access_key=given.get("AWS_SECRET_ACCESS_KEY"),
                aws_session_token=given.get("AWS_SESSION_TOKEN"),
                config=Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=ANSWER_SECONDS,
                    retries={"total_max_attempts": 1},
                    proxies=None if self.vendor.live else {},
                ),
            )
        except ProfileNotFound as unknown:
            raise self._problem(f"{unknown}".rstrip("."), "put AWS_PROFILE right") from None
        except BotoCoreError as failed:
            raise self._problem(f"no AWS client can be made: {failed}", "see AWS_REGION") from None

    def call(self, service: Service, operation: str, **arguments: Any) -> dict[str, Any]:
        """One call. `operation` as in IAM, for example `GetGroups`."""
        client = self.client(service)
        try:
            return dict(getattr(client, _snake(operation))(**arguments))
        except (NoCredentialsError, PartialCredentialsError):
            raise self._problem(
                "AWS_TELEMETRY=live, and there are no AWS credentials",
                "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ) from None
        except ClientError as refused:
            raise self._refused(refused, f"{service}:{operation}") from refused
        except (ConnectionError, HTTPClientError) as silent:
            what = f"{self.who} does not answer: {_why(silent)}"
            todo = self._todo("see whether this machine reaches it, and AWS_REGION")
            raise self._problem(what, todo) from None
        except BotoCoreError as failed:
            raise self._problem(
                f"{service}:{operation} does not work: {failed}", "see `aws configure`"
            ) from None

    def _refused(self, refused: ClientError, action: str) -> _TellError:
        code, message = code_of(refused), str(refused.response.get("Error", {}).get("Message", ""))
        said = f"{code}: {' '.join(message.split())}" if message else code
        status = refused.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if CLOCK.search(f"{code} {message}"):
            what = f"{self.who} refuses signatures: this machine's clock is wrong ({said})"
            told = self._problem(what, SET_CLOCK)
        elif code in DENIED:
            told = self._denied(missing_action(message) or action)
        elif code in WRONG_KEY:
            told = self._problem(f"{self.who} does not know the key ({said})", self._todo(KEY_TODO))
        elif code in WRONG_SECRET:
            what = f"{self.who} refuses the signature: the secret is not that of the key ({code})"
            told = self._problem(what, self._todo("put AWS_SECRET_ACCESS_KEY right"))
        elif code in EXPIRED:
            told = self._problem(f"the AWS credentials have expired ({code})", "get new ones")
        elif code in THROTTLED or status == 429:  # noqa: PLR2004
            what = f"{self.who} throttles {action} ({said})"
            told = _TellError(self.about.warning(what, self._todo("try again in a minute")))
        else:
            what = f"{self.who} answers {action} with {status}, {said}"
            told = self._problem(what, self._todo("see https://health.aws.amazon.com"))
        return told

    def _denied(self, action: str) -> _TellError:
        todo = self._todo(f"allow {action}; aws/telemetry.yaml has the whole policy")
        if action in ONLY_LOOKED_AT:
            what = f"the keys may not {action}, which this check needs and delivery does not"
            return _TellError(self.about.warning(what, todo), denied=True)
        return _TellError(self.about.problem(f"the keys may not {action}", todo), denied=True)

    def _todo(self, live: str) -> str:
        return live if self.vendor.live else CLEAR_FAULTS

    def _problem(self, what: str, todo: str) -> _TellError:
        return _TellError(self.about.problem(what, todo))


_Look = Callable[[Account], Iterator[Finding]]


def check_identity(setup: Examined) -> Iterator[Finding]:
    """Whose keys these are. STS answers that to everybody."""
    yield from _look(setup, "aws", "AWS", lambda: [_identity])


def check_xray(setup: Examined) -> Iterator[Finding]:
    """Whether segments may be sent, and whether group and rule are about services that exist."""
    names = sorted(setup.service_names)
    # Without a service there is nothing that a rule or a group could be about.
    about = [partial(_rules, names=names), partial(_groups, names=names)] if names else []
    looks: list[_Look] = [_may_put_segments, *about]
    yield from _look(setup, "xray", "X-Ray", lambda: looks)


def _look(
    setup: Examined,
    check: str,
    called: str,
    looks: Callable[[], Iterable[_Look]],
) -> Iterator[Finding]:
    """Each look's findings, up to one that says why there can be no more."""
    about = About(check)
    vendor = setup.vendor("xray" if check == "xray" else "cloudwatch")
    if not setup.reachable(vendor):
        yield not_running(about, called, vendor)
        return
    account = Account(about, vendor)
    for look in looks():
        try:
            yield from look(account)
        except _TellError as told:
            yield told.finding
            if not told.denied:
                return


def _identity(account: Account) -> Iterator[Finding]:
    who = account.call("sts", "GetCallerIdentity")
    region = account.vendor.collector["AWS_REGION"]
    yield account.about.ok(f"{account.who} knows the keys: {who['Arn']}, region {region}")


def _may_put_segments(account: Account) -> Iterator[Finding]:
    try:
        account.call("xray", "PutTraceSegments", TraceSegmentDocuments=[])
    except _TellError as told:
        # AWS may find fault with an empty put, past the permission; the emulator takes it.
        if not (account.vendor.live and _code(told) == "InvalidRequestException"):
            raise
    name = "X-Ray" if account.vendor.live else "the emulator for X-Ray"
    yield account.about.ok(f"{name} would take segments")


def _rules(account: Account, names: list[str]) -> Iterator[Finding]:
    records = account.call("xray", "GetSamplingRules").get("SamplingRuleRecords", [])
    rules = [record["SamplingRule"] for record in records]
    own = [rule for rule in rules if rule.get("RuleName") != "Default"]
    yield from judge_rules(account.about, own, names)


def judge_rules(about: About, rules: list[dict[str, Any]], names: list[str]) -> Iterator[Finding]:
    """`rules` as X-Ray answers them, without its Default; `names` are the services' own."""
    if not rules:
        yield about.warning(
            f"X-Ray has no sampling rule but its default (1/s and 5 %); {RULE_FILE} is not applied",
            PROVISION,
        )
        return
    hits = [
        rule
        for rule in rules
        if any(fnmatchcase(name, str(rule.get("ServiceName", "*"))) for name in names)
    ]
    if hits:
        first = min(hits, key=lambda rule: int(rule.get("Priority", 9999)))
        yield about.ok(
            f"sampling rule {first['RuleName']} is for {first.get('ServiceName', '*')}: "
            f"{first.get('ReservoirSize', 0)}/s and {float(first.get('FixedRate', 0)):.0%}"
        )
        return
    asked = ", ".join(f"{rule['RuleName']} for {rule.get('ServiceName')}" for rule in rules)
    yield about.problem(
        f"no sampling rule is for a service of this stack ({', '.join(names)}): {asked}",
        f"put ServiceName right; {PROVISION} does so from {RULE_FILE}",
    )


def _groups(account: Account, names: list[str]) -> Iterator[Finding]:
    groups = account.call("xray", "GetGroups").get("Groups", [])
    yield from judge_groups(account.about, groups, names)


def judge_groups(about: About, groups: list[dict[str, Any]], names: list[str]) -> Iterator[Finding]:
    """`groups` as X-Ray answers them; `names` are the services' own."""
    named = {
        str(group.get("GroupName")): named_services(str(group.get("FilterExpression", "")))
        for group in groups
        if group.get("FilterExpression")
    }
    if not named:
        yield about.warning(f"X-Ray has no group; {GROUP_FILE} is not applied", PROVISION)
        return
    good = [group for group, services in named.items() if set(services) & set(names)]
    if good:
        yield about.ok(f"group {good[0]} is about {', '.join(named[good[0]])}")
        return
    asked = ", ".join(
        f"{group} about {' and '.join(services) or 'no service by name'}"
        for group, services in named.items()
    )
    yield about.problem(
        f"no X-Ray group is about a service of this stack ({', '.join(names)}): {asked}",
        f"put its filter right; {PROVISION} does so from {GROUP_FILE}",
    )


def check_cloudwatch(setup: Examined) -> Iterator[Finding]:
    """Whether the log groups that the collector writes are there, kept for a while, writable."""

    def looks() -> list[_Look]:
        names = log_groups(setup.config.tree)
        return [partial(_log_group, name=name) for name in names] or [_no_log_group]

    yield from _look(setup, "cloudwatch", "CloudWatch", looks)


def _no_log_group(account: Account) -> Iterator[Finding]:
    yield account.about.ok("the collector's config names no log group")


def log_groups(config: Mapping[str, Any]) -> list[str]:
    """The log groups that the exporters of `config` write to; placeholders are nobody's name."""
    found = [
        str(settings["log_group_name"])
        for name, settings in (config.get("exporters") or {}).items()
        if name.partition("/")[0] in {"awscloudwatchlogs", "awsemf"}
        and settings
        and settings.get("log_group_name")
    ]
    return [name for name in dict.fromkeys(found) if "{" not in name]


def _log_group(account: Account, name: str) -> Iterator[Finding]:
    may = True
    try:
        account.call(
            "logs",
            "PutLogEvents",
            logGroupName=name,
            logStreamName=PROBE_STREAM,
            logEvents=[{"timestamp": int(time.time() * 1000), "message": "never stored"}],
        )
    except _TellError as told:
        if _code(told) != "ResourceNotFoundException":
            if not told.denied:
                raise
            yield told.finding
            may = False
    answer = account.call("logs", "DescribeLogGroups", logGroupNamePrefix=name)
    found = [group for group in answer.get("logGroups", []) if group.get("logGroupName") == name]
    if not found:
        yield account.about.warning(
            f"the log group {name} does not exist yet",
            f"{PROVISION}; else the collector makes it with the first record, if it may",
        )
    elif not found[0].get("retentionInDays"):
        yield account.about.warning(
            f"the log group {name} keeps everything for ever, which costs", PROVISION
        )
    elif may:
        days = found[0]["retentionInDays"]
        yield account.about.ok(f"the log group {name} can be written, and keeps {days} days")


def _code(told: _TellError) -> str:
    cause = told.__cause__
    return code_of(cause) if isinstance(cause, ClientError) else ""


def code_of(refused: ClientError) -> str:
    """The error's code without the namespace that JSON answers carry."""
    return str(refused.response.get("Error", {}).get("Code", "")).rpartition("#")[2]


def missing_action(message: str) -> str | None:
    """The IAM action in AWS's sentence about what is not allowed."""
    found = re.search(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z0-9*]+)", message)
    return found[1] if found else None


def _snake(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()


def _why(silent: ConnectionError | HTTPClientError) -> str:
    where = urlsplit(str(silent.kwargs.get("endpoint_url", ""))).netloc or "it"
    if isinstance(silent, ReadTimeoutError):
        return f"{where} gives no answer within {ANSWER_SECONDS:g} s"
    if isinstance(silent, ConnectTimeoutError):
        return f"{where} cannot be reached within {CONNECT_SECONDS:g} s"
    if isinstance(silent, SSLError):
        return f"{where} shows a certificate that is not trusted here"
    if isinstance(silent, ProxyConnectionError):
        return "the proxy does not let it through"
    return f"{where} cannot be reached"
