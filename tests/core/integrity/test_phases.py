"""Where a ledger stands, and what is allowed then."""

from dataclasses import replace

import pytest

from trueup.core.integrity.phases import Kind, Phase, Stage, Standing, State, Thing, may, next_step

RULE = Thing("chk_a", "orders", Kind.CONSTRAINT, State.NOT_VALID, "a rule", ours=True)
INDEX = Thing("idx_a", "orders", Kind.INDEX, State.VALID, "an index", ours=True)
APPLIED = Standing((RULE, INDEX), snapshot=1, snapshot_at="then", last="apply")


def standing(rule: State = State.NOT_VALID, index: State = State.VALID, **more: object) -> Standing:
    things = (replace(RULE, state=rule), replace(INDEX, state=index))
    return replace(APPLIED, things=things, **more)  # type: ignore[arg-type]  # the test names the fields


@pytest.mark.parametrize(
    ("found", "stage", "command"),
    [
        (standing(State.MISSING, State.MISSING, snapshot=None, last=None), Stage.NOTHING, "snapshot"),
        (standing(State.MISSING, State.MISSING, last=None), Stage.SNAPSHOT, "apply"),
        (standing(State.NOT_VALID, State.MISSING), Stage.PARTLY_APPLIED, "apply"),
        (standing(State.NOT_VALID, State.UNFINISHED), Stage.PARTLY_APPLIED, "apply"),
        (standing(State.UNFINISHED, State.VALID), Stage.PARTLY_APPLIED, "apply"),
        (standing(), Stage.APPLIED, "backfill --dry-run"),
        (standing(snapshot=None), Stage.APPLIED, "snapshot"),
        (standing(State.VALID), Stage.VALIDATED, None),
        (standing(State.MISSING, last="rollback"), Stage.ROLLED_BACK, "apply"),
        (standing(State.MISSING, last="rollback", ever_applied=False), Stage.SNAPSHOT, "apply"),
        (standing(State.MISSING, last="rollback", ever_applied=False, snapshot=None), Stage.NOTHING, "snapshot"),
        (standing(State.NOT_VALID, last="rollback", unended=True), Stage.APPLIED, "rollback"),
        (standing(State.NOT_VALID, last="rollback", unended=True, running=True), Stage.APPLIED, "backfill --dry-run"),
        (standing(State.MISSING, writable=False), Stage.SNAPSHOT, "report"),
    ],
)
def test_the_stage_follows_from_what_is_there_and_the_next_step_from_the_stage(
    found: Standing, stage: Stage, command: str | None
) -> None:
    told, why = next_step(found)
    assert found.stage is stage
    assert told == (f"trueup integrity {command}" if command is not None else None)
    assert why


def test_apply_needs_a_snapshot() -> None:
    refused = may(Phase.APPLY, standing(State.MISSING, snapshot=None))
    assert not refused.allowed
    assert "snapshot" in refused.do
    assert may(Phase.APPLY, standing(State.MISSING)).allowed


@pytest.mark.parametrize("phase", [Phase.BACKFILL, Phase.VALIDATE])
@pytest.mark.parametrize("found", [standing(State.MISSING), standing(index=State.UNFINISHED)])
def test_what_follows_apply_needs_all_of_it_and_names_what_is_missing(phase: Phase, found: Standing) -> None:
    refused = may(phase, found)
    assert not refused.allowed
    assert found.missing[0] in refused.why
    assert "apply" in refused.do
    assert may(phase, standing()).allowed


def test_validate_needs_a_clean_report() -> None:
    assert not may(Phase.VALIDATE, standing(), clean=False).allowed
    assert may(Phase.VALIDATE, standing(), clean=True).allowed


@pytest.mark.parametrize("state", [State.NOT_VALID, State.VALID])
def test_a_rule_that_somebody_changed_is_no_rule_until_it_is_dropped(state: State) -> None:
    rule = replace(RULE, state=state)
    changed = replace(APPLIED, things=(rule, replace(rule, name="chk_b", changed=True)))
    assert changed.stage is Stage.PARTLY_APPLIED
    told, why = next_step(changed)
    assert (told, "chk_b was changed" in why, "Drop" in why) == ("trueup integrity apply", True, True)
    refused = may(Phase.VALIDATE, changed, clean=True)
    assert (refused.allowed, "chk_b" in refused.why, "chk_a" in refused.why) == (False, True, False)


def test_nothing_is_claimed_of_a_rule_that_trueup_did_not_add() -> None:
    theirs = replace(RULE, name="chk_b", state=State.VALID, ours=False)
    of_ours, of_theirs = standing(State.VALID), replace(standing(State.VALID), things=(theirs, INDEX))
    assert next_step(of_ours) == (None, "Every rule holds for every row, and every index is there.")
    told, why = next_step(of_theirs)
    assert (told, "chk_b" in why, "Every rule holds" in why) == (None, True, False)


@pytest.mark.parametrize("phase", list(Phase))
def test_a_ledger_that_is_attached_read_only_is_looked_at_and_not_changed(phase: Phase) -> None:
    reads = phase in (Phase.SNAPSHOT, Phase.REPORT)
    assert may(phase, standing(writable=False)).allowed is reads


def test_rollback_drops_what_is_ours_and_unchanged_and_of_indexes_the_unfinished_alone() -> None:
    theirs = replace(RULE, name="chk_b", ours=False)
    changed = replace(RULE, name="chk_c", changed=True)
    gone = replace(RULE, name="chk_d", state=State.MISSING)
    rest = replace(INDEX, name="idx_b", state=State.UNFINISHED)
    assert Standing((RULE, theirs, changed, gone, INDEX, rest)).to_drop == ("chk_a", "idx_b")
