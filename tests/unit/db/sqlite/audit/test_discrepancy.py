"""A fingerprint identifies exactly one discrepancy."""

from db.sqlite.audit import Discrepancy


def test_a_fingerprint_depends_on_every_word_and_stays_the_same() -> None:
    one = Discrepancy("I3", "order 10, key mine", "ordered, but never sold")
    assert one.fingerprint == "94363bd4d322"
    others = [
        Discrepancy("I1", "order 10, key mine", "ordered, but never sold"),
        Discrepancy("I3", "order 1, key mine", "ordered, but never sold"),
        Discrepancy("I3", "order 10, key mine", "ordered, but never sold: the catalog refused it"),
        Discrepancy("I3", "order 10, key mine", "ordered, but never sold", detail="x"),
        Discrepancy("I3", "order 10, key mine", "ordered, but never sold", nth=2),
        Discrepancy("I3", "order 10", "key mineordered, but never sold"),
    ]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 7
