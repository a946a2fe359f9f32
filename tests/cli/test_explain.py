import builtins
import re
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.program import Program
from tests.ledger.bot import Bot, leave, row, sold

from trueup.service.explain import Moment
from trueup.surfaces.pictures.labels import place, spread
from trueup.surfaces.pictures.lanes import lanes_of
from trueup.surfaces.pictures.marks import BOOKED, Mark
from trueup.surfaces.pictures.time_axis import time_axis
from trueup.surfaces.story import without_repetitions

PNG = b"\x89PNG\r\n\x1a\n"
DAY = 86_400_000
TIMES = st.lists(st.integers(1_600_000_000_000, 1_900_000_000_000), min_size=1, max_size=50)


class TestText:
    def test_tells_the_decision_its_reason_and_what_led_to_it(self, program: Program) -> None:
        answer = program("explain", "TRD-GHOST")
        assert answer.code == 0
        assert "BOOK eligible: The venue's evidence proves it." in answer.out
        assert "assigned by client_order_id" in answer.out
        assert "ENTRY buy filled" in answer.out
        proposed = next(line for line in answer.out.splitlines() if line.strip().startswith("proposed"))
        assert "v-1" in proposed

    def test_of_a_closed_trade_says_so(self, bot: Bot) -> None:
        bot.ready(row("TRD-DONE"), leave("TRD-DONE"))
        assert "nothing open of this trade" in Program(bot)("explain", "TRD-DONE").out

    def test_of_rows_that_cannot_be_read_claims_no_quantity(self, bot: Bot) -> None:
        bot.ready(row("TRD-ODD", quantity="2"))
        out = Program(bot)("explain", "TRD-ODD").out
        assert "what is open is not known" in out
        assert "quantity_columns_disagree" in out

    def test_each_row_stands_at_its_own_time_with_what_it_says(self, bot: Bot) -> None:
        bot.ready(
            row("TRD-1", "3", 0),
            leave("TRD-1", "2", 20, order_id="odd", quantity="1"),
            leave("TRD-1", "3", 30, order_id="dead", status="canceled"),
            leave("TRD-1", "0", 40, order_id="waits", status="open", order_qty=3),
            leave("TRD-1", "1", 50),
        )
        told = Program(bot)("explain", "TRD-1", "--format", "json").json["timeline"]
        told = [entry for entry in told if entry["source"] == "ledger"]
        assert [(entry["at"][11:16], entry["id"], entry["qty"], entry["price"]) for entry in told] == [
            ("03:00", "p1/TRD-1/ENTRY/filled/0", "3", "100"),
            ("03:20", "odd", None, "100"),
            ("03:30", "dead", "3", "100"),
            ("03:40", "waits", "3", "100"),
            ("03:50", "p1/TRD-1/EXIT/filled/50", "1", "100"),
        ]
        assert [entry["what"] for entry in told[1:4]] == [
            "EXIT sell, unreadable: order odd: qty is 2 and quantity is 1", "EXIT sell canceled", "EXIT sell open",
        ]  # fmt: skip

    def test_a_reverted_exit_stands_after_its_entry(self, proven: Program) -> None:
        batch = proven("backfill", "run", "--apply", "--format", "json").json["profiles"][0]["batch_id"]
        proven("backfill", "revert", batch, "--reason", "wrong")
        told = proven("explain", "TRD-GHOST", "--format", "json").json["timeline"]
        rows = [(entry["at"][11:16], entry["what"]) for entry in told if entry["source"] == "ledger"]
        assert rows == [("03:00", "ENTRY buy filled"), ("03:10", "EXIT sell canceled")]

    def test_a_row_without_a_time_says_so_and_stands_nowhere(self, bot: Bot, tmp_path: Path) -> None:
        bot.venue()
        bot.ready(row("TRD-1", timestamp=None))
        out = Program(bot)("explain", "TRD-1").out
        assert re.search("^unknown +ledger +ENTRY buy, unreadable: .* its time cannot be read", out, re.MULTILINE)
        told = Program(bot)("explain", "TRD-1", "--format", "json").json["timeline"]
        assert [entry["at"] for entry in told] == [None]
        said = TestPlot._svg(TestPlot(), Program(bot), tmp_path, "TRD-1")
        assert "1970" not in said
        assert "years" not in said

    def test_of_a_working_entry_shows_the_row_and_the_venues_order(self, bot: Bot, tmp_path: Path) -> None:
        order = sold("v-1", "0", side="buy", status="new", client_order_id="c-1", filled_avg_price=None)
        bot.venue(open_orders=[{**order, "filled_at": None, "submitted_at": order["filled_at"]}])
        bot.ready(row("TRD-1", status="open", client_order_id="c-1"))
        program = Program(bot)
        out = program("explain", "TRD-1").out
        assert out.startswith("trade TRD-1  BTC/USD  profile p1")
        assert "nothing of this trade is open, and an order of it is still working" in out
        assert re.search(r"03:00:00Z +ledger +ENTRY buy open +1 +100 ", out)
        assert re.search(r"03:10:00Z +venue +buy order new .* v-1 +nothing executed", out)
        assert "order, nothing executed" in TestPlot._svg(TestPlot(), program, tmp_path, "TRD-1")

    def test_of_what_was_taken_back_says_who_may_put_it_back(self, proven: Program) -> None:
        batch = proven("backfill", "run", "--apply", "--format", "json").json["profiles"][0]["batch_id"]
        proven("backfill", "revert", batch, "--reason", "wrong")
        out = proven("explain", "TRD-GHOST").out
        assert "reverted_by_operator" in out
        assert "withheld" in out
        assert "REVERTED" in out
        assert f"Put it back: trueup backfill reapply {batch} --reason TEXT" in out

    def test_of_what_was_booked_shows_the_venues_row_beside_the_ledgers(self, proven: Program, tmp_path: Path) -> None:
        proven("backfill", "run", "--apply")
        lines = proven("explain", "TRD-GHOST").out.splitlines()
        venue = next(line for line in lines if re.search("Z +venue ", line))
        assert venue.split()[-2:] == ["v-1", "booked"]
        assert any(" audit " in line and "APPLIED" in line for line in lines)
        assert "execution, booked" in TestPlot._svg(TestPlot(), proven, tmp_path, "TRD-GHOST")
        proven.bot.venue()
        assert not [line for line in proven("explain", "TRD-GHOST").out.splitlines() if re.search("Z +venue ", line)]

    def test_of_what_is_older_than_the_look_back_shows_the_venues_row(self, bot: Bot) -> None:
        bot.sells(sold("v-0", minute=-6000))
        bot.ready(row("TRD-DONE", minute=-6001), leave("TRD-DONE", minute=-6000, exchange_order_id="v-0"))
        assert re.search(r"v-0 +booked", Program(bot)("explain", "TRD-DONE").out)

    def test_tells_what_every_run_decided_alike_once(self, program: Program) -> None:
        for _ in range(3):
            program("backfill", "run", "--dry-run")
        lines = [line for line in program("explain", "TRD-LOST").out.splitlines() if " audit " in line]
        assert len(lines) == 1
        assert "(×3, until" in lines[0]

    def test_of_a_venue_that_cannot_be_read_still_tells_the_rest(self, program: Program) -> None:
        (program.bot.folder / "main.json").write_text("null")
        out = program("explain", "TRD-GHOST").out
        assert "UNREADABLE" in out
        assert "ENTRY buy filled" in out

    def test_in_json_is_the_document(self, program: Program) -> None:
        document = program("explain", "TRD-GHOST", "--profile", "p1", "--format", "json").json
        assert document["trade_id"] == "TRD-GHOST"
        assert {entry["source"] for entry in document["timeline"]} == {"ledger", "venue"}


