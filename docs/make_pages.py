"""Write the pages that are printed from the program's own tables: the rules, flags, events, words.

python docs/make_pages.py          write them
python docs/make_pages.py --check  say which are not current, and exit 1
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from http_routes import http_api

from trueup.core.incidents.classes import FOLLOWING, TELLINGS
from trueup.core.integrity.kinds import KINDS
from trueup.core.integrity.naming import MEANS
from trueup.core.orders import KNOWN_STATUSES, SIDES, Action, Side, StatusClass
from trueup.core.reconcile.table import TABLE
from trueup.core.repair.decisions import REMAINDER_CASES, TRADE_CASES, Case
from trueup.service.events import EVENTS
from trueup.settings import FLAGS
from trueup.surfaces.metrics import METRICS

HERE = Path(__file__).parent
GENERATED = "<!-- Printed by docs/make_pages.py from {source}; change it there. -->\n"

BEFORE_TRADE = """\
# The decision table of the EXIT backfill

For each trade that is open in the ledger, trueup collects the evidence that belongs to it, and then tries these cases
from the top. The first that holds decides; what a trade's case decides, it decides for the whole trade.

## The trade

"""

BETWEEN = """
## What evidence covers

Where none of these held, the trade's evidence is walked oldest first, and each piece is proposed as an EXIT row, up to
what is still open. A proposed row can end in these ways:

| it is | written in a dry run | written in an apply | reason |
|---|---|---|---|
| new | `DRY_RUN` | `PENDING_APPLY`, then `APPLIED` | `eligible`, then `inserted` |
| in the ledger already, by its id | `DRY_RUN` | `PENDING_APPLY`, then `SKIP_EXISTING` | `already_exists` |
| one that an operator took back | `NO_GO` | `NO_GO` | `reverted_by_operator` |
| one that a rule of lifecycle integrity would refuse, by its trade's id | `NO_GO` | `NO_GO` | \
`refused_by_rule:RULE` |
| one with the id of another row of the plan: one trade id, two symbols | `NO_GO` | `NO_GO` | `row_id_not_unique` |
| planned, but the trade changed before the transaction | | `PENDING_APPLY`, then `NO_GO` | `slice_changed` |
| planned, but the run was killed before the transaction | | `PENDING_APPLY`, then `INTERRUPTED` by the next run | \
`interrupted` |

## What remains

If more than 1e-8 stays open after that, these cases are tried from the top. What evidence proved is proposed even
where the remainder is refused.

"""

AFTER_REMAINDER = """
A remainder is dust if it is at most the larger of `RECON_EXIT_BACKFILL_DUST_ABS_QTY` and the trade's open quantity
times `RECON_EXIT_BACKFILL_DUST_REL_PCT`. A symbol is flat if each leg that the venue holds is at most
`RECON_EXIT_BACKFILL_DUST_ABS_QTY`.

## The three policies

`RECON_EXIT_BACKFILL_FLATNESS` says what may be booked while the venue still holds some of the symbol:

| policy | what may be booked |
|---|---|
| `flat` | nothing, until the symbol is flat |
| `explained` | proven exits, whole or not at all, up to what the ledger holds beyond the venue |
| `evidence` | every exit that attributed evidence proves; only dust needs flatness |

Under `explained` the trades are served in the order of their newest rows, oldest first.
"""

BEFORE_RECONCILIATION = """\
# The decision table of the reconciliation

An order of the venue, with all that it replaced, is held against the rows of the ledger that are about it. These rules
are tried from the top; the first that holds decides. The last ones hold for everything that is left, so that every pair
of statuses has an outcome.

Which rows are about which order is told by the exchange order id, in its own column or as the row's id; a client order
id tells it only where no other row does, since bots give one to several orders, one after the other.

| rule | in the ledger | at the venue | what is done | break | why |
| --- | --- | --- | --- | --- | --- |
"""

AFTER_RECONCILIATION = """
A heal is made only if the ledger's position, over every profile of the account, ends between where it was and the
venue's (but for dust and fees), if no trade comes to exit more than it entered, and if no row of the trade
without any id is like what would be booked. Else its break is quarantined with that reason; it is
unresolved where the venue's position is not known.

What is booked of an order: its executions, by its fills where the venue gives them, less what other rows of the ledger
book of it. A price is the order's average, or none.
"""

BEFORE_FLAGS = """\
# The flags

Each is an environment variable, or the same name in lower case in `trueup.toml`: under `[backfill]` or `[reconcile]`,
as the tables below say. The environment wins over the file, and `--apply` and `--dry-run` on the command line win over
both. A value that is not allowed is refused by name (exit code 2), and so is a name that begins like one of these and
is none of them.
"""

BEFORE_BACKFILL_FLAGS = """
## The EXIT backfill: `[backfill]`

