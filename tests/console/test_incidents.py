"""Incidents and canaries in the console: the whole way in a real browser, and what its forms keep to."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.api.server import Api, an_api
from tests.console.browser import Seat, a_seat, chromium, needs_browser
from tests.console.conftest import Seconds
from tests.console.visitor import text_of, visitor
from tests.incidents.world import STAGES, SURPRISE, World, a_world
from tests.ledger.bot import Bot, a_bot

from trueup.service.leading import next_sign_off, propose_canary, sign_off
from trueup.surfaces.api.reconciling import ServiceReconciling

if TYPE_CHECKING:
    from playwright.sync_api import Browser

STAGE = {"profile": "p1", "symbols": "BTC/USD", "limit": "500", "minutes": "30"}


@pytest.fixture
def world(tmp_path: Path, sqlite_url: str) -> Iterator[World]:
    """Give the incident."""
    with a_bot(tmp_path, sqlite_url) as bot:
        yield a_world(bot)


@pytest.fixture
def api(world: World, seconds: Seconds) -> Iterator[Api]:
    """Serve it."""
    with an_api(world.app, reconciling=ServiceReconciling(), session_clock=seconds) as made:
        yield made


@pytest.fixture
def bot() -> Iterator[Bot]:
    """Give no other bot."""
    raise AssertionError("the world has its own")


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Give a browser for the module."""
    with chromium() as started:
        yield started


@needs_browser
class TestInTheBrowser:
    def test_the_whole_way_is_gone(self, browser: "Browser", api: Api, world: World) -> None:
        place = f"/incidents/{world.name}"
        with (
            a_seat(browser, api, "operator") as one, a_seat(browser, api, "approver") as other,
            a_seat(browser, api, "viewer") as third,
        ):  # fmt: skip
            one.says("An incident is open")
            one.page.locator("#incidents").get_by_role("link", name=world.name).click()
            one.says("Book from the venue what is missing")
            fill(one, "Start the repair", "Reason", "sold by hand")
            one.says("The repair has begun.")
            fill(one, "Add the note", "Note", "ticket 4711")
            one.says("The note is in the story.")
            book(one, other)
            world.look()
            world.look()

            one.go(place)
            propose(one)
            one.says("Sign the first stage off; that is for anybody but")
            one.says("You proposed this canary, so that somebody else signs it off")
            assert not one.page.get_by_role("button", name="Sign stage 1 off").count()
            third.go(place)
            assert third.page.get_by_role("button").all_text_contents() == ["Log out"]

            for label in ("Sign stage 1 off", "Sign stage 2 off", "Sign the restoration off"):
                other.go("/canary")
                fill(other, label, "Reason", "read it")
                world.look()
            other.says("It is signed off. Trading is restored.")
            with other.page.expect_download() as kept:
                other.page.get_by_role("link", name="Export for the ticket").click()
            assert kept.value.suggested_filename == f"{world.name}.md"
            text = Path(kept.value.path()).read_text(encoding="utf-8")
            assert "ticket 4711" in text
            assert text.count("signed off |") == 2
            assert "| restored | signed off and restored |" in text
            one.go()
            assert not one.page.locator("#incidents").count()
            one.go("/incidents")
            one.says("No incident is open.")
            one.page.get_by_role("link", name="Open and closed").click()
            one.says("given back")

    def test_a_mismatch_during_the_canary_is_shown_by_itself(self, browser: "Browser", api: Api, world: World) -> None:
        world.proposed()
        with a_seat(browser, api, "approver") as seat:
            page = seat.page
            page.clock.install()
            seat.go("/canary")
            fill(seat, "Sign stage 1 off", "Reason", "read it")
            seat.says("Wait: stage 1 of 2 runs.")
            world.look(SURPRISE)
            page.clock.run_for(6000)
            page.locator(".way .now").get_by_text("classified").wait_for()
            assert "is classified, to be repaired." in (page.locator("#said").text_content() or "")
            assert not page.locator("#canary-h").count()

    def test_every_step_is_accessible_and_fits_a_phone(self, browser: "Browser", api: Api, world: World) -> None:
        wrong: dict[str, list[str]] = {}
        place, signer = f"/incidents/{world.name}", replace(world.app, actor="somebody else")
        steps: dict[str, Callable[[], object]] = {
            "classified": lambda: None, "confirmed": world.confirmed,
            "proposed": lambda: propose_canary(world.app, world.name, STAGES, "x"),
            "running": lambda: sign_off(signer, world.name, "x"), "passed": world.look,
        }  # fmt: skip
        phone = {"viewport": {"width": 375, "height": 740}}
        with a_seat(browser, api, "operator", **phone) as one, a_seat(browser, api, "approver", **phone) as other:
            for step, go in steps.items():
                go()
                for seat, path in ((one, place), (one, "/canary"), (other, "/canary"), (one, "/incidents"), (one, "/")):
                    seat.go(path)
                    wrong[f"{step} {path}"] = [*seat.axe(), *seat.wider_than_the_screen()]
        assert not {path: found for path, found in wrong.items() if found}


