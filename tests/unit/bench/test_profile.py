"""The profile: the file or package to which a sample belongs."""

import pytest

from bench import profile


@pytest.mark.parametrize(
    ("stack", "place"),
    [
        (["server/request.py:parse", "server/worker.py:StoreWorker.run"], "`server/request.py`"),
        (["json/decoder.py:decode", "wsgi_apps/wire.py:decode_buys"], "`wsgi_apps/wire.py`"),
        (["<string>:__init__", "threading.py:Thread.run", "domain/values.py:parse_name"], "`domain/values.py`"),
        (["werkzeug/routing/matcher.py:match", "wsgi_apps/base.py:App"], "werkzeug/routing"),
        (["gunicorn/workers/base.py:notify", "server/worker.py:StoreWorker.run"], "gunicorn/workers"),
        (["threading.py:Thread.run"], "elsewhere"),
    ],
)
def test_a_sample_belongs_to_a_file_of_the_store_or_a_package_of_a_library(stack: list[str], place: str) -> None:
    assert profile.place_of(stack) == place