"""

BEFORE_RECONCILE_FLAGS = """
## The reconciliation loop: `[reconcile]`

"""

BEFORE_CLASSES = """\
# The classes of mismatches

Each break of an incident is told by the first of these rows that holds; a position by the last one, where an order of
its symbol is told by another.

"""

AFTER_CLASSES = """
A symbol of a profile has the gravest class of its breaks: delay, dup, missing, out_of_order. The class of most symbols
is the primary one, of two equal ones the graver; the next is the secondary one. One unclear break makes the incident
unclear, which is missing together with out_of_order and never a milder class.

## The blast radius, and what contains it

| radius | reaches | contained |
| --- | --- | --- |
| low | one symbol of one profile | the symbol: CLOSE_ONLY where the class is delay or dup alone, else SAFE_MODE |
| medium | several symbols of one profile | the profile in SAFE_MODE |
| high | several profiles, or what nobody owns | the account in SAFE_MODE |
| high | seen in five runs | the next wider scope in SAFE_MODE |

An incident that comes back twice after a repair, that grows in three runs in a row, or in whose runs the audit's new
rows (since the head that the run before recorded) turn out to be no chain, is not
trusted: its scope is in FLATTEN, or in HALT where the account does not allow that.
`TRUEUP_INCIDENT_CONTAINMENT=false` only observes.
"""

BEFORE_KINDS = """\
# The kinds of lifecycle anomalies

`trueup integrity report` walks orders, positions and history against each other, and names what it finds by these
kinds. Quantities are exact decimals, and equal within 1e-8; symbols compare by token, so that BTC/USD and btcusd are
one. One mistake may show as several findings: an exit that lost its trade id leaves its trade open, with no position.

"""

AFTER_KINDS = """
What a history row does not say of symbol or side is not held against it; a closed trade's row has to say both of its
quantities. A row with both quantities zero and no time of closing tells of nothing: so trueup leaves the history of a
trade whose rows were all taken back. A trade with some entries still open needs no history row.

A row that cannot be read (an unknown status, a quantity that is no number, no symbol) is no anomaly but unknown: it is
named, nothing is said about the position of its symbol, and the exit code is 3. Rows without a trade id that somebody
entered by hand (their `source` is set, and is not BOT) belong to no lifecycle. A filled row without a trade id of which
nothing says whose it is (no `source`, and no tag of its profile) is unknown too, until a person decides. Tables that
the ledger lacks are left out, and every answer says so.

## Rows without a trade id

`trueup integrity backfill` gives a row of the bot its trade id by its tags: a client order id names the trade whole; a
sub-tag that may be cut is followed only where exactly one trade of the profile and symbol fits, and only where the row
brings that trade nearer to closed. Rows without a tag are paired by their lifecycle: from flat to flat, by profile,
symbol and side, in canonical time, and only where no trade of that symbol and side that has an id stands in the same
time: the rows could be its own. The id is then `TRD-` and the md5 of `profile:SYMBOL:order id of the first entry`.
Blank ids become NULL.

It changes trade ids, and tells the history of a closed trade that had none; positions are the report's to compare. What
could be read in two ways is left, with one of these reasons; a person decides with `--assign ORDER_ID=TRADE_ID` or
`--manual ORDER_ID`, which write at once: `--dry-run` shows beforehand what they would do, and what `--revert BATCH_ID`
would take back. Rows that are missing in the ledger altogether can mislead any pairing: of an entry and an exit of one
quantity that were both never written nothing in the ledger tells. So reconcile with the venue first. Only profiles that
trueup knows are looked at: name yours in `trueup.toml`, and run `trueup init`.

"""

BEFORE_SAFETY_FLAGS = """
## The gate, the dead-man and incidents: `[safety]`

"""

FLAGS_EXAMPLE = """
## An example

In `trueup.toml`:

```toml
[backfill]
enable_recon_exit_backfill = true
recon_exit_backfill_flatness = "explained"
recon_exit_backfill_profile_allowlist = ["trend", "swing"]

[reconcile]
recon_interval_seconds = 10
enable_recon_watchdog_auto_resume = false
```

## From the environment only

