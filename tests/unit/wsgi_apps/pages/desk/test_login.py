"""The login of the owner's desk: who gets in, and what everybody else gets."""

import re
from typing import Any
from urllib.parse import unquote

import pytest
from werkzeug.test import Client, TestResponse

from tests.support.clock import Clock
from wsgi_apps.back_office import BackOfficeApp
from wsgi_apps.base import Request, Rule
from wsgi_apps.login_limit import GUESSES
from wsgi_apps.login_links import new_login_token
from wsgi_apps.pages.desk.login import Cookie, Login, local_path
from wsgi_apps.pages.static import StaticFiles
from wsgi_apps.pages.templates import Templates
from wsgi_apps.reply import Reply
from wsgi_apps.sessions import LIFETIME_S, TOKEN_FIELD, TOKEN_HEADER, form_token

SECRET, OLD, WRONG = "secret--" * 4, "old-----" * 4, "wrong---" * 4
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
COOKIE = "desk-6061"


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Desk:
    """A back office with one page, /stock, which shows its token, and counts the forms that it gets."""

    def __init__(self, clock: Clock, *, secure: bool = False) -> None:
        self.changes = 0
        static = StaticFiles()
        templates = Templates(static=static.url)
        login = Login([SECRET, OLD], Cookie(COOKIE, secure), templates, clock)
        rules = [
            Rule("/stock", methods=["GET"], endpoint=self._show, takes_query=True),
            Rule("/stock", methods=["POST"], endpoint=self._change),
            Rule("/broken", methods=["GET"], endpoint=self._break),
        ]
        self.app = BackOfficeApp(login, rules, templates, static)

    def _show(self, request: Request) -> Reply:
        return Reply({"token": form_token(request)})

    def _change(self, _request: Request) -> Reply:
        self.changes += 1
        return Reply({"changes": self.changes})

    def _break(self, _request: Request) -> Reply:
        raise RuntimeError("a bug")

    def browser(self) -> Client:
        return Client(self.app)


@pytest.fixture
def desk(clock: Clock) -> Desk:
    return Desk(clock)


def log_in(browser: Client, secret: str = SECRET, target: str = "", **options: Any) -> TestResponse:
    return browser.post("/login", data={"secret": secret, "next": target}, headers=BROWSER, **options)


def token_of(browser: Client) -> str:
    page = browser.get("/stock").json
    assert page is not None
    token: str = page["token"]
    return token


def is_in(browser: Client) -> bool:
    """Whether the browser has a session."""
    return browser.get("/stock").status_code == 200


def text_of(response: TestResponse) -> str:
    return re.sub(r"\s+", " ", response.get_data(as_text=True))


def test_the_secret_logs_in_and_goes_on(desk: Desk) -> None:
    browser = desk.browser()
    response = log_in(browser, target="/stock?q=a%20b")
    assert (response.status_code, response.headers["Location"]) == (303, "/stock?q=a%20b")
    assert is_in(browser) and not is_in(desk.browser())


@pytest.mark.parametrize("secret", [OLD, f" {SECRET}\n"])
def test_the_old_secret_and_a_copied_one_with_blanks_log_in_too(desk: Desk, secret: str) -> None:
    browser = desk.browser()
    assert log_in(browser, secret).status_code == 303
    assert is_in(browser)


@pytest.mark.parametrize("secret", ["", WRONG, SECRET[:-1], f"{SECRET},{OLD}", "\u00fc" * 32])
def test_a_wrong_secret_shows_the_form_again(desk: Desk, secret: str) -> None:
    browser = desk.browser()
    response = log_in(browser, secret, "/stock")
    assert response.status_code == 403
    assert "This is not the owner's secret." in text_of(response).replace("&#39;", "'")
    assert 'name="next" value="/stock"' in text_of(response)
    assert secret == "" or secret not in text_of(response)
    assert "Set-Cookie" not in response.headers and not is_in(browser)


def test_the_cookie_is_for_this_site_alone_and_no_script_reads_it(clock: Clock) -> None:
    cookie = log_in(Desk(clock).browser()).headers["Set-Cookie"]
    name, *attributes = cookie.split("; ")
    assert name.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={LIFETIME_S}"} <= set(attributes)
    assert "Secure" not in attributes and "Domain" not in cookie
    secure = log_in(Desk(clock, secure=True).browser(), base_url="https://desk.example").headers["Set-Cookie"]
    assert secure.startswith(f"__Host-{COOKIE}=") and "; Secure" in secure


