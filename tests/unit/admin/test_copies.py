"""The commands `backup` and `restore`."""

import http.server
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.books import Books
from tests.support.forgery import forge
from tests.unit.admin.conftest import Run


def test_a_backup_is_restored(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("backup", str(tmp_path / "b"))
    assert code == 0
    assert f"{tmp_path}/b is complete. Clean: 2 orders" in out
    code, _, err = run("backup", str(tmp_path / "b"))
    assert code == 2
    assert err == f"toy store: {tmp_path}/b/catalog.db is there already; name a new folder for the backup\n"
    code, _, err = run("restore", str(tmp_path / "b"))
    assert code == 2
    assert "all of which is in the backup; move it away yourself" in err
    code, out, _ = run("restore", str(tmp_path / "b"), "--into", str(tmp_path / "r"), "--json")
    assert code == 0
    assert (json.loads(out)["folder"], json.loads(out)["clean"]) == (f"{tmp_path}/r", True)


@pytest.mark.parametrize("into", ["", "elsewhere"])
def test_restore_refuses_the_stores_own_folder_as_the_backup(run: Run, tmp_path: Path, into: str) -> None:
    before = Books.read(tmp_path)
    code, out, err = run("restore", f"{tmp_path}/.", *(["--into", str(tmp_path / into)] if into else []))
    assert (code, out) == (2, "")
    assert err == (
        f"toy store: {tmp_path} is the store's own folder (DATA_DIR) and no backup; name one that backup has made\n"
    )
    assert Books.read(tmp_path) == before and not (tmp_path / "elsewhere").exists()


def test_a_backup_of_a_store_with_a_discrepancy_exits_with_1(run: Run, tmp_path: Path) -> None:
    forge(tmp_path / "catalog.db", "UPDATE products SET quantity = 5 WHERE name = 'Bird'")
    code, out, _ = run("backup", str(tmp_path / "b"))
    assert code == 1
    assert "1 discrepancy" in out and "has 5 pieces in stock, but 98 by its ledger" in out


@pytest.mark.parametrize("variable", ["CATALOG_BIND", "ORDER_BIND", "CATALOG", "ORDER"])
def test_restore_is_refused_while_a_tier_runs(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    tier = variable.removesuffix("_BIND").lower()
    run("backup", str(tmp_path / "b"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "new"))
    server = http.server.HTTPServer(("127.0.0.1", 0), Healthy)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    address = f"127.0.0.1:{server.server_port}"
    try:
        monkeypatch.setenv(variable, address)
        code, _, err = run("restore", str(tmp_path / "b"))
        assert code == 2
        assert err == f"toy store: the {tier} tier runs at {address}: stop the store, or restore --into a folder\n"
        into_data_dir = run("restore", str(tmp_path / "b"), "--into", str(tmp_path / "new"))
        assert into_data_dir[0] == 2, "--into DATA_DIR is refused too"
        assert not (tmp_path / "new").exists()
        assert run("restore", str(tmp_path / "b"), "--into", str(tmp_path / "elsewhere"))[0] == 0
    finally:
        server.shutdown()
        server.server_close()
    assert run("restore", str(tmp_path / "b"))[0] == 0


class Healthy(http.server.BaseHTTPRequestHandler):
    """Answers 200 to every GET, like a running tier."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass
