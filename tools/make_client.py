"""Write the operations of hansa-client from the OpenAPI description: models, inputs, errors, methods.

    python tools/make_client.py                                       from this checkout
    python tools/make_client.py --from http://127.0.0.1:8017/openapi.json

What it writes is not kept in git: it follows from the description, and a test makes it anew. Our own generator,
since the usual one drops operations whose schemas it cannot follow, and writes functions without retries
(docs/decisions/0040).
"""

import argparse
import json
import keyword
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any
from urllib.request import urlopen

Json = dict[str, Any]

HERE = Path(__file__).resolve().parents[1]
MADE = HERE / "packages" / "hansa-client" / "src" / "hansa_client" / "made"
VERBS = ("get", "post", "put", "patch", "delete")
LINE = 100

BEGIN = '"""{what} Made by tools/make_client.py; do not edit."""\n\n'
CODES = re.compile(r"`([a-z0-9_]+\.[a-z0-9_]+)`: ([^\n]+)")
KINDS = {
    400: "Invalid",
    401: "NotSignedIn",
    403: "NotAllowed",
    404: "NotFound",
    409: "Conflict",
    413: "Invalid",
    415: "Invalid",
    422: "Invalid",
    429: "TooManyRequests",
}


def main() -> None:
    """Write the files; gives nothing back."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--from", dest="source", default="", help="a file or an address of a description")
    parser.add_argument("--out", type=Path, default=MADE, help="the folder to write")
    given = parser.parse_args()
    make(read_description(given.source), given.out)
    print(f"{given.out}: {sum(1 for _ in given.out.glob('*.py'))} files")


def read_description(source: str = "") -> Json:
    """The description of this checkout, of a file, or of a running Hansa."""
    if source.startswith(("http://", "https://")):
        with urlopen(source) as answer:  # noqa: S310 - whoever runs this names the address
            return json.load(answer)
    if source:
        return json.loads(Path(source).read_text(encoding="utf-8"))
    import msgspec

    from hansa.apps.web.app import _application
    from hansa.apps.web.description import description_of

    return msgspec.json.decode(msgspec.json.encode(description_of(_application(None))))


def make(description: Json, out: Path) -> None:
    """Write the package's made part into this folder, whatever was there."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    maker = Maker(description)
    files = {
        "__init__.py": BEGIN.format(what="What follows from the description."),
        "errors.py": maker.errors(),
        "operations.py": maker.operations(),  # before models and inputs: it finds out which are needed
        "models.py": maker.models(),
        "inputs.py": maker.inputs(),
    }
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8")
    ruff = shutil.which("ruff") or str(Path(sys.executable).parent / "ruff")
    if Path(ruff).exists():
        tidy = ["check", "--fix", "-q", "--isolated", "--no-cache", "--select", "F401,I", str(out)]
        subprocess.run([ruff, *tidy], check=True)
        subprocess.run(
            [ruff, "format", "--no-cache", "-q", "--line-length", str(LINE), "--isolated", str(out)],
            check=True,
        )


