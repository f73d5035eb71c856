"""The page of the takings: pieces and revenue by product and by day, net of returns, as tables and as a chart."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from domain.errors import Invalid
from domain.owner import OwnerOrders, Selection
from domain.owner_csv import encode_takings
from domain.owner_json import encode_takings_sum
from domain.selections import day_after
from domain.takings import TakingsSum, sorted_by_revenue, sum_takings, sums_by
from domain.values import parse_name
from wsgi_apps.base import Request, Rule
from wsgi_apps.pages.desk.chart import Chart, Point, draw_bars
from wsgi_apps.pages.desk.csv_export import csv_reply
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
        sums = sums_by(takings, lambda one: period.name_of(one.day))
        by_time = sorted(sums.items(), reverse=True)
        by_product = sorted_by_revenue(sums_by(takings, lambda one: one.product))
        total = sum_takings(takings)
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
                "total": _encode("total", total),
                f"by_{period.unit}": [_encode(*named) for named in by_time],
                "by_product": [_encode(*named) for named in by_product],
            }},
            here=TAKINGS,
            query=values,
            problem="",
            total=total,
            unit=period.unit,
            by_time=by_time,
            by_product=by_product[:MAX_PRODUCTS],
            more_products=len(by_product[MAX_PRODUCTS:]),
            chart=self._draw(period, sums),
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

    def _draw(self, period: Period, sums: Mapping[str, TakingsSum]) -> str:
        """Returns the chart of the net revenue. A day without a sale has a place in it, too."""
        points = []
        names = period.names(sums) if sums else ()
        for place, name in enumerate(names):
            here = sums.get(name, TakingsSum())
            title = f"{name}: {money(here.net_cents, self._currency)}, {pieces(here.net)}"
            points.append(Point(place, here.net_cents, name[5:] if period.unit == "day" else name, title))
        if not points:
            return ""
        best = max(points, key=lambda point: point.value)
        desc = f"One bar for each {period.unit} from {period.first} to {period.last} (UTC). The most: {best.title}."
        chart = Chart("takings-chart", f"Net revenue by {period.unit}", desc, lambda cents: money(cents))
        return draw_bars(chart, points)


def _encode(name: str, total: TakingsSum) -> dict[str, Any]:
    """Returns the sum of a product, of a day or a month, or of all as JSON."""
    return {"name": name, **encode_takings_sum(total)}
