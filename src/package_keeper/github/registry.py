"""The container registry: manifests and tags (docs/github-behaviour.md, "Registry").

Every GET of a manifest counts as a download, so the cache comes first and nothing is read twice. The token is sent to
the registry's own host only. The registry cannot delete; versions are deleted by REST.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from threading import Lock
from typing import TypeVar
from urllib.parse import quote, urlsplit

import msgspec
import requests
from msgspec import Struct
from requests.structures import CaseInsensitiveDict

from package_keeper.causes import Cause
from package_keeper.errors import BASIC_USER, ApiError, ApiErrorKind, OutOfTime
from package_keeper.github import manifests
from package_keeper.github.errors import is_rate_limit
from package_keeper.github.http import AnswerTooLarge, lost_answer, pooled_session
from package_keeper.github.manifests import LARGEST, NotAManifest
from package_keeper.github.pool import Pool
from package_keeper.github.rate_limit import LONGEST, Use, retry_after
from package_keeper.github.retries import Retries, RetryableError, RetryReason
from package_keeper.model.manifest import INDEX_TYPES, MEDIA_TYPES, Description, Manifest, Obstacle, UnreadableManifest
from package_keeper.model.packages import DIGEST, PackageName

UNTOLD_WAIT = 5.0
"""Seconds to wait after a rate limit that names no time."""

_T = TypeVar("_T")

_OBSTACLES = {
    ApiErrorKind.NOT_FOUND: Obstacle.CONTENT,
    ApiErrorKind.UNREADABLE: Obstacle.CONTENT,
    ApiErrorKind.NO_PERMISSION: Obstacle.FORBIDDEN,
}
_ACCEPT = ", ".join(MEDIA_TYPES)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_MILLISECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*ms\b")
_SECONDS = re.compile(r"(?:(\d+)m)?(\d+(?:\.\d+)?)\s*s\b")


class Cache(Struct, frozen=True):
    """Two functions that keep manifests between runs, by digest: `get` their verified bytes, and `keep` bytes."""

    get: Callable[[str], bytes | None] = lambda _: None
    keep: Callable[[str, bytes], None] = lambda _, __: None


NO_CACHE = Cache()


class _Token(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None


class _Response(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Request(Struct, frozen=True):
    """One request for a manifest. `actions` are what its bearer token must allow."""

    method: str
    url: str
    reference: str
    package: PackageName
    actions: str
    body: bytes | None
    media_type: str


def derived_url(api_url: str) -> str:
    """The registry of a REST base URL: `https://ghcr.io`, or `https://containers.HOST`.

    On this machine (a simulator, a test) one server is both.
    """
    parts = urlsplit(api_url)
    host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    if host == "api.github.com":
        return "https://ghcr.io"
    if host == "localhost" or re.fullmatch(r"[\d.]+|[0-9a-f:]*:[0-9a-f:]*", host):
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}://containers.{host.removeprefix('api.')}{port}"


class Registry:
    """Reads manifests of one owner's packages. To be called from one thread; it reads in several."""

    def __init__(
        self, base_url: str, owner: str, token: str, *, retries: Retries, pool: Pool, cache: Cache = NO_CACHE
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._owner = owner.lower()
        self._token = token
        self._retries = retries
        self._pool = pool
        self._cache = cache
        self._session = pooled_session(self._base_url, retries.rate_limiter, LARGEST)
        self._bearers: dict[tuple[str, str], str] = {}
        self._lock = Lock()
        self._renewing: dict[tuple[str, str], Lock] = {}
        """A lock for each token that is exchanged."""
        self._known: dict[tuple[str, str], Manifest] = {}
        self._kinds: dict[tuple[str, str], bool] = {}
        self._failed: dict[tuple[PackageName, str], UnreadableManifest] = {}
        """What was read ahead and failed."""
        self.reads = 0
        """How many manifests were read from the registry so far, each counted there as a download."""

    def read(self, package: PackageName, digests: Iterable[str]) -> dict[str, Manifest | UnreadableManifest]:
        """Read manifests, several at a time; the result is in the order of `digests`."""
        wanted = list(dict.fromkeys(digests))
        # the cache is read in this thread: starting a call in another takes longer
        found: dict[str, Manifest | UnreadableManifest] = {}
        for digest in wanted:
            known = self._failed.pop((package, digest), None) or self._at_hand(package, digest)
            if known is not None:
                found[digest] = known
        found |= self._several(
            lambda digest: self._manifest(package, digest), (digest for digest in wanted if digest not in found)
        )
        return {digest: found[digest] for digest in wanted}

    def read_ahead(self, wanted: Mapping[PackageName, Iterable[str]]) -> None:
        """Read manifests of several packages side by side. `read` gives them without another request."""
        keys = [
            (package, digest)
            for package, digests in wanted.items()
            for digest in dict.fromkeys(digests)
            if self._at_hand(package, digest) is None
        ]
        # the first of each package before the others, so that one token exchange serves all
        first = dict(reversed(keys))
        for several in (list(first.items()), [key for key in keys if first[key[0]] != key[1]]):
            try:
                self._pool.all(several, lambda key: self._read_one_ahead(*key), self._retries.rate_limiter)
            except OutOfTime:
                # what was read can still be used; whoever reads the rest runs out of time too
                return

    def _read_one_ahead(self, package: PackageName, digest: str) -> None:
        found = self._manifest(package, digest)
        if isinstance(found, UnreadableManifest):
            self._failed[package, digest] = found

    def describe(self, package: PackageName, digest: str) -> Description:
        """What a manifest says of its origin and its platforms. Raises `ApiError`."""
        return manifests.describe(self.manifest_bytes(package, digest))

    def at_hand(self, package: PackageName, digests: Iterable[str]) -> list[str]:
        """The digests whose manifests need no download: they are in the cache, or were read in this run."""
        return [digest for digest in digests if self._at_hand(package, digest) is not None]

    def are_indexes(self, package: PackageName, digests: Iterable[str]) -> dict[str, bool | None]:
        """Find out which manifests are indexes, without a download; `None` where the registry does not say."""
        return self._several(lambda digest: self._is_index(package, digest), digests)

    def _several(self, call: Callable[[str], _T], digests: Iterable[str]) -> dict[str, _T]:
        """Call for several digests at once; for the first alone, so that one token exchange serves all."""
        wanted = list(dict.fromkeys(digests))
        results = {digest: call(digest) for digest in wanted[:1]}
        results.update(self._pool.all(wanted[1:], call, self._retries.rate_limiter, "reading manifests"))
        return results

    def exists(self, package: PackageName, digest: str) -> bool:
        """Whether the registry has the manifest. Raises `ApiError` when that cannot be found out."""
        return self.tag_digest(package, digest) is not None

    def tag_digest(self, package: PackageName, tag: str) -> str | None:
        """The digest that a tag names, or `None` when there is none. Raises `ApiError`."""
        try:
            answer = self._send("HEAD", package, tag)
        except ApiError as error:
            if error.kind is ApiErrorKind.NOT_FOUND:
                return None
            raise
        digest = answer.headers.get("docker-content-digest", "")
        return digest or manifests.digest_of(self._send("GET", package, tag).body)

    def manifest_bytes(self, package: PackageName, digest: str) -> bytes:
        """The bytes of a manifest, from the cache if it has them. Raises `ApiError`."""
        if (cached := self._cache.get(digest)) is not None:
            return cached
        body = self._send("GET", package, digest).body
        with self._lock:
            self.reads += 1
        if manifests.digest_of(body) == digest:
            self._cache.keep(digest, body)
        return body

    def _at_hand(self, package: PackageName, digest: str) -> Manifest | None:
        """A manifest that was read in this run, or is in the cache."""
        known = self._known.get((package.name, digest))
        if known is None and (body := self._cache.get(digest)) is not None:
            with suppress(NotAManifest):
                known = self._known[package.name, digest] = manifests.manifest(digest, body)
        return known

    def _manifest(self, package: PackageName, digest: str) -> Manifest | UnreadableManifest:
        try:
            found = manifests.manifest(digest, self.manifest_bytes(package, digest))
        except NotAManifest as problem:
            return UnreadableManifest(digest=digest, why=str(problem), obstacle=Obstacle.CONTENT)
        except ApiError as error:
            obstacle = _OBSTACLES.get(error.kind, Obstacle.UNREACHABLE)
            return UnreadableManifest(digest=digest, why=str(error), obstacle=obstacle)
        self._known[package.name, digest] = found
        return found

    def _is_index(self, package: PackageName, digest: str) -> bool | None:
        if (manifest := self._at_hand(package, digest)) is not None:
            return manifest.is_index
        if (known := self._kinds.get((package.name, digest))) is not None:
            return known
        try:
            media_type = self._send("HEAD", package, digest).headers.get("content-type", "").partition(";")[0].strip()
        except ApiError:
            return None
        if media_type not in MEDIA_TYPES:
            return None
        kind = self._kinds[package.name, digest] = media_type in INDEX_TYPES
        return kind

    def _send(
        self, method: str, package: PackageName, reference: str, body: bytes | None = None, media_type: str = ""
    ) -> _Response:
        """Send one request for a manifest; may wait for rate limits. Raises `ApiError`."""
        if not {"", ".", ".."}.isdisjoint((*package.name.split("/"), reference)):
            # a client or a proxy would resolve such path segments into another path
            raise ApiError(
                ApiErrorKind.UNREADABLE, f"the registry has no names such as '{package.name}' and '{reference}'"
            )
        url = f"{self._base_url}/v2/{self._path(package)}/manifests/{quote(reference, safe=':')}"
        actions = "pull" if method in ("GET", "HEAD") else "pull,push"
        request = _Request(method, url, reference, package, actions, body, media_type)
        return self._retries.send(Use.READ if actions == "pull" else Use.CREATE, partial(self._once, request))

    def _once(self, request: _Request) -> _Response:
        """Send a request, and again after a token exchange if the registry asks for one."""
        try:
            answer, bearer = self._with_bearer(request)
            if answer.status == 401:
                answer = self._renew(request.package, request.actions, answer, bearer)
                if answer.status < 300:
                    answer, _ = self._with_bearer(request)
        except AnswerTooLarge:
            sent = request.method not in ("GET", "HEAD")
            raise ApiError(ApiErrorKind.UNREADABLE, f"is larger than {LARGEST} bytes", sent_before=sent) from None
        except requests.RequestException as failure:
            error = lost_answer(failure, "the registry")
            if error.cause is Cause.TLS:
                raise error from None
            raise RetryableError(RetryReason.LOST, error) from None
        if 200 <= answer.status < 300:
            _check_content(request, answer)
            return answer
        error = _api_error(answer, request.method)
        if is_rate_limit(answer.status, answer.headers, answer.body):
            wait = _limit_wait(answer, self._retries.now())
            raise RetryableError(RetryReason.RATE_LIMITED, error, wait=min(wait, LONGEST))
        if answer.status >= 500:
            raise RetryableError(RetryReason.LOST, error)
        raise error

    def _with_bearer(self, request: _Request) -> tuple[_Response, str]:
        bearer = self._bearer(request.package, request.actions)
        headers = {"Authorization": f"Bearer {bearer}", "Accept": _ACCEPT}
        if request.media_type:
            headers["Content-Type"] = request.media_type
        return self._exchange(request.method, request.url, headers, request.body), bearer

    def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
    ) -> _Response:
        response = self._session.request(
            method, url, params=dict(query or {}), headers=dict(headers), data=body, allow_redirects=False
        )
        return _Response(response.status_code, CaseInsensitiveDict(response.headers), response.content)

    def _path(self, package: PackageName) -> str:
        # plain slashes and lower case here, unlike REST (docs/github-behaviour.md, "Registry")
        return quote(f"{self._owner}/{package.name.lower()}", safe="/")

    def _bearer(self, package: PackageName, actions: str) -> str:
        known = self._bearers.get((package.name, actions))
        return known or base64.b64encode(self._token.encode()).decode()

    def _renew(self, package: PackageName, actions: str, answer: _Response, used: str) -> _Response:
        """Exchange the token at the address that the registry names, which must be on its own host.

        Does nothing when another thread has done so since the registry refused the bearer token `used`.
        """
        challenge = dict(_CHALLENGE.findall(answer.headers.get("www-authenticate", "")))
        realm = challenge.get("realm", "")
        if not realm or urlsplit(realm)[:2] != urlsplit(self._base_url)[:2]:
            raise ApiError(ApiErrorKind.NO_PERMISSION, "the registry does not accept the token", status=401)
        query = {"scope": f"repository:{self._owner}/{package.name.lower()}:{actions}"}
        if service := challenge.get("service"):
            query["service"] = service
        basic = base64.b64encode(f"{BASIC_USER}:{self._token}".encode()).decode()
        with self._lock:
            renewing = self._renewing.setdefault((package.name, actions), Lock())
        with renewing:
            if self._bearer(package, actions) != used:
                return _Response(200, {}, b"")
            exchanged = self._exchange("GET", realm, {"Authorization": f"Basic {basic}"}, query=query)
            if exchanged.status != 200:
                return exchanged
            try:
                found = msgspec.json.decode(exchanged.body, type=_Token)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                found = _Token()
            bearer = found.token or found.access_token
            if not bearer:
                error = ApiError(ApiErrorKind.NO_PERMISSION, "the registry gave out no token")
                raise RetryableError(RetryReason.UNREADABLE, error)
            self._bearers[package.name, actions] = bearer
            return _Response(200, {}, b"")


