"""The PostgreSQL of `make run-postgres`: when it is refused, and what the banner says of the state."""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from conf.run_postgres import ADDRESS_NAME, lead_admin_here, places, run_postgres, show_order_log
from conf.settings import load, with_database_files
from db.start import StartRefused

ADDRESS = "postgresql://store:hunter2@one,two:5433/toys?connect_timeout=2"


@pytest.mark.parametrize("variable", ["CATALOG_DATABASE", "ORDER_DATABASE"])
def test_the_database_of_another_server_is_refused(tmp_path: Path, variable: str) -> None:
    settings = load({"DATA_DIR": str(tmp_path / "data"), variable: ADDRESS})
    with (
        contextlib.ExitStack() as stack,
        pytest.raises(StartRefused, match="unset CATALOG_DATABASE and ORDER_DATABASE"),
    ):
        run_postgres(settings, stack)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = load({"DATA_DIR": str(tmp_path / "file")})
    with contextlib.ExitStack() as stack, pytest.raises(StartRefused, match=f"^{tmp_path}/file/postgres: PostgreSQL"):
        run_postgres(settings, stack)


def test_the_banner_names_files_and_databases_without_their_passwords(tmp_path: Path) -> None:
    assert places(load({"DATA_DIR": str(tmp_path)})) == [f"{tmp_path}/catalog.db", f"{tmp_path}/order.db"]
    database = "postgresql://one:5432,two:5433/toys"
    mixed = load({"DATA_DIR": str(tmp_path), "ORDER_DATABASE": ADDRESS})
    assert places(mixed) == [f"{tmp_path}/catalog.db", database]
    assert places(load({"CATALOG_DATABASE": ADDRESS, "ORDER_DATABASE": ADDRESS})) == [database]


def test_the_banner_has_a_command_that_shows_the_order_log(tmp_path: Path) -> None:
    settings = load({"DATA_DIR": str(tmp_path)})
    assert show_order_log(settings) == f"sqlite3 -readonly {tmp_path}/order.db 'select * from order_log'"
    file = tmp_path / ADDRESS_NAME
    file.write_text(f"{ADDRESS}\n")
    embedded = with_database_files(settings, {"CATALOG_DATABASE_FILE": str(file), "ORDER_DATABASE_FILE": str(file)})
    assert (embedded.catalog_database, embedded.order_database) == (ADDRESS, ADDRESS)
    assert show_order_log(embedded) == f"psql \"$(cat {file})\" -c 'select * from log.order_log'"
    file.write_text("postgresql://another/one\n")


@pytest.mark.parametrize("is_in_file", [True, False])
def test_the_command_finds_the_address_that_the_operator_has_set(tmp_path: Path, is_in_file: bool) -> None:
    file, program = tmp_path / "address of the log", tmp_path / "psql"
    file.write_text(f"{ADDRESS}\n")
    program.write_text('#!/bin/sh\nprintf %s "$1"\n')
    program.chmod(0o755)
    variables = {"ORDER_DATABASE_FILE": str(file)} if is_in_file else {"ORDER_DATABASE": ADDRESS}
    command = show_order_log(load({"DATA_DIR": str(tmp_path), **variables}))
    environment = {**variables, "PATH": f"{tmp_path}:{os.defpath}"}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == (ADDRESS, "")


def test_the_banner_leads_the_owners_program_to_the_postgresql_of_the_run(tmp_path: Path) -> None:
    file = tmp_path / ADDRESS_NAME
    file.write_text(f"{ADDRESS}\n")
    settings = load({"DATA_DIR": str(tmp_path)})
    assert lead_admin_here(settings) == "", "the state is in files"
    embedded = with_database_files(settings, {"CATALOG_DATABASE_FILE": str(file), "ORDER_DATABASE_FILE": str(file)})
    line = lead_admin_here(embedded)
    variables = dict(word.split("=") for word in line.split("export ")[1].split())
    assert variables == {"CATALOG_DATABASE_FILE": str(file), "ORDER_DATABASE_FILE": str(file)}
    file.write_text("postgresql://another/one\n")
    assert lead_admin_here(embedded) == "", "the operator has set the addresses"
