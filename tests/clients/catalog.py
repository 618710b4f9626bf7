"""The clients: which recipes of proto/README.md they use, how they are compiled, and how they are run."""

from typing import NamedTuple

MODES = ("embedded", "distributed")


class Client(NamedTuple):
    folder: str  # with the program
    sections: tuple  # of proto/README.md
    locked: tuple  # files that fix the versions, beside those in the recipe
    stubs: str  # compiles the stubs alone
    program: str  # compiles the program
    beside: str  # runs the stubs beside protovalidate's own package, and beside options with the numbers of Frontdesk's
    run: str = ""  # plays a visit: a visitor's side of a chat
    play: str = ""  # plays whole chats, as the visitor and the team
    first: str = ""  # runs the first chat of proto/README.md
    modes: tuple = MODES  # in which it is played. Empty: it is only compiled
    in_browser: bool = False  # whether it runs in Chromium
    seconds: int = 90  # maximum time of each of `run`, `play` and `first`


NPM = ("package.json", "package-lock.json")
ES_FOREIGN = """npx buf generate foreign --template '{"version": "v2", "plugins": [
    {"local": "protoc-gen-es", "out": "gen", "opt": "target=ts,import_extension=js"}]}'"""
BUNDLE = "npx esbuild page.ts --bundle --minify --format=esm --target=es2022 --outfile=page.js --log-level=warning"

CLIENTS = {
    "python": Client(
        folder="python",
        sections=("Python", "First chat in Python"),
        locked=(),
        stubs="python -m compileall -q stubs",
        program="python -m compileall -q .",
        beside="""
            python -m grpc_tools.protoc -Iforeign --python_out=stubs foreign/shop/options/v1/options.proto
            PYTHONPATH=stubs python beside.py""",
        run="PYTHONPATH=stubs exec python visitor.py",
        play="PYTHONPATH=stubs exec python -m chat.play",
        first="PYTHONPATH=stubs exec python first_chat.py",
    ),
    "go": Client(
        folder="go",
        sections=("Go", "First chat in Go"),
        locked=("go.mod", "go.sum"),
        stubs="go build ./gen/...",
        program="go build -o visitor . && go build -o first-chat ./first",
        beside="""
            buf generate foreign --template '{"version": "v2", "plugins": [
                {"local": ["go", "tool", "protoc-gen-go"], "out": "gen", "opt": "paths=source_relative"}]}'
            go vet ./...
            go run ./beside""",
        run="exec ./visitor",
        play="exec ./visitor play",
        first="exec ./first-chat",
    ),
    "java": Client(
        folder="java",
        sections=("Java", "First chat in Java"),
        locked=(),
        stubs="test -d target/classes/frontdesk",
        program="""
            mvn --batch-mode --quiet compile
            mvn --batch-mode --quiet org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DincludeScope=runtime -DoutputDirectory=target/lib""",
        beside="""
            cp -r foreign/shop protos/
            cp Beside.java src/main/java/shop/
            mvn --batch-mode --quiet compile
            java -cp 'target/classes:target/lib/*' shop.Beside""",
        run="exec java -cp 'target/classes:target/lib/*' shop.Visitor",
        play="exec java -cp 'target/classes:target/lib/*' shop.Play",
        first="exec java -cp 'target/classes:target/lib/*' shop.FirstChat",
    ),
    "node": Client(
        folder="typescript",
        sections=("TypeScript", "TypeScript for Node.js", "First chat in TypeScript"),
        locked=NPM,
        stubs="npx tsc --noEmit --module NodeNext --strict --skipLibCheck $(find gen -name '*.ts')",
        program="npx tsc --project tsconfig.node.json",
        beside=f"""
            {ES_FOREIGN}
            npx tsc --project tsconfig.beside.json
            node dist/beside.js""",
        run="exec node dist/node.js",
        play="exec node dist/node.js play",
        first="exec node dist/first.js",
    ),
    "bundler": Client(
        folder="typescript",
        sections=("TypeScript", "TypeScript for bundlers"),
        locked=NPM,
        stubs="npx tsc --noEmit --module ESNext --moduleResolution bundler --strict --skipLibCheck $(find gen -name '*.ts')",
        program=f"npx tsc && {BUNDLE}",
        beside=f"""
            {ES_FOREIGN}
            npx esbuild beside.ts --bundle --platform=node --format=esm --outfile=beside.mjs --log-level=warning
            node beside.mjs""",
        modes=(),
    ),
    "browser": Client(
        folder="typescript",
        sections=("TypeScript", "TypeScript for a widget"),
        locked=NPM,
        stubs="npx tsc --noEmit --module ESNext --moduleResolution bundler --strict --skipLibCheck $(find gen -name '*.ts')",
        program=f"npx tsc && {BUNDLE}",
        beside="",
        run="exec node browser.mjs",
        play="exec node browser.mjs play",
        in_browser=True,
    ),
    "web": Client(
        folder="web",
        sections=("TypeScript", "TypeScript for a widget"),
        locked=NPM,
        stubs="npx tsc --noEmit --module ESNext --moduleResolution bundler --strict --skipLibCheck $(find gen -name '*.ts')",
        program="npx tsc && npx vite build --logLevel warn",
        beside="",
        play="exec node play.mjs",
        modes=("embedded",),  # Its pages are not served in distributed mode.
        in_browser=True,
        seconds=130,
    ),
}