def test_a_session_ends_after_twelve_hours(desk: Desk, clock: Clock) -> None:
    browser = desk.browser()
    log_in(browser)
    clock.now += 12 * 3600 - 1
    assert is_in(browser)
    clock.now += 1
    assert not is_in(browser)


def test_a_browser_without_a_session_is_sent_to_the_login_and_back(desk: Desk) -> None:
    response = desk.browser().get("/stock?q=T%C3%BCx&after=1", headers=BROWSER)
    assert (response.status_code, response.headers["Location"]) == (
        303,
        "/login?next=%2Fstock%3Fq%3DT%25C3%25BCx%26after%3D1",
    )
    page = desk.browser().get(response.headers["Location"], headers=BROWSER)
    assert page.status_code == 200
    assert 'name="next" value="/stock?q=T%C3%BCx&amp;after=1"' in text_of(page)


@pytest.mark.parametrize("path", ["/", "/stock", "/nowhere", "/login/", "/static", "//x", "/health/", "/orders.csv"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD"])
def test_a_shopper_on_the_owners_port_sees_the_login_page_only(desk: Desk, path: str, method: str) -> None:
    browser = desk.browser()
    page = browser.open(path, method=method, headers=BROWSER)
    assert page.status_code == 303 and page.headers["Location"].partition("?")[0] == "/login"
    program = browser.open(path, method=method)
    assert program.status_code == 401
    assert program.headers["WWW-Authenticate"] == 'Bearer realm="toy store"'
    assert method == "HEAD" or (program.json is not None and program.json["error"]["code"] == 401)
    assert desk.changes == 0


def test_a_link_from_another_site_to_a_page_goes_on_with_the_session(desk: Desk) -> None:
    """The browser leaves out a Strict cookie there. It sends the cookie when our own page goes on."""
    for site in ("cross-site", "same-site"):
        response = desk.browser().get("/stock?q=x", headers={**BROWSER, "Sec-Fetch-Site": site})
        assert response.status_code == 200
        assert '<meta http-equiv="refresh" content="0; url=/stock?q=x">' in text_of(response)
    assert desk.browser().get("/stock", headers={**BROWSER, "Sec-Fetch-Site": "same-origin"}).status_code == 303


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stock",
        "//evil.example",
        "/\\evil.example",
        "/stock\\..",
        "https://evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "/login",
        "/login?token=x",
        "/logout",
        "/\u00fc",
        "/[",
    ],
)
def test_a_login_goes_on_to_paths_of_the_desk_only(desk: Desk, text: str) -> None:
    assert local_path(text) in ("/", "/[")
    assert log_in(desk.browser(), target=text).headers["Location"] in ("/", "/[")


@pytest.mark.parametrize("text", ["/", "/stock", "/products/T%C3%BCx?before=3", "/loginx", "/x?next=/login"])
def test_a_path_of_the_desk_stays(text: str) -> None:
    assert local_path(text) == text


def test_a_form_changes_something_only_with_the_token_of_its_session(desk: Desk) -> None:
    browser, other = desk.browser(), desk.browser()
    log_in(browser)
    log_in(other)
    for token in (None, "", "x", token_of(other), token_of(browser)[:-1]):
        fields = {"quantity": "1"} if token is None else {"quantity": "1", TOKEN_FIELD: token}
        response = browser.post("/stock", data=fields, headers=BROWSER)
        assert response.status_code == 403
        assert "this form is not of your session" in text_of(response)
    twice = f"{TOKEN_FIELD}=x&{TOKEN_FIELD}={token_of(browser)}"
    assert browser.post("/stock", data=twice, content_type="application/x-www-form-urlencoded").status_code == 403
    assert desk.changes == 0
    assert browser.post("/stock", data={TOKEN_FIELD: token_of(browser)}).json == {"changes": 1}


def test_a_script_of_the_desk_sends_the_token_in_a_header(desk: Desk) -> None:
    browser = desk.browser()
    log_in(browser)
    assert browser.post("/stock", json={}).status_code == 403
    assert browser.post("/stock", json={TOKEN_FIELD: token_of(browser)}).status_code == 403
    assert browser.post("/stock", json={}, headers={TOKEN_HEADER: token_of(browser)}).json == {"changes": 1}


