"""A document of the file venue: its text, its time, its coverage, its sections and its keys."""

import os
from pathlib import Path

import pytest
from tests.venues.exports import (
    AS_OF,
    AS_OF_MS,
    DROP,
    document,
    native_fill,
    native_order,
    read,
    row,
    unknown_by_token,
    write,
)

from trueup.core.errors import CannotKnow
from trueup.core.holdings import Holdings
from trueup.core.snapshot import NOT_GIVEN, Coverage, Feed, FeedState, Malformed
from trueup.core.symbols import Symbols
from trueup.venues.file import FileVenue

COMPLETE = Coverage(FeedState.COMPLETE)
NULL = Coverage(FeedState.FAILED, "null in the document")


class TestText:
    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("", "export.json is empty"),
            (" \n\t", "export.json is empty"),
            ("<!DOCTYPE html>\n<html><body>503</body></html>", "this is HTML, not JSON: <!DOCTYPE html> <html>"),
            (" \n<html>", "this is HTML"),
            ('{"positions": [], 5}', "line 1, column 19: not JSON: Expecting property name"),
            ('{"positions": [],\n "fills": [1 2]}', "line 2, column 14: not JSON: Expecting ',' delimiter."),
            ('{"positions": [', "line 1, column 16: not JSON: Expecting value (the file seems to be cut off)."),
            ('{"positions": []', "Expecting ',' delimiter (the file seems to be cut off)."),
            ('{"positions": "B', "Unterminated string starting at (the file seems to be cut off)."),
            ('{"a": "x\ny"}', "line 1, column 9: not JSON: Invalid control character"),
            ("{'a': 1}", "line 1, column 2: not JSON"),
            ("OK", "line 1, column 1: not JSON: Expecting value."),
            ('{"id": 1}\n{"id": 2}', "line 2, column 1: more follows after the end of the JSON value"),
            (b'{"as_of":\n"\xe9"\n\n}', "line 2: the text is not UTF-8 (byte 0xe9)"),
            (b"\xef\xbb\xbf{\n\n\xff}", "line 3: the text is not UTF-8 (byte 0xff)"),
            ('{"a": 1}'.encode("utf-16"), "line 1: the text is UTF-16, not UTF-8"),
            (b'\xfe\xff\x00{\x00"', "line 1: the text is UTF-16, not UTF-8"),
            ("[" * 100_000, "is nested too deep"),
            ('{"a": ' * 100_000, "is nested too deep"),
            ("null", "holds null, neither an object nor a list"),
            ("true", "holds true, neither an object nor a list"),
            ("12.5", "holds 12.5, neither an object nor a list"),
            ('"closed"', "holds 'closed', neither an object nor a list"),
        ],
    )
    def test_that_is_no_json_document(self, tmp_path: Path, content: object, says: str) -> None:
        with pytest.raises(CannotKnow) as error:
            read(tmp_path, content)
        assert error.value.what.startswith(str(tmp_path / "export.json"))
        assert says in error.value.what
        assert error.value.do
        assert error.value.exit_code == 3

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ('{"fills": [], "fills": []}', "the key fills is repeated: fills."),
            (
                '{"closed_orders": [{}, {"id": 1}, {}, {"filled_qty": 1, "filled_qty": 2}]}',
                "the key filled_qty is repeated: closed_orders[3].filled_qty.",
            ),
            ('{"a": {"y": 1, "x": 2, "x": 3}}', "the key x is repeated: a.x."),
            ('[{"ü b": {"x": 1, "x": 1}}]', '[0]["ü b"].x.'),
            ('[{"a b": {"x": 1, "y": 2, "x": 1}}]', 'the key x is repeated: [0]["a b"].x.'),
            ('{"a": {"\\u001b[31m": 1, "\\u001b[31m": 2}}', 'a["\\\\x1b[31m"]'),
            ('{"a": {"x": 1, "x": {"y": 1, "y": 2}}}', "the key x is repeated: a.x."),
            ('{"a": [1, 2], "b": {"x": 1, "x": 1}, "c": {"z": 1, "z": 1}}', "the key x is repeated: b.x."),
            ('{"closed_orders": [{"filled_qty": NaN}]}', "NaN at closed_orders[0].filled_qty is not a number."),
            ('{"a": {"b": -Infinity}}', "-Infinity at a.b is not a number."),
            ("[1, Infinity]", "Infinity at [1] is not a number."),
            ("NaN", "NaN at the top is not a number."),
        ],
    )
    def test_that_json_allows_and_we_do_not(self, tmp_path: Path, content: str, says: str) -> None:
        with pytest.raises(CannotKnow) as error:
            read(tmp_path, content)
        assert says in error.value.what
        assert str(tmp_path) in error.value.what

    def test_a_byte_order_mark_is_fine(self, tmp_path: Path) -> None:
        assert read(tmp_path, b'\xef\xbb\xbf{"positions": []}').feed(Feed.POSITIONS) == COMPLETE

    def test_a_key_of_another_object_is_not_repeated(self, tmp_path: Path) -> None:
        assert len(read(tmp_path, document(closed_orders=[native_order()] * 2)).orders) == 2

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(CannotKnow, match=r"gone\.json cannot be read: No such file or directory") as error:
            FileVenue("main", tmp_path / "gone.json").read()
        assert error.value.do == "Check the path and its permissions."

    def test_a_path_that_no_system_accepts(self, tmp_path: Path) -> None:
        with pytest.raises(CannotKnow, match=r"\\x00\.json cannot be read: embedded null"):
            FileVenue("main", tmp_path / "\0.json").read()

    def test_a_file_that_may_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: Path) -> bytes:
            raise PermissionError(13, "Permission denied", str(path))

        path = write(tmp_path, document())
        monkeypatch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(CannotKnow, match=r"export\.json cannot be read: Permission denied"):
            FileVenue("main", path).read()

    def test_a_pipe_is_refused_instead_of_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.json")
        with pytest.raises(CannotKnow, match="is neither a file nor a folder"):
            FileVenue("main", tmp_path / "pipe.json").read()

    def test_a_file_name_that_no_terminal_can_show_is_escaped(self, tmp_path: Path) -> None:
        path = tmp_path / os.fsdecode(b"\x1b[31m\xff.json")
        path.write_text("x")
        with pytest.raises(CannotKnow, match=r"\\x1b\[31m\\udcff\.json, line 1") as error:
            FileVenue("main", path).read()
        str(error.value).encode()


