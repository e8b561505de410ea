"""What errors of restorations mean: "already exists" is not a missing permission."""

from __future__ import annotations

import json

import pytest

from package_keeper.errors import ApiErrorKind
from package_keeper.github.errors import api_error


@pytest.mark.parametrize("status", [400, 403, 409, 422])
@pytest.mark.parametrize(
    "body",
    [
        {"message": "Package version already exists."},
        {"message": "PACKAGE VERSION ALREADY EXISTS"},
        {"message": "Version has already been taken"},
        {"message": "This version is already active"},
        {"message": "Validation Failed", "errors": [{"resource": "PackageVersion", "code": "already_exists"}]},
    ],
)
def test_already_exists_is_known_by_the_words_whatever_the_status(status: int, body: dict[str, object]) -> None:
    refused = api_error("POST", status, {}, json.dumps(body).encode())
    assert refused.kind is ApiErrorKind.ALREADY_EXISTS
    assert refused.message == body["message"]
    assert refused.remedy == ""


@pytest.mark.parametrize(
    ("method", "status", "message", "kind"),
    [
        ("POST", 403, "Resource not accessible by integration", ApiErrorKind.NO_PERMISSION),
        ("POST", 401, "Bad credentials", ApiErrorKind.UNAUTHORIZED),
        ("POST", 404, "Package version not found.", ApiErrorKind.NOT_FOUND),
        ("GET", 403, "Package version already exists.", ApiErrorKind.NO_PERMISSION),
        ("POST", 500, "Package version already exists.", ApiErrorKind.UNREACHABLE),
        ("POST", 409, "Something was reused", ApiErrorKind.OTHER),
    ],
)
def test_other_errors_keep_their_meaning(method: str, status: int, message: str, kind: ApiErrorKind) -> None:
    assert api_error(method, status, {}, json.dumps({"message": message}).encode()).kind is kind