def test_a_stolen_cookie_changes_nothing_without_its_token(desk: Desk) -> None:
    browser, thief = desk.browser(), desk.browser()
    log_in(browser)
    cookie = browser.get_cookie(COOKIE)
    assert cookie is not None
    thief.set_cookie(COOKIE, cookie.value)
    assert thief.post("/stock", data={"quantity": "1"}, headers=BROWSER).status_code == 403
    assert thief.post("/logout", headers=BROWSER).status_code == 403
    assert desk.changes == 0 and is_in(browser)


def test_a_logout_ends_the_session_and_a_copy_of_its_cookie(desk: Desk) -> None:
    browser, copy = desk.browser(), desk.browser()
    log_in(browser)
    cookie = browser.get_cookie(COOKIE)
    assert cookie is not None
    copy.set_cookie(COOKIE, cookie.value)
    assert is_in(copy)
    response = browser.post("/logout", data={TOKEN_FIELD: token_of(browser)}, headers=BROWSER)
    assert (response.status_code, response.headers["Location"]) == (303, "/login")
    assert browser.get_cookie(COOKIE) is None
    assert not is_in(browser) and not is_in(copy)


def test_a_program_sends_the_secret_with_each_request_and_needs_no_token(desk: Desk) -> None:
    program = desk.browser()
    for secret in (SECRET, OLD):
        headers = {"Authorization": f"Bearer {secret}"}
        assert program.get("/stock", headers=headers).json == {"token": ""}
        assert program.post("/stock", json={}, headers=headers).status_code == 200
    assert desk.changes == 2
    response = program.post("/stock", headers={"Authorization": f"Bearer {WRONG}"})
    assert (response.status_code, desk.changes) == (401, 2)


def test_the_authorization_of_a_proxy_is_not_taken_for_a_secret(desk: Desk) -> None:
    browser = desk.browser()
    log_in(browser)
    assert browser.get("/stock", headers={"Authorization": "Basic b3duZXI6eA=="}).status_code == 200


@pytest.mark.parametrize("way", ["form", "program", "link"])
def test_five_wrong_secrets_slow_the_asker_down_and_the_right_one_too(desk: Desk, clock: Clock, way: str) -> None:
    def ask(secret: str, address: str = "192.0.2.1") -> TestResponse:
        options: dict[str, Any] = {"environ_overrides": {"REMOTE_ADDR": address}}
        match way:
            case "form":
                return log_in(desk.browser(), secret, **options)
            case "program":
                return desk.browser().get("/stock", headers={"Authorization": f"Bearer {secret}"}, **options)
        return desk.browser().get(f"/login?token={new_login_token(secret, clock)}", headers=BROWSER, **options)

    refused, admitted = (401, 200) if way == "program" else (403, 303)
    assert [ask(WRONG).status_code for _ in range(GUESSES)] == [refused] * GUESSES
    for secret in (WRONG, SECRET):
        response = ask(secret)
        assert response.status_code == 429
        assert 1 <= int(response.headers["Retry-After"]) <= 30
        assert response.is_json == (way == "program")
        assert way == "program" or "Too many wrong secrets were sent." in text_of(response)
    assert ask(SECRET, address="192.0.2.9").status_code == admitted