| variable | what it says |
| --- | --- |
| `TRUEUP_CONFIG` | the `trueup.toml` to read, where `--config` names none |
| `TRUEUP_LEDGER_URL` | the ledger's URL; wins over `[ledger] url` |
| `TRUEUP_ALERT_URLS` | where alerts go: [Apprise](https://github.com/caronc/apprise/wiki) URLs with blanks or commas \
between them; secrets, in no output |
| `TRUEUP_LOG_LEVEL` | `debug`, `info`, `warning` or `error`; without it a command that does one thing and ends logs \
nothing, and a server or worker logs from `info` up |
| `TRUEUP_LOG_FORMAT` | `json`, `text` or `auto`: text with colours on a terminal, else JSON |

`trueup doctor` lists every setting that is not at its default, and where it is from.
"""

BEFORE_EVENTS = """\
# What the log says

Every line is one event. For machines it is a JSON object: `timestamp` (UTC), `level`, `event`, the ids of what is going
on (`cycle_id`, `run_id`), and the event's fields. On a terminal the same stands in colours. Logs go to stderr; secrets
that the program knows (keys, passwords, the addresses of alerts) are masked.

`TRUEUP_LOG_LEVEL` and `TRUEUP_LOG_FORMAT` are described with the [flags](flags.md#from-the-environment-only). What
libraries have to say is logged from `warning` up, with its text as the event.

| event | level | fields | what it means |
| --- | --- | --- | --- |
"""

BEFORE_METRICS = """\
# Operations: metrics, alerts, logs

## Metrics

`GET /metrics` of `trueup serve` gives Prometheus all that stands below. It is computed from the database, so that every
server tells the same, whichever worker did the work, and counters survive restarts. What it costs does not grow with
history: figures are added up as runs end. On the loopback it needs no token; elsewhere a viewer's.

```yaml
scrape_configs:
  - job_name: trueup
    authorization: {credentials_file: /etc/prometheus/trueup.token}
    static_configs: [{targets: ["trueup.internal:8787"]}]
```

- `ops/prometheus/rules.yml`: alert rules, with their tests beside them (`promtool test rules rules_test.yml`).
- `ops/grafana/trueup.json`: a dashboard; import it and choose the data source. It is written by
  `ops/grafana/make_dashboard.py`.

**When the loop is not healthy.** One time says so everywhere: DEADMAN_TIMEOUT_SECONDS (90 by default). A newest run of
a profile that ended longer ago makes `/internal/health` say `reconciliationLoopHealthy: false` and `/capabilities`
degraded; the gate falls to the dead-man mode after it; the alert rules TrueupRunOverdue and TrueupHeartbeatOld fire at
its default. Prometheus does not know the flag: where you set it, change these two rules with it, and keep it longer
than RECON_INTERVAL_SECONDS.

**When the venue cannot be read,** a worker asks it less and less: from the second time on it waits twice as long as
the time before, up to twenty times RECON_INTERVAL_SECONDS, and each wait is in the log (`account_backed_off`). The
first reading that is whole ends it. The gate's dead-man may thus last longer than the trouble did; `trueup reconcile`
looks at once.

**When what is read is old.** A ledger can agree with a venue of last week: an export that nobody writes any more, a
cache in between. `trueup_venue_reading_age_seconds` says how old what the newest cycle read is, and
TrueupVenueReadingOld fires after a quarter of an hour; where exports are written less often, change it.

A dry run (`trueup reconcile --dry-run`) is listed among the runs with `dry_run: true` and counted by no figure: it
is no run of the loop, and how old the newest run is does not change by it. Only its calls to the venue are counted,
since they were made. A break that a person acknowledged is in `trueup_breaks` with that state and counted by no other
figure.

A label is a profile, an account, a scope, or a word of a short list: never an id that grows without end. Sums of money
are in quote currency.

"""

AFTER_METRICS = """
A mismatch that stays is found by every run, so that `reconciliation_mismatch_total` grows while it lasts;
`trueup_breaks` says what is there now.

## Alerts

What people must know is put into an outbox in the database (table `alerts`) and carried from there by
[Apprise](https://github.com/caronc/apprise/wiki) to chat, mail, pagers or a webhook. `TRUEUP_ALERT_URLS` names the
targets, with blanks or commas between them; it is a secret, and no output repeats it.

```console
$ export TRUEUP_ALERT_URLS="slack://TOKEN_A/TOKEN_B/TOKEN_C mailto://USER:PASSWORD@example.com"
$ trueup alerts test
$ trueup alerts list --pending
$ trueup alerts deliver
```

Workers deliver by themselves; `trueup alerts deliver` is for those who run trueup from a timer. What holds:

- **Once.** The same thing is told once in `EXCHANGE_STATE_MISMATCH_THROTTLE_MS`; what is seen meanwhile is counted, and
  the count is told with the next message. What comes and goes is not told more often.
- **Louder.** What outlives two runs is told at once with the next higher severity: info, warning, critical.
- **Over.** When it is gone, that is told too, with severity `resolved`; what nobody heard of ends in silence.
- **At least once.** A message is taken, sent, and then marked: after a crash in between it is sent again, two minutes
  later at the earliest. Several processes never send one message at the same moment, and the messages of one thing
  arrive in their order.
- **Each target on its own.** One that is down is tried again after 5 s, 10 s, 20 s … up to every 15 minutes, and the
  others do not get the message twice.

What was delivered is dropped after `RECON_RUNS_KEPT_DAYS`.

## Logs

Logs go to stderr: JSON for machines, colours on a terminal. `trueup serve` and workers log from `info` up; a command
that does one thing and ends is quiet unless `TRUEUP_LOG_LEVEL` is set. Everything that is said within a run carries its
`run_id`. [All events](events.md) stand on a page of their own, the [two variables](flags.md#from-the-environment-only)
with the flags.
"""

BEFORE_STATUSES = """\
# What trueup reads of a ledger row

This is for a bot whose own orders table is attached. A row that says something else than what stands here cannot be
read: its trade is left unresolved, with the reason, and no repair touches it. `trueup doctor` reads the newest rows and
those of open trades, and tells what it cannot read.

## Statuses

Capitals, and whether `-`, `_` or blanks stand between words, make no difference: `Partially Filled` is
`partially_filled`.

"""

AFTER_STATUSES = """
**A dead row counts as nothing executed, whatever quantity it has.** An order that was canceled after a part of it was
executed must be written as `partially_filled` or `filled`, with the executed quantity; otherwise its executions are
taken for missing ones and may be booked again.

On a filled row the quantity is what was executed, not what was ordered.

## Actions and sides

"""

AFTER_SIDES = """
Where `action` is empty, the side tells: the side of the trade's entry enters, the other side leaves.

## Times

`timestamp`, else `filled_at`, else `created_at`, is the time of a row. It may be

- a number since 1970: seconds, milliseconds, microseconds or nanoseconds, told apart by their size;
- ISO 8601 text, with `T` or a blank: `2026-01-02T03:04:05.678Z`, `2026-01-02 03:04:05+01:00`, `2026-01-02 03:04:05`;
- a column of times of the database.

**A time without a zone is UTC.** A bot that writes local time makes its rows look hours older or newer than they are:
then they do not match what the venue says.

## Quantities and prices

- A number, or a number as text: `0.5`, `"0.5"`. Floats are read by their shortest form.
- A negative quantity is refused: the side says which way an order went.
- `qty` and `quantity` are the same; where both are set and differ, the row cannot be read.
- A filled row needs a quantity; a price that is missing or cannot be read blocks nothing.

## Ids

- `order_id` must be a text column, with an id of its own in each row: trueup's rows have text ids (`BFILL-…`).
- `exchange_order_id` or `client_order_id` is what recognises an execution that the bot has booked already. Without
  either, it could be booked a second time.
- `trade_id` ties the rows of a trade together. Filled rows without one are left out, and counted.
"""


def decision_table() -> str:
    """Return the page of the decision table."""
    return "".join(
        (
            GENERATED.format(source="trueup.core.repair.decisions"), BEFORE_TRADE, _cases(TRADE_CASES), BETWEEN,
            _cases(REMAINDER_CASES), AFTER_REMAINDER,
        )
    )  # fmt: skip


def reconciliation_table() -> str:
    """Return the page of the reconciliation's decision table."""
    rows = [
        (
            f"`{rule.name}`",
            rule.ledger,
            rule.venue,
            rule.do.value,
            f"`{rule.kind.value}`" if rule.kind else "",
            rule.why,
        )
        for rule in TABLE
    ]
    source = "trueup.core.reconcile.table"
    return GENERATED.format(source=source) + BEFORE_RECONCILIATION + _rows(rows) + AFTER_RECONCILIATION


def flags() -> str:
    """Return the page of the flags."""
    return "".join(
        (
            GENERATED.format(source="trueup.settings.FLAGS"), BEFORE_FLAGS, BEFORE_BACKFILL_FLAGS, _flags("backfill"),
            BEFORE_RECONCILE_FLAGS, _flags("reconcile"), BEFORE_SAFETY_FLAGS, _flags("safety"), FLAGS_EXAMPLE,
        )
    )  # fmt: skip


def _flags(table: str) -> str:
    rows = [(f"`{flag.name}`", f"`{flag.default}`" if flag.default else "empty", flag.allowed, flag.meaning)
            for flag in FLAGS if flag.table == table]  # fmt: skip
    return _table(("flag", "default", "allowed", "what it does"), rows)


def events() -> str:
    """Return the page of the log's events."""
    rows = [
        (f"`{event.name}`", event.level, ", ".join(f"`{name}`" for name in event.fields), event.meaning)
        for event in EVENTS
    ]
    return GENERATED.format(source="trueup.service.events") + BEFORE_EVENTS + _rows(rows)


def incident_classes() -> str:
    """Return the page of what a mismatch is told by."""
    rows = [
        (str(number), f"`{row.name}`", f"`{row.pattern}`" if row.pattern is not None else "unclear", row.why)
        for number, row in enumerate((*TELLINGS, FOLLOWING), 1)
    ]
    table = _table(("", "signal", "tells", "why"), rows)
    return GENERATED.format(source="trueup.core.incidents.classes") + BEFORE_CLASSES + table + AFTER_CLASSES


def operations() -> str:
    """Return the page of metrics, alerts and logs."""
    rows = [
        (f"`{metric.name}`", metric.kind, ", ".join(f"`{label}`" for label in metric.labels), metric.meaning)
        for metric in METRICS
    ]
    table = _table(("metric", "kind", "labels", "what it is"), rows)
    return GENERATED.format(source="trueup.surfaces.metrics.METRICS") + BEFORE_METRICS + table + AFTER_METRICS


def integrity_kinds() -> str:
    """Return the page of the kinds of lifecycle anomalies, and of why a row is left without a trade id."""
    kinds = [
        (f"`{row.kind}`", row.when, row.why, f"{row.resolves}{f': `{row.command}`' if row.command else ''}")
        for row in KINDS
    ]
    reasons = [(f"`{why}`", words) for why, words in MEANS.items()]
    return "".join(
        (
            GENERATED.format(source="trueup.core.integrity.kinds and trueup.core.integrity.naming"), BEFORE_KINDS,
            _table(("kind", "when", "why it matters", "what resolves it"), kinds), AFTER_KINDS,
            _table(("reason", "what it means"), reasons),
        )
    )  # fmt: skip


def ledger_rows() -> str:
    """Return the page of what a ledger row may say."""
    meanings = {
        StatusClass.FILLED: "executed, wholly or in part", StatusClass.WORKING: "may still execute; blocks its trade",
        StatusClass.DEAD: "over, and nothing was executed",
    }  # fmt: skip
    statuses = [(kind.value, ", ".join(f"`{name}`" for name in KNOWN_STATUSES[kind]), meanings[kind])
                for kind in KNOWN_STATUSES]  # fmt: skip
    words = [("action", ", ".join(f"`{action.value}`" for action in Action), "in capitals or not")]
    words += [
        (f"side: {side.value}", ", ".join(f"`{name}`" for name, meant in SIDES.items() if meant is side),
         "compared as statuses are")
        for side in Side
    ]  # fmt: skip
    return "".join(
        (
            GENERATED.format(source="trueup.core.orders"), BEFORE_STATUSES,
            _table(("class", "words", "what it means"), statuses), AFTER_STATUSES,
            _table(("column", "words", ""), words), AFTER_SIDES,
        )
    )  # fmt: skip


def _cases(cases: Iterable[Case]) -> str:
    rows = [(case.when, f"`{case.outcome.value}`", _reason(case), case.why) for case in cases]
    return _table(("when", "decision", "reason", "why"), rows)


def _reason(case: Case) -> str:
    special = {
        "unreadable_rows": "`quantity_columns_disagree` or `malformed_ledger_row`",
        "exchange_not_flat": "`exchange_not_flat:QTY`, with what the venue holds",
        "would_overshoot_venue": "`would_overshoot_venue:EXCESS`, with what was left to take",
    }
    return special.get(case.name, f"`{case.name}`")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return _rows([head, ["---"] * len(head), *rows])


def _rows(lines: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


PAGES = {
    "decision-table.md": decision_table, "events.md": events, "flags.md": flags, "http-api.md": http_api,
    "incident-classes.md": incident_classes, "integrity-kinds.md": integrity_kinds, "ledger-rows.md": ledger_rows,
    "operations.md": operations, "reconciliation-table.md": reconciliation_table,
}  # fmt: skip


def stale() -> list[str]:
    """Return the pages that are not what the program's tables say."""
    return [
        name for name, page in PAGES.items()
        if not (HERE / name).exists() or (HERE / name).read_text(encoding="utf-8") != page()
    ]  # fmt: skip


def main() -> int:
    """Write the pages, or check them."""
    if "--check" in sys.argv[1:]:
        for name in stale():
            sys.stderr.write(f"docs/{name} is not current: run python docs/make_pages.py\n")
        return 1 if stale() else 0
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
