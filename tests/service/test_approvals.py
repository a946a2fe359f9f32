"""Plans of the backfill: proposed by one, approved by another, applied exactly as approved; each step on record."""

from dataclasses import replace

import pytest
from tests.ledger.bot import Bot, row, sold

from trueup.core.errors import ConfigurationError, Refused, UnknownName
from trueup.service import approvals, undo
from trueup.service.app import App


@pytest.fixture
def operator(bot: Bot) -> App:
    """Give the App of a paused bot with a proven ghost, in an operator's name."""
    bot.sells(sold("v-1", client_order_id="bytelyst-p1-TRD-GHOST-exit"))
    app = bot.ready(row("TRD-GHOST"), row("TRD-LOST", "2", symbol="ETH/USD"))
    return replace(app, actor="api:operator")


@pytest.fixture
def approver(operator: App) -> App:
    """Give the same App in somebody else's name."""
    return replace(operator, actor="api:approver")


def single(app: App) -> App:
    """The App of a single operator, who needs nobody else."""
    return replace(app, safety=replace(app.safety, policy=replace(app.safety.policy, four_eyes=False)))


def proposed(app: App) -> str:
    return approvals.propose(app, ["p1"], note="look").plan_hash


def booked(bot: Bot) -> list[object]:
    return [found["status"] for found in bot.db.rows("SELECT status FROM orders WHERE order_id LIKE 'BFILL-%'")]


def test_a_plan_goes_from_proposal_to_apply(operator: App, approver: App, bot: Bot) -> None:
    name = proposed(operator)
    plan = approvals.plan_of(operator, name)
    assert (plan.state, plan.note, plan.profiles, plan.proposed.actor) == (
        "propose", "look", ("p1",), "api:operator",
    )  # fmt: skip
    assert {row["decision"] for row in approvals.rows_of(operator, plan)} == {"DRY_RUN", "NO_GO"}
    assert approvals.approve(approver, name, "seen").state == "approve"
    assert len(approvals.apply(operator, name).profiles["p1"].inserted) == 1
    done = approvals.plan_of(operator, name)
    assert (done.state, len(done.applied_batches), booked(bot)) == ("apply", 1, ["filled"])
    assert [step.step for step in done.steps] == ["propose", "approve", "apply"]
    assert [plan.plan_hash for plan in approvals.plans(operator)] == [name]


def test_without_an_approval_nothing_is_applied(operator: App, approver: App, bot: Bot) -> None:
    name = proposed(operator)
    with pytest.raises(Refused, match="not approved"):
        approvals.apply(operator, name)
    approvals.approve(approver, name)
    approvals.decline(approver, name, "wait")
    with pytest.raises(Refused, match="declined"):
        approvals.apply(operator, name)
    assert booked(bot) == []
    assert proposed(operator) == name
    assert approvals.plan_of(operator, name).state == "propose"


def test_nobody_approves_their_own_plan(operator: App, approver: App) -> None:
    name = proposed(operator)
    with pytest.raises(Refused, match="somebody else"):
        approvals.approve(operator, name)
    proposed(approver)
    with pytest.raises(Refused, match="somebody else"):
        approvals.approve(approver, name)


def test_where_two_eyes_suffice_no_approval_is_needed(operator: App, bot: Bot) -> None:
    alone = single(operator)
    approvals.apply(alone, proposed(alone))
    assert booked(bot) == ["filled"]
    assert approvals.approve(alone, proposed_again(alone, bot)).state == "approve"


def proposed_again(app: App, bot: Bot) -> str:
    bot.db.orders(row("TRD-NEW", "3", symbol="SOL/USD"))
    return proposed(app)


def test_where_two_eyes_suffice_what_was_declined_is_not_applied(operator: App, bot: Bot) -> None:
    alone = single(operator)
    name = proposed(alone)
    approvals.decline(alone, name, "no")
    with pytest.raises(Refused, match="declined"):
        approvals.apply(alone, name)
    assert booked(bot) == []


def test_a_plan_that_is_stale_books_nothing_and_stays_as_it_was(operator: App, approver: App, bot: Bot) -> None:
    name = proposed(operator)
    approvals.approve(approver, name)
    proposed_again(operator, bot)
    with pytest.raises(Refused, match="stale"):
        approvals.apply(operator, name)
    assert (booked(bot), approvals.plan_of(operator, name).state) == ([], "approve")


def test_an_approval_is_used_once(operator: App, approver: App) -> None:
    name = proposed(operator)
    approvals.approve(approver, name)
    report = approvals.apply(operator, name)
    undo.revert(operator, str(report.profiles["p1"].batch_id), "a trial")
    for act in (approvals.apply, approvals.approve):
        with pytest.raises(Refused, match="applied already"):
            act(approver, name)


def test_a_dry_run_that_left_everybody_out_proposes_nothing(operator: App) -> None:
    shut = replace(operator, backfill=replace(operator.backfill, enabled=False))
    assert approvals.propose(shut, None).profiles["p1"].skipped_reason == "disabled"
    assert approvals.plans(operator) == []


def test_what_is_not_there_or_gives_no_reason_is_refused(operator: App) -> None:
    for act in (approvals.plan_of, approvals.approve, approvals.apply):
        with pytest.raises(UnknownName):
            act(operator, "0" * 64)
    with pytest.raises(UnknownName):
        approvals.decline(operator, "0" * 64, "no")
    with pytest.raises(ConfigurationError, match="reason"):
        approvals.decline(operator, proposed(operator), " ")
