"""Reads mails as a mail client does: Python's mail library and its parser of HTML. Needs no package.

Prints a JSON array with an object for each `.eml` file of the folder, in the order of their names: headers, defects, types of the parts,
and what the HTML part has: elements with their attributes, declarations and comments, and links as address and text.
"""

import json
import sys
from email import policy
from email.parser import BytesParser
from html.parser import HTMLParser
from pathlib import Path


class Found(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.elements, self.declarations, self.links = set(), set(), []
        self.in_link = False

    def handle_starttag(self, tag, attrs):
        # Only styles and classes that the templates have: a text in one would be another element.
        self.elements.add(" ".join([tag, *sorted(name if name == "href" else f"{name}={value}" for name, value in attrs)]))
        if tag == "a":
            self.in_link = True
            self.links.append([dict(attrs).get("href", ""), ""])

    def handle_endtag(self, tag):
        if tag == "a":
            self.in_link = False

    def handle_data(self, data):
        if self.in_link:
            self.links[-1][1] += data

    def handle_comment(self, data):
        self.declarations.add(f"comment {data}")

    def handle_decl(self, decl):
        self.declarations.add(f"declaration {decl}")

    def handle_pi(self, data):
        self.declarations.add(f"instruction {data}")

    def unknown_decl(self, data):
        self.declarations.add(f"section {data}")


def address(header):
    """The only address of a header; several are joined, so that they differ from it."""
    return ",".join(address.addr_spec for address in header.addresses)


def read(content):
    mail = BytesParser(policy=policy.default).parsebytes(content)
    # Raises on the first defect of the structure.
    BytesParser(policy=policy.strict).parsebytes(content)
    defects = [str(defect) for part in mail.walk() for defect in part.defects]
    defects += [f"{name}: {defect!r}" for name, value in mail.items() for defect in getattr(value, "defects", [])]
    html = Found()
    html.feed(mail.get_body(("html",)).get_content())
    html.close()
    mail.get_body(("plain",)).get_content()
    return {
        "headers": list(mail.keys()),
        "defects": defects,
        "types": [part.get_content_type() for part in mail.walk()],
        "from": address(mail["From"]),
        "to": address(mail["To"]),
        "elements": sorted(html.elements),
        "declarations": sorted(html.declarations),
        "links": html.links,
    }


print(json.dumps([read(path.read_bytes()) for path in sorted(Path(sys.argv[1]).glob("*.eml"))]))
