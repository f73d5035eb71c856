"""The charts: no, one and many points, negative and large values, and nothing that the pages' policy forbids."""

import re
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from wsgi_apps.pages.desk.chart import HEIGHT, WIDTH, Chart, Point, draw_bars, draw_steps

Draw = Callable[[Chart, Sequence[Point]], Markup]

CHART = Chart("c", "A <title>", 'What it "says"', lambda value: f"{value:,}")
SVG_NUMBERS = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def points(*values: int) -> list[Point]:
    return [Point(place, value, f"day {place}", f"day {place}: {value}") for place, value in enumerate(values)]


@pytest.mark.parametrize("draw", [draw_steps, draw_bars])
def test_without_a_value_nothing_is_drawn(draw: Draw) -> None:
    assert draw(CHART, []) == ""


@pytest.mark.parametrize("draw", [draw_steps, draw_bars])
@pytest.mark.parametrize(
    "values",
    [(0,), (5,), (-5,), (0, 0, 0), (1, 2, 3), (-3, 4), tuple(range(400)), (10**17, 0, -(10**17)), (10**20,)],
    ids=str,
)
def test_all_that_is_drawn_is_within_the_drawing(draw: Draw, values: tuple[int, ...]) -> None:
    root = ElementTree.fromstring(draw(CHART, points(*values)))
    for element in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(element.get(name, 0)) <= WIDTH
        for name in ("y", "y1", "y2", "cy"):
            assert 0 <= float(element.get(name, 0)) <= HEIGHT
        if element.tag == "rect":
            assert float(element.get("height", -1)) >= 0
            assert float(element.get("y", 0)) + float(element.get("height", 0)) <= HEIGHT
        for number in SVG_NUMBERS.findall(element.get("d", "")):
            assert 0 <= float(number) <= WIDTH


@pytest.mark.parametrize("draw", [draw_steps, draw_bars])
def test_a_screen_reader_reads_title_and_description(draw: Draw) -> None:
    root = ElementTree.fromstring(draw(CHART, points(1, 2)))
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", "c-title c-desc")
    texts = {element.get("id"): element.text for element in root.iter() if element.get("id")}
    assert texts == {"c-title": "A <title>", "c-desc": 'What it "says"'}


@pytest.mark.parametrize("draw", [draw_steps, draw_bars])
def test_no_shape_has_a_style_or_a_script(draw: Draw) -> None:
    drawing = draw(CHART, points(1, 2, -3))
    assert re.findall(r"style|\son\w+=|script", drawing) == []


def test_each_bar_tells_its_value() -> None:
    root = ElementTree.fromstring(draw_bars(CHART, points(3, 0, -1)))
    bars = [element for element in root.iter() if element.tag == "rect"]
    assert [bar[0].text for bar in bars] == ["day 0: 3", "day 1: 0", "day 2: -1"]
    heights = [float(bar.get("height", -1)) for bar in bars]
    assert heights[1] == 0
    assert heights[0] == pytest.approx(3 * heights[2], abs=0.2)


def test_the_scale_has_few_round_numbers_that_enclose_all_values() -> None:
    root = ElementTree.fromstring(draw_bars(CHART, points(-4, 87)))
    ticks = [element.text for element in root.iter() if element.tag == "text" and element.get("text-anchor") == "end"]
    assert ticks == ["-20", "0", "20", "40", "60", "80", "100"]


def test_a_line_stays_at_each_value_until_the_next() -> None:
    root = ElementTree.fromstring(draw_steps(CHART, points(10, 20)))
    [line] = [element for element in root.iter() if element.get("class") == "line"]
    path = line.get("d", "")
    assert re.fullmatch(r"M[0-9.]+ [0-9.]+H[0-9.]+V[0-9.]+", path)


def test_hundreds_of_bars_have_few_labels() -> None:
    root = ElementTree.fromstring(draw_bars(CHART, points(*range(366))))
    labels = [element for element in root.iter() if element.tag == "text" and element.get("text-anchor") == "middle"]
    assert 2 <= len(labels) <= 8
