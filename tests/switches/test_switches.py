"""The Switch port, one suite for each kind of bot: told, verified, and never taken at its mere word."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from tests.switches.bots import PASSWORD, QUICK, TOKEN, USER, FakeBot, FreqtradeBot, HttpBot, serving

from trueup.core.errors import CannotKnow, ConfigurationError, TrueupError
from trueup.core.modes import Mode
from trueup.ports import Switch
from trueup.switches.freqtrade import FreqtradeSwitch
from trueup.switches.http_bot import HttpSwitch


@dataclass
class Pair:
    """A bot and the switch that is about to tell it."""

    bot: FakeBot
    switch: Switch
    wrong: Callable[[], Switch]


@pytest.fixture(params=["http", "freqtrade"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    if request.param == "http":
        bot: FakeBot = HttpBot()
        with serving(bot, "/bot") as url:
            yield Pair(bot, HttpSwitch("p1", url, TOKEN, QUICK), lambda: HttpSwitch("p1", url, "wrong-token", QUICK))
    else:
        bot = FreqtradeBot()
        with serving(bot) as url:
            yield Pair(
                bot, FreqtradeSwitch(url, USER, PASSWORD, QUICK), lambda: FreqtradeSwitch(url, USER, "wrong-one", QUICK)
            )


@pytest.fixture
def freqtrade() -> Iterator[FreqtradeBot]:
    bot = FreqtradeBot()
    with serving(bot):
        yield bot


def switch_of(bot: FakeBot) -> FreqtradeSwitch:
    return FreqtradeSwitch(bot.url, USER, PASSWORD, QUICK)


class TestEveryKind:
    @pytest.mark.parametrize("mode", [Mode.CLOSE_ONLY, Mode.SAFE_MODE, Mode.HALT])
    @pytest.mark.parametrize("obeys", [0, 3])
    def test_a_bot_that_obeys_is_stopped_and_goes_on(self, pair: Pair, mode: Mode, obeys: int) -> None:
        pair.bot.obeys = obeys
        assert pair.switch.status().mode is Mode.NORMAL
        assert pair.switch.stop(mode).done
        assert pair.switch.status().mode >= mode
        assert pair.switch.resume().done
        assert pair.switch.status().mode is Mode.NORMAL

    def test_one_symbol_is_stopped_and_goes_on(self, pair: Pair) -> None:
        assert pair.switch.stop(Mode.CLOSE_ONLY, "BTC/USDT").done
        found = pair.switch.status(("BTC/USDT", "ETH/USDT"))
        assert found.mode is Mode.NORMAL
        assert found.of("BTC/USDT") >= Mode.CLOSE_ONLY
        assert found.of("ETH/USDT") is Mode.NORMAL
        assert pair.switch.resume("BTC/USDT").done
        assert pair.switch.status(("BTC/USDT",)).of("BTC/USDT") is Mode.NORMAL

    @pytest.mark.parametrize("symbol", [None, "BTC/USDT"])
    def test_a_bot_that_says_200_and_goes_on_is_not_stopped(self, pair: Pair, symbol: str | None) -> None:
        pair.bot.obeys = None
        report = pair.switch.stop(Mode.SAFE_MODE, symbol)
        assert not report.done
        assert "goes on" in report.detail

    def test_a_bot_that_stays_stopped_did_not_go_on(self, pair: Pair) -> None:
        assert pair.switch.stop(Mode.HALT).done
        pair.bot.obeys = None
        assert not pair.switch.resume().done

    def test_a_silent_bot_ends_in_time(self, pair: Pair) -> None:
        pair.bot.silent_s = 1.5
        with pytest.raises(CannotKnow, match="in time"):
            pair.switch.status()
        assert len(pair.bot.calls) == QUICK.tries

    def test_a_bot_that_breaks_down_once_is_asked_again(self, pair: Pair) -> None:
        pair.bot.failures = [503]
        assert pair.switch.stop(Mode.SAFE_MODE).done

    def test_a_bot_that_breaks_down_always_is_unknown(self, pair: Pair) -> None:
        pair.bot.failures = [503] * 99
        with pytest.raises(CannotKnow, match="503"):
            pair.switch.stop(Mode.SAFE_MODE)
        assert len(pair.bot.calls) <= 2 * QUICK.tries

    @pytest.mark.parametrize("garbage", [b"", b"<html>fine</html>", b"null", b"[]", b'"PAUSED"', b"{}", b"\xff\xfe"])
    def test_garbage_is_no_answer(self, pair: Pair, garbage: bytes) -> None:
        pair.bot.garbage = garbage
        with pytest.raises(CannotKnow):
            pair.switch.status()

    def test_wrong_credentials_are_named_and_not_shown(self, pair: Pair) -> None:
        with pytest.raises(ConfigurationError, match="401") as refused:
            pair.wrong().status()
        for secret in ("wrong-token", "wrong-one", PASSWORD, TOKEN):
            assert secret not in str(refused.value)

    def test_nobody_there_is_unknown(self, pair: Pair) -> None:
        with serving(HttpBot()) as url:
            pass
        for switch in (HttpSwitch("p1", url, TOKEN, QUICK), FreqtradeSwitch(url, USER, PASSWORD, QUICK)):
            with pytest.raises(CannotKnow, match="cannot be reached"):
                switch.status()

    def test_its_name_holds_no_secret(self, pair: Pair) -> None:
        assert pair.bot.url in pair.switch.name
        assert not any(secret in pair.switch.name + repr(pair.switch) for secret in (TOKEN, PASSWORD))


class TestHttp:
    def test_a_bot_without_words_for_modes_is_running_or_paused(self) -> None:
        bot = HttpBot(names_modes=False)
        with serving(bot, "/bot") as url:
            switch = HttpSwitch("p1", url, TOKEN, QUICK)
            assert switch.stop(Mode.HALT).done
            assert switch.status().mode is Mode.HALT
            assert switch.resume().done
            assert not switch.stop(Mode.CLOSE_ONLY).done, "RUNNING alone does not say that it only closes"

    def test_a_bot_that_contradicts_itself_is_unknown(self) -> None:
        bot = HttpBot(garbage=b'{"status": "RUNNING", "mode": "HALT"}')
        with serving(bot, "/bot") as url, pytest.raises(CannotKnow, match="exclude"):
            HttpSwitch("p1", url, TOKEN, QUICK).status()

    def test_a_token_that_no_header_can_hold_is_refused(self) -> None:
        with pytest.raises(ConfigurationError):
            HttpSwitch("p1", "http://x", "a\nb", QUICK)


class TestFreqtrade:
    @pytest.mark.parametrize("old", [("/pause",), ("/pause", "/stopentry")])
    def test_an_older_version_stops_its_entries(self, freqtrade: FreqtradeBot, old: tuple[str, ...]) -> None:
        freqtrade.old = old
        switch = switch_of(freqtrade)
        assert switch.stop(Mode.CLOSE_ONLY).done
        assert (freqtrade.state, freqtrade.most) == ("running", 0)
        assert switch.resume().done
        assert freqtrade.most == 3

    def test_one_without_any_pause_is_told(self, freqtrade: FreqtradeBot) -> None:
        freqtrade.old = ("/pause", "/stopentry", "/stopbuy")
        with pytest.raises(CannotKnow, match="no way"):
            switch_of(freqtrade).stop(Mode.CLOSE_ONLY)

    def test_a_stopped_trader_is_not_paused_which_would_start_it(self, freqtrade: FreqtradeBot) -> None:
        freqtrade.state = "stopped"
        assert switch_of(freqtrade).stop(Mode.CLOSE_ONLY).done
        assert freqtrade.state == "stopped"
        assert not [call for call in freqtrade.calls if "pause" in call]

    def test_a_token_that_expired_is_replaced_once(self, freqtrade: FreqtradeBot) -> None:
        switch = switch_of(freqtrade)
        switch.status()
        freqtrade.token = "another"
        assert switch.status().mode is Mode.NORMAL
        assert freqtrade.logins == 2

    @pytest.mark.parametrize("state", ["reload_config", "", None, "RUNNINGISH"])
    def test_a_state_that_is_not_known_is_unknown(self, freqtrade: FreqtradeBot, state: str) -> None:
        freqtrade.state = state
        with pytest.raises(CannotKnow, match="state"):
            switch_of(freqtrade).status()

    def test_a_pair_is_locked_as_the_bot_spells_it(self, freqtrade: FreqtradeBot) -> None:
        assert switch_of(freqtrade).stop(Mode.CLOSE_ONLY, "btc-usdt").done
        assert [lock["pair"] for lock in freqtrade.locks] == ["BTC/USDT"]
        assert switch_of(freqtrade).stop(Mode.CLOSE_ONLY, "SOL/USDT").done
        with pytest.raises(TrueupError, match="no pair"):
            switch_of(freqtrade).stop(Mode.CLOSE_ONLY, "SOLUSDT")

    def test_locks_of_others_are_neither_counted_nor_lifted(self, freqtrade: FreqtradeBot) -> None:
        other = {"id": 1, "pair": "BTC/USDT", "active": True, "reason": "mine", "side": "*"}
        over = {"id": 2, "pair": "BTC/USDT", "active": False, "reason": "trueup", "side": "*"}
        freqtrade.locks = [other, over]
        switch = switch_of(freqtrade)
        assert switch.status(("BTC/USDT",)).of("BTC/USDT") is Mode.NORMAL
        assert switch.stop(Mode.HALT, "BTC/USDT").done
        assert switch.resume("BTC/USDT").done
        assert freqtrade.locks == [other, over]