def test_the_log_says_where_wrong_secrets_come_from_and_shows_none(
    desk: Desk, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    log_in(desk.browser())
    assert caplog.messages == []
    options: dict[str, Any] = {"environ_overrides": {"REMOTE_ADDR": "192.0.2.7"}}
    token = new_login_token(WRONG, clock)
    log_in(desk.browser(), WRONG, **options)
    desk.browser().get(f"/login?token={token}", **options)
    desk.browser().get("/stock", headers={"Authorization": f"Bearer {WRONG}"}, **options)
    assert len(caplog.messages) == 3 and all(line.endswith("came from 192.0.2.7") for line in caplog.messages)
    assert WRONG not in caplog.text and token not in caplog.text


def test_a_right_secret_forgives_the_wrong_ones(desk: Desk) -> None:
    for _ in range(3):
        for _ in range(GUESSES - 1):
            assert log_in(desk.browser(), WRONG).status_code == 403
        assert log_in(desk.browser()).status_code == 303


def test_a_link_logs_in_once_and_leaves_its_token_nowhere(desk: Desk, clock: Clock) -> None:
    browser, token = desk.browser(), new_login_token(SECRET, clock)
    response = browser.get(f"/login?token={token}&next=/stock", headers=BROWSER)
    assert (response.status_code, response.headers["Location"]) == (303, "/stock")
    assert token not in str(response.headers) and is_in(browser)
    other = desk.browser()
    response = other.get(f"/login?token={token}", headers=BROWSER)
    assert response.status_code == 403 and not is_in(other)
    assert "This link does not log in" in text_of(response) and token not in text_of(response)
    assert response.headers["Referrer-Policy"] == "no-referrer", "the address of this page has the token"
    assert "<form" not in text_of(response) and 'href="/login"' in text_of(response)


def test_a_used_link_opens_the_desk_for_an_owner_who_is_in(desk: Desk, clock: Clock) -> None:
    browser, link = desk.browser(), f"/login?token={new_login_token(SECRET, clock)}"
    assert browser.get(link, headers=BROWSER).status_code == 303
    again = browser.get(link, headers=BROWSER)
    assert (again.status_code, again.headers["Location"], "Set-Cookie" in again.headers) == (303, "/", False)
    assert desk.browser().get(link, headers=BROWSER).status_code == 403


@pytest.mark.parametrize(
    ("method", "headers"),
    [("HEAD", {}), ("GET", {"Sec-Purpose": "prefetch"}), ("GET", {"Sec-Purpose": "prefetch;prerender"})],
)
def test_a_link_that_is_fetched_in_advance_is_not_used_up(
    desk: Desk, clock: Clock, method: str, headers: dict[str, str]
) -> None:
    browser, path = desk.browser(), f"/login?token={new_login_token(SECRET, clock)}"
    assert browser.open(path, method=method, headers={**BROWSER, **headers}).status_code == 403
    assert not is_in(browser)
    assert browser.get(path, headers=BROWSER).status_code == 303


@pytest.mark.parametrize("destination", ["image", "iframe", "empty"])
def test_a_page_of_another_site_does_not_use_up_the_owners_guesses(desk: Desk, clock: Clock, destination: str) -> None:
    """Its images would send wrong tokens from the address of the owner's browser."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": destination}
    for _ in range(GUESSES):
        assert desk.browser().get("/login?token=guessed", headers=headers).status_code == 403
    assert log_in(desk.browser()).status_code == 303
    link = f"/login?token={new_login_token(SECRET, clock)}"
    opened = {**BROWSER, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    assert desk.browser().get(link, headers={**BROWSER, **headers}).status_code == 403
    assert desk.browser().get(link, headers=opened).status_code == 303, "as from a mail to the owner"


def test_the_login_page_loads_nothing_from_elsewhere_and_is_never_kept(desk: Desk) -> None:
    response = desk.browser().get("/login", headers=BROWSER)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert not re.search(r"https?://|<script|style=", text_of(response))
    assert re.search(r'<label for="secret">.*<input id="secret" name="secret" type="password"', text_of(response))


def test_what_the_login_page_shows_is_escaped(desk: Desk) -> None:
    path = '/login?next=/"><script>alert(1)</script>'
    assert "<script>" not in text_of(desk.browser().get(path, headers=BROWSER))


def test_a_monitor_and_the_login_page_need_no_session(desk: Desk) -> None:
    browser = desk.browser()
    assert browser.get("/health").json == {"data": {"status": "ok"}}
    assert browser.get("/ready").json == {"data": {"status": "ready"}}
    assert browser.get("/static/nowhere.css").status_code == 404


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/nowhere", "GET", 404), ("/stock", "PUT", 405), ("/broken", "GET", 500)]
)
def test_an_error_is_a_page_for_a_browser_and_json_for_a_program(
    desk: Desk, path: str, method: str, status: int
) -> None:
    headers = {"Authorization": f"Bearer {SECRET}"}
    program = desk.browser().open(path, method=method, headers=headers)
    page = desk.browser().open(path, method=method, headers={**headers, **BROWSER})
    assert program.status_code == page.status_code == status
    assert program.json is not None and program.json["error"]["code"] == status
    message = "No page of the desk is at this address" if status == 404 else program.json["error"]["message"]
    assert page.mimetype == "text/html" and message in text_of(page)
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert page.headers.get("Allow") == program.headers.get("Allow")
    assert status != 500 or page.headers["X-Request-Id"] in text_of(page)


def test_the_query_of_a_redirect_is_one_value(desk: Desk) -> None:
    location = desk.browser().get("/stock?next=//evil.example&token=x", headers=BROWSER).headers["Location"]
    assert unquote(location.removeprefix("/login?next=")) == "/stock?next=//evil.example&token=x"
    assert "&" not in location