class RegistryWriter(Registry):
    """A registry that can also write manifests, which is the only way to move a tag. A dry run has none."""

    def put(self, package: PackageName, tag: str, body: bytes) -> str:
        """Write a manifest under a tag, and give its digest. Raises `ApiError`."""
        try:
            media_type = manifests.media_type_of(body)
        except NotAManifest as problem:
            raise ApiError(ApiErrorKind.OTHER, f"the manifest {problem}") from None
        self._send("PUT", package, tag, body, media_type)
        return manifests.digest_of(body)

    def is_stub(self, package: PackageName, digest: str) -> bool:
        """Whether a manifest is a stub. Raises `ApiError`."""
        try:
            return manifests.manifest(digest, self.manifest_bytes(package, digest)).is_stub
        except NotAManifest:
            return False


def _check_content(request: _Request, answer: _Response) -> None:
    """Check that content requested by its digest has that digest."""
    by_digest = request.method == "GET" and DIGEST.fullmatch(request.reference)
    if by_digest and manifests.digest_of(answer.body) != request.reference:
        raise RetryableError(RetryReason.UNREADABLE, ApiError(ApiErrorKind.UNREADABLE, manifests.OTHER_DIGEST))


def _limit_wait(answer: _Response, now: datetime) -> float:
    """The seconds to wait after a rate limit. The registry names milliseconds in its message."""
    seconds = retry_after(answer.headers.get("retry-after", ""), now)
    text = answer.body.decode(errors="replace")
    if seconds is not None:
        return max(seconds, 0.05)
    if found := _MILLISECONDS.search(text):
        return float(found[1]) / 1000 + 0.01
    if found := _SECONDS.search(text):
        return 60.0 * float(found[1] or 0) + float(found[2]) + 0.01
    return UNTOLD_WAIT


def _api_error(answer: _Response, method: str) -> ApiError:
    verb = "read" if method in ("GET", "HEAD") else "write (packages: write, or the scope write:packages)"
    kinds = {
        401: (ApiErrorKind.NO_PERMISSION, "the registry does not accept the token"),
        403: (ApiErrorKind.NO_PERMISSION, f"the token may not {verb} this package in the registry"),
        404: (ApiErrorKind.NOT_FOUND, "the registry does not have it"),
    }
    kind, text = kinds.get(answer.status, (ApiErrorKind.UNREACHABLE, "the registry failed"))
    if answer.status < 500 and answer.status not in kinds:
        kind, text = ApiErrorKind.OTHER, "the registry answered with an error"
    return ApiError(kind, text, status=answer.status)