class TestPlot:
    @pytest.mark.parametrize("form", ["text", "json"])
    def test_writes_a_png(self, program: Program, tmp_path: Path, form: str) -> None:
        picture = tmp_path / "trade.PNG"
        answer = program("explain", "TRD-GHOST", "--plot", str(picture), "--format", form)
        assert answer.code == 0
        assert picture.read_bytes().startswith(PNG)
        assert f"picture written to {picture}" in answer.err
        assert "picture" not in answer.out

    def test_writes_an_svg_that_says_what_and_why(self, program: Program, tmp_path: Path) -> None:
        said = self._svg(program, tmp_path, "TRD-LOST")
        assert "TRD-LOST" in said
        assert "ETH/USD" in said
        assert "profile p1" in said
        assert "missing_fill_evidence_for_large_remainder" in said
        assert "venue as of 2 Jan 13:00" in said

    def test_draws_what_would_be_open_after_the_repair(self, program: Program, tmp_path: Path) -> None:
        said = self._svg(program, tmp_path, "TRD-GHOST")
        assert "with the proposed exits" in said
        assert "exit that is proposed" in said
        assert "sell 1 at 110, client_order_id" in said

    @pytest.mark.parametrize("rows", ["one", "unreadable", "dead", "short", "over", "many", "years"])
    def test_works_for_every_sort_of_trade(self, bot: Bot, tmp_path: Path, rows: str) -> None:
        hour, year = 60, 525_600
        trades: dict[str, list[dict[str, Any]]] = {
            "one": [row("T")],
            "unreadable": [row("T", qty=None, quantity=None)],
            "dead": [row("T", status="canceled")],
            "short": [row("T", side="sell"), leave("T", "0.5", side="buy")],
            "over": [row("T"), leave("T", "3")],
            "many": [row("T", "0.12345678901234", 2.5 * n, order_id=f"e{n}") for n in range(200)],
            "years": [row("T", "3", -3 * year), leave("T", "1", -2 * year), leave("T", "1", -hour)],
        }
        bot.ready(*trades[rows])
        said = self._svg(Program(bot), tmp_path, "T")
        assert ("by the rows that can be read" in said) is (rows == "unreadable")

    def test_without_its_packages_names_the_extra(
        self, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = builtins.__import__
        monkeypatch.delitem(sys.modules, "altair", raising=False)
        monkeypatch.setattr(
            "trueup.surfaces.pictures.import_module", lambda name: real("nothing_of_this_name") if name else None
        )
        answer = program("explain", "TRD-GHOST", "--plot", str(tmp_path / "trade.png"))
        assert (answer.code, answer.out) == (2, "")
        assert "pip install 'trueup[pictures]'" in answer.err

    def _svg(self, program: Program, folder: Path, trade: str) -> str:
        picture = folder / "trade.svg"
        assert program("explain", trade, "--plot", str(picture)).code in (0, 3)
        root = ET.fromstring(picture.read_text())
        assert root.tag.endswith("svg")
        return " ".join(text for text in root.itertext() if text.strip())


class TestTimeAxis:
    @given(TIMES)
    def test_time_and_pixels_grow_together_within_the_drawing(self, times: list[int]) -> None:
        axis = time_axis(times, 20, 800)
        pixels = [axis.at(ms) for ms in sorted(set(times))]
        assert all(before < after for before, after in pairwise(pixels))
        assert all(20 <= px <= 800.001 for px in pixels)
        assert all(19 <= px <= 801 for px, _ in axis.ticks)

    def test_a_long_silence_is_cut_short_and_named(self) -> None:
        axis = time_axis([0, DAY, 2 * DAY, 300 * DAY], 0, 800)
        assert [cut.text for cut in axis.breaks] == ["10 months"]
        assert axis.at(2 * DAY) > 600

    def test_an_even_rhythm_is_drawn_as_it_is(self) -> None:
        axis = time_axis([n * DAY for n in range(10)], 0, 900)
        assert axis.breaks == ()
        assert axis.at(3 * DAY) == pytest.approx(300)

    def test_times_outside_stand_at_the_ends(self) -> None:
        axis = time_axis([DAY, 2 * DAY], 0, 100)
        assert (axis.at(0), axis.at(9 * DAY)) == (0, 100)

    def test_the_first_tick_after_a_gap_has_its_date(self) -> None:
        bursts = [start + n for start in (0, DAY, 100 * DAY) for n in (1, 7, 13)]
        axis = time_axis(bursts, 0, 900)
        assert len(axis.breaks) == 2
        for left in (0, *(cut.right for cut in axis.breaks)):
            first = next(text for px, text in axis.ticks if px >= left - 1)
            assert re.match(r"\d+ [A-Z][a-z]{2} ", first), first

    def test_several_years_are_told_apart(self) -> None:
        assert all("20" in text for _, text in time_axis([0, 3000 * DAY], 0, 900).ticks if "19" not in text)
        assert time_axis([0, DAY], 0, 900).title == "UTC, 1970"
        assert time_axis([0, 400 * DAY], 0, 900).title == "UTC"


class TestLabels:
    @given(st.lists(st.tuples(st.floats(0, 800), st.text("abc", min_size=1, max_size=30)), max_size=60))
    def test_on_one_level_never_overlap(self, wanted: list[tuple[float, str]]) -> None:
        spans: dict[int, list[tuple[float, float]]] = {}
        for label in place(wanted, 3, 880):
            width = len(label.text) * 6.1
            left = label.x - width if label.to_left else label.x
            spans.setdefault(label.level, []).append((left, left + width))
        for level in spans.values():
            assert all(before[1] < after[0] for before, after in pairwise(sorted(level)))

    def test_the_newest_marks_get_the_labels_where_room_is_short(self) -> None:
        marks = [Mark(n, BOOKED, f"APPLIED inserted, as planned {n}") for n in range(10)]
        [lane] = lanes_of(marks, time_axis([0, 9, *(n * DAY for n in range(900, 910))], 0, 800), 880)
        labelled = {label.text for label in lane.labels}
        assert labelled == {f"APPLIED inserted, as planned {n}" for n in range(6, 10)}

    def test_texts_at_the_same_height_keep_the_first(self) -> None:
        assert [text for _, _, text, _ in spread([(0, 0, "aaa"), (5, 3, "bbb"), (5, 40, "ccc")], 500)] == ["aaa", "ccc"]


def test_what_changed_something_is_never_put_together() -> None:
    moments = [Moment(n, "audit", "APPLIED: inserted", f"#{n}", "1", "2") for n in range(3)]
    assert [told.times for told in without_repetitions(moments)] == [1, 1, 1]
    dry = [Moment(n, "audit", "DRY_RUN: eligible", f"#{n}", "1", "2") for n in range(3)]
    between = [*dry[:2], Moment(9, "ledger", "EXIT sell filled", "x", "1"), dry[2]]
    assert [told.times for told in without_repetitions(between)] == [2, 1, 1]
    assert without_repetitions(dry)[0].last_ms == 2


@pytest.mark.parametrize(
    ("sections", "code"),
    [
        ({}, 0), ({"positions": None}, 3), ({"closed_orders": None}, 3),
        ({"unknown_symbols": {"BTC/USD": "not listed"}}, 3), ({"as_of": "never"}, 3),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["text", "json"])
def test_an_answer_that_is_inconclusive_says_so_by_its_exit_code(
    program: Program, sections: dict[str, object], code: int, form: str
) -> None:
    program.bot.venue(**sections)
    answer = program("explain", "TRD-GHOST", "--format", form)
    assert answer.code == code
    assert "TRD-GHOST" in answer.out
    if form == "json":
        assert (answer.json["error"] is not None) == (sections.get("as_of") == "never")
