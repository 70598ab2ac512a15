"""The pages of an S3 listing, all of them or an error: half a listing looks like photos that are gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from glasseg.errors import GlassegError

Page = dict[str, Any]
"""A server's answer to ListObjects or ListObjectsV2, as boto3 gives it."""

MOST_STALLED: Final = 100
"""Pages in a row that may bring nothing new: some servers send empty ones, or one of them again."""


def read(client: Any, uri: str, **request: Any) -> Iterator[Page]:
    """Every page of a listing, up to one that says that it is the last.

    `uri` names the place in errors, `request` is what boto3 is asked for: Bucket, Prefix and so on. Servers that know
    only the first version of listings answer in it, and are asked in it from then on. Raises GlassegError when the
    pages are not all that there is, or may not be, and what boto3 raises.
    """
    page = _ask(client.list_objects_v2, uri, request)
    if page["IsTruncated"] and not ({"NextContinuationToken", "KeyCount"} & page.keys()):
        yield from _all(client.list_objects, uri, request, _ask(client.list_objects, uri, request), _marker)
    else:
        yield from _all(client.list_objects_v2, uri, request, page, _token)


def goes_on(page: Page) -> bool:
    """Whether there is more than this page: it says so, or has names and a token to continue with."""
    return page["IsTruncated"] or bool(page.get("NextContinuationToken") and _last(page))


def _all(
    method: Callable[..., Page], uri: str, request: Page, page: Page, after: Callable[[Page], dict[str, str]]
) -> Iterator[Page]:
    """`page` and those after it; `after` gives what to ask for next."""
    ends: set[str] = set()
    stalled = 0
    while True:
        yield page
        if not goes_on(page):
            return
        new = _last(page) not in {"", *ends}
        ends.add(_last(page))
        stalled = 0 if new else stalled + 1
        if stalled > MOST_STALLED:
            raise _incomplete(method, uri, f"it comes round to {_last(page)!r} again and again")
        further = after(page)
        if not all(further.values()):
            raise _incomplete(method, uri, f"there is more, but no {' or '.join(further)} to ask for it")
        page = _ask(method, uri, {**request, **further})


def _ask(method: Callable[..., Page], uri: str, request: Page) -> Page:
    """One page, checked: a listing, of this prefix and no other."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    try:
        page: Page = method(**request)
    except BotoCoreError:  # some of these are ValueErrors too
        raise
    except (ResponseParserError, ValueError, KeyError) as error:  # boto3 looks for keys that a name is given by
        raise _incomplete(method, uri, f"an answer can't be understood ({' '.join(str(error).split())})") from error
    if "IsTruncated" not in page:  # boto3 takes any XML for a listing of nothing
        raise _incomplete(method, uri, "an answer does not say whether it is the last (IsTruncated)")
    names = [*(one.get("Key", "") for one in page.get("Contents", ())), *_folders(page)]
    if strange := [name for name in names if not (name and name.startswith(request["Prefix"]))]:
        raise _incomplete(method, uri, f"it has {strange[0]!r}, which is not below {request['Prefix']!r}")
    return page


def _folders(page: Page) -> list[str]:
    return [one.get("Prefix", "") for one in page.get("CommonPrefixes", ())]


def _last(page: Page) -> str:
    """The name with which a page ends, "" when it has none."""
    return max([*(one["Key"] for one in page.get("Contents", ())[-1:]), *_folders(page)[-1:]], default="")


def _token(page: Page) -> dict[str, str]:
    return {"ContinuationToken": page.get("NextContinuationToken", "")}


def _marker(page: Page) -> dict[str, str]:
    """Without delimiter, servers send no NextMarker: the last key is meant."""
    return {"Marker": page.get("NextMarker") or _last(page)}


def _incomplete(method: Any, uri: str, why: str) -> GlassegError:
    server = method.__self__.meta.endpoint_url
    return GlassegError(
        f"the listing of {uri} by {server} can't be relied on: {why}; is it an S3 server? Update it, or use another"
    )
