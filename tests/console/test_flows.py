"""The console in a real browser: each flow clicked through by those who may, and refused to those who may not."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.api.server import Api
from tests.console.browser import Seat, a_seat, chromium, needs_browser
from tests.console.conftest import look
from tests.ledger.bot import Bot, row

from trueup.core.modes import Mode
from trueup.ports import ModeChange
from trueup.service.tokens import create_token, revoke_token

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Give a browser for the module: while it runs, this thread has an event loop that others would stumble over."""
    with chromium() as started:
        yield started


def test_the_link_logs_in_and_the_token_leaves_the_address(browser: "Browser", api: Api) -> None:
    with a_seat(browser, api) as seat:
        page = seat.log_in(api.secrets["operator"])
        assert (page.url, page.title()) == (f"{api.url}/console/", "Overview · trueup")
        assert not [url for url in seat.asked if api.secrets["operator"] in url]
        [cookie] = [c for c in seat.context.cookies() if c["name"] == "trueup-console"]
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"], cookie["secure"]) == (
            True, "Strict", "/console", False,
        )  # fmt: skip
        assert page.evaluate("document.cookie") == ""
        seat.press("Log out")
        seat.says("You are logged out.")
        seat.go("/audit")
        assert page.url.endswith("/console/login?next=/console/audit")
        page.get_by_label("Token").fill(api.secrets["viewer"])
        seat.press("Log in")
        assert page.url == f"{api.url}/console/audit"


def test_without_scripts_everything_works_by_hand(browser: "Browser", api: Api) -> None:
    with a_seat(browser, api, java_script_enabled=False) as seat:
        page = seat.go()
        page.get_by_label("Token").fill(api.secrets["operator"])
        seat.press("Log in")
        page.get_by_role("link", name="Modes").click()
        page.get_by_label("Scope").select_option("profile:p1")
        page.get_by_label("Mode", exact=True).select_option("HALT")
        page.get_by_label("Reason").fill("by hand")
        seat.press("Change the mode")
        seat.says("profile:p1 is in HALT now; it was in NORMAL.")


def test_a_wrong_token_is_told_and_nothing_else(browser: "Browser", api: Api) -> None:
    with a_seat(browser, api, expect=("401",)) as seat:
        page = seat.go("/login")
        page.get_by_label("Token").fill("trueup_wrong")
        seat.press("Log in")
        assert "opens nothing" in (page.get_by_role("alert").text_content() or "")


def test_what_is_open_is_seen_and_taken_over(browser: "Browser", api: Api) -> None:
    look(api)
    with a_seat(browser, api, "operator") as seat:
        page = seat.page
        number = page.locator(".tiles li").nth(1).get_by_role("link").text_content()
        assert int(number or 0) == api.app.breaks.page()[0] > 0
        page.get_by_text("The same as a table").click()
        assert page.get_by_role("img", name="Worth of the open breaks").is_visible()
        page.get_by_role("link", name="Breaks", exact=True).click()
        page.get_by_label("Kind").select_option("ghost_position")
        seat.press("Show")
        assert page.url.endswith("?profile=&kind=ghost_position&state=")
        page.locator("tbody th a").first.click()
        page.get_by_label("Reason").fill("I know of it")
        seat.press("Take it over")
        seat.says("The break is yours now.")
        assert "acknowledged" in (page.locator(".facts").first.text_content() or "")


def test_a_trade_is_drawn_and_told(browser: "Browser", api: Api) -> None:
    with a_seat(browser, api, "viewer") as seat:
        page = seat.go("/trades")
        page.get_by_label("Trade id").fill("TRD-GHOST")
        seat.press("Tell its story")
        assert page.url.endswith("/console/trades/TRD-GHOST")
        picture = page.get_by_role("img", name="The story of TRD-GHOST")
        assert picture.is_visible()
        assert page.locator("svg.story .mark-9").count() == 1
        assert picture.locator("path.line").first.evaluate("e => getComputedStyle(e).stroke") != "none"
        seat.says("by client_order_id")


def test_a_plan_is_proposed_approved_by_another_applied_and_taken_back(browser: "Browser", api: Api, bot: Bot) -> None:
    with a_seat(browser, api, "operator") as one, a_seat(browser, api, "approver") as other:
        one.go("/backfill")
        one.page.get_by_label("p1").check()
        one.page.get_by_label("Note for who reviews it").fill("the ghost of Friday")
        one.press("Make the dry run")
        place = one.page.url.removeprefix(f"{api.url}/console")
        one.says("An approver has to approve this plan first.")
        one.says("v-1")
        one.says("missing_fill_evidence_for_large_remainder")
        assert not one.page.get_by_role("button", name="Approve exactly this plan").count()

        other.go("/backfill")
        other.page.locator("#plans-h + table a").first.click()
        other.says("the ghost of Friday")
        assert not other.page.get_by_role("button", name="Apply the plan").count()
        other.page.get_by_label("Note").fill("seen")
        other.press("Approve exactly this plan")
        other.says("The plan is approved.")

        one.go(place)
        one.press("Apply the plan")
        one.says("p1: 1 row booked.")
        assert bot.db.value("SELECT count(*) FROM orders WHERE order_id LIKE 'BFILL-%'") == 1
        one.page.locator("#result-h + ul a").click()
        one.page.get_by_label("Reason").fill("a trial")
        one.press("Take it back")
        one.says("1 row taken back.")
        assert bot.db.value("SELECT status FROM orders WHERE order_id LIKE 'BFILL-%'") == "canceled"
        one.page.get_by_label("Reason").fill("for good")
        one.press("Put it in force again")
        one.says("1 row put in force again.")
        assert bot.db.value("SELECT status FROM orders WHERE order_id LIKE 'BFILL-%'") == "filled"
    steps = api.app.sign_offs.newest("plan:", "approve", 5)
    assert [(step.actor.split("-")[0], step.note) for step in steps] == [("api:approver", "seen")]


