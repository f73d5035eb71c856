"""The results of the benchmarks in JSON, in the report of the peers, and in the documents."""

from pathlib import Path

import pytest

from bench import bars, documents
from bench.peers.measure import Cell
from bench.peers.report import markdown
from bench.peers.results import read_json, write_json
from tests.unit.bench.sample_results import make_load, make_results


def test_the_table_marks_a_system_that_broke_a_promise_as_void() -> None:
    cell = Cell(32, "buy", "hot")
    results = make_results({cell: [make_load(1_000)]}, {cell: [make_load(500)]}, {"store": "I2: it oversold"})
    text = markdown(results)
    assert "runs in which a promise was broken" in {bar.what for bar in bars.of_peers(results) if not bar.is_met}
    assert "VOID: store broke a promise: I2: it oversold" in text
    assert "| 32 | store (VOID) | buy | hot | 500 | 500 | 0.50 | 0.50 |" in text


def test_read_json_returns_the_written_results(tmp_path: Path) -> None:
    cells = {Cell(clients, "buy", "hot"): [make_load(10.5), make_load(7)] for clients in (1, 32)}
    results = make_results(cells, cells, {"store": "I1"})
    write_json(results, tmp_path / "results.json")
    assert read_json(tmp_path / "results.json") == results


def test_the_report_has_the_cpu_share_of_other_programs_for_each_round() -> None:
    cells = {
        Cell(clients, "buy", "hot"): [make_load(10, others=others), make_load(10)]
        for clients, others in ((1, 0.1), (32, 0.3))
    }
    assert "round by round: 20% (at most 30% beside one load), 0% (at most 0% beside one load)." in markdown(
        make_results(cells, cells)
    )


@pytest.mark.parametrize("document", documents.DOCUMENTS, ids=lambda path: path.name)
def test_a_document_has_the_measured_figures(document: Path) -> None:
    """When it fails, `make bench-documents` updates the documents."""
    text = document.read_text()
    assert "<!-- measured: " in text
    assert documents.filled(text) == text
