"""Run clang-tidy over the dev preset's sources, two at a time; a file already found clean is not looked at again.

A clean result is remembered under a hash of the file, of our headers that it includes (as ninja recorded them), of its
compile command and of .clang-tidy, so that a run without changes takes a second.
"""

import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "dev"
CACHE = BUILD / "tidy-cache"
SOURCES = ("cpp", "bindings")
# clang 14 takes the pair in api::EventFields, a recursive type, for incomplete where it meets it first.
CANNOT_PARSE = ("bindings/rows.cpp",)

# clang 14 needs the feature macro that libstdc++ 12's <coroutine> asks for. Its own warnings are no errors: g++
# holds those.
EXTRA = ["-D__cpp_impl_coroutine=201902L", "-Wno-builtin-macro-redefined", "-Wno-error", "-Wno-unknown-warning-option"]


def ninja_deps() -> dict[str, list[str]]:
    """Map each object file to the files that it was made of."""
    out = subprocess.run(["ninja", "-C", str(BUILD), "-t", "deps"], capture_output=True, text=True, check=True).stdout
    deps: dict[str, list[str]] = {}
    target = ""
    for line in out.splitlines():
        if line.startswith("    "):
            deps[target].append(line.strip())
        elif ": #deps" in line:
            target = line.split(":", 1)[0]
            deps[target] = []
    return deps


def ours(path: str) -> bool:
    relative = os.path.relpath(BUILD / path, ROOT)
    return not relative.startswith(("..", "build", ".venv"))


def object_of(entry: dict[str, str]) -> str:
    words = shlex.split(entry["command"])
    return words[words.index("-o") + 1]


def key(entry: dict[str, str], deps: list[str]) -> str:
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    digest.update(repr((EXTRA, entry["command"])).encode())
    for path in sorted({entry["file"], *filter(ours, deps)}):
        digest.update((BUILD / path).read_bytes())
    return digest.hexdigest()


def check(entry: dict[str, str], deps: list[str]) -> tuple[str, float]:
    """Return what clang-tidy says about one file ("" if it is clean) and its seconds."""
    mark = CACHE / key(entry, deps)
    if deps and mark.exists():
        return "", 0.0
    began = time.monotonic()
    extra = [f"--extra-arg={flag}" for flag in EXTRA]
    run = subprocess.run(
        ["clang-tidy-14", "-p", str(BUILD), "--quiet", *extra, entry["file"]], capture_output=True, text=True
    )
    if run.returncode == 0:
        if deps:  # without them (not built yet) a changed header would go unseen
            mark.touch()
        return "", time.monotonic() - began
    return run.stdout + run.stderr, time.monotonic() - began


def main() -> int:
    commands = BUILD / "compile_commands.json"
    if not commands.exists():
        print("no compile commands in build/dev: run scripts/setup build")
        return 1
    entries = [
        entry
        for entry in json.loads(commands.read_text())
        if Path(entry["file"]).is_relative_to(ROOT)
        and Path(entry["file"]).relative_to(ROOT).parts[0] in SOURCES
        and str(Path(entry["file"]).relative_to(ROOT)) not in CANNOT_PARSE
    ]
    CACHE.mkdir(exist_ok=True)
    deps = ninja_deps()
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(lambda entry: check(entry, deps.get(object_of(entry), [])), entries))
    bad = [words for words, _ in results if words]
    print("\n".join(bad), end="\n" if bad else "")
    if "-v" in sys.argv:
        for (_, seconds), entry in sorted(zip(results, entries, strict=True), key=lambda pair: -pair[0][1])[:20]:
            print(f"{seconds:6.1f} s  {entry['file']}")
    print(f"{len(entries)} files, {len(bad)} with findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