def test_a_plan_that_is_stale_is_refused_and_another_is_offered(browser: "Browser", api: Api, bot: Bot) -> None:
    with (
        a_seat(browser, api, "operator", expect=("409",)) as one,
        a_seat(browser, api, "approver") as other,
    ):
        one.go("/backfill")
        one.press("Make the dry run")
        place = one.page.url
        other.page.goto(place)
        other.press("Approve exactly this plan")
        one.page.reload()
        bot.db.orders(row("TRD-NEW", "3", symbol="SOL/USD"))
        one.press("Apply the plan")
        one.says("the plan is stale")
        assert not bot.db.value("SELECT count(*) FROM orders WHERE order_id LIKE 'BFILL-%'")
        one.page.goto(place)
        one.press("Make a new dry run")
        assert one.page.url not in (place, f"{api.url}/console/backfill")
        one.says("TRD-NEW")


def test_a_mode_is_tightened_and_loosened_only_on_purpose(browser: "Browser", api: Api) -> None:
    with a_seat(browser, api, "operator", expect=("422",)) as seat:
        page = seat.go("/modes")
        for loosen in (False, True):
            page.get_by_label("Mode", exact=True).select_option("NORMAL")
            page.get_by_label("Reason").fill("all is well")
            page.get_by_label("It may let more trading happen").set_checked(loosen)
            seat.press("Change the mode")
            if not loosen:
                seat.says("lets more trading happen. Nothing was changed.")
                page.go_back()
        seat.says("global is in NORMAL now; it was in SAFE_MODE.")
        assert "RUNNING" in (page.locator("#mode-1").text_content() or "")


def test_the_audit_is_verified_and_a_changed_row_named(browser: "Browser", api: Api, bot: Bot) -> None:
    with a_seat(browser, api, "operator") as seat:
        seat.go("/backfill")
        seat.press("Make the dry run")
        page = seat.go("/audit")
        seat.press("Verify the chain")
        seat.says("The chain is whole")
        assert api.app.journal.head() in (page.locator(".facts").text_content() or "")
        bot.db.run("UPDATE reconciliation_backfill_audit SET reason = 'eligible!' WHERE seq = 2")
        page.get_by_role("link", name="Back to the rows").click()
        seat.press("Verify the chain")
        seat.says("The chain is broken")
        seat.says("seq 2")


def test_what_changes_comes_by_itself_and_what_is_typed_stays(browser: "Browser", api: Api) -> None:
    with a_seat(browser, api, "operator") as seat:
        page = seat.page
        page.clock.install()
        seat.go("/modes")
        page.get_by_label("Reason").fill("half a sentence")
        page.get_by_label("Reason").focus()
        before = page.locator("#scope-1").element_handle()
        api.app.modes.set(_halt(api))
        page.clock.run_for(6000)
        page.locator("#scope-2").get_by_text("HALT").wait_for()
        assert page.locator("#said").text_content() == "p1 is in HALT. "
        assert page.get_by_label("Reason").input_value() == "half a sentence"
        assert page.evaluate("document.activeElement.id") == "mode-reason"
        assert before is not None
        assert before.evaluate("node => node.isConnected && node.id") == "scope-1"


def test_who_is_logged_out_meanwhile_is_told(browser: "Browser", api: Api) -> None:
    made = create_token(api.app, "leaver", "viewer")
    with a_seat(browser, api, expect=("401",)) as seat:
        seat.page.clock.install()
        seat.log_in(made.secret)
        revoke_token(api.app, "leaver")
        seat.page.clock.run_for(6000)
        seat.says("You are logged out; what you see is old.")
        seat.page.reload()
        assert re.search(r"/console/login$", seat.page.url)


def test_keys_alone_suffice(browser: "Browser", api: Api) -> None:
    with a_seat(browser, api) as seat:
        page = seat.go("/modes")
        keys = page.keyboard
        _tab_to(seat, "token")
        keys.type(api.secrets["operator"])
        with page.expect_navigation():
            keys.press("Enter")
        assert page.url.endswith("/console/modes")
        keys.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        place = page.locator(".skip").bounding_box()
        assert place is not None
        assert place["y"] >= 0
        keys.press("Enter")
        _tab_to(seat, "scope")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        keys.type("profile:p1")
        _tab_to(seat, "mode")
        keys.type("HALT")
        _tab_to(seat, "mode-reason")
        keys.type("by keys")
        keys.press("Tab")
        keys.press("Tab")
        with page.expect_navigation():
            keys.press("Enter")
        seat.says("profile:p1 is in HALT now")


def _tab_to(seat: Seat, name: str) -> None:
    page = seat.page
    for _ in range(30):
        if page.evaluate("document.activeElement.id") == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no way to {name}")


def _halt(api: Api) -> ModeChange:
    now = "2026-01-02T13:00:00.000Z"
    return ModeChange("profile:p1", Mode.HALT, Mode.NORMAL, "operator", api.app.actor, "test", now)