def fill(seat: Seat, button: str, label: str, text: str) -> None:
    """Fill the form of a button, and press it."""
    form = seat.page.locator("form").filter(has=seat.page.get_by_role("button", name=button, exact=True))
    form.get_by_label(label).fill(text)
    seat.press(button)


def book(one: Seat, other: Seat) -> None:
    """Follow the link to the backfill; one makes a dry run and applies it, the other approves it."""
    one.page.get_by_role("link", name="Make a dry run of the backfill…").click()
    one.press("Make the dry run")
    other.page.goto(one.page.url)
    other.press("Approve exactly this plan")
    one.page.reload()
    one.press("Apply the plan")
    one.says("p1: 1 row booked.")


def propose(seat: Seat) -> None:
    """Propose a canary of two stages."""
    page = seat.page
    page.get_by_role("link", name="Propose a canary…").click()
    for number, (symbols, limit, minutes) in enumerate((("BTC/USD", "500", "30"), ("*", "1000", "60"))):
        stage = page.locator("fieldset.stage").nth(number)
        stage.get_by_label("Symbols").fill(symbols)
        stage.get_by_label("Limit").fill(limit)
        stage.get_by_label("Minutes").fill(minutes)
    fill(seat, "Propose the canary", "Reason", "the books agree")
    seat.says("The canary is proposed.")