class TestTime:
    @pytest.mark.parametrize("as_of", [AS_OF, AS_OF_MS, AS_OF_MS // 1000, str(AS_OF_MS), "2026-01-02T04:04:05+01:00"])
    def test_as_of_is_now(self, tmp_path: Path, as_of: object) -> None:
        snapshot = read(tmp_path, {"as_of": as_of, "positions": []})
        assert (snapshot.as_of_ms, snapshot.as_of_source, snapshot.notes) == (AS_OF_MS, "venue", ())

    @pytest.mark.parametrize("given", [{}, {"as_of": None}])
    def test_without_as_of_the_modification_time_is_now_and_is_noted(
        self, tmp_path: Path, given: dict[str, object]
    ) -> None:
        path = write(tmp_path, {**given, "positions": []})
        os.utime(path, ns=(0, AS_OF_MS * 1_000_000 + 789_999_999))
        snapshot = FileVenue("main", path).read()
        assert (snapshot.as_of_ms, snapshot.as_of_source) == (AS_OF_MS + 789, "file_time")
        (note,) = snapshot.notes
        assert note == f"{path} has no as_of: its modification time, 2026-01-02T03:04:05.789Z, stands in."

    @pytest.mark.parametrize("as_of", ["yesterday", "", [], {}, True, 0, -1, 1e30, "9999-12-31T23:59:59-14:00"])
    def test_a_malformed_as_of(self, tmp_path: Path, as_of: object) -> None:
        with pytest.raises(CannotKnow, match=r"export\.json: as_of"):
            read(tmp_path, {"as_of": as_of, "positions": []})

    @pytest.mark.parametrize("seconds", [0, -86_400])
    def test_a_modification_time_that_cannot_be(self, tmp_path: Path, seconds: int) -> None:
        path = write(tmp_path, {"positions": []})
        os.utime(path, (seconds, seconds))
        with pytest.raises(CannotKnow, match="its modification time is impossible"):
            FileVenue("main", path).read()


class TestCoverage:
    def test_a_feed_that_is_not_there_is_not_given(self, tmp_path: Path) -> None:
        snapshot = read(tmp_path, document(positions=[]))
        assert snapshot.coverage == {Feed.POSITIONS: COMPLETE}
        assert snapshot.feed(Feed.CLOSED_ORDERS) == NOT_GIVEN

    @pytest.mark.parametrize("feed", list(Feed))
    def test_a_present_feed_is_complete_from_the_beginning(self, tmp_path: Path, feed: Feed) -> None:
        content: object = {"USD": 0} if feed is Feed.BALANCES else []
        assert read(tmp_path, document(**{feed: content})).coverage == {feed: COMPLETE}

    @pytest.mark.parametrize("feed", list(Feed))
    def test_a_null_feed_has_failed(self, tmp_path: Path, feed: Feed) -> None:
        snapshot = read(tmp_path, document(**{feed: None}))
        assert snapshot.coverage == {feed: NULL}
        assert snapshot.malformed == ()

    @pytest.mark.parametrize(
        ("feed", "value", "called"),
        [
            *((feed, value, called) for feed in Feed for value, called in (("x", "'x'"), (3, "3"), (False, "false"))),
            *((feed, {"a": []}, "an object") for feed in Feed if feed is not Feed.BALANCES),
            (Feed.BALANCES, ["x"], "a list"),
        ],
    )
    def test_a_feed_of_the_wrong_type_has_failed_and_the_rest_counts(
        self, tmp_path: Path, feed: Feed, value: object, called: str
    ) -> None:
        wanted = "an object of asset and amount" if feed is Feed.BALANCES else "a list"
        other = Feed.FILLS if feed is not Feed.FILLS else Feed.POSITIONS
        snapshot = read(tmp_path, document(**{feed: value, other: []}))
        why = f"it is {called} where {wanted} is expected"
        assert snapshot.coverage == {feed: Coverage(FeedState.FAILED, why), other: COMPLETE}
        assert snapshot.malformed == (Malformed(feed.value, feed.value, why),)

    def test_an_error_answer_in_a_feed_is_quoted(self, tmp_path: Path) -> None:
        snapshot = read(tmp_path, document(positions={"code": 40110000, "message": "request is not authorized"}))
        assert "(the venue's own words: message is 'request is not authorized')" in snapshot.malformed[0].why

    @pytest.mark.parametrize(
        ("declared", "coverage"),
        [
            ("complete", COMPLETE),
            (" PARTIAL", Coverage(FeedState.PARTIAL)),
            ({"state": "Failed", "reason": "HTTP 503"}, Coverage(FeedState.FAILED, "HTTP 503")),
            ({"state": "complete", "since": AS_OF}, Coverage(FeedState.COMPLETE, since_ms=AS_OF_MS)),
            ({"state": "complete", "since": None, "reason": None}, COMPLETE),
        ],
    )
    def test_declared_of_a_present_feed(self, tmp_path: Path, declared: object, coverage: Coverage) -> None:
        snapshot = read(tmp_path, document(coverage={"fills": declared}, fills=[native_fill()]))
        assert snapshot.coverage == {Feed.FILLS: coverage}
        assert len(snapshot.fills) == 1

    @pytest.mark.parametrize(
        ("declared", "coverage"),
        [
            ("partial", Coverage(FeedState.PARTIAL)),
            (
                {"state": "failed", "reason": "not sent", "since": AS_OF},
                Coverage(FeedState.FAILED, "not sent", AS_OF_MS),
            ),
            ("complete", Coverage(FeedState.FAILED, "declared complete, but its section is missing")),
        ],
    )
    def test_declared_of_a_missing_feed(self, tmp_path: Path, declared: object, coverage: Coverage) -> None:
        snapshot = read(tmp_path, document(coverage={"closed_orders": declared}))
        assert snapshot.coverage == {Feed.CLOSED_ORDERS: coverage}
        assert snapshot.feed(Feed.CLOSED_ORDERS).given

    @pytest.mark.parametrize(
        ("declared", "coverage"),
        [
            ("complete", NULL),
            ({"state": "partial", "reason": "cut"}, Coverage(FeedState.FAILED, "cut; null in the document")),
        ],
    )
    def test_declared_of_a_null_feed(self, tmp_path: Path, declared: object, coverage: Coverage) -> None:
        assert read(tmp_path, document(coverage={"fills": declared}, fills=None)).coverage == {Feed.FILLS: coverage}

    def test_null_declares_nothing(self, tmp_path: Path) -> None:
        assert read(tmp_path, document(coverage=None, fills=[])).coverage == {Feed.FILLS: COMPLETE}

    @pytest.mark.parametrize(
        ("coverage", "says", "do"),
        [
            ([], "coverage is a list, not an object of feeds", "Write"),
            ("complete", "coverage is 'complete', not an object of feeds", "Write"),
            ({"closed_order": "complete"}, "coverage.closed_order is no feed", "Did you mean closed_orders"),
            ({"fills": "compleet"}, "coverage.fills 'compleet' is no state", "Did you mean complete?"),
            ({"fills": {"state": "part"}}, "coverage.fills.state 'part' is no state", "Did you mean partial?"),
            ({"fills": None}, "coverage.fills is null, not a state or an object", "Write"),
            ({"fills": 1}, "coverage.fills is 1, not a state or an object", "Write"),
            ({"fills": {}}, "coverage.fills.state is null, not a state", "Write"),
            ({"fills": {"state": ["failed"]}}, "coverage.fills.state is a list, not a state", "Write"),
            ({"fills": {"state": "failed", "sinse": AS_OF}}, "coverage.fills.sinse is not known", "since?"),
            ({"fills": {"state": "failed", "since": "soon"}}, "coverage.fills: since: 'soon' is not a time", "Write"),
            ({"fills": {"state": "failed", "since": True}}, "coverage.fills: since is true, not a time", "Write"),
            ({"fills": {"state": "failed", "reason": 5}}, "coverage.fills.reason is 5, not text", "Write"),
        ],
    )
    def test_a_malformed_coverage(self, tmp_path: Path, coverage: object, says: str, do: str) -> None:
        with pytest.raises(CannotKnow) as error:
            read(tmp_path, document(coverage=coverage, fills=[]))
        assert f"export.json: {says}" in error.value.what
        assert do in error.value.do

    def test_a_reason_is_made_printable(self, tmp_path: Path) -> None:
        declared = {"state": "failed", "reason": "\x1b[31m" + "x" * 400}
        reason = read(tmp_path, document(coverage={"fills": declared})).feed(Feed.FILLS).reason
        assert reason.startswith("\\x1b[31mxxx")
        assert len(reason) < 310


class TestKeys:
    def test_an_unknown_key_is_noted_with_the_nearest_and_leaves_its_feed_unknown(self, tmp_path: Path) -> None:
        snapshot = read(tmp_path, document(position=[], fills=[]))
        assert snapshot.notes == (
            f"{tmp_path / 'export.json'}: the key position is not known and is ignored. Did you mean positions?",
        )
        assert not snapshot.feed(Feed.POSITIONS).given

    def test_many_unknown_keys_are_counted(self, tmp_path: Path) -> None:
        notes = read(tmp_path, document(positions=[], **dict.fromkeys("abcdefg"))).notes
        assert [note.split("the key ")[-1][0] for note in notes[:5]] == list("abcde")
        assert notes[5].endswith("2 more unknown keys are ignored.")
        assert len(notes) == 6
        assert len(read(tmp_path, document(positions=[], **dict.fromkeys("abcdef"))).notes) == 6
        assert len(read(tmp_path, document(positions=[], **dict.fromkeys("abcde"))).notes) == 5

    def test_known_keys_are_not_noted(self, tmp_path: Path) -> None:
        content = document(venue="alpaca", exchange="x", contract_sizes={}, markets={}, coverage={}, positions=[])
        snapshot = read(tmp_path, content)
        assert (snapshot.notes, snapshot.malformed) == ((), ())

    def test_an_empty_object_knows_nothing(self, tmp_path: Path) -> None:
        snapshot = read(tmp_path, {"as_of": AS_OF})
        assert snapshot.coverage == {}
        assert snapshot.notes == (f"{tmp_path / 'export.json'} holds no feed, so nothing is known of the account.",)

    @pytest.mark.parametrize(
        ("answer", "says"),
        [
            ({"code": 40110000, "message": "request is not authorized"}, "message is 'request is not authorized'"),
            ({"error": ["EAPI:Invalid key"]}, "error is a list"),
            ({"success": False}, "success is false"),
            ({"retCode": 10003, "retMsg": "API key is invalid.", "result": {}}, "result is an object"),
        ],
    )
    def test_an_error_answer_is_no_document(self, tmp_path: Path, answer: object, says: str) -> None:
        with pytest.raises(CannotKnow, match="looks like a venue's raw answer or error") as error:
            read(tmp_path, answer)
        assert says in error.value.what

    def test_an_error_beside_sections_is_an_unknown_key(self, tmp_path: Path) -> None:
        assert read(tmp_path, document(message="hello", positions=[])).feed(Feed.POSITIONS) == COMPLETE


def test_the_documented_example(tmp_path: Path) -> None:
    snapshot = read(
        tmp_path,
        {
            "as_of": AS_OF,
            "coverage": {"closed_orders": {"state": "complete", "since": "2025-12-30T00:00:00Z"}},
            "positions": [{"symbol": "BTC/USD", "qty": "0.5", "side": "long", "mark_price": "97000"}],
            "balances": {"BTC": "0.5", "USD": "1000"},
            "open_orders": [],
            "closed_orders": [native_order(client_order_id="c-1", sub_tag="s-1", trade_id="TRD-1")],
            "fills": [native_fill(fee="0.1", fee_asset="USD")],
        },
    )
    assert snapshot.coverage == {
        **dict.fromkeys(Feed, COMPLETE),
        Feed.CLOSED_ORDERS: Coverage(FeedState.COMPLETE, since_ms=1_767_052_800_000),
    }
    rows = (snapshot.orders, snapshot.fills, snapshot.legs, snapshot.balances or ())
    assert [len(feed) for feed in rows] == [1, 1, 1, 2]
    assert (snapshot.malformed, snapshot.notes, snapshot.account) == ((), (), "main")


def test_the_accounts_own_aliases_hold(tmp_path: Path) -> None:
    symbols = Symbols({"BITCOIN": "BTC"})
    position = {"symbol": "BITCOIN/USD", "qty": "a lot"}
    swap = {"symbol": "BITCOIN/USD:USD", "contracts": 5}
    content = document(positions=[position, swap], balances={"bitcoin": "1"}, contract_sizes={"BTC/USD:USD": 2})
    snapshot = read(tmp_path, content, symbols=symbols)
    assert snapshot.legs[0].qty == 10
    assert snapshot.symbols is symbols
    assert unknown_by_token(snapshot).keys() == {"BTCUSD"}
    assert snapshot.balances == {"BTC": 1}
    assert Holdings(snapshot).of("BTC-USD").unknown == "positions[0]: qty 'a lot' is not a number"


def test_rows_of_every_feed_name_their_place(tmp_path: Path) -> None:
    snapshot = read(
        tmp_path,
        document(
            positions=[{"symbol": "A", "qty": 1}],
            open_orders=[native_order(id=DROP, order_id="a")],
            closed_orders=[native_order(id="b"), native_order(id=12)],
            fills=[row(native_fill(), id="d")],
        ),
    )
    rows = [*snapshot.legs, *snapshot.orders, *snapshot.fills]
    assert [found.where for found in rows] == [
        "positions[0]",
        "open_orders[0] (id a)",
        "closed_orders[0] (id b)",
        "closed_orders[1] (id 12)",
        "fills[0] (id d)",
    ]