class Maker:
    """One description on its way into Python."""

    def __init__(self, description: Json) -> None:
        self.told = description
        self.schemas: Json = description["components"]["schemas"]
        self.out_names: set[str] = set()
        self.in_names: set[str] = set()

    # -- operations ----------------------------------------------------------------------------------------

    def operations(self) -> str:
        rooms: dict[str, list[str]] = {}
        for path, item in sorted(self.told["paths"].items()):
            for verb in VERBS:
                if verb in item:
                    room = item[verb]["operationId"].partition("_")[0]
                    rooms.setdefault(room, []).append(self.operation(verb, path, item[verb]))
        says = {tag["name"].lower(): tag.get("description", "") for tag in self.told.get("tags", [])}
        parts = [
            BEGIN.format(what="A room of operations for each room of Hansa."),
            "from collections.abc import Iterator, Sequence\n"
            "from datetime import date, datetime\n"
            "from functools import cached_property\n"
            "from typing import Any, Literal\n"
            "from uuid import UUID\n\n"
            "from msgspec import UNSET, UnsetType\n\n"
            "from hansa_client.core import Asking, Room, pages, read\n"
            "from hansa_client.made import inputs, models\n\n"
            f"VERSION = {self.told['info']['version']!r}\n\n\n",
        ]
        for room, methods in rooms.items():
            parts.append(f"class {pascal(room)}Room(Room):\n{doc(says.get(room, room), 4)}\n")
            parts += methods
            parts.append("\n")
        parts.append(
            'class Rooms:\n    """All rooms."""\n\n    def __init__(self, asking: Asking) -> None:\n'
            "        self._asking = asking\n\n"
        )
        for room in rooms:
            parts.append(
                f"    @cached_property\n    def {safe(room)}(self) -> {pascal(room)}Room:\n"
                f"{doc(says.get(room, room), 8)}        return {pascal(room)}Room(self._asking)\n\n"
            )
        return "".join(parts)

    def operation(self, verb: str, path: str, told: Json) -> str:
        name = told["operationId"].partition("_")[2]
        parameters = [self.followed(one) for one in told.get("parameters", [])]
        parts = [one for one in parameters if one["in"] == "path"]
        queries = [one for one in parameters if one["in"] == "query"]
        takes_key = any(
            one["in"] == "header" and one["name"].lower() == "idempotency-key" for one in parameters
        )
        arguments = [f"{safe(one['name'])}: {self.type_of(one['schema'], inward=True)}" for one in parts]
        keywords: list[str] = []
        for one in queries:
            kind = self.type_of(one["schema"], inward=True)
            if one.get("required"):
                keywords.append(f"{safe(one['name'])}: {kind}")
        optional = [
            f"{safe(one['name'])}: {with_none(self.type_of(one['schema'], inward=True))} = None"
            for one in queries
            if not one.get("required")
        ]
        fields, content, media_type = self.body_of(told)
        for field, (schema, required) in fields.items():
            kind = self.type_of(schema, inward=True)
            if required:
                keywords.append(f"{safe(field)}: {kind}")
            else:
                optional.append(f"{safe(field)}: {kind} | UnsetType = UNSET")
        if content:
            keywords.append("content: bytes")
        if takes_key:
            optional.append("idempotency_key: str | None = None")
        repeats = any(re.fullmatch(r"[a-z]+(_[a-z]+)*_id|key", field) for field in fields)
        asked = [repr(verb.upper()), repr(path)]
        asked.append("parts=" + names(one["name"] for one in parts))
        asked.append("query=" + names(one["name"] for one in queries))
        if fields:
            asked.append("body=" + names(fields))
        if content:
            asked += ["content=content", f"media_type={media_type!r}"]
        if repeats:
            asked.append("repeats=True")
        if takes_key:
            asked += ["takes_key=True", "idempotency_key=idempotency_key"]
        kind, how = self.answer_of(told)
        signature = ["self", *arguments]
        if keywords or optional:
            signature += ["*", *keywords, *optional]
        text = (
            f"    def {safe(name)}({', '.join(signature)}) -> {kind}:\n"
            f"{doc(told.get('description') or told['summary'], 8)}"
            f"        answer = self._asking.ask({', '.join(asked)})\n"
            f"        {how}\n\n"
        )
        return text + self.iteration(name, told, signature, kind, [*parts, *queries])

    def iteration(
        self, name: str, told: Json, signature: list[str], kind: str, parameters: list[Json]
    ) -> str:
        """A method that gives all items of all pages, where the operation answers pages."""
        if not kind.startswith("models.") or not any(one["name"] == "after" for one in parameters):
            return ""
        page = self.schemas[self.reference_of(told)]
        fields = page.get("properties", {})
        lists = [field for field, one in fields.items() if one.get("type") == "array"]
        if "next" not in fields or len(lists) != 1:
            return ""
        item = self.type_of(fields[lists[0]]["items"], inward=False)
        kept = [one for one in signature if not one.startswith("after:")]
        if kept[-1] == "*":
            kept.pop()
        given = ", ".join(
            f"{safe(one['name'])}={'after' if one['name'] == 'after' else safe(one['name'])}"
            for one in parameters
        )
        short = name.removeprefix("list_")
        return (
            f"    def iter_{short}({', '.join(kept)}) -> Iterator[{item}]:\n"
            f"{doc(f'All items of `{name}`, page by page.', 8)}"
            f"        return pages(lambda after: self.{safe(name)}({given}), {lists[0]!r})\n\n"
        )

    def body_of(self, told: Json) -> tuple[dict[str, tuple[Json, bool]], bool, str]:
        """A body's fields, each with whether it is required; or that it is bytes, and of which media type."""
        contents = told.get("requestBody", {}).get("content", {})
        body = contents.get("application/json")
        if body is not None:
            schema = self.resolved(body["schema"])
            if schema.get("type") == "object" and "properties" in schema:
                required = set(schema.get("required", ()))
                return (
                    {name: (one, name in required) for name, one in schema["properties"].items()},
                    False,
                    "",
                )
        if contents:
            return {}, True, next(iter(contents))
        return {}, False, ""

    def answer_of(self, told: Json) -> tuple[str, str]:
        """The type that a method gives, and the line that gives it."""
        for status, answer in sorted(told["responses"].items()):
            if not status.startswith("2"):
                continue
            content = answer.get("content", {})
            if not content or status == "204":
                return "None", "del answer"
            if "application/json" in content:
                kind = self.type_of(content["application/json"]["schema"], inward=False)
                return kind, f"return read(answer, {kind})"
            if next(iter(content)).startswith("text/"):
                return "str", "return answer.text"
            return "bytes", "return answer.content"
        return "None", "del answer"

    # -- types ---------------------------------------------------------------------------------------------

    def type_of(self, schema: Json, *, inward: bool) -> str:
        """A schema as a type. inward: what callers send; answers are taken more widely, since they may grow."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            found = self.schemas[name]
            if found.get("type") == "object" and "properties" in found:
                (self.in_names if inward else self.out_names).add(name)
                return f"{'inputs' if inward else 'models'}.{pascal(name)}"
            return self.type_of(found, inward=inward)
        if "const" in schema:
            return f"Literal[{schema['const']!r}]" if inward else type(schema["const"]).__name__
        if "enum" in schema:
            values = [one for one in schema["enum"] if one is not None]
            none = " | None" if None in schema["enum"] else ""
            if inward and values:
                return f"Literal[{', '.join(map(repr, values))}]{none}"
            return f"{type(values[0]).__name__ if values else 'Any'}{none}"
        for choice in ("oneOf", "anyOf"):
            if choice in schema:
                return self.union_of(schema[choice], inward=inward)
        kind = schema.get("type")
        if isinstance(kind, list):
            return self.union_of([{**schema, "type": one} for one in kind], inward=inward)
        if kind == "string":
            forms = {"uuid": "UUID", "date-time": "datetime", "date": "date"}
            form = forms.get(schema.get("format", ""), "str")
            return f"{form} | str" if inward and form != "str" else form
        if kind == "array":
            item = self.type_of(schema.get("items", {}), inward=inward)
            return f"{'Sequence' if inward else 'list'}[{item}]"
        if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            return f"dict[str, {self.type_of(schema['additionalProperties'], inward=inward)}]"
        plain = {"integer": "int", "number": "float", "boolean": "bool", "null": "None"}
        return plain.get(str(kind), "dict[str, Any]" if kind == "object" else "Any")

    def union_of(self, options: list[Json], *, inward: bool) -> str:
        kinds = list(dict.fromkeys(self.type_of(one, inward=inward) for one in options))
        others = [one for one in kinds if one != "None"]
        if not inward and len(others) > 1 and not set(others) <= {"int", "float", "str", "bool"}:
            others = ["Any"]  # what a decoder could not tell apart
        if others == ["Any"]:
            return "Any"
        return " | ".join([*others, *(["None"] if "None" in kinds else [])]) or "None"

    def models(self) -> str:
        """Structs of answers."""
        done: dict[str, str] = {}
        while waiting := sorted(self.out_names - done.keys()):
            for name in waiting:
                done[name] = self.struct(name)
        return (
            BEGIN.format(what="What answers are made of.")
            + "from datetime import date, datetime\nfrom typing import Any\nfrom uuid import UUID\n\n"
            + "import msgspec\n\n\n"
            + "\n\n".join(text for _, text in sorted(done.items()))
        ).replace("models.", "")

    def struct(self, name: str) -> str:
        schema = self.schemas[name]
        required = set(schema.get("required", ()))
        lines: list[str] = []
        for field, one in schema["properties"].items():
            kind = (
                f'"{self.type_of(one, inward=False)}"'
                if "$ref" in json.dumps(one)
                else self.type_of(one, inward=False)
            )
            renamed = f" = msgspec.field(name={field!r})" if safe(field) != field else ""
            if field in required:
                lines.append(f"    {safe(field)}: {kind}{renamed}\n")
            else:
                bare = kind.strip('"')
                kind = f'"{with_none(bare)}"' if kind.startswith('"') else with_none(bare)
                lines.append(f"    {safe(field)}: {kind} = None\n")
        words = schema.get("description") or f"{pascal(name)}."
        return (
            f"class {pascal(name)}(msgspec.Struct, frozen=True, kw_only=True):\n{doc(words, 4)}\n"
            + "".join(lines or ["    pass\n"])
        )

    def inputs(self) -> str:
        """Dictionaries that go into bodies."""
        done: dict[str, str] = {}
        while waiting := sorted(self.in_names - done.keys()):
            for name in waiting:
                schema = self.schemas[name]
                required = set(schema.get("required", ()))
                lines = [
                    f"        {field!r}: "
                    + (
                        f'"{self.type_of(one, inward=True)}"'
                        if field in required
                        else f'NotRequired["{self.type_of(one, inward=True)}"]'
                    )
                    for field, one in schema["properties"].items()
                ]
                done[name] = (
                    f"{pascal(name)} = TypedDict(\n    {pascal(name)!r},\n    {{\n"
                    + ",\n".join(lines)
                    + ",\n    },\n)\n"
                )
        return (
            BEGIN.format(what="What bodies are made of.")
            + "from collections.abc import Sequence\nfrom datetime import date, datetime\n"
            + "from typing import Any, Literal, NotRequired, TypedDict\nfrom uuid import UUID\n\n"
            + "\n".join(text for _, text in sorted(done.items()))
        ).replace("inputs.", "")

    def errors(self) -> str:
        """A class for each code that any operation names."""
        found: dict[str, tuple[int, str]] = {}
        for item in self.told["paths"].values():
            for verb in VERBS:
                for status, answer in item.get(verb, {}).get("responses", {}).items():
                    for code, words in CODES.findall(answer.get("description", "")):
                        found.setdefault(code, (int(status), words))
        classes = sorted((pascal(code.replace(".", "_")), code, *told) for code, told in found.items())
        text = BEGIN.format(what="A class for each code.")
        text += "from typing import ClassVar\n\nfrom hansa_client.core import "
        text += ", ".join(sorted({KINDS.get(status, "Failed") for _, _, status, _ in classes})) + "\n\n"
        text += f"__all__ = {[name for name, *_ in classes]!r}\n\n"
        for name, code, status, words in classes:
            base = KINDS.get(status, "Failed" if status >= 500 else "Conflict")
            if base not in text:
                base = "Failed"
            text += f"\nclass {name}({base}):\n{doc(words, 4)}\n    code: ClassVar[str] = {code!r}\n\n"
        return text

    # -- the description -----------------------------------------------------------------------------------

    def followed(self, one: Json) -> Json:
        """A parameter, looked up where it is a reference."""
        if "$ref" in one:
            return self.told["components"]["parameters"][one["$ref"].rpartition("/")[2]]
        return one

    def resolved(self, schema: Json) -> Json:
        while "$ref" in schema:
            schema = self.schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    def reference_of(self, told: Json) -> str:
        for status, answer in sorted(told["responses"].items()):
            if status.startswith("2"):
                schema = answer["content"]["application/json"]["schema"]
                return str(schema["$ref"]).rpartition("/")[2]
        return ""


def pascal(name: str) -> str:
    """``hub_routes_PaymentView`` as ``HubPaymentView``: the file's own name is left out."""
    words = [one for one in re.split(r"[_.\-]", name) if one and one not in ("routes", "model")]
    if any(one[0].isupper() for one in words):
        words = [one for one in words if one[0].isupper() or one == words[0] or not one.endswith("routes")]
    return "".join(one[0].upper() + one[1:] for one in words)


def safe(name: str) -> str:
    """A name that Python lets an argument have."""
    name = re.sub(r"\W", "_", name)
    return f"{name}_" if keyword.iskeyword(name) or name in ("self", "answer") else name


def with_none(kind: str) -> str:
    return kind if kind == "Any" or "None" in kind.split(" | ") else f"{kind} | None"


def names(found: Any) -> str:
    return "{" + ", ".join(f"{name!r}: {safe(name)}" for name in found) + "}"


def doc(words: str, indent: int) -> str:
    """A docstring of these words, wrapped."""
    space = " " * indent
    told = [" ".join(part.split()) for part in str(words).replace("\\", "\\\\").split("\n\n") if part.strip()]
    wrapped = [textwrap.wrap(part, LINE - indent - 3) for part in told] or [[""]]
    lines = wrapped[0]
    for more in wrapped[1:]:
        lines = [*lines, "", *more]
    lines = [line.replace('"""', "'''") for line in lines]
    if len(lines) == 1:
        return f'{space}"""{lines[0]}"""\n'
    return (
        f'{space}"""'
        + "\n".join([lines[0], *(space + line if line else "" for line in lines[1:])])
        + f'\n{space}"""\n'
    )


if __name__ == "__main__":
    main()