class TestForms:
    def test_a_viewer_sees_no_control_at_any_step(self, api: Api, world: World) -> None:
        guest, place = visitor(api, "viewer"), f"/incidents/{world.name}"
        steps = (lambda: None, world.confirmed, lambda: offer(api, world))
        for step in steps:
            step()
            for path in ("/", "/incidents", place, "/canary"):
                page = guest.get(path).text
                assert re.findall(r'<form method="post" action="([^"]+)"', page) == ["/console/logout"], path
                assert 'class="button' not in page, path

    def test_what_was_read_is_what_is_signed(self, api: Api, world: World) -> None:
        world.confirmed()
        offer(api, world)
        approver, place = visitor(api, "approver"), f"/canary/{world.name}/approve"
        [read] = re.findall(r'name="reviewed" value="([^"]*)"', approver.get("/canary").text)
        visitor(api, "operator").post(f"/canary/{world.name}/abort", reason="another plan")
        world.look()
        world.look()
        offer(api, world, limit="100000")
        answer = approver.post(place, reason="read it", reviewed=read)
        assert (answer.status_code, "has moved on since you read it" in answer.text) == (409, True)
        assert approver.post(place, reason="read it").status_code == 409
        assert world.incident.running is None
        [read] = re.findall(r'name="reviewed" value="([^"]*)"', approver.get("/canary").text)
        assert approver.post(place, reason="read it", reviewed=read).status_code == 303
        assert world.incident.running is not None

    def test_a_forged_sign_off_is_refused(self, api: Api, world: World) -> None:
        world.confirmed()
        offer(api, world)
        approver = visitor(api, "approver")
        [read] = re.findall(r'name="reviewed" value="([^"]*)"', approver.get("/canary").text)
        place, given = f"/canary/{world.name}/approve", {"reason": "x", "reviewed": read}
        assert approver.post(place, form_key="", **given).status_code == 403
        assert approver.post(place, headers={"Origin": "https://evil.example"}, **given).status_code == 403
        assert visitor(api, "operator").post(place, **given).status_code == 403
        assert visitor(api, "viewer").post(place, **given).status_code == 403
        assert world.incident.running is None

    def test_the_proposer_does_not_sign_whatever_their_role(self, api: Api, world: World) -> None:
        name = next(token.name for token in world.app.tokens.all() if token.role == "approver")
        world.proposed(replace(world.app, actor=f"api:{name}"))
        approver = visitor(api, "approver")
        page = text_of(approver.get(f"/incidents/{world.name}").text)
        assert "You proposed this canary, so that somebody else signs it off" in page
        reviewed = next_sign_off(world.incident)
        answer = approver.post(f"/canary/{world.name}/approve", reason="x", reviewed=reviewed)
        assert (answer.status_code, "cannot sign it off" in answer.text) == (409, True)

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"limit": "0"}, "more than 0"), ({"limit": "NaN"}, "no numbers"), ({"limit": "1e400"}, "no numbers"),
            ({"minutes": "0"}, "more than 0"), ({"limit": "1:2"}, "no numbers"), ({"symbols": ""}, "no symbol"),
            ({"profile": "p9"}, "no profile"), ({"reason": " "}, "A reason is needed"),
            ({"limit": "", "minutes": "", "symbols": ""}, "needs a stage"), ({"limit": ["1", "2"]}, "cannot be read"),
        ],
        ids=str,
    )  # fmt: skip
    def test_stages_that_are_none_are_told(self, api: Api, world: World, wrong: dict[str, str], words: str) -> None:
        world.confirmed()
        fields = {**STAGE, "reason": "the books agree", **wrong}
        answer = visitor(api, "operator").post(f"/canary/{world.name}/propose", **fields)
        assert (answer.status_code, words in text_of(answer.text)) == (404 if "profile" in wrong else 422, True)
        assert world.incident.plan is None

    def test_rows_that_are_left_blank_are_no_stages(self, api: Api, world: World) -> None:
        world.confirmed()
        rows = {
            "profile": ["p1"] * 3, "symbols": ["BTC/USDT:USDT, ETH/USD", "", "*"], "limit": ["1", "", "2.5"],
            "minutes": ["30", "", "0.5"],
        }  # fmt: skip
        answer = visitor(api, "operator").post(f"/canary/{world.name}/propose", reason="x", **rows)
        assert answer.headers["Location"] == f"/console/incidents/{world.name}"
        plan = world.incident.plan
        assert plan is not None
        assert [(stage.symbols, str(stage.limit), stage.duration_ms) for stage in plan.stages] == [
            (("BTC/USDT:USDT", "ETH/USD"), "1", 1_800_000), (None, "2.5", 30_000),
        ]  # fmt: skip

    def test_a_closed_incident_offers_nothing(self, api: Api, world: World) -> None:
        world.restored(replace(world.app, actor="somebody else"))
        page = visitor(api, "operator").get(f"/incidents/{world.name}").text
        assert re.findall(r'<form method="post" action="([^"]+)"', page) == ["/console/logout"]
        assert "Nothing: trading is restored." in page

    def test_the_export_is_a_file_for_whoever_may_read(self, api: Api, world: World) -> None:
        place = f"/incidents/{world.name}/export"
        answer = visitor(api, "viewer").get(place)
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{world.name}.md"'
        assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.text.startswith(f"# {world.name}\n")
        assert visitor(api).get(place).status_code == 303

    def test_a_part_is_sent_again_only_when_it_changed(self, api: Api, world: World) -> None:
        guest, asked = visitor(api, "viewer"), {"X-Console-Live": "1"}
        for path in ("/incidents", f"/incidents/{world.name}", "/canary"):
            tag = guest.get(path, **asked).headers["ETag"]
            assert guest.get(path, **asked, **{"If-None-Match": tag}).status_code == 304, path


def offer(api: Api, world: World, **changed: str) -> None:
    """Propose a canary as the operator of the console."""
    answer = visitor(api, "operator").post(f"/canary/{world.name}/propose", reason="x", **{**STAGE, **changed})
    assert answer.status_code == 303, answer.text
