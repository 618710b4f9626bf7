"""What a Dockerfile says of the process that the image runs."""

import json
import re
import shlex


class Stage:
    """The instructions of a stage, in their order."""

    def __init__(self, base):
        self.base, self.instructions = base, []

    def all(self, name):
        return [value for instruction, value in self.instructions if instruction == name]

    def words(self, name):
        """The words of an instruction that lists them, as JSON or by spaces: the last one counts."""
        value = self.all(name)[-1]
        return json.loads(value) if value.startswith("[") else shlex.split(value)

    def pairs(self, name):
        """The names and values of all ENV, LABEL or ARG."""
        pairs = (word.partition("=")[::2] for value in self.all(name) for word in shlex.split(value))
        return {key: value for key, value in pairs}


def parse(text):
    """The arguments before the first stage, and the stages by their names."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    arguments, stages, stage = {}, {}, None
    for line in filter(None, re.sub(r"\\\n\s*", " ", text).splitlines()):
        name, _, value = line.strip().partition(" ")
        if name == "FROM":
            base, _, alias = value.partition(" AS ")
            stage = stages[alias] = Stage(base)
        elif stage is None:
            arguments.update([value.split("=", 1)])
        else:
            stage.instructions.append((name, value.strip()))
    return arguments, stages
