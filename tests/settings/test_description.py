"""What `describe` tells of the settings: every value that holds, and where it is from."""

from dataclasses import replace
from pathlib import Path

from tests.settings.files import read

from trueup.settings import FLAGS, LedgerSettings, Settings, describe

CONTENT = """
[ledger]
url = "postgresql://u:hush@h/d"
state_url = "sqlite:///state.db"
columns = { qty = "amount", price = "px" }
[[accounts]]
name = "main"
venue = "file:a@b:c.json"
symbol_aliases = { XBT = "BTC" }
key_env = "THE_KEY"
[[profiles]]
id = "p"
user_id = "u"
managed_symbols = "BTC/USD,ETH/USD"
allocated_capital = "1000.50"
enabled = false
[backfill]
enable_recon_exit_backfill = true
recon_exit_backfill_lookback_hours = 1.5
recon_exit_backfill_dry_run = false
"""


def test_every_value_with_its_source(tmp_path: Path) -> None:
    environ = {"RECON_EXIT_BACKFILL_DRY_RUN": "1", "RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST": "q,p"}
    rows = describe(read(tmp_path, CONTENT, **environ))
    assert rows[:13] == [
        ("ledger.url", "postgresql+psycopg://u:***@h/d", "file"),
        ("ledger.kind", "native", "default"),
        ("ledger.orders_table", "orders", "default"),
        ("ledger.columns", "qty = amount, price = px", "file"),
        ("ledger.state_url", f"sqlite:///{tmp_path}/state.db", "file"),
        ("accounts.main.venue", f"file:{tmp_path}/a@b:c.json", "file"),
        ("accounts.main.symbol_aliases", "XBT = BTC", "file"),
        ("accounts.main.key_env", "THE_KEY", "file"),
        ("profiles.p.account", "main", "default"),
        ("profiles.p.user_id", "u", "file"),
        ("profiles.p.managed_symbols", "BTC/USD, ETH/USD", "file"),
        ("profiles.p.allocated_capital", "1000.5", "file"),
        ("profiles.p.enabled", "false", "file"),
    ]
    flags = {name: (value, source) for name, value, source in rows[13:]}
    assert flags.pop("ENABLE_RECON_EXIT_BACKFILL") == ("true", "file")
    assert flags.pop("RECON_EXIT_BACKFILL_LOOKBACK_HOURS") == ("1.5", "file")
    assert flags.pop("RECON_EXIT_BACKFILL_DRY_RUN") == ("true", "env")
    assert flags.pop("RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST") == ("p, q", "env")
    assert flags == {flag.name: (flag.default, "default") for flag in FLAGS if flag.name in flags}


def test_the_ledger_of_the_environment(tmp_path: Path) -> None:
    rows = describe(read(tmp_path, CONTENT, TRUEUP_LEDGER_URL="postgres://v:hush@h/e"))
    assert rows[0] == ("ledger.url", "postgresql+psycopg://v:***@h/e", "env")


def test_what_was_changed_afterwards_is_told_as_it_is() -> None:
    settings = Settings(LedgerSettings("sqlite:////a.db"))
    changed = replace(settings, backfill=replace(settings.backfill, dry_run=False))
    rows = {name: value for name, value, _ in describe(changed)}
    assert rows["RECON_EXIT_BACKFILL_DRY_RUN"] == "false"
    assert rows["RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST"] == "every profile"


def test_of_alert_targets_only_their_number_is_told(tmp_path: Path) -> None:
    environ = {"TRUEUP_ALERT_URLS": "json://u:hush-hush@h/p, slack://tokena/b", "TRUEUP_LOG_LEVEL": "INFO"}
    settings = read(tmp_path, CONTENT, **environ)
    rows = {name: (value, source) for name, value, source in describe(settings)}
    assert rows["TRUEUP_ALERT_URLS"] == ("2 targets", "env")
    assert rows["TRUEUP_LOG_LEVEL"] == ("info", "env")
    assert "hush" not in repr(settings)
