"""The page of the takings: pieces and revenue by product and by day, net of returns, as tables and as a chart."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from domain.errors import Invalid
from domain.owner import OwnerOrders, Selection, Takings
from domain.selections import day_after
from domain.values import parse_name
from wsgi_apps.base import Request, Rule
from wsgi_apps.pages.desk.chart import Chart, Point, draw_bars
from wsgi_apps.pages.desk.csv_export import csv_reply, encode_takings
from wsgi_apps.pages.desk.fields import parse_day_range, read_query
from wsgi_apps.pages.desk.formats import pieces
from wsgi_apps.pages.desk.view import ORDER_TIER, View, asking
from wsgi_apps.pages.money import money
from wsgi_apps.reply import Reply

TAKINGS = "/takings"
# The days that are shown when none are chosen, today included.
DAYS = 30
# Of more days than these, the takings of a month are one line, and one bar.
MAX_DAYS = 92
# More products are in the CSV and the JSON, and in the sums.
MAX_PRODUCTS = 500

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Line:
    """The takings under one name: a product, a day, a month, or everything."""

    name: str
    sold: int = 0  # pieces
    sold_cents: int = 0
    returned: int = 0  # pieces
    returned_cents: int = 0

    @property
    def net(self) -> int:
        """The pieces that were sold and not given back."""
        return self.sold - self.returned

    @property
    def net_cents(self) -> int:
        """The revenue without what was given back."""
        return self.sold_cents - self.returned_cents

    def encode(self) -> dict[str, Any]:
        """Returns the line as JSON."""
        return {
            "name": self.name,
            "sold": self.sold,
            "revenue_cents": self.sold_cents,
            "returned": self.returned,
            "refunded_cents": self.returned_cents,
            "net_quantity": self.net,
            "net_revenue_cents": self.net_cents,
            "net_revenue": self.net_cents / 100,
        }


@dataclass(frozen=True, slots=True)
class Period:
    """The days that are asked for, as text; both are included."""

    first: str
    last: str
    selection: Selection
    unit: str  # day or month: what a line of the table and a bar stand for

    def names(self, lines: Iterable[str]) -> Sequence[str]:
        """Returns the places of a chart with these lines: each day of the range, or each month between lines."""
        day, last = date.fromisoformat(self.first), date.fromisoformat(self.last)
        if self.unit == "month":
            day, last = date.fromisoformat(f"{min(lines)}-01"), date.fromisoformat(f"{max(lines)}-01")
        names = []
        while day <= last:
            names.append(self.name_of(day.isoformat()))
            # 32 days after the first of a month is in the next one.
            day = day + timedelta(days=1) if self.unit == "day" else (day + timedelta(days=32)).replace(day=1)
        return names

    def name_of(self, day: str) -> str:
        """Returns the name of the line that a day belongs to."""
        return day if self.unit == "day" else day[:7]


class TakingsPage:
    """Shows the takings of a range of days."""

    def __init__(
        self, orders: OwnerOrders, view: View, currency: str | None, clock: Clock = lambda: datetime.now(UTC)
    ) -> None:
        self._orders = orders
        self._view = view
        self._currency = currency
        self._clock = clock

    def rules(self) -> list[Rule]:
        """Returns the rules of the page."""
        return [
            Rule(TAKINGS, methods=["GET"], endpoint=self._view.page(self.show), takes_query=True),
            Rule(f"{TAKINGS}.csv", methods=["GET"], endpoint=self._view.page(self.export), takes_query=True),
        ]

    def show(self, request: Request) -> Reply:
        """Shows the takings."""
        query = read_query(request, "from", "to", "product")
        try:
            period = self._period(query)
            with asking(ORDER_TIER):
                takings = self._orders.takings(period.selection)
        except Invalid as error:
            return self._view.error(
                request, "takings.html", error, here=TAKINGS, query=query, problem=error.message, total=None
            )  # fmt: skip
        by_time = _sum(takings, lambda line: period.name_of(line.day))
        by_product = sorted(_sum(takings, lambda line: line.product).values(), key=lambda line: -line.net_cents)
        total = _sum(takings, lambda _: "total").get("total", Line("total"))
        values = {
            "from": period.first,
            "to": period.last,
            **({"product": query["product"]} if "product" in query else {}),
        }
        return self._view.show(
            request,
            "takings.html",
            lambda: {"data": {
                "from": period.first,
                "to": period.last,
                "product": query.get("product"),
                "total": total.encode(),
                f"by_{period.unit}": [line.encode() for _, line in sorted(by_time.items(), reverse=True)],
                "by_product": [line.encode() for line in by_product],
            }},
            here=TAKINGS,
            query=values,
            problem="",
            total=total,
            unit=period.unit,
            by_time=[line for _, line in sorted(by_time.items(), reverse=True)],
            by_product=by_product[:MAX_PRODUCTS],
            more_products=len(by_product[MAX_PRODUCTS:]),
            chart=self._draw(period, by_time),
            csv=f"{TAKINGS}.csv?{urlencode(values)}",
            ranges=self._ranges(query.get("product")),
        )  # fmt: skip

    def export(self, request: Request) -> Reply:
        """Sends the takings of each day and product as CSV."""
        period = self._period(read_query(request, "from", "to", "product"))
        with asking(ORDER_TIER):
            takings = self._orders.takings(period.selection)
        return csv_reply("takings.csv", iter([encode_takings(takings)]))

    def _period(self, query: Mapping[str, str]) -> Period:
        """Returns the days of a query string. Raises Invalid."""
        first, last = parse_day_range(query, last=self._clock().date())
        assert last is not None
        first = first or last - timedelta(days=DAYS - 1)
        product = parse_name(query["product"]) if "product" in query else None
        selection = Selection(product=product, since=first.isoformat(), until=day_after(last))
        unit = "day" if (last - first).days < MAX_DAYS else "month"
        return Period(first.isoformat(), last.isoformat(), selection, unit)

    def _ranges(self, product: str | None) -> list[tuple[str, str]]:
        """Returns the links to ranges of days that are asked for often."""
        today = self._clock().date()
        starts = {
            "Today": today,
            "7 days": today - timedelta(days=6),
            f"{DAYS} days": today - timedelta(days=DAYS - 1),
            "This month": today.replace(day=1),
            "This year": today.replace(month=1, day=1),
        }
        extra = {} if product is None else {"product": product}
        return [
            (name, f"{TAKINGS}?{urlencode({'from': start, 'to': today, **extra})}") for name, start in starts.items()
        ]

    def _draw(self, period: Period, lines: Mapping[str, Line]) -> str:
        """Returns the chart of the net revenue. A day without a sale has a place in it, too."""
        points = []
        names = period.names(lines) if lines else ()
        for place, name in enumerate(names):
            line = lines.get(name, Line(name))
            title = f"{name}: {money(line.net_cents, self._currency)}, {pieces(line.net)}"
            points.append(Point(place, line.net_cents, name[5:] if period.unit == "day" else name, title))
        if not points:
            return ""
        best = max(points, key=lambda point: point.value)
        desc = f"One bar for each {period.unit} from {period.first} to {period.last} (UTC). The most: {best.title}."
        chart = Chart("takings-chart", f"Net revenue by {period.unit}", desc, lambda cents: money(cents))
        return draw_bars(chart, points)


def _sum(takings: Iterable[Takings], name_of: Callable[[Takings], str]) -> dict[str, Line]:
    """Returns the sums of the takings under each name."""
    lines: dict[str, Line] = {}
    for one in takings:
        name = name_of(one)
        line = lines.get(name, Line(name))
        lines[name] = Line(
            name,
            line.sold + one.sold,
            line.sold_cents + one.sold_cents,
            line.returned + one.returned,
            line.returned_cents + one.returned_cents,
        )
    return lines
