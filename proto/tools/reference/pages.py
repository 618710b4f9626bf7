"""The HTML pages of the reference: an index, a page for each service, a page for the shared types of each package, and the errors."""

import json
import re
from collections import defaultdict
from html import escape

from limits import limits

# A word that may name a declaration: `backticks`, CamelCase, or a reason in capitals.
WORD = re.compile(r"`([^`]+)`|\b([A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+|[A-Z]{2,}(?:_[A-Z]+)*)\b")
# The lines of a method's comment that say who calls it and which codes it answers with.
FACT = re.compile(r"^(Callers|[A-Z]+(?:_[A-Z]+)*)(?=:| with )")
CODES = set(
    "INVALID_ARGUMENT NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED UNAUTHENTICATED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE "
    "UNAVAILABLE DEADLINE_EXCEEDED UNIMPLEMENTED INTERNAL".split()
)
RETRIES = {
    "read": "has no effect: repeat it freely",
    "request id": "a repeat with the same <code>request_id</code> gets the first result",
    "repeatable": "a repeat changes nothing more",
    "no": "a repeat takes effect again",
}
LABELS = {"service": "Frontdesk’s own services"}


class Pages:
    """All pages, by the names of their files."""

    def __init__(self, contract, reasons, examples):
        self.contract, self.reasons, self.examples = contract, reasons, examples
        self.page_of_file = {service.file.name: f"{service.full_name}.html" for service in contract.public_services}
        self.homes = {}
        for service in contract.public_services:
            self.homes[service.full_name] = f"{service.full_name}.html"
            for method in service.methods:
                self.homes[method.full_name] = f"{service.full_name}.html#{method.name}"
        for declared in contract.public_types:
            self.homes[declared.full_name] = f"{self.page_of(declared)}#{declared.short_name}"
        self.names = defaultdict(list)
        for full_name in self.homes:
            self.names[full_name.rpartition(".")[2]].append(full_name)
        self.stated = defaultdict(dict)  # the methods that state a reason

    def page_of(self, declared):
        return self.page_of_file.get(declared.file.name, f"{declared.package}.html")

    def all(self):
        pages = {f"{service.full_name}.html": self.service(service) for service in self.contract.public_services}
        shared = defaultdict(list)
        for declared in self.contract.public_types:
            if declared.file.name not in self.page_of_file:
                shared[declared.package].append(declared)
        pages |= {f"{package}.html": self.package(package, types) for package, types in shared.items()}
        return pages | {"errors.html": self.errors(), "index.html": self.index(sorted(shared))}

    # Text

    def text(self, comment, package, method=None):
        """Escaped text in which names are links."""

        def link(found):
            quoted, name = found.group(1), found.group(2) or found.group(1)
            shown = f"<code>{escape(quoted)}</code>" if quoted else escape(name)
            if reason := self.reason(name, package):
                if method:
                    self.stated[reason.anchor][method.full_name] = method
                return f'<a href="errors.html#{reason.anchor}">{shown}</a>'
            home = self.home(name, package)
            return f'<a href="{home}">{shown}</a>' if home else shown

        parts, end = [], 0
        for found in WORD.finditer(comment):
            parts += [escape(comment[end : found.start()], quote=False), link(found)]
            end = found.end()
        return "".join([*parts, escape(comment[end:], quote=False)])

    def reason(self, name, package):
        """The reason of the package, of all services, or of the conversation service, whose errors others pass on."""
        order = (package, "frontdesk.error.v1", "frontdesk.conversation.v1")
        named = [reason for reason in self.reasons if reason.name == name and reason.package in order and name not in CODES]
        return min(named, key=lambda reason: order.index(reason.package), default=None)

    def home(self, name, package):
        """Where a name is declared: in the package, or in the only one that has it."""
        if name in self.homes:
            return self.homes[name]
        found = self.names.get(name.rpartition(".")[2], []) if re.fullmatch(r"[A-Z]\w+(\.\w+)*", name) else []
        if not found and "." in name:
            return self.home(name.rpartition(".")[0], package)  # of a field, its message
        own = [full_name for full_name in found if full_name.startswith(f"{package}.")]
        chosen = own or found
        return self.homes[chosen[0]] if len(chosen) == 1 else None

    def paragraphs(self, comment, package, method=None):
        """The comment as paragraphs and lists."""
        blocks = []
        for block in re.split(r"\n\s*\n", comment.strip("\n")):
            lines = [line.strip() for line in block.splitlines() if line.strip()]
            items = " ".join(f"\n{line[2:]}" if line.startswith("- ") else line for line in lines).split("\n")
            if head := items[0].strip():
                blocks.append(f"<p>{self.text(head, package, method)}</p>")
            if items[1:]:
                blocks.append("<ul>" + "".join(f"<li>{self.text(item.strip(), package, method)}</li>" for item in items[1:]) + "</ul>")
        return "\n".join(blocks)

    # Parts of a page

    def method(self, method):
        description, facts = facts_of(method.comment)
        package = method.package
        callers = ", ".join(LABELS.get(caller, caller) for caller in method.callers)
        rows = [("Path", f"<code>/{method.service.full_name}/{method.name}</code>"), ("Callers", callers)]
        rows += [("Permission", f"<code>{method.access.permission}</code>")] * bool(method.access.permission)
        rows += [("Retry", RETRIES[method.retry])]
        rows += [("Response", "a stream")] * method.is_stream
        rows += [("Audited", "each call is recorded before it takes effect")] * method.access.audited
        rows += [("Limited", "by the address of a caller who is anonymous")] * method.access.limited_by_address
        rows += [("Ended accounts", "are served too")] * method.access.serves_ended_accounts
        errors = "".join(f"<li>{self.text(fact, package, method)}</li>" for fact in facts if not fact.startswith("Callers"))
        return "\n".join(
            [
                heading(2, method.name, method.name),
                self.paragraphs(description, package),
                "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows) + "</dl>",
                f'<h3>Errors</h3>\n<ul>{errors}</ul>\n<p class="faint">Also <a href="errors.html#frontdesk">those of every method</a>.</p>' if errors else "",
                self.type(method.input, 3),
                self.type(method.output, 3),
                self.example(method),
            ]
        )

    def example(self, method):
        example = self.examples.get(method.full_name)
        if not example:
            return ""
        what = "First message of the stream" if method.is_stream else "Response"
        parts = [("Request", example["request"]), (what, example["response"])]
        shown = "".join(f"<p>{name}:</p>\n{block(message)}" for name, message in parts)
        return f"<details><summary>Example, as {escape(example['caller'])}</summary>\n{shown}\n</details>"

    def type(self, declared, level=2):
        comment = self.paragraphs(declared.comment, declared.package)
        rows = self.values(declared) if hasattr(declared, "values") else self.fields(declared)
        return "\n".join([heading(level, declared.short_name, declared.short_name), comment, rows])

    def fields(self, message):
        if not message.fields:
            return '<p class="faint">It has no fields.</p>'
        rows = [self.field(field) for field in message.fields]
        return table(("field", "type", "description"), rows)

    def field(self, field):
        if entry := field.map_entry:
            key, value = entry.fields
            shown = f"map of {self.type_link(key)} to {self.type_link(value)}"
        else:
            shown = ("repeated " if field.is_repeated else "") + self.type_link(field)
        notes = ["optional"] * field.descriptor.proto3_optional
        if field.oneof:
            notes.append(f"one of <code>{field.oneof.name}</code>" + (", which is required" if field.oneof.is_required else ""))
        notes += [self.text(limit, field.package) for limit in limits(field)]
        limited = f'<p class="faint">{"; ".join(notes)}</p>' if notes else ""
        deprecated = "<p><strong>Deprecated.</strong></p>" if field.options.deprecated else ""
        return f"<code>{field.name}</code>", shown, deprecated + self.paragraphs(field.comment, field.package) + limited

    def type_link(self, field):
        name = field.type_name.rpartition(".")[2]
        home = self.homes.get(field.type_name)
        return f'<a href="{home}">{name}</a>' if home else f"<code>{field.type_name if '.' in field.type_name else name}</code>"

    def values(self, enum):
        rows = [(f"<code>{value.name}</code>", str(value.descriptor.number), self.paragraphs(value.comment, enum.package)) for value in enum.values]
        return table(("value", "number", "description"), rows)

    # Pages

    def service(self, service):
        requests = {message.full_name for method in service.methods for message in (method.input, method.output)}
        types = [declared for declared in self.contract.public_types if declared.file.name == service.file.name and declared.full_name not in requests]
        contents = "".join(f'<li><a href="#{method.name}">{method.name}</a>: {self.summary(method)}</li>' for method in service.methods)
        note = "<p><strong>Served by development servers only.</strong></p>" if service.is_development else ""
        body = [f"<h1>{service.name}</h1>\n<p class=\"faint\">{service.full_name}</p>", note, self.paragraphs(service.comment, service.package), f"<ul>{contents}</ul>"]
        return page(service.name, body + [self.method(method) for method in service.methods] + [self.type(declared) for declared in types])

    def package(self, package, types):
        contents = "".join(f'<li><a href="#{declared.short_name}">{declared.short_name}</a></li>' for declared in types)
        return page(package, [f"<h1>Types of {package}</h1>", f"<ul>{contents}</ul>", *map(self.type, types)])

    def errors(self):
        body = ["<h1>Errors</h1>", f'<p>How a refusal is read: <a href="{GUIDE}#errors">API guide</a>. Reasons are added, never renamed.</p>']
        for domain in dict.fromkeys(reason.domain for reason in self.reasons):
            body.append(heading(2, domain, domain))
            rows = []
            for reason in (reason for reason in self.reasons if reason.domain == domain):
                methods = ", ".join(f'<a href="{self.homes[name]}">{method.name}</a>' for name, method in self.stated[reason.anchor].items())
                name = f'<a id="{reason.anchor}" href="#{reason.anchor}"><code>{reason.name}</code></a><p class="faint">{reason.code}</p>'
                stated = f'<p class="faint">{methods}</p>' if methods else ""
                rows.append((name, self.text(first_upper(reason.meaning), reason.package), f"<p>{self.text(reason.advice, reason.package)}</p>{stated}"))
            body.append(table(("reason", "what it means", "what to do; methods that state it"), rows))
        return page("Errors", body)

    def index(self, packages):
        body = ["<h1>API reference</h1>", f'<p>Generated from the contract. What all calls have in common is in the <a href="{GUIDE}">API guide</a>.</p>']
        for package in dict.fromkeys(service.package for service in self.contract.public_services):
            rows = []
            for service in (service for service in self.contract.public_services if service.package == package):
                methods = ", ".join(f'<a href="{self.homes[method.full_name]}">{method.name}</a>' for method in service.methods)
                rows.append((f'<a href="{self.homes[service.full_name]}">{service.name}</a>', f"<p>{self.summary(service)}</p><p class=\"faint\">{methods}</p>"))
            body += [heading(2, package, package), table(("service", "methods"), rows)]
        types = "".join(f'<li><a href="{package}.html">{package}</a></li>' for package in packages)
        return page("API reference", [*body, heading(2, "types", "Types"), "<p>What several services share, and the events.</p>", f"<ul>{types}</ul>"])

    def summary(self, declared):
        """The first sentence of the comment."""
        return self.text(re.split(r"(?<=\.)\s", " ".join(declared.comment.split()), maxsplit=1)[0], declared.package)


# From target/reference.
DOCS = "../../docs"
GUIDE = f"{DOCS}/api-guide.md"


def facts_of(comment):
    """The comment of a method without the lines on callers and codes, and these, each as one text."""
    description, facts = [], []
    for line in comment.strip("\n").splitlines():
        line = line.strip()
        found = FACT.match(line)
        if found and found.group(1) in CODES | {"Callers"}:
            facts.append(line)
        elif facts and line:
            facts[-1] += f" {line}"
        elif line or not facts:
            description.append(line)
    return "\n".join(description), facts


def heading(level, anchor, text):
    return f'<h{level} id="{anchor}"><a href="#{anchor}">{escape(text)}</a></h{level}>'


def table(heads, rows):
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'


def block(message):
    return f"<pre>{escape(json.dumps(message, indent=2, ensure_ascii=False), quote=False)}</pre>"


def first_upper(text):
    return text[:1].upper() + text[1:]


def page(title, body):
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · Frontdesk</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
<header><a href="index.html">API reference</a><a href="errors.html">Errors</a><a href="{GUIDE}">API guide</a><a href="{DOCS}/methods.md">Access</a></header>
<main>
{chr(10).join(part for part in body if part)}
</main>
</body>
</html>
"""
