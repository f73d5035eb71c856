"""Compares replies, examples and URL maps with the OpenAPI document of a tier."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from werkzeug.routing import Map

from wsgi_apps.pages.api_docs import load_document

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


@dataclass(frozen=True)
class Example:
    """An example in a document, with the schema beside it. `place` says where it stands."""

    place: str
    value: Any
    schema: Mapping[str, Any]


class Document:
    """The OpenAPI document of this name: shop or owner."""

    def __init__(self, name: str) -> None:
        self.content = load_document(name)

    @property
    def operations(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """The operations by path and method, in upper case."""
        return {
            (path, method.upper()): operation
            for path, item in self.content["paths"].items()
            for method, operation in item.items()
            if method in METHODS
        }

    def resolve(self, value: Any) -> Any:
        """Returns what a $ref names, and any other value itself."""
        while isinstance(value, dict) and "$ref" in value:
            target: Any = self.content
            for name in value["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            value = target
        return value

    def example_path(self, path: str, operation: Mapping[str, Any]) -> str:
        """Returns the path of an operation with the examples of its parameters in the place of their names."""
        for parameter in map(self.resolve, operation.get("parameters", ())):
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
        return path

    def check(self, schema: Mapping[str, Any], value: Any) -> None:
        """Asserts that a value fits a schema of this document."""
        validator = Draft202012Validator({**schema, "components": self.content["components"]})
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
        assert not errors, errors

    def check_reply(
        self, path: str, method: str, status: int, content_type: str, body: str, headers: Mapping[str, str]
    ) -> None:
        """Asserts that the document has this reply of an operation, with the headers that the document requires."""
        response = self.resolve(self.operations[path, method]["responses"][str(status)])
        for name, header in response.get("headers", {}).items():
            assert name in headers or not self.resolve(header).get("required"), name
        media_type = response["content"][content_type.partition(";")[0]]
        self.check(media_type["schema"], json.loads(body) if content_type == "application/json" else body)

    def examples(self) -> Iterator[Example]:
        """Yields all examples, wherever they stand."""
        yield from self._examples("", self.content)

    def _examples(self, place: str, value: Any) -> Iterator[Example]:
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._examples(f"{place}/{index}", item)
        if not isinstance(value, dict):
            return
        if "schema" in value and "example" in value:
            yield Example(place, value["example"], value["schema"])
        if "schema" in value:
            for name, example in value.get("examples", {}).items():
                yield Example(f"{place}/{name}", example["value"], value["schema"])
        for name, item in value.items():
            if name not in ("example", "examples"):
                yield from self._examples(f"{place}/{name}", item)


def operations_of(url_map: Map) -> set[tuple[str, str]]:
    """Returns path and method of each rule, as a document writes them. A HEAD beside a GET is left out."""
    operations = set()
    for rule in url_map.iter_rules():
        path = "".join(part if is_static else f"{{{part}}}" for is_static, part in _parts(rule.rule))
        methods = set(rule.methods or ())
        operations |= {(path, method) for method in methods - ({"HEAD"} if "GET" in methods else set())}
    return operations


def _parts(rule: str) -> Iterator[tuple[bool, str]]:
    """Yields the parts of a rule: text, and the names of its variables."""
    for index, part in enumerate(rule.replace(">", "<").split("<")):
        yield (True, part) if index % 2 == 0 else (False, part.rpartition(":")[2])
