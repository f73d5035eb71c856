"""The worker serves any WSGI app, not only the tiers: parts of a body, errors, and close()."""

import subprocess
import sys
import time
from pathlib import Path

import requests

from tests.support.tiers import ROOT, free_port

# /fails raises at the call, /fails-late in its body. All other paths answer with the body of the request and "-end".
APP = """
class Answer:
    def __init__(self, parts): self.parts = iter(parts)
    def __iter__(self): return self.parts
    def close(self): print("closed", flush=True)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fails": raise ZeroDivisionError
    if path == "/fails-late":
        start_response("200 OK", [("Content-Length", "10")])
        return Answer(1 / 0 for _ in range(1))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Answer([environ["wsgi.input"].read(), b"", b"-", b"end"])
"""


def test_an_app_with_parts_errors_and_close_is_served(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text(APP)
    port = free_port()
    gunicorn = [sys.executable, "-m", "gunicorn", "-k", "server.worker.StoreWorker", "--access-logfile", "-"]
    bind = ["--bind", f"127.0.0.1:{port}", "--no-control-socket", "--pythonpath", f"{tmp_path},{ROOT}", "some:app"]
    process = subprocess.Popen(
        [*gunicorn, *bind], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                response = requests.post(url, data=b"begin", timeout=10)
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert (response.status_code, response.text) == (200, "begin-end"), "the parts of a body without Content-Length"
        for path in ("/fails", "/fails-late"):
            response = requests.get(url + path, timeout=10)
            assert (response.status_code, response.json()) == (
                500,
                {"error": {"code": 500, "message": "internal server error"}},
            )
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=60)
    assert output.count("closed") == 2, "the answer that failed must be closed, too"
    assert "ZeroDivisionError" in output
    assert '"POST / HTTP/1.1" 200' in output
