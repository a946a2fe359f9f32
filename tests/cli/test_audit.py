import csv
import json
from io import StringIO
from pathlib import Path

from tests.cli.program import Program

from trueup.core.audit import GENESIS


def decided(program: Program) -> str:
    return str(program("backfill", "run", "--format", "json").json["profiles"][0]["batch_id"])


class TestVerify:
    def test_names_the_rows_and_the_head(self, program: Program) -> None:
        decided(program)
        document = program("audit", "verify", "--format", "json").json
        assert set(document) == {"ok", "rows", "head", "first_broken"}
        assert (document["ok"], document["rows"], document["first_broken"]) == (True, 2, None)
        answer = program("audit", "verify")
        assert (answer.code, answer.out) == (0, f"whole: 2 rows\nhead {document['head']}\n")

    def test_names_the_first_row_that_is_broken(self, program: Program) -> None:
        decided(program)
        program.bot.db.run("UPDATE reconciliation_backfill_audit SET actor = 'nobody' WHERE CAST(seq AS INTEGER) = 2")
        answer = program("audit", "verify")
        assert answer.code == 1
        assert answer.out.startswith("BROKEN at seq 2: its hash does not fit its content\n")
        document = program("audit", "verify", "--format", "json").json
        assert document["first_broken"] == {"seq": 2, "reason": "its hash does not fit its content"}

    def test_finds_a_tail_that_was_cut_off_by_the_head_it_expects(self, program: Program) -> None:
        decided(program)
        head = program("audit", "verify", "--format", "json").json["head"]
        assert program("audit", "verify", "--expect-head", head).code == 0
        program.bot.db.run("DELETE FROM reconciliation_backfill_audit WHERE CAST(seq AS INTEGER) = 2")
        assert program("audit", "verify").code == 0
        answer = program("audit", "verify", "--expect-head", head)
        assert answer.code == 1
        assert head in answer.out

    def test_of_a_missing_table_says_what_to_do(self, program: Program) -> None:
        program.bot.db.run("DROP TABLE reconciliation_backfill_audit")
        answer = program("audit", "verify")
        assert (answer.code, answer.out) == (2, "")
        assert "trueup init" in answer.err


class TestExport:
    def test_is_a_row_a_line(self, program: Program) -> None:
        decided(program)
        rows = [json.loads(line) for line in program("audit", "export").out.splitlines()]
        assert [row["seq"] for row in rows] == [1, 2]
        assert program("audit", "export", "--format", "jsonl").out == program("audit", "export").out

    def test_in_json_is_one_document_with_the_head(self, program: Program) -> None:
        decided(program)
        document = program("audit", "export", "--format", "json").json
        assert [row["seq"] for row in document["rows"]] == [1, 2]
        assert document["head"] == program("audit", "verify", "--format", "json").json["head"]

    def test_of_an_empty_audit_is_empty(self, program: Program) -> None:
        assert program("audit", "export").out == ""
        assert program("audit", "export", "--format", "json").json == {"rows": [], "head": GENESIS}

    def test_in_csv_is_a_table(self, program: Program) -> None:
        decided(program)
        rows = list(csv.DictReader(StringIO(program("audit", "export", "--format", "csv").out)))
        assert [row["seq"] for row in rows] == ["1", "2"]
        assert {row["dry_run"] for row in rows} == {"true"}
        assert json.loads(rows[0]["metadata"])

    def test_of_one_batch_leaves_the_others_out_and_keeps_the_chains_head(self, program: Program) -> None:
        first, second = decided(program), decided(program)
        document = program("audit", "export", "--batch", first, "--format", "json").json
        assert {row["batch_id"] for row in document["rows"]} == {first}
        assert document["head"] == program("audit", "verify", "--format", "json").json["head"]
        assert second not in program("audit", "export", "--batch", first).out

    def test_into_a_file_leaves_stdout_alone(self, program: Program, tmp_path: Path) -> None:
        decided(program)
        out = tmp_path / "audit.jsonl"
        answer = program("audit", "export", "--out", str(out))
        assert (answer.code, answer.out) == (0, "")
        assert answer.err == f"2 rows written to {out}\n"
        assert out.read_text() == program("audit", "export").out
        assert not list(tmp_path.glob(".audit*"))

    def test_that_fails_leaves_the_file_as_it_was(self, program: Program, tmp_path: Path) -> None:
        decided(program)
        out = tmp_path / "audit.jsonl"
        out.write_text("before")
        program.bot.db.run("UPDATE reconciliation_backfill_audit SET metadata = '{' WHERE CAST(seq AS INTEGER) = 2")
        assert program("audit", "export", "--out", str(out)).code != 0
        assert out.read_text() == "before"
        assert not list(tmp_path.glob(".audit*"))

    def test_into_what_is_not_a_file_writes_through_it(self, program: Program) -> None:
        decided(program)
        assert program("audit", "export", "--out", "/dev/null").code == 0
        assert not Path("/dev/null").is_file()
