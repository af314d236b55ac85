"""The OpenAPI document of /v1 against what the server does: every answer is one that the document tells of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.specs.openapi import checks as conformance

from lifelong.service.home import open_home
from lifelong.service.settings import ServeSettings

EXAMPLES = 15
#: without keys a server answers by the names of its machine alone
HERE = {"Host": "localhost"}

#: whether what fits the schema is accepted is not asked: a schema cannot say that a version is stored
CHECKS = [
    checks.not_a_server_error,
    conformance.status_code_conformance,
    conformance.content_type_conformance,
    conformance.response_schema_conformance,
]


@schemathesis.serializer("application/x-ndjson")
def lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Schemathesis does not know lines of JSON; to the document they are a text."""
    return str(value).encode(errors="replace")


@pytest.fixture(scope="module")
def document(prepared: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The document of an application over a home with two versions, in this process."""
    home = shutil.copytree(prepared[0], tmp_path_factory.mktemp("api") / "home")
    with open_home(home, ServeSettings(keys=False, max_body=100_000), start_worker=False) as opened:
        yield schemathesis.openapi.from_asgi("/v1/openapi.json", opened.app, headers=HERE)


def test_every_answer_is_documented(document: Any) -> None:
    """No server error, no status, content type or body that the document does not tell of; each fault on its own."""
    faults: list[str] = []
    tried = 0
    for found in document.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
        )
        @given(operation.as_strategy())
        def holds(case: Any) -> None:
            places = case.path_parameters or {}
            if len(places.get("project", "")) % 4:  # else it is mostly about what is not stored
                places["project"] = "digits"
            if len(places.get("version", "")) % 2:
                places["version"] = "2"
            case.call_and_validate(checks=CHECKS, headers=HERE)

        try:
            holds()
        except BaseExceptionGroup as error:
            faults += [f"{operation.label}: {each}" for each in error.exceptions]
        tried += 1
    assert "\n\n".join(faults) == ""
    assert tried >= 30
