"""The tables that a copy moves, and the statements that read and write them. Both engines name them alike.

The statements are made from the names below, for each engine reads and writes twelve tables in the same way.
"""

from dataclasses import dataclass

from db.sqlite.snapshots import CATALOG, LOG, File


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the books. Its rows come in the order of its first column, which PostgreSQL numbers by an `identity`.

    The entries of a `dense` table are numbered anew on their way out of PostgreSQL: 1, 2, 3, … A transaction that is
    rolled back leaves a gap there, and the triggers of SQLite allow none. No row refers to these numbers. The columns
    `booleans` are 0 or 1 in SQLite.
    """

    file: File
    name: str
    columns: tuple[str, ...]
    identity: bool = False
    dense: bool = False
    ordered_by_text: bool = False
    booleans: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """Its name in SQL, with its schema."""
        return f"{self.file.schema}.{self.name}"

    @property
    def _columns(self) -> str:
        return ", ".join(self.columns)

    @property
    def _sent_columns(self) -> list[str]:
        return [_NUMBER.format(column=column) if column in self.booleans else column for column in self.columns]

    @property
    def _order(self) -> str:
        template = _BY_TEXT if self.ordered_by_text else _BY_NUMBER
        return template.format(table=self.full_name, column=self.columns[0])

    @property
    def unload(self) -> str:
        """The statement by which PostgreSQL sends all rows, with their new numbers."""
        first, *others = self._sent_columns
        number = _NUMBERED.format(column=first) if self.dense else first
        return _UNLOAD.format(columns=", ".join([number, *others]), table=self.full_name, order=self._order)

    @property
    def unload_as_is(self) -> str:
        """The statement by which PostgreSQL sends all rows as they are."""
        return _UNLOAD.format(columns=", ".join(self._sent_columns), table=self.full_name, order=self._order)

    @property
    def load(self) -> str:
        """The statement by which PostgreSQL receives rows."""
        return _LOAD.format(columns=self._columns, table=self.full_name)

    @property
    def select(self) -> str:
        """The statement that reads all rows from SQLite's file, which is attached under the name of the schema."""
        return _SELECT.format(columns=self._columns, table=self.full_name, order=self.columns[0])

    @property
    def insert(self) -> str:
        """The statement that writes a row into SQLite's file."""
        return _INSERT.format(columns=self._columns, table=self.name, values=", ".join("?" * len(self.columns)))


_NUMBER = "{column}::integer"
_NUMBERED = "row_number() OVER (ORDER BY {column}) AS {column}"
# With its table: the name alone would be the new number, by which the rows would be sorted once more.
_BY_NUMBER = "{table}.{column}"
# The order of bytes, as SQLite has it, and not that of the locale.
_BY_TEXT = '{table}.{column} COLLATE "C"'
_UNLOAD = "COPY (SELECT {columns} FROM {table} ORDER BY {order}) TO STDOUT"
_LOAD = "COPY {table} ({columns}) FROM STDIN"
_SELECT = "SELECT {columns} FROM {table} ORDER BY {order}"
_INSERT = "INSERT INTO {table} ({columns}) VALUES ({values})"

# Referenced tables come before those that refer to them.
TABLES = (
    Table(CATALOG, "store", ('"only"', "id")),
    Table(
        CATALOG,
        "products",
        ("name", "price_cents", "quantity", "retired", "folded"),
        ordered_by_text=True,
        booleans=("retired",),
    ),
    Table(
        CATALOG,
        "stock_ledger",
        ("entry", "product", "delta", "balance", "reason", "key", "price_cents", "time", "note", "sale"),
        identity=True,
        dense=True,
    ),
    Table(
        CATALOG,
        "product_history",
        ("entry", "product", "what", "price_cents", "key", "time"),
        identity=True,
        dense=True,
    ),
    Table(CATALOG, "refused", ("key", "product", "quantity", "reason", "time"), ordered_by_text=True),
    Table(
        CATALOG,
        "accepted_discrepancies",
        ("entry", "fingerprint", "promise", "subject", "finding", "note", "accepted_by", "key", "time"),
        identity=True,
        dense=True,
    ),
    Table(LOG, "store", ('"only"', "id")),
    Table(LOG, "orders", ("number", "key", "product", "quantity", "price_cents", "time")),
    Table(LOG, "refused", ("key", "product", "quantity", "reason", "time"), ordered_by_text=True),
    Table(LOG, "intents", ("begun", "key", "product", "quantity", "time"), identity=True),
    Table(LOG, "returns", ("entry", "key", "number", "quantity", "note", "time"), identity=True, dense=True),
    Table(LOG, "return_intents", ("begun", "key", "number", "quantity", "note", "time"), identity=True),
)
