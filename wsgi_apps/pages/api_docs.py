"""Serves the description of a tier's API: the OpenAPI document, and the page of Swagger UI that shows it.

The documents are written by hand, in wsgi_apps/openapi. Swagger UI comes from the package swagger-ui-py, of which only
the files that a browser loads are used.
"""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from wsgi_apps.base import Request, Rule
from wsgi_apps.pages.templates import PAGE_HEADERS, Templates
from wsgi_apps.reply import Reply
from wsgi_apps.sessions import form_token

FOLDER = Path(__file__).parents[1] / "openapi"
DOCUMENT_PATH = "/openapi.json"
# Swagger UI has icons in its style sheet, as data URLs, and sets style attributes.
CSP = f"{PAGE_HEADERS['Content-Security-Policy']}; img-src 'self' data:; style-src 'self' 'unsafe-inline'"
_SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
# The parser in C takes a tenth of the time. PyYAML lacks it where it was built without libyaml.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def swagger_files() -> dict[str, Path]:
    """Returns the files of Swagger UI by name. The package is not imported, which takes 0.1 s."""
    package = find_spec("swagger_ui")
    assert package is not None and package.origin is not None, "swagger-ui-py is a dependency"
    folder = Path(package.origin).with_name("static")
    return {name: folder / name for name in _SWAGGER_FILES}


def load_document(name: str) -> dict[str, Any]:
    """Returns the OpenAPI document of this name: shop or owner. The YAML's own helpers, x-replies, are left out."""
    with (FOLDER / f"{name}.yaml").open(encoding="utf-8") as file:
        document: dict[str, Any] = yaml.load(file, _Loader)
    del document["x-replies"]
    return document


class ApiDocs:
    """The endpoints of a tier's description: shop or owner. `home` is the text of the link to the tier's page at /.

    The templates have a function `static`, which returns the path of a file, also of those of `swagger_files`.
    """

    def __init__(self, name: str, home: str, templates: Templates) -> None:
        document = load_document(name)
        self._home = home
        self._title = document["info"]["title"]
        self._json = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        self._templates = templates

    def rules(self) -> list[Rule]:
        """Returns the rules of the endpoints."""
        return [
            Rule(DOCUMENT_PATH, methods=["GET"], endpoint=self.document),
            Rule("/docs", methods=["GET"], endpoint=self.page),
        ]

    def document(self, _request: Request) -> Reply:
        """Answers with the OpenAPI document."""
        return Reply(self._json)

    def page(self, request: Request) -> Reply:
        """Shows the document in Swagger UI, from which one can send requests to this tier.

        Those of a session carry its token. A front end has no sessions.
        """
        headers: Mapping[str, str] = {"Content-Security-Policy": CSP}
        values = {"title": self._title, "home": self._home, "document": DOCUMENT_PATH, "token": form_token(request)}
        return self._templates.page("docs.html", headers=headers, **values)
