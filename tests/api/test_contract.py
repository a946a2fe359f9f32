"""The whole description against the server: no failure of its own, no answer that the description does not allow."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from tests.api.server import Api, an_api
from tests.ledger.bot import a_bot, row, sold

from trueup.core.audit import AuditDecision
from trueup.service.app import App
from trueup.surfaces.api.app import create_app
from trueup.surfaces.api.description import describe
from trueup.surfaces.api.reconciling import ServiceReconciling


def metrics() -> tuple[bytes, str]:
    return b"up 1\n", "text/plain"


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Give the API on a bot that has something of everything, and the real loop."""
    folder = tmp_path_factory.mktemp("contract")
    with a_bot(folder, f"sqlite:///{folder / 'ledger.db'}") as bot:
        bot.sells(sold("v-1", client_order_id="bytelyst-p1-TRD-GHOST-exit"))
        app = bot.ready(row("TRD-GHOST"), row("TRD-LOST", "2", symbol="ETH/USD"))
        loop = ServiceReconciling()
        with an_api(
            app, reconciling=loop, failures_a_minute=10**9, waiting=10**6, metrics=metrics, metrics_open=False
        ) as api:
            assert api.client().post("/backfill/run", json={}).status_code == 200
            assert AuditDecision.DRY_RUN in api.client().get("/audit").text
            assert api.client().post("/reconcile", json={"instance_id": "p1"}).status_code == 202
            yield api


schema = schemathesis.openapi.from_dict(describe(create_app(cast(App, None))))


@schema.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_it_is_described(case: Any, everything: Api) -> None:
    headers = {"Authorization": f"Bearer {everything.secrets['operator']}"}
    case.call_and_validate(base_url=everything.url, headers=headers, timeout=30)
