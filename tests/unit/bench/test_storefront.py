"""The benchmark of the shop's pages compares each page with its JSON round by round."""

from bench.storefront import Cost, row, table


def test_the_ratio_is_the_median_of_those_of_the_rounds() -> None:
    """A round in which the machine was slow slows both, so its ratio counts like any other."""
    page = [Cost(150.0, 100.0), Cost(1_500.0, 1_000.0), Cost(250.0, 200.0)]
    json = [Cost(100.0, 50.0), Cost(1_000.0, 500.0), Cost(100.0, 50.0)]
    found = row("grid", page, json)
    assert found.ratios == [1.5, 1.5, 2.5]
    assert found.ratio == 1.5
    assert (found.page_us, found.json_us) == (250.0, 100.0)
    assert (found.page_front_end_us, found.json_front_end_us) == (200.0, 50.0)


def test_a_page_above_twice_its_json_misses_the_bar() -> None:
    twice = row("grid", [Cost(200.0, 150.0)], [Cost(100.0, 50.0)])
    more = row("product", [Cost(202.0, 150.0)], [Cost(100.0, 50.0)])
    _, _, first, second = table([twice, more]).splitlines()
    assert "| 2.00 | 2.00 | 2 | yes |" in first
    assert "| 2.02 | 2.02 | 2 | **no** |" in second
