"""The rules of a field in words, from its options."""

WORDS = {
    "string.min_len": "at least {} characters",
    "string.max_len": "at most {} characters",
    "string.len": "{} characters",
    "string.max_bytes": "at most {} bytes",
    "string.uuid": "a UUID",
    "string.email": "an e-mail address",
    "string.hostname": "a host name",
    "string.uri": "a URI",
    "string.in": "one of {}",
    "bytes.max_len": "at most {} bytes",
    "bytes.min_len": "at least {} bytes",
    "repeated.min_items": "at least {} items",
    "repeated.max_items": "at most {} items",
    "repeated.unique": "no item twice",
    "map.min_pairs": "at least {} entries",
    "map.max_pairs": "at most {} entries",
    "enum.defined_only": "a value of the enum",
    "int32.gte": "at least {}",
    "int32.gt": "more than {}",
    "int32.lte": "at most {}",
    "int32.lt": "less than {}",
    "int32.in": "one of {}",
    "duration.gte": "at least {}",
    "duration.gt": "more than {}",
    "duration.lte": "at most {}",
    "duration.lt": "less than {}",
    "required": "required",
}
# Limits of one, which have another form.
ONE = {"at least 1 characters": "not empty", "at most 1 characters": "at most 1 character", "at least 1 items": "at least 1 item", "at most 1 items": "at most 1 item", "at least 1 entries": "at least 1 entry", "at least 1 bytes": "not empty"}
PARTS = {"repeated.items": "each item: ", "map.keys": "each key: ", "map.values": "each value: "}


# Patterns of texts that people write, by the option `text`, and of request ids; others have a description of their own.
LINE, BLOCK = 1, 2
TEXTS = {LINE: "one line without control characters", BLOCK: "no control characters but tabs and line breaks"}
REQUEST_ID = "characters A-Z a-z 0-9 . _ : -"


def limits(field):
    """The rules of the field, as texts. A rule without words is refused, so that none is left out."""
    extensions, options = field.contract.extensions, field.options
    described = options.Extensions[extensions["frontdesk.validation.v1.pattern_description"]]
    pattern = described or TEXTS.get(options.Extensions[extensions["frontdesk.text.v1.text"]]) or (REQUEST_ID if field.name == "request_id" else "")
    return list(rules(field, options.Extensions[extensions["buf.validate.field"]], pattern))


def rules(field, options, pattern):
    for kind, value in options.ListFields():
        if kind.name == "ignore":
            yield "checked only where it is set"
        elif kind.message_type is None:
            yield words(field, kind.name, value)
        else:
            for rule, value in value.ListFields():
                name = f"{kind.name}.{rule.name}"
                if name in PARTS:
                    yield PARTS[name] + ", ".join(rules(field, value, pattern))
                elif name == "string.pattern":
                    yield pattern or f"matches `{value}`"
                else:
                    yield words(field, name, value)


def words(field, name, value):
    if name == "enum.not_in" and list(value) == [0]:
        return "not unspecified"
    if name not in WORDS:
        raise SystemExit(f"{field.full_name} has the rule {name}, which proto/tools/reference/limits.py has no words for")
    limit = WORDS[name].format(text(value))
    return ONE.get(limit, limit)


def text(value):
    if hasattr(value, "ToJsonString"):
        return value.ToJsonString()
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, str) else ", ".join(map(str, value))
