"""The OpenAPI document, and fuzzed requests against it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
import schemathesis.specs.openapi.schemas  # now: parsed by pytest while threads run, CPython 3.11 may fail (gh-106905)
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from clipsearch.library import Library
from clipsearch.server.app import create_app
from clipsearch.server.batching import EncoderHandle
from clipsearch.server.metrics import Metrics
from clipsearch.server.service import Service
from clipsearch.server.settings import Limits
from clipsearch.server.tokens import Scope, TokenFile, add_token
from indexer.uploads import GuardedReader
from tests.conftest import ColourEncoder

EXAMPLES = 5
"""Requests that are made up for each route, in each mode."""

CONFIG = {
    "checks": {
        # a query line is a language of its own, which no schema describes
        "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "422"]},
    }
}


@pytest.fixture(scope="module")
def token_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openapi") / "tokens.json"


@pytest.fixture(scope="module")
def token(token_path: Path) -> str:
    return add_token(token_path, "everything", list(Scope))


@pytest.fixture(scope="module")
def api(prepared: Path, token: str, token_path: Path) -> Iterator[schemathesis.BaseSchema]:
    """The document of an application that opens everything to the token, however often it is asked."""
    in_use = EncoderHandle()
    with Library.open(prepared / "library", encoder=in_use(ColourEncoder())) as library:  # type: ignore[arg-type]
        reader = GuardedReader(in_use.transform, time_limit_s=10)
        service = Service(library, reader, Limits(requests_per_s=0), Metrics())
        app = create_app(service, tokens=TokenFile(token_path))
        config = schemathesis.Config.from_dict(CONFIG)
        yield schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
        service.close()


@pytest.mark.long
def test_requests_that_are_made_up_find_nothing(api: schemathesis.BaseSchema, token: str) -> None:
    operations = [found.ok() for found in api.get_all_operations()]
    assert len(operations) >= 13
    for operation in operations:
        takes_anything = any(True for _ in operation.iter_parameters()) or bool(list(operation.body))
        for mode in GenerationMode if takes_anything else (GenerationMode.POSITIVE,):

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def holds(case: schemathesis.Case) -> None:
                case.call_and_validate(headers={"Authorization": f"Bearer {token}"})

            holds()


def test_the_document_says_what_each_route_needs(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    routes = {(path, method): item for path, methods in document["paths"].items() for method, item in methods.items()}
    assert {path for (path, _), item in routes.items() if "security" not in item} == {"/healthz", "/readyz"}
    for (path, _), item in routes.items():
        assert item["summary"] and item["description"], path
        if path.startswith("/v1/"):
            assert {"401", "403", "422", "429", "503", "504"} <= set(item["responses"]), path
