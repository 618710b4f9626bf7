"""The catalogue of errors: every reason with its code, what it means and what to do, from the comments of the enums."""

import re
from typing import NamedTuple

# First words of a sentence that says what to do. A reason whose comment has no such sentence is refused.
ADVICE = """
    Add Ask Change Choose Close Correct Create Delete Drop Get Give Leave Let List Merge Read Reactivate Renew Repeat Report Resume Send Show
    Stop Subscribe Take Undelete Upload Use Verify Wait
""".split()
SENTENCE = re.compile(r"(?<=[.:)`])\s+(?=[A-Z`])")
UNUSED = "REASON_UNSPECIFIED"


class Reason(NamedTuple):
    name: str  # without the prefix REASON_
    package: str
    domain: str
    code: str
    meaning: str
    advice: str

    @property
    def anchor(self):
        return f"{self.domain}.{self.name}"


def reasons(contract):
    """All reasons: those that every service sends, then those of each service, in the order of their numbers."""
    enums = [enum for enum in contract.enums.values() if enum.name == "Reason" and "google.rpc.ErrorInfo" in enum.comment]
    found, problems = [], []
    for enum in sorted(enums, key=lambda enum: (enum.package != "frontdesk.error.v1", enum.package)):
        domain = re.search(r"domain\s+`([^`]+)`", enum.comment).group(1)
        for value in sorted(enum.values, key=lambda value: value.descriptor.number):
            if value.name == UNUSED:
                continue
            code, _, rest = " ".join(value.comment.split()).partition(": ")
            sentences = SENTENCE.split(rest)
            advice = [sentence for sentence in sentences if re.match(r"\w+", sentence) and re.match(r"\w+", sentence).group() in ADVICE]
            meaning = [sentence for sentence in sentences if sentence not in advice]
            if not re.fullmatch("[A-Z_]+", code) or not advice or not meaning:
                problems.append(f"{value.full_name}: {' '.join(sentences)}")
            name = value.name.removeprefix("REASON_")
            found.append(Reason(name, enum.package, domain, code, " ".join(meaning), " ".join(advice)))
    return found, problems


HEADER = """\
# Errors

Generated from the enums of reasons in `proto/`: `make api-docs` writes it again. The [API guide](api-guide.md#errors) says how a refusal is
read, and what each code means. After `make api-docs`, `target/reference/errors.html` also names the
methods that state each reason.

The reason is in `google.rpc.ErrorInfo` with the domain of its service. Reasons are added, never renamed: handle an unknown one by its code.
The assignment service passes errors of the conversation service on with their domain.
"""


def page(found):
    """docs/errors.md."""
    lines, domain = [HEADER], None
    for reason in found:
        if reason.domain != domain:
            domain = reason.domain
            note = "\nOf all services.\n" if domain == "frontdesk" else ""
            lines.append(f"\n## {domain}\n{note}\n| reason | code | what it means | what to do |\n|---|---|---|---|\n")
        lines.append(f"| `{reason.name}` | {reason.code} | {sentence(reason.meaning)} | {sentence(reason.advice)} |\n")
    return "".join(lines)


def sentence(text):
    return (text[:1].upper() + text[1:]).replace("|", "\\|")
